#!/bin/bash
# matrix.sh: runs the executor's tests with every pair of Python and papermill that installs here.
#
# Interpreters: python3.9 to python3.13 on PATH or below ~/.pyenv/versions. What is absent, or does not install, is
# skipped with the reason. Environments are kept below .matrix/, so that a second run is quick.
set -u
cd "$(dirname "$0")/../.."
mkdir -p .matrix
tests=${TESTS:-'Succeeds|Papermills|Parameters|CellError|Tag|Killed|Exits|Refused|Cancel|Timeouts|Displays|Streams|Words|Stalled|Environment'}
failed=0

interpreter() { # the first that runs: a shim on PATH may have nothing behind it
	local python
	for python in "$HOME"/.pyenv/versions/"$1".*/bin/python "$(command -v "python$1")"; do
		if "$python" -c '' 2>/dev/null; then
			echo "$python"
			return
		fi
	done
}

one() { # python version, papermill version
	local python why env=.matrix/py$1-pm$2
	python=$(interpreter "$1")
	if [ -z "$python" ]; then
		echo "SKIP python $1, papermill $2: there is no python$1"
		return
	fi
	if [ ! -e "$env/ready" ]; then
		rm -rf "$env"
		if ! { "$python" -m venv "$env" && "$env/bin/pip" install --quiet --disable-pip-version-check "papermill==$2.*" ipykernel ipywidgets setuptools; } >"$env.log" 2>&1; then
			echo "SKIP python $1, papermill $2: it does not install ($(tail -1 "$env.log"))"
			return
		fi
		touch "$env/ready"
	fi
	if ! why=$("$env/bin/python" -c 'import papermill' 2>&1); then
		echo "SKIP python $1, papermill $2: papermill itself cannot be imported ($(tail -1 <<<"$why"))"
		return
	fi
	if NES_PYTHON=$PWD/$env/bin/python go test -v -count=1 ./runner/driver ./runner/executor -run "Python|$tests" >"$env.log" 2>&1 && ! grep -q -- '--- SKIP' "$env.log"; then
		echo "ok   python $1, papermill $2: $("$env/bin/pip" list 2>/dev/null | awk '/^(papermill|ipykernel|jupyter_client|ipython) / {printf "%s %s ", $1, $2}')"
	else
		echo "FAIL python $1, papermill $2: see $env.log"
		failed=1
	fi
}

for p in ${PYTHONS:-3.9 3.10 3.11 3.12 3.13}; do
	for m in ${PAPERMILLS:-2.4 2.5 2.6 2.7}; do
		one "$p" "$m"
	done
done
exit $failed
