"""A real Airflow 3 with a real NES, and what goes wrong between them."""

from __future__ import annotations

import time

import pytest
from deployment import kill_worker
from notebooks import BROKEN, MENDED
from world import until

pytestmark = pytest.mark.real


@pytest.fixture
def go(work):
    """Tells a DAG's waiting notebook to go on."""
    return lambda dag_id: (work / f"go-{dag_id}").touch()


def submitted(nes, dag_id):
    """The one run of a DAG's task, once it executes."""
    found = until(lambda: nes.runs_of(dag_id), f"a run of {dag_id}")
    return nes.executing(found[0]["id"])


def test_success_with_links_log_result_and_asset(deployment, nes):
    run = deployment.trigger("report", day="2026-05-06")
    run.reaches("success")
    assert run.xcom() == {"day": "2026-05-06", "rows": 2, "지역": "대전"}
    made = nes.runs_of("report", run_id=run.run_id)
    assert len(made) == 1
    assert run.links() == {"Notebook run": f"{nes.url}/runs/{made[0]['id']}", "Notebook source": made[0]["source"]["web_url"]}
    log = run.log()
    assert "[notebook] 보고 2026-05-06" in log and "NES: 4 of 4 cells" in log
    events = deployment.call("GET", "/api/v2/assets/events")["asset_events"]
    assert [e["extra"]["nes_run_id"] for e in events if e["source_run_id"] == run.run_id] == [made[0]["id"]]


def test_failure_is_explained_and_mended_by_a_push(deployment, nes, repository):
    repository.push("mended.ipynb", BROKEN)
    run = deployment.trigger("mended")
    run.reaches("failed")
    made = nes.runs_of("mended")
    why = f"CellError in cell 2: KeyError: '매출' - {nes.url}/runs/{made[0]['id']}"
    assert why in run.log() and run.xcom("nes_message") == why and run.xcom("nes_reason") == "CellError"
    assert "about to fail" in run.log()
    repository.push("mended.ipynb", MENDED)  # no DAG is deployed
    run.clear()
    until(lambda: run.task()["state"] == "success", "the cleared task succeeds", patience=180)
    assert run.xcom() == "mended"
    assert len(nes.runs_of("mended")) == 2


def test_a_lost_worker_starts_no_second_run(deployment, nes, go):
    run = deployment.trigger("worker_lost")
    made = submitted(nes, "worker_lost")
    first = run.reaches("running")
    assert run.links()["Notebook run"].endswith(made["id"]), "the link is there while the task runs"
    kill_worker(deployment.pid("scheduler"), first["pid"])
    until(lambda: run.task()["try_number"] == 2 and run.task()["state"] == "running", "the second try runs", patience=240)
    until(lambda: "Attached to run" in run.log(), "the second try attaches")
    go("worker_lost")
    run.reaches("success")
    runs = nes.runs_of("worker_lost")
    assert [r["id"] for r in runs] == [made["id"]] and runs[0]["attempt"] == 1
    assert run.xcom()["name"] == "worker_lost"


def test_marked_failed_while_deferred_cancels(deployment, nes):
    run = deployment.trigger("marked_failed")
    made = submitted(nes, "marked_failed")
    run.reaches("deferred")
    assert run.links()["Notebook run"].endswith(made["id"]), "the link is there while the task is deferred"
    run.mark("failed")
    assert nes.ended(made["id"])["reason"] == "Cancelled"
    assert len(nes.runs_of("marked_failed")) == 1


def test_cleared_while_deferred_runs_anew(deployment, nes, go):
    run = deployment.trigger("cleared")
    made = submitted(nes, "cleared")
    run.reaches("deferred")
    run.clear()
    assert nes.ended(made["id"])["reason"] == "Cancelled"
    until(lambda: len(nes.runs_of("cleared")) == 2, f"a second run; the task is {run.task()}")
    go("cleared")
    run.reaches("success")
    assert [r["reason"] for r in nes.runs_of("cleared") if r.get("reason")] == ["Cancelled"]


def test_marked_failed_while_running_cancels(deployment, nes):
    run = deployment.trigger("killed")
    made = submitted(nes, "killed")
    run.reaches("running")
    run.mark("failed")
    assert nes.ended(made["id"])["reason"] == "Cancelled"
    run.reaches("failed")


def test_an_outage_of_nes_is_waited_out(deployment, nes, go):
    names = ("outage_sync", "outage_deferred")
    runs = {name: deployment.trigger(name) for name in names}
    made = {name: submitted(nes, name)["id"] for name in names}
    runs["outage_sync"].reaches("running")
    runs["outage_deferred"].reaches("deferred")
    nes.kill()
    time.sleep(45)  # the outage itself
    nes.start()
    for name in names:
        go(name)
        runs[name].reaches("success")
        assert [r["id"] for r in nes.runs_of(name)] == [made[name]]
        assert runs[name].task()["try_number"] == 1
        assert "NES does not answer at" in runs[name].log()


def test_twenty_mapped_tasks(deployment, nes):
    run = deployment.trigger("mapped")
    run.all("success", 20)
    made = nes.runs_of("mapped")
    assert len(made) == 20
    assert sorted(int(r["spec"]["labels"]["map_index"]) for r in made) == list(range(20))
