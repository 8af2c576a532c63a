#!/usr/bin/env bash
# Makes an environment of pinned packages and prints its directory: operators/airflow/venv.sh airflow-3|airflow-2|original.
# One is made for each content of its requirements and kept below .cache, or where NES_AIRFLOW_CACHE says.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
name=$1
pins=$here/requirements/$name.txt
cache=${NES_AIRFLOW_CACHE:-$here/.cache}
hash=$(cat "$pins" "$0" | sha256sum | cut -c1-16)
venv=$cache/$name-$hash
if [ ! -e "$venv/.ready" ]; then
	mkdir -p "$cache"
	exec 9>"$cache/lock"
	flock 9
	if [ ! -e "$venv/.ready" ]; then
		python=${PYTHON3:-python3}
		[ -x "$cache/uv/bin/uv" ] || { "$python" -m venv "$cache/uv" && "$cache/uv/bin/python" -m pip install --quiet --disable-pip-version-check uv==0.13.9; } >&2
		rm -rf "$venv"
		"$cache/uv/bin/uv" venv --quiet --python "$(command -v "$python")" "$venv" >&2
		"$cache/uv/bin/uv" pip install --system-certs --quiet --python "$venv/bin/python" --requirement "$pins" >&2
		# The provider as it stands in the tree; the original's environment is left as it was published.
		[ "$name" = original ] || "$cache/uv/bin/uv" pip install --system-certs --quiet --python "$venv/bin/python" --no-deps --editable "$here" >&2
		touch "$venv/.ready"
	fi
fi
echo "$venv"
