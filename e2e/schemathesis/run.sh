#!/usr/bin/env bash
# Holds a server that runs to openapi.yaml: whatever is asked, no answer is an error of the server's or one that the contract does not describe.
# It takes about SECONDS_TO_SPEND (default 120); --seed makes a failure come back: its number is printed.
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD
venv=e2e/schemathesis/.venv
if ! cmp -s e2e/schemathesis/requirements.txt "$venv/.ready" 2>/dev/null; then
	"${PYTHON3:-python3}" -m venv "$venv"
	"$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r e2e/schemathesis/requirements.txt
	cp e2e/schemathesis/requirements.txt "$venv/.ready"
fi
work=$(mktemp -d)
token=$(head -c 32 /dev/urandom | sha256sum | cut -d ' ' -f 1)
server=
stop() {
	[ -z "$server" ] || { kill "$server" 2>/dev/null && wait "$server" || true; }
	# Notebooks outlive their server, as they should; these are not wanted any more.
	pkill -KILL -f "nes-agent .*$work/data/" || true
	rm -rf "$work"
}
trap stop EXIT
printf 'tokens:\n- {name: schemathesis, team: test, token: %s, roles: [admin]}\n' "$token" >"$work/nes.yaml"
env -i PATH="$PATH" HOME="$work" NES_DATA_DIR="$work/data" NES_ADDR=127.0.0.1:0 NES_CONFIG="$work/nes.yaml" NES_LOG_FORMAT=json \
	NES_RATE_LIMIT=1000000 NES_PYTHON="${NES_PYTHON:-python3}" bin/nes serve >"$work/out" 2>"$work/log" &
server=$!
for _ in $(seq 300); do
	grep -q 'serves at' "$work/out" && break
	kill -0 "$server" || { cat "$work/log" >&2; exit 1; }
	sleep 0.1
done
url=$(sed -n 's/^NES serves at //p' "$work/out")
# A run to ask about, whose notebook prints, writes a file and hands over a result.
cat >"$work/daily.ipynb" <<'NOTEBOOK'
{"nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3"}}, "cells": [
  {"cell_type": "code", "id": "a", "metadata": {"tags": ["parameters"]}, "execution_count": null, "outputs": [], "source": "rows = 3"},
  {"cell_type": "code", "id": "b", "metadata": {}, "execution_count": null, "outputs": [],
   "source": "import os, nes\nopen(os.environ['NES_OUTPUT_DIR'] + '/a.csv', 'w').write('x')\nprint(rows)\nnes.result({'rows': rows})"}]}
NOTEBOOK
(cd "$work" && NES_SERVER="$url" NES_TOKEN="$token" "$root/bin/nes" run daily.ipynb >"$work/run" 2>&1) || { cat "$work/run" "$work/log" >&2; exit 1; }
run=$(curl -fsS -H "Authorization: Bearer $token" "$url/v1/latest?status=Succeeded" | sed -E 's/.*"id":"([0-9a-f-]{36})".*/\1/; q')

# hold asks for a while. Streams are asked for by programs that know it, which the tests of package api hold to the contract.
status=0
hold() {
	(cd "$work" && "$root/$venv/bin/schemathesis" run "$url/openapi.yaml" --url "$url" --header "Authorization: Bearer $token" \
		--checks not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance \
		--phases examples,coverage,fuzzing --workers 1 --max-time "$((${SECONDS_TO_SPEND:-120} / 2))" --request-timeout 60 \
		--generation-database none --warnings off --no-color "$@") || status=1
}
hold "$@"
printf '[parameters]\n"path.id" = "%s"\n"path.name" = "a.csv"\n' "$run" >"$work/schemathesis.toml"
echo "the same of a run that there is: $run"
hold "$@"

if grep '"level":"ERROR"' "$work/log" >"$work/errors"; then
	echo "the server's log has errors:" >&2
	head -5 "$work/errors" >&2
	status=1
fi
exit "$status"
