"""Whole DAGs through dag.test(), with a real NES."""

from __future__ import annotations

import time

import pytest
from airflow_home import run_dag

HOWS = ("sync", "deferred")


@pytest.mark.parametrize("how", HOWS)
def test_success(airflow, nes, how):
    run = run_dag(f"report_{how}")
    assert run.states() == {"report": "success", "read": "success"}
    pushed = run.xcoms("report")
    made = nes.run(pushed["nes_run_id"])
    assert pushed["return_value"] == {"day": "2026-02-03", "rows": 42, "지역": "부산"}
    assert pushed["nes_viewer_url"] == pushed["_link_NesRunLink"] == f"{nes.url}/runs/{made['id']}"
    assert pushed["_link_NesSourceLink"] == made["source"]["web_url"]
    assert made["spec"]["parameters"]["rows"] == "21"
    labels = made["spec"]["labels"]
    assert (
        labels["dag_id"] == f"report_{how}" and labels["task_id"] == "report" and labels["team"] == "kim" and labels["run_id"] == run.run_id
    )
    assert made["client"].startswith("airflow-provider-nes/")
    assert "[notebook] 보고 2026-02-03" in run.log and "[notebook] step 2" in run.log


@pytest.mark.parametrize("how", HOWS)
def test_failure_names_cell_error_and_place(airflow, nes, how):
    run = run_dag(f"broken_{how}")
    assert run.states()["run"] in ("failed", "up_for_retry")
    pushed = run.xcoms("run")
    assert pushed["nes_reason"] == "CellError"
    assert pushed["nes_message"] == f"CellError in cell 2: KeyError: '매출' - {nes.url}/runs/{pushed['nes_run_id']}"
    assert (
        pushed["nes_message"] in run.log
        and "The notebook's traceback:" in run.log
        and "\x1b[0;31m" not in run.log.split("traceback:")[1][:500]
    )
    assert "about to fail" in run.log
    assert "return_value" not in pushed


@pytest.mark.parametrize("how", HOWS)
def test_skip(airflow, how):
    run = run_dag(f"skips_{how}")
    assert run.states() == {"run": "skipped"}
    assert "no new rows" in run.xcoms("run")["nes_message"]


@pytest.mark.parametrize("how", HOWS)
def test_not_ready_fails_so_that_the_dag_may_retry(airflow, how):
    run = run_dag(f"not_ready_{how}")
    assert run.states()["run"] in ("failed", "up_for_retry")
    assert run.xcoms("run")["nes_reason"] == "NotReady"
    assert run_dag(f"again_{how}").states() == {"run": "skipped"}


@pytest.mark.parametrize("how", HOWS)
def test_mapped_tasks_are_runs_of_their_own(airflow, nes, how):
    run = run_dag(f"mapped_{how}")
    assert run.states() == {f"each[{n}]": "success" for n in range(3)}
    made = nes.runs_of(f"mapped_{how}", run_id=run.run_id)
    assert sorted(r["spec"]["labels"]["map_index"] for r in made) == ["0", "1", "2"]
    assert len({r["spec"]["task_key"] for r in made}) == 3
    assert sorted(run.xcoms("each", n)["return_value"]["rows"] for n in range(3)) == [2, 4, 6]


@pytest.mark.parametrize("how", HOWS)
def test_decorator(airflow, how):
    run = run_dag(f"decorated_{how}")
    assert run.states() == {"decorated": "success"}
    assert run.xcoms("decorated")["return_value"] == {"day": "2026-03-04", "rows": 10, "지역": f"decorated_{how}"}


@pytest.mark.parametrize("how", HOWS)
def test_sensor_waits_for_what_another_task_submitted(airflow, how):
    run = run_dag(f"handed_over_{how}")
    assert run.states() == {"submit": "success", "wait": "success"}
    assert run.xcoms("wait")["return_value"]["rows"] == 2


@pytest.mark.parametrize("how", HOWS)
def test_execution_timeout_cancels(airflow, nes, how):
    began = time.monotonic()
    run = run_dag(f"too_slow_{how}")
    assert run.states() == {"run": "failed"}
    made = nes.ended(run.xcoms("run")["nes_run_id"])
    assert made["reason"] == "Cancelled", made
    assert made["spec"]["deadline"] == "1m6s"
    assert time.monotonic() - began < 100


def test_an_unknown_parameter_is_named_with_the_nearest(airflow):
    run = run_dag("unknown_parameter")
    assert run.states() == {"run": "failed"}, "no retries"
    said = run.xcoms("run")["nes_message"]
    assert said.startswith("ParameterError: ") and "rowz" in said and "rows" in said and "\n" not in said


def test_a_missing_connection_names_the_cure(airflow):
    run = run_dag("no_connection")
    assert run.states() == {"run": "failed"}, "no retries"
    assert (
        'There is no connection "nes_nowhere": add one of type "nes" under Admin > Connections, or set AIRFLOW_CONN_NES_NOWHERE=' in run.log
    )
