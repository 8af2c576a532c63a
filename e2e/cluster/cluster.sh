#!/usr/bin/env bash
# A real one-node Kubernetes for tests, from Go modules and Debian packages alone: no image registry, no Docker, no
# download of binaries. Debian 12 as root, cgroup v1 or v2. Needs go, gcc and python3.
#
#   cluster.sh build           build the control plane, kubelet, kube-proxy, CoreDNS and kubectl (10 min on 2 cores, then cached)
#   cluster.sh up              start etcd, the control plane, containerd, one kubelet, kube-proxy and CoreDNS; prints KUBECONFIG
#   cluster.sh load FILE.tar   import an image archive for pods to use, with imagePullPolicy: IfNotPresent
#   cluster.sh lose-node       stop the kubelet: containers go on, the cluster stops hearing of them
#   cluster.sh find-node       start it again, if it was stopped
#   cluster.sh stop-api        stop the API server
#   cluster.sh start-api       start it again
#   cluster.sh where           print KUBECONFIG and this machine's address as pods reach it
#   cluster.sh down            stop what `up` started, containers too, and leave nothing behind but the cache
#
# NES_CLUSTER_DIR (default ~/.cache/nes-cluster) keeps binaries and images; its directory "state" is the running cluster's.
# NES_CLUSTER_DNS=off leaves CoreDNS out.
# Pods reach this machine at NODE_IP. Writes to the API are in state/audit.log.
set -euo pipefail
DIR=${NES_CLUSTER_DIR:-$HOME/.cache/nes-cluster}
K8S=${NES_CLUSTER_KUBERNETES:-1.34.4} # the last minor whose kubelet takes cgroup v1 without a fight
BIN=$DIR/bin-$K8S STATE=$DIR/state
NODE_IP=${NODE_IP:-$(ip -4 route get 1.1.1.1 2>/dev/null | grep -oP 'src \K\S+' || hostname -I | awk '{print $1}')}
SOCK=$STATE/containerd.sock
export KUBECONFIG=$STATE/kubeconfig PATH=$BIN:$PATH

