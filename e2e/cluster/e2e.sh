#!/usr/bin/env bash
# Everything on a real Kubernetes, from nothing to nothing: brings the cluster up, builds the images from deploy/docker, runs the conformance
# suite and the scenarios in pods, and takes it all down. Arguments go to `go test`. KEEP=1 leaves the cluster for another look.
set -euo pipefail
cd "$(dirname "$0")/../.."
if [ "$(id -u)" -ne 0 ]; then
	echo "skipped: a cluster needs root (containers, a bridge, control groups)"
	exit 0
fi
if ! ip link add nes-probe type bridge 2>/dev/null; then
	echo "skipped: this machine lets nobody make a network bridge, which pods need"
	exit 0
fi
ip link delete nes-probe
here=e2e/cluster
down() { [ -n "${KEEP:-}" ] || "$here/cluster.sh" down; }
trap down EXIT
since() { printf '%4ds  %s\n' "$SECONDS" "$1"; }

"$here/cluster.sh" build
since "Kubernetes is built"
[ -e "${NES_CLUSTER_DIR:-$HOME/.cache/nes-cluster}/state/etcd.pid" ] || "$here/cluster.sh" up
eval "export $("$here/cluster.sh" where)"
since "the cluster is up"
"$here/image.sh" nes dev "agent notebook"
"$here/image.sh" build docker.io/nes/suite:dev "$here/suite" >/dev/null
"$here/image.sh" load docker.io/nes/{agent,notebook,suite}:dev >/dev/null
since "the images are loaded"
export PATH=${NES_CLUSTER_DIR:-$HOME/.cache/nes-cluster}/bin-${NES_CLUSTER_KUBERNETES:-1.34.4}:$PATH
[ $# -gt 0 ] || set -- -run 'TestBackend|Kubernetes'
go test -count=1 -timeout 40m -parallel 6 -v "$@" ./runner/kube ./e2e
since "the tests are done"
