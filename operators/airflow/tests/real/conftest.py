"""One whole Airflow for all tests of the directory."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

import pytest
from deployment import Airflow, Postgres, initdb
from notebooks import push_all
from world import ROOT, serving

HERE = Path(__file__).resolve().parent


@pytest.fixture(scope="session")
def nes():
    """A server that runs ten notebooks at once: they only wait."""
    with serving(NES_MAX_RUNNING="10") as server:
        yield server


@pytest.fixture(scope="session")
def work():
    """A directory for what tells a waiting notebook to go on."""
    directory = Path(tempfile.mkdtemp(prefix="nes-go-"))
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def deployment(nes, repository, work):
    """A whole Airflow whose connection nes_default is that server."""
    if initdb() is None:
        pytest.skip("no PostgreSQL: .ci/install installs it")
    notebooks = push_all(repository)
    for folder in ("examples/notebooks", "examples/airflow/notebooks"):
        shutil.copytree(ROOT / folder, repository.work, dirs_exist_ok=True)
    repository.push("README.md", "The notebooks of the examples")
    directory = Path(tempfile.mkdtemp(prefix="nes-real-"))
    (directory / "pg").mkdir(mode=0o700)
    directory.chmod(0o755)
    for folder in (HERE / "dags", ROOT / "examples/airflow/dags"):
        shutil.copytree(folder, directory / "dags", dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    postgres = Postgres(directory / "pg")
    connection = {"conn_type": "nes", "host": nes.url, "extra": {"retry_for": 180}}
    env = {"NES_TEST_NOTEBOOKS": notebooks, "EXAMPLE_NOTEBOOKS": notebooks, "NES_TEST_WORK": str(work)}
    env["AIRFLOW_CONN_NES_DEFAULT"] = json.dumps(connection)
    airflow = Airflow(directory, postgres.start(), directory / "dags", env)
    try:
        yield airflow.start()
    finally:
        airflow.close()
        postgres.close()
        shutil.rmtree(directory, ignore_errors=True)