packages() { # etcd, containerd, runc and the network plug-ins are Debian's
	local miss=() p
	for p in etcd-server containerd runc containernetworking-plugins iproute2 iptables openssl kmod procps; do
		dpkg -s "$p" >/dev/null 2>&1 || miss+=("$p")
	done
	[ ${#miss[@]} = 0 ] && return
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends "${miss[@]}" >/dev/null
}

# k8s.io/kubernetes pins its staging modules by `replace`, which go install refuses: this module replaces them by the published ones.
module() {
	local mod
	mod=$(go mod download -json "k8s.io/kubernetes@v$K8S" | grep -oP '"GoMod": "\K[^"]+')
	{
		printf 'module cluster\ngo 1.26\nrequire k8s.io/kubernetes v%s\nreplace (\n' "$K8S"
		grep -oP '^\s+k8s.io/[a-z-]+ => \./staging' "$mod" | awk -v v="v0.${K8S#1.}" '{print "  " $1 " => " $1 " " v}' | sort -u
		echo ")"
	} >go.mod
	{
		echo "package cluster"
		for p in kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy; do echo "import _ \"k8s.io/kubernetes/cmd/$p/app\""; done
		echo 'import _ "k8s.io/kubectl/pkg/cmd"'
	} >deps.go
	GOFLAGS=-mod=mod go mod tidy >/dev/null 2>&1
}

build() {
	packages
	mkdir -p "$BIN" "$DIR/src"
	cd "$DIR/src"
	local b v=k8s.io/component-base/version miss=()
	for b in kube-apiserver kube-controller-manager kube-scheduler kube-proxy kubelet; do [ -x "$BIN/$b" ] || miss+=("$b"); done
	command -v kubectl >/dev/null || miss+=(kubectl)
	[ ${#miss[@]} = 0 ] || module
	for b in "${miss[@]}"; do
		go build -mod=mod -trimpath -o "$BIN/$b" \
			-ldflags "-s -w -X $v.gitVersion=v$K8S -X $v.gitMajor=1 -X $v.gitMinor=$(cut -d. -f2 <<<"$K8S")" "k8s.io/kubernetes/cmd/$b"
		echo "built $b"
	done
	[ -x "$BIN/coredns" ] || [ "${NES_CLUSTER_DNS:-on}" = off ] || GOBIN=$BIN go install github.com/coredns/coredns@v1.12.4
}

start() { # NAME COMMAND...: in a session of its own, so that a signal to the test does not reach it
	local n=$1
	shift
	setsid "$@" >>"$STATE/$n.log" 2>&1 </dev/null &
	echo $! >"$STATE/$n.pid"
}

stop() { # TERM, then KILL: the API server may linger for a minute
	local pid
	pid=$(cat "$STATE/$1.pid" 2>/dev/null) || return 0
	rm -f "$STATE/$1.pid"
	kill "$pid" 2>/dev/null || return 0
	for _ in $(seq 20); do
		kill -0 "$pid" 2>/dev/null || return 0
		sleep 0.25
	done
	kill -9 "$pid" 2>/dev/null || true
}

await() { # SECONDS COMMAND...: until it succeeds
	local end=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || { echo "not in time: $*" >&2; return 1; }
		sleep 0.25
	done
}

pause_image() { # the sandbox image: one static program that sleeps
	cat >"$STATE/pause.c" <<'C'
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
static void stop(int s) { _exit(0); }
static void reap(int s) { while (waitpid(-1, 0, WNOHANG) > 0); }
int main(void) { signal(SIGINT, stop); signal(SIGTERM, stop); signal(SIGCHLD, reap); for (;;) pause(); }
C
	gcc -static -Os -o "$STATE/pause" "$STATE/pause.c"
	python3 - "$STATE" "$(go env GOARCH)" <<'PY'
import hashlib, io, json, sys, tarfile
d, arch = sys.argv[1:]
layer = io.BytesIO()
with tarfile.open(fileobj=layer, mode="w") as t:
    t.add(f"{d}/pause", arcname="pause")
layer = layer.getvalue()
config = json.dumps({"architecture": arch, "os": "linux", "config": {"Entrypoint": ["/pause"]},
                     "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]}}).encode()
manifest = json.dumps([{"Config": "config.json", "RepoTags": ["local/pause:1"], "Layers": ["layer.tar"]}]).encode()
with tarfile.open(f"{d}/pause.tar", "w") as t:
    for name, body in (("config.json", config), ("manifest.json", manifest), ("layer.tar", layer)):
        i = tarfile.TarInfo(name)
        i.size = len(body)
        t.addfile(i, io.BytesIO(body))
PY
}

certificates() {
	mkdir -p pki
	openssl genrsa -out pki/sa.key 2048
	openssl rsa -in pki/sa.key -pubout -out pki/sa.pub
	openssl req -x509 -newkey rsa:2048 -nodes -keyout pki/ca.key -out pki/ca.crt -days 30 -subj /CN=cluster-ca
	openssl req -newkey rsa:2048 -nodes -keyout pki/kubelet.key -out pki/kubelet.csr -subj "/O=system:masters/CN=apiserver-kubelet"
	openssl x509 -req -in pki/kubelet.csr -CA pki/ca.crt -CAkey pki/ca.key -CAcreateserial -out pki/kubelet.crt -days 30
} 2>/dev/null

access() {
	local token
	token=$(openssl rand -hex 16)
	echo "$token,admin,admin,system:masters" >pki/tokens.csv
	cat >kubeconfig <<K
apiVersion: v1
kind: Config
clusters: [{name: local, cluster: {server: "https://127.0.0.1:6443", insecure-skip-tls-verify: true}}]
users: [{name: admin, user: {token: $token}}]
contexts: [{name: local, context: {cluster: local, user: admin}}]
current-context: local
K
	chmod 600 kubeconfig
	cat >audit.yaml <<Y
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
  verbs: [create, update, patch, delete, deletecollection]
- level: None
Y
}

api() {
	cd "$STATE"
	start apiserver kube-apiserver --etcd-servers=http://127.0.0.1:2379 --service-account-issuer=https://kubernetes.default.svc \
		--service-account-key-file=pki/sa.pub --service-account-signing-key-file=pki/sa.key --token-auth-file=pki/tokens.csv --authorization-mode=Node,RBAC \
		--cert-dir=pki/api --service-cluster-ip-range=10.96.0.0/16 --allow-privileged --client-ca-file=pki/ca.crt \
		--audit-policy-file=audit.yaml --audit-log-path=audit.log --shutdown-delay-duration=0s \
		--kubelet-client-certificate=pki/kubelet.crt --kubelet-client-key=pki/kubelet.key --kubelet-preferred-address-types=InternalIP \
		--advertise-address="$NODE_IP" --secure-port=6443
	await 90 kubectl get --raw /readyz
}

runtime() {
	mkdir -p cni
	cat >cni/10-bridge.conflist <<J
{"cniVersion":"0.4.0","name":"nes","plugins":[{"type":"bridge","bridge":"cni0","isGateway":true,"ipMasq":true,"hairpinMode":true,
 "ipam":{"type":"host-local","dataDir":"$STATE/cni/addresses","ranges":[[{"subnet":"10.88.0.0/16"}]],"routes":[{"dst":"0.0.0.0/0"}]}}]}
J
	# restrict_oom_score_adj: lowering oom_score_adj needs CAP_SYS_RESOURCE, which root in a container lacks
	cat >containerd.toml <<T
version = 2
root = "$STATE/containerd"
state = "$STATE/containerd-run"
[grpc]
  address = "$SOCK"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "docker.io/local/pause:1"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$STATE/cni"
T
	start containerd containerd -c containerd.toml
	await 30 ctr -a "$SOCK" version
	pause_image
	load pause.tar
}

kubelet_config() {
	cat >kubelet.yaml <<Y
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: false}, x509: {clientCAFile: $STATE/pki/ca.crt}, webhook: {enabled: false}}
authorization: {mode: AlwaysAllow}
cgroupDriver: cgroupfs
clusterDNS: [$NODE_IP]
clusterDomain: cluster.local
failSwapOn: false
failCgroupV1: false
containerRuntimeEndpoint: unix://$SOCK
evictionHard: {memory.available: 100Mi, nodefs.available: 1%, imagefs.available: 1%}
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
podLogsDir: $STATE/pod-logs
Y
}

kubelet() {
	cd "$STATE"
	start kubelet "$BIN/kubelet" --config kubelet.yaml --kubeconfig kubeconfig --hostname-override node1 --node-ip "$NODE_IP" --root-dir "$STATE/kubelet" --cert-dir "$STATE/pki/kubelet"
}

network() {
	sysctl net.ipv4.ip_forward net.ipv4.conf.all.route_localnet >sysctl.before
	sysctl -qw net.ipv4.ip_forward=1 net.bridge.bridge-nf-call-iptables=1 2>/dev/null || true
	cat >proxy.yaml <<Y
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: iptables
clusterCIDR: 10.88.0.0/16
hostnameOverride: node1
clientConnection: {kubeconfig: $STATE/kubeconfig}
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
Y
	start proxy "$BIN/kube-proxy" --config proxy.yaml
	[ "${NES_CLUSTER_DNS:-on}" = on ] || return 0
	printf '.:53 {\n bind %s\n errors\n kubernetes cluster.local in-addr.arpa {\n  kubeconfig %s/kubeconfig local\n }\n cache 5\n}\n' "$NODE_IP" "$STATE" >Corefile
	start dns "$BIN/coredns" -conf Corefile
}

up() {
	[ ! -e "$STATE/etcd.pid" ] || { echo "already up; 'down' first" >&2; exit 1; }
	build
	mkdir -p -m 700 "$STATE"
	cd "$STATE"
	certificates
	access
	start etcd etcd --data-dir etcd --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 --listen-peer-urls http://127.0.0.1:2380 --unsafe-no-fsync
	api
	start controllers kube-controller-manager --leader-elect=false --kubeconfig=kubeconfig --service-account-private-key-file=pki/sa.key --use-service-account-credentials=true --root-ca-file=pki/ca.crt
	start scheduler kube-scheduler --leader-elect=false --kubeconfig=kubeconfig
	runtime
	kubelet_config
	kubelet
	await 120 kubectl get node node1
	kubectl wait --for=condition=Ready node/node1 --timeout=120s >/dev/null
	network
	await 60 kubectl -n default get serviceaccount default
	echo "KUBECONFIG=$KUBECONFIG NES_E2E_NODE_IP=$NODE_IP"
}

load() { ctr -a "$SOCK" -n k8s.io image import "$1"; }

down() { # nothing stays: no process, mount, address, rule, control group or file
	[ -d "$STATE" ] || return 0
	cd "$STATE"
	local c="ctr -a $SOCK -n k8s.io" n m t
	stop controllers # else it would make new pods
	stop scheduler
	timeout 20 kubectl delete pods --all --all-namespaces --grace-period=0 --force --wait=false >/dev/null 2>&1 || true
	for _ in $(seq 40); do
		[ "$(timeout 10 $c task ls -q 2>/dev/null | wc -l)" = 0 ] && break
		kill -0 "$(cat kubelet.pid 2>/dev/null || echo 0)" 2>/dev/null || break
		sleep 0.25
	done
	stop kubelet
	for t in $(timeout 10 $c task ls -q 2>/dev/null); do timeout 10 $c task rm -f "$t" >/dev/null 2>&1 || true; done
	for n in dns proxy; do stop $n; done
	for n in apiserver etcd; do kill -9 "$(cat $n.pid 2>/dev/null)" 2>/dev/null || true; done
	stop containerd
	for n in $(ip netns list | grep -o '^cni-\S*'); do ip netns delete "$n" || true; done
	ip link delete cni0 2>/dev/null || true
	for t in iptables ip6tables; do $t-save 2>/dev/null | grep -vE 'KUBE-|CNI-' | $t-restore 2>/dev/null || true; done
	find /sys/fs/cgroup -depth -type d -path '*/kubepods*' -exec rmdir {} + 2>/dev/null || true
	{ grep -oP " \K$STATE/\S+" /proc/mounts || true; } | sort -r | while read -r m; do umount -l "$m" 2>/dev/null || true; done
	sysctl -qp sysctl.before 2>/dev/null || true
	cd /
	rm -rf "$STATE" /var/lib/kubelet/device-plugins/kubelet.sock /var/lib/cni/results/{nes,cni-loopback}-*
	find /var/log/containers -xtype l -delete 2>/dev/null || true
	rmdir -p /var/lib/kubelet/{device-plugins,plugins,plugins_registry} /run/containerd/{runc/k8s.io,s} /var/lib/cni/results /var/log/{pods,containers} 2>/dev/null || true
}

case "${1:-}" in
build | up | down) "$1" ;;
load) load "$2" ;;
where) echo "KUBECONFIG=$KUBECONFIG NES_E2E_NODE_IP=$NODE_IP" ;;
lose-node) stop kubelet ;;
find-node) [ -e "$STATE/kubelet.pid" ] || kubelet ;;
stop-api) stop apiserver ;;
start-api) [ -e "$STATE/apiserver.pid" ] || api ;;
*) sed -n 2,19p "$0"; exit 2 ;;
esac
