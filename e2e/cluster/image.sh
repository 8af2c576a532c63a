#!/usr/bin/env bash
# Container images with no registry and no Docker: base images are made of a Debian root file system and get the names that
# Dockerfiles use in FROM, so that an ordinary Dockerfile builds unchanged. Needs root on Debian 12.
#
#   image.sh nes [TAG [IMAGES]]          build NES's own from deploy/docker: docker.io/nes/{agent,server,notebook}:TAG (dev)
#   image.sh build NAME CONTEXT [FLAGS]  build CONTEXT/Dockerfile; FLAGS go to `buildah build` (-f FILE, --target, --build-arg, -v)
#   image.sh save NAME FILE.tar          write a docker archive
#   image.sh load NAME...                save and import into the running cluster; pods use the same NAME, imagePullPolicy IfNotPresent
#   image.sh base                        make the base images: debian:bookworm-slim, python:3.11-slim-bookworm, golang:<this machine's>-bookworm
#   image.sh list | image.sh clean       show the images | forget them all, bases too
#
# NAME is a full name (docker.io/nes/x:dev): containerd would read a short one differently from buildah. NES_CLUSTER_DIR as in cluster.sh.
# What this machine needs to reach its package index (pip's settings, the CA bundle in CA) is mounted during RUN; two empty mount points
# stay in the image. Proxy variables are passed by buildah itself and not kept either. MIRROR: a Debian mirror instead of debootstrap's own.
set -euo pipefail
DIR=${NES_CLUSTER_DIR:-$HOME/.cache/nes-cluster} HERE=$(cd "$(dirname "$0")" && pwd)
ROOT=$(cd "$HERE/../.." && pwd)
STORE=$DIR/images CONF=$DIR/images-conf
CA=${CA:-/etc/ssl/certs/ca-certificates.crt} SUITE=bookworm
DEBIAN=docker.io/library/debian:$SUITE-slim PYTHON=docker.io/library/python:3.11-slim GOLANG=docker.io/library/golang:$(go env GOVERSION | grep -oP '1\.\d+')

b() { buildah --root "$STORE" --runroot "$STORE-run" --storage-driver "${DRIVER:-overlay}" "$@"; }

conf() { # buildah's configuration: mounts for every RUN; short names in FROM mean docker.io
	mkdir -p -m 700 "$CONF"
	{
		echo "[global]"
		echo "cert = /etc/ssl/certs/build-host"
		pip config list 2>/dev/null | sed -nE "s/^[^=]*\.(index-url|extra-index-url|trusted-host|proxy|default-timeout)='(.*)'$/\1 = \2/p" | awk '!seen[$1]++'
	} >"$CONF/pip.conf"
	# Go reads every file in /etc/ssl/certs; pip is told the name. The bundle's own name would break `apt-get install ca-certificates`.
	echo "[containers]
volumes = [\"$CA:/etc/ssl/certs/build-host:ro\", \"$CONF/pip.conf:/etc/pip.conf:ro\"]" >"$CONF/containers.conf"
	echo 'unqualified-search-registries = ["docker.io"]' >"$CONF/registries.conf"
	export CONTAINERS_CONF=$CONF/containers.conf CONTAINERS_REGISTRIES_CONF=$CONF/registries.conf
}

packages() {
	local miss=() p
	for p in buildah debootstrap; do dpkg -s "$p" >/dev/null 2>&1 || miss+=("$p"); done
	[ ${#miss[@]} = 0 ] && return
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends "${miss[@]}" >/dev/null
}

have() { b images -q "$1" >/dev/null 2>&1; }

base_debian() {
	local root=$STORE-rootfs c
	rm -rf "$root"
	mkdir -p "$root"
	debootstrap --variant=minbase "$SUITE" "$root" ${MIRROR:-} >"$DIR/debootstrap.log"
	(cd "$root" && rm -rf var/cache/apt/* var/lib/apt/lists/* var/log/* usr/share/doc/* usr/share/man/* usr/share/locale/* etc/resolv.conf etc/hostname)
	# as in the official image: apt keeps no caches
	echo 'Dir::Cache::pkgcache ""; Dir::Cache::srcpkgcache ""; DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb"; };' >"$root/etc/apt/apt.conf.d/docker-clean"
	c=$(b from scratch)
	b add -q "$c" "$root" / >/dev/null
	b config --cmd bash "$c"
	b commit -q "$c" "$DEBIAN"
	b rm "$c" >/dev/null
	rm -rf "$root"
}

base_python() { # as in the official image: python and pip in /usr/local, pip free to install there (a venv stands in for a build from source)
	build "$PYTHON" - <<D
FROM $DEBIAN
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends ca-certificates netbase tzdata python3-venv >/dev/null \
 && rm -rf /var/lib/apt/lists/* && python3 -m venv /usr/local
CMD ["python3"]
D
	b tag "$PYTHON" "$PYTHON-$SUITE"
}

base_golang() { # this machine's Go, for Dockerfiles of several stages
	build "$GOLANG" "$(go env GOROOT)" -f - <<D
FROM $DEBIAN
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends ca-certificates git >/dev/null && rm -rf /var/lib/apt/lists/*
ENV GOPATH=/go GOTOOLCHAIN=local PATH=/go/bin:/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
COPY bin /usr/local/go/bin
COPY pkg /usr/local/go/pkg
COPY src /usr/local/go/src
COPY go.env VERSION /usr/local/go/
WORKDIR /go
D
	b tag "$GOLANG" "$GOLANG-$SUITE"
}

base() {
	packages
	conf
	have "$DEBIAN" || base_debian
	have "$PYTHON" || base_python
	have "$GOLANG" || base_golang
}

build() {
	local name=$1 context=$2
	shift 2
	b build -q --isolation chroot --pull-never --layers -t "$name" "$@" "$context"
}

# The Go stages take modules and compiled packages from this machine's caches; nothing of them is kept in the image.
nes() {
	base
	local tag=${1:-dev} i images=(${2:-agent server notebook}) caches=(-v "$(go env GOMODCACHE):/go/pkg/mod" -v "$(go env GOCACHE):/root/.cache/go-build")
	for i in "${images[@]}"; do
		build "docker.io/nes/$i:$tag" "$ROOT" -f "$ROOT/deploy/docker/$i.Dockerfile" --timestamp 0 --build-arg "TARGETARCH=$(go env GOARCH)" "${caches[@]}" >/dev/null
		echo "docker.io/nes/$i:$tag"
	done
}

save() {
	rm -f "$2"
	b push -q "$1" "docker-archive:$2:$1"
}

load() {
	local name
	for name in "$@"; do
		save "$name" "$STORE.tar"
		"$HERE/cluster.sh" load "$STORE.tar"
		rm -f "$STORE.tar"
	done
}

case "${1:-}" in
base) base ;;
nes) shift; nes "$@" ;;
build) conf; shift; build "$@" ;;
save) save "$2" "$3" ;;
load) shift; load "$@" ;;
list) b images ;;
clean) b rmi -a -f >/dev/null; rm -rf "$STORE" "$STORE-run" "$CONF" ;;
*) sed -n 2,16p "$0"; exit 2 ;;
esac
