"""A real NES and a real Git server for all tests of a process."""

from __future__ import annotations

import json
import os

import pytest
from airflow_home import prepare

HOME = prepare()  # before anything imports Airflow

from notebooks import push_all  # noqa: E402
from world import Repository, serving  # noqa: E402


@pytest.fixture(scope="session")
def nes():
    """A server that asks for no token."""
    with serving() as server:
        yield server


@pytest.fixture(scope="session")
def repository(tmp_path_factory):
    """A repository with nothing in it yet."""
    made = Repository(tmp_path_factory.mktemp("git"))
    yield made
    made.close()


@pytest.fixture(scope="session")
def notebooks(repository):
    """The address of the folder of the tests' notebooks."""
    return push_all(repository)


@pytest.fixture
def airflow(nes, notebooks, monkeypatch):
    """An Airflow whose connection nes_default is that server."""
    monkeypatch.setenv("NES_TEST_NOTEBOOKS", notebooks)
    monkeypatch.setenv("AIRFLOW_CONN_NES_DEFAULT", json.dumps({"conn_type": "nes", "host": nes.url, "extra": {"retry_for": 20}}))
    return os.environ
