"""A NES that is nes.sktai.io, and a Git server that is github.com."""

from __future__ import annotations

import pytest
from names import GITHUB, NES, certificate, loopback_up, point_here
from notebooks import push_all
from world import Repository, serving

CONFIG = """
runtimes:
  - {name: ye-k8s-custom, python: PYTHON}
profiles:
  - {name: reports}
original:
  runtimes: {"aidp/python:3.12": ye-k8s-custom}
  sizes: {CPU/SMALL: {}}
"""


@pytest.fixture(scope="session")
def repository(tmp_path_factory):
    directory = tmp_path_factory.mktemp("git")
    loopback_up()
    point_here(directory)
    context, trusted = certificate(directory)
    made = Repository(directory, address=("127.0.0.1", 443), tls=context)
    made.trusted = trusted
    made.url = f"https://{GITHUB}/acme/reports"
    yield made
    made.close()


@pytest.fixture(scope="session")
def nes(repository, tmp_path_factory):
    import os

    from world import ROOT

    python = os.environ.get("NES_PYTHON") or str(ROOT / ".venv/bin/python")
    push_all(repository)
    with serving(CONFIG.replace("PYTHON", python), port="80", NES_ALLOWED_HOSTS=NES, SSL_CERT_FILE=str(repository.trusted)) as server:
        yield server
