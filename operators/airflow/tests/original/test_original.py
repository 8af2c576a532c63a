"""The original service's published clients, unmodified."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from world import until

NOTEBOOKS = "https://github.com/acme/reports/blob/main"


def dag(dag_id):
    """Start one of the original's DAGs in a process of its own."""
    program = str(Path(__file__).parent / "run_dag.py")
    return subprocess.Popen([sys.executable, program, dag_id], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(process, patience=180):
    """What a process printed until its end, which must come."""
    try:
        return process.communicate(timeout=patience)[0]
    except subprocess.TimeoutExpired:
        process.kill()
        raise AssertionError(f"it hangs: {process.communicate()[0]}") from None


def of(nes, dag_id):
    """Runs of a DAG, by what its operator says of itself."""
    return [run for run in nes.runs() if f'"airflow_dag_id": "{dag_id}"' in run.get("client", "")]


def test_command_line(nes):
    """It looks at a run every 30 s, so the three are run at once."""
    given = {"report": ["-p", "지역", "광주", "-p", "rows", "7"], "broken": [], "nowhere": []}
    started = {
        name: subprocess.Popen(["nes", f"{NOTEBOOKS}/{name}.ipynb", *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for name, options in given.items()
    }
    for name, status in {"report": "Succeeded", "broken": "Failed", "nowhere": "Failed"}.items():
        said = finish(started[name])
        run = next(r for r in nes.runs() if r["id"] in said)
        assert f"status: {status}" in said and run["status"] == status
        assert f"output_url: http://nes.sktai.io/runs/{run['id']}" in said
        if name == "report":
            assert run["outcome"]["result"] == {"day": "2026-01-01", "rows": 14, "지역": "광주"}
            assert run["spec"]["parameters"] == {"지역": "광주", "rows": "7"}


@pytest.mark.parametrize("dag_id", ["nulls", "korean", "second"])
def test_success(nes, dag_id):
    said = finish(dag(dag_id))
    assert "ended: success" in said, said
    (run,) = of(nes, dag_id)
    assert run["client"].startswith("nes_operator {")
    assert f"http://nes.sktai.io/runs/{run['id']}" in said
    wanted = {"nulls": "서울", "korean": "대구", "second": "인천"}
    assert run["outcome"]["result"]["지역"] == wanted[dag_id]
    assert run["spec"].get("runtime", "") == ("" if dag_id == "nulls" else "ye-k8s-custom")
    assert "glpat-x" not in nes.log()


@pytest.mark.parametrize(("dag_id", "reason"), [("failing", "CellError"), ("wrong_url", "SourceNotFound"), ("second_failing", "CellError")])
def test_failure_is_seen_and_never_a_hang(nes, dag_id, reason):
    said = finish(dag(dag_id))
    assert 'exited with "Failed"' in said, said
    (run,) = of(nes, dag_id)
    assert run["reason"] == reason


@pytest.mark.parametrize("dag_id", ["killed", "second_killed"])
def test_kill(nes, dag_id):
    process = dag(dag_id)
    run = until(lambda: of(nes, dag_id), f"a run of {dag_id}")[0]
    nes.executing(run["id"])
    process.send_signal(signal.SIGTERM)
    said = finish(process)
    assert 'current status: "Running"' in said and 'current status: "NotFound"' in said, said
    assert nes.ended(run["id"])["reason"] == "Cancelled"
