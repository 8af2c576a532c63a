#!/usr/bin/env bash
# Brings the notebooks of other packages' tests and examples into a directory, for tests only: none is
# kept in this repository. requirements.txt pins the archives by version and digest.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
to=${1:?usage: fetch.sh DIRECTORY}
python=${NES_PYTHON:-python3}
archives=$(mktemp -d)
trap 'rm -rf "$archives"' EXIT
"$python" -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes \
	--no-binary nbclient,nbconvert,nbformat,nbmake,nbsphinx,nbstripout,nbval,papermill,scrapbook \
	-r "$here/requirements.txt" -d "$archives"
rm -rf "$to" && mkdir -p "$to"
"$python" - "$archives" "$to" <<'PYTHON'
import os, sys, tarfile, zipfile

source, target = sys.argv[1:]
count = 0
for name in sorted(os.listdir(source)):
    package = name.split("-")[0]
    path = os.path.join(source, name)
    if name.endswith(".tar.gz"):
        with tarfile.open(path) as t:
            members = [(m.name, t.extractfile(m).read()) for m in t if m.isfile() and m.name.endswith(".ipynb")]
    else:
        with zipfile.ZipFile(path) as z:
            members = [(n, z.read(n)) for n in z.namelist() if n.endswith(".ipynb")]
    for n, (member, body) in enumerate(sorted(members)):
        with open(os.path.join(target, "%s-%03d-%s" % (package, n, os.path.basename(member))), "wb") as f:
            f.write(body)
        count += 1
print("%d notebooks in %s" % (count, target))
PYTHON
