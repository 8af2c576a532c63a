"""The example DAG of the documentation, as it is printed, and a picture of it in Airflow's pages."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile

import pytest
from deployment import DagRun
from world import until

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def scheduled(deployment):
    """The run that the schedule made by itself."""

    def runs():
        try:
            return deployment.call("GET", "/api/v2/dags/sales_report/dagRuns")["dag_runs"]
        except AssertionError:  # the DAG is not yet known
            return []

    made = until(runs, "the schedule makes a run", patience=300, pause=1)
    return DagRun(deployment, "sales_report", made[0]["dag_run_id"])


def test_the_example_runs_as_it_is_printed(scheduled, nes):
    scheduled.all("success", 5)
    found = scheduled.xcom(task_id="summary")
    made = nes.runs_of("sales_report", task_id="report")
    assert found["count"] == 3 and sorted(found["runs"]) == sorted(run["id"] for run in made)
    assert sorted(run["parameters"]["region"] for run in made) == ["east", "north", "south"]
    assert all(isinstance(run["parameters"]["year"], int) and run["spec"]["labels"]["report"] == "sales" for run in made)
    assert "3 reports were made" in scheduled.log("announce")


def test_picture(scheduled, deployment):
    """A picture for the documentation, where NES_AIRFLOW_PICTURE names a file."""
    target = os.environ.get("NES_AIRFLOW_PICTURE")
    browser = shutil.which("chromium")
    if not target or not browser:
        pytest.skip("no picture is asked for by NES_AIRFLOW_PICTURE, or there is no chromium")
    scheduled.all("success", 5)
    address = f"{deployment.url}/dags/sales_report/runs/{scheduled.run_id}/tasks/summary"
    quiet = ["--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-quic"]
    with tempfile.TemporaryDirectory() as profile:
        options = ["--headless", "--no-sandbox", "--disable-gpu", *quiet, f"--user-data-dir={profile}", "--window-size=1400,900"]
        for page in (f"{deployment.url}/auth/login", address):  # the first sets the cookie
            command = [browser, *options, "--virtual-time-budget=30000", f"--screenshot={target}", page]
            subprocess.run(command, check=True, capture_output=True, timeout=120)
    assert os.path.getsize(target) > 20_000
