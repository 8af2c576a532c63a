#!/usr/bin/env bash
# Runs pytest in one of the environments of venv.sh: operators/airflow/test.sh airflow-3 [arguments of pytest].
set -euo pipefail
cd "$(dirname "$0")"
venv=$(./venv.sh "$1")
shift
exec env PATH="$venv/bin:$PATH" "$venv/bin/python" -m pytest -q -p no:cacheprovider -W ignore "$@"
