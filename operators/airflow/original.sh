#!/usr/bin/env bash
# Runs the original service's published clients, unmodified, against this tree's server: operators/airflow/original.sh [arguments of pytest].
# They have http://nes.sktai.io and https://github.com written into them, so they run where these names are this machine: in a
# network and a mount namespace of their own, which only root can make.
set -euo pipefail
cd "$(dirname "$0")"
if ! unshare --mount --net true 2>/dev/null; then
	echo "skipped: the original's clients need namespaces of their own, which only root can make" >&2
	[ -z "${CI:-}" ]
	exit
fi
venv=$(./venv.sh original)
exec unshare --mount --net env PATH="$venv/bin:$PATH" "$venv/bin/python" -m pytest -q -p no:cacheprovider -W ignore tests/original "$@"
