"""The operator by itself: what it asks NES for, and how it ends what it began."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, TaskDeferred
from world import until

from nes_provider import task
from nes_provider.operators.nes import NesOperator
from nes_provider.sensors.nes import NesRunSensor
from nes_provider.triggers import nes as triggers
from nes_provider.triggers import waiting
from nes_provider.triggers.nes import NesPauseTrigger, NesRunTrigger


def context_of(task_id="run", map_index=-1, try_number=1, run_id=""):
    pushed = {}
    ti = SimpleNamespace(
        dag_id="d",
        task_id=task_id,
        run_id=run_id or f"r-{time.monotonic_ns()}",
        map_index=map_index,
        try_number=try_number,
        xcom_push=lambda key, value: pushed.__setitem__(key, value),
    )
    run = SimpleNamespace(run_type=SimpleNamespace(value="manual"), run_after=None)
    return {"ti": ti, "dag_run": run, "logical_date": datetime(2026, 1, 31, tzinfo=timezone.utc), "outlet_events": {}, "pushed": pushed}


def operator(notebooks="", notebook="report", **kwargs):
    return NesOperator(task_id="run", input_nb=f"{notebooks}/{notebook}.ipynb", poll_interval=1.0, **kwargs)


def execute(op, context):
    """As a worker does: Airflow refuses an execute() that nobody but it may call."""
    return type(op).execute.__wrapped__(op, context) if hasattr(type(op).execute, "__wrapped__") else op.execute(context)


def test_what_was_not_given_is_not_asked_for(airflow):
    spec = operator()._spec(context_of(run_id="r"), "af")
    assert set(spec) == {"input_url", "labels", "idempotency_key", "task_key", "reattach"}
    assert spec["task_key"] == "airflow:af/d/run/r/-1" and spec["reattach"] == "active"
    assert spec["labels"] == {
        "airflow": "af",
        "dag_id": "d",
        "task_id": "run",
        "run_id": "r",
        "try_number": "1",
        "run_type": "manual",
        "logical_date": "2026-01-31T00:00:00+00:00",
    }


def test_everything_is_asked_for_as_nes_reads_it(airflow):
    op = operator(
        parameters={"a": None},
        host_network="False",
        secrets={"PASSWORD": "warehouse", "TOKEN": {"ref": "t"}},
        run_timeout=timedelta(minutes=2),
        cell_timeout="90s",
        execution_timeout=timedelta(seconds=30),
        priority="7",
        labels={"n": 1},
        idempotency_key="k",
        output_nb="team/x.ipynb",
    )
    spec = op._spec(context_of(map_index=3), "af")
    assert spec["host_network"] is False and spec["timeout"] == "120s" and spec["cell_timeout"] == "90s" and spec["deadline"] == "90s"
    assert spec["secrets"] == {"PASSWORD": {"ref": "warehouse"}, "TOKEN": {"ref": "t"}}
    assert (
        spec["priority"] == 7
        and spec["labels"]["n"] == "1"
        and spec["labels"]["map_index"] == "3"
        and spec["output_path"] == "team/x.ipynb"
    )
    assert spec["idempotency_key"] == "k" and "try_number" not in spec["labels"], "a retry must send the same request"
    assert spec["parameters"] == {"a": None}


def test_every_argument_for_nes_is_templated():
    assert {"input_nb", "parameters", "runtime", "profile", "host_network", "labels", "nes_conn_id", "deadline"} <= set(
        NesOperator.template_fields
    )
    op = operator()
    assert all(hasattr(op, field) for field in NesOperator.template_fields)


def test_keys_are_of_the_instance_and_never_too_long():
    ti = context_of(run_id="r" * 600)["ti"]
    assert len(task.key(ti, "af")) == task.LONGEST_KEY
    assert task.key(ti, "af") != task.key(context_of(run_id="r" * 601)["ti"], "af")
    assert task.instance() == "airflow.example.com"


def test_the_next_try_attaches_to_the_run_under_way(airflow, notebooks, nes, tmp_path):
    go = tmp_path / "go"
    made = []
    parameters = {"seconds": 300, "until": str(go)}
    for number in (1, 2):
        context = context_of(run_id="lost", try_number=number)
        op = operator(notebooks, "slow", parameters=parameters, deferrable=True)
        with pytest.raises(TaskDeferred) as deferred:
            execute(op, context)
        made.append(context["pushed"]["nes_run_id"])
        assert deferred.value.trigger.run_id == made[-1]
    assert made[0] == made[1]
    go.touch()
    assert nes.ended(made[0])["status"] == "Succeeded"
    with pytest.raises(TaskDeferred):
        execute(operator(notebooks, "slow", parameters=parameters, deferrable=True), context := context_of(run_id="lost"))
    assert context["pushed"]["nes_run_id"] != made[0], "one that has ended is not attached to"


@pytest.mark.parametrize("cancels", [True, False])
def test_a_kill_ends_the_wait(airflow, notebooks, nes, cancels):
    context = context_of()
    op = operator(notebooks, "slow", cancel_on_kill=cancels)

    def kill():
        until(lambda: context["pushed"].get("nes_run_id"), "the run is submitted")
        op.on_kill()

    thread = threading.Thread(target=kill)
    thread.start()
    with pytest.raises(AirflowException, match="told to stop"):
        execute(op, context)
    thread.join()
    run = nes.run(context["pushed"]["nes_run_id"])
    assert ("cancel_requested_at" in run) is cancels
    nes.cancel(run["id"])


def test_a_kill_before_the_answer_finds_the_run_by_its_task(airflow, notebooks, nes):
    context = context_of()
    op = operator(notebooks, "slow")
    spec = op._spec(context, "airflow.example.com")
    run = nes.call("POST", "/v1/runs", spec)
    op._key = spec["task_key"]
    op.on_kill()
    assert nes.ended(run["id"])["reason"] == "Cancelled"
    operator(notebooks).on_kill()  # nothing was submitted: nothing is cancelled, nothing is raised


def test_a_failed_trigger_leaves_no_run_behind(airflow, notebooks, nes):
    context = context_of()
    op = operator(notebooks, "slow", deferrable=True)
    with pytest.raises(TaskDeferred):
        execute(op, context)
    with pytest.raises(AirflowException):
        operator(notebooks, "slow").resume_execution("__fail__", {"error": "Trigger failure"}, context)
    assert nes.ended(context["pushed"]["nes_run_id"])["reason"] == "Cancelled"


def test_an_event_is_not_believed(airflow, notebooks, nes):
    context = context_of()
    with pytest.raises(TaskDeferred):
        execute(operator(notebooks, "slow", deferrable=True), context)
    run_id = context["pushed"]["nes_run_id"]
    with pytest.raises(AirflowException, match="was lost sight of: away, and was cancelled"):
        operator(notebooks, "slow").execute_complete(context, {"event": "error", "run_id": run_id, "message": "away"})
    assert nes.ended(run_id)["reason"] == "Cancelled"
    with pytest.raises(AirflowFailException, match="Cancelled by local"):
        operator(notebooks, "slow").execute_complete(context, {"event": "ended", "run_id": run_id, "message": ""})


@pytest.mark.parametrize("who", ["an earlier try", "a person"])
def test_a_run_that_an_earlier_try_cancelled_is_replaced(airflow, notebooks, nes, who):
    """A cleared task may attach at the moment at which its old trigger cancels."""
    made = []
    for number in (1, 2):
        context = context_of(run_id=f"cleared by {who}", try_number=number)
        op = operator(notebooks, "slow", parameters={"seconds": 300}, deferrable=True)
        with pytest.raises(TaskDeferred):
            execute(op, context)
        made.append(context["pushed"]["nes_run_id"])
    assert made[0] == made[1]
    run = nes.cancel(made[0])
    nes.ended(run["id"])
    if who == "a person":
        op._run = {**nes.run(run["id"]), "cancel_requested_by": "kim"}
        assert not op._ended_with_an_earlier_try(context, op._run)
        return
    with pytest.raises(TaskDeferred) as deferred:
        op.execute_complete(context, {"event": "ended", "run_id": made[1], "message": ""})
    assert deferred.value.trigger.run_id != made[0]
    nes.cancel(deferred.value.trigger.run_id)


def test_not_ready_again_later(airflow, notebooks):
    op = operator(notebooks, "not_ready", on_not_ready=timedelta(seconds=30))
    with pytest.raises(TaskDeferred) as deferred:
        execute(op, context_of())
    assert deferred.value.method_name == "execute_again"
    assert 20 < deferred.value.trigger.moment - time.time() <= 30


def test_a_sensor_of_a_run_that_is_not_there(airflow):
    sensor = NesRunSensor(task_id="wait", run_id="0190b6b8-0000-7000-8000-000000000000")
    with pytest.raises(AirflowFailException, match="there is no run"):
        sensor.poke({})


# Triggers


def fire(trigger):
    async def first():
        return [event.payload async for event in trigger.run()][0]

    return asyncio.run(first())


def rebuilt(trigger):
    """The trigger as a triggerer makes it: from what was stored."""
    path, arguments = trigger.serialize()
    assert path.rsplit(".", 1)[0] == triggers.__name__
    return getattr(triggers, path.rsplit(".", 1)[1])(**json.loads(json.dumps(arguments)))


def test_the_trigger_only_reads_and_fires(airflow, notebooks, nes):
    run = nes.call("POST", "/v1/runs", {"input_url": f"{notebooks}/report.ipynb"})
    event = {"event": "ended", "run_id": run["id"], "message": ""}
    assert fire(rebuilt(NesRunTrigger(run["id"], poll_interval=1.0))) == event
    assert fire(rebuilt(NesRunTrigger(run["id"], poll_interval=1.0))) == event, "it may run twice"
    assert fire(rebuilt(NesPauseTrigger(time.time() + 0.1))) == {"event": "again"}


def test_the_trigger_tells_time_and_trouble(airflow, notebooks, nes, monkeypatch):
    run = nes.call("POST", "/v1/runs", {"input_url": f"{notebooks}/slow.ipynb"})
    assert fire(NesRunTrigger(run["id"], poll_interval=1.0, deadline=time.time() + 2))["event"] == "timeout"
    nes.cancel(run["id"])
    began = time.time()
    event = fire(NesRunTrigger("0190b6b8-0000-7000-8000-000000000000"))
    assert event["event"] == "error" and "there is no run" in event["message"] and time.time() - began < 5
    assert fire(NesRunTrigger(run["id"], "nes_nowhere", earliest=began + 7))["event"] == "error" and time.time() >= began + 7
    assert "There is no connection" in fire(NesRunTrigger(run["id"], "nes_nowhere"))["message"]


@pytest.mark.parametrize(("waits", "cancels", "cancelled"), [(True, True, False), (False, True, True), (False, False, False)])
def test_cleanup_cancels_only_what_nobody_waits_for(airflow, notebooks, nes, monkeypatch, waits, cancels, cancelled):
    """For Airflow before 3.3, which calls cleanup() at every end of a trigger and nothing else."""
    monkeypatch.delattr(triggers.BaseTrigger, "on_kill", raising=False)

    async def answer(task_instance):
        return waits

    monkeypatch.setattr(waiting, "waits", answer)
    run = nes.call("POST", "/v1/runs", {"input_url": f"{notebooks}/slow.ipynb"})
    trigger = NesRunTrigger(run["id"], cancel_on_kill=cancels)
    trigger._task_instance = SimpleNamespace(task_id="run")
    if not hasattr(type(trigger), "task_instance"):
        trigger.task_instance = trigger._task_instance
    asyncio.run(trigger.cleanup())
    assert ("cancel_requested_at" in nes.run(run["id"])) is cancelled
    nes.cancel(run["id"])


def test_on_kill_cancels(airflow, notebooks, nes):
    run = nes.call("POST", "/v1/runs", {"input_url": f"{notebooks}/slow.ipynb"})
    asyncio.run(NesRunTrigger(run["id"]).on_kill())
    assert nes.ended(run["id"])["reason"] == "Cancelled"
