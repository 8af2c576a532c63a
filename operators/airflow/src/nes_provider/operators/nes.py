"""Run a notebook as a task."""

from __future__ import annotations

import time
import uuid
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowSkipException,
    BaseOperator,
    conf,
)

from nes_provider import client, reasons, task
from nes_provider.assets import emit
from nes_provider.client import Client
from nes_provider.errors import NesError, NesRefused
from nes_provider.follow import Tail, failure, traceback
from nes_provider.hooks.nes import DEFAULT_CONNECTION, NesHook
from nes_provider.lineage import facets
from nes_provider.links import NesRunLink, NesSourceLink
from nes_provider.triggers.nes import LEAST_PAUSE, SETTLING, NesPauseTrigger, NesRunTrigger

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

# Airflow cancels at the end of execution_timeout; NES does so by itself when Airflow did not, somewhat later.
DEADLINE_GRACE = 60.0

# How long on_kill may hold up the end of a task, in seconds.
KILL_PATIENCE = 10.0


class NesOperator(BaseOperator):
    """
    Run a notebook from Git on NES and return its result.

    Durations are written as NES reads them: ``"90s"``, ``"1h30m"`` or seconds; a ``timedelta`` will do too.

    :param input_nb: the notebook's address, such as ``https://github.com/acme/reports/blob/main/daily.ipynb``.
    :param parameters: for the notebook, by name.
    :param runtime: one of the administrator's runtimes.
    :param profile: one of the administrator's profiles.
    :param output_nb: where below ``notebooks/`` the executed notebook is stored.
    :param kernel_name: instead of the notebook's own.
    :param host_network: use the network of the machine, where the profile allows it.
    :param run_resources: of the run, such as ``{"cpu": "2", "memory": "4Gi"}``.
    :param secrets: environment variables from the profile's secrets, by name: ``{"DB_PASSWORD": "warehouse"}``.
    :param run_timeout: executing time of one attempt.
    :param cell_timeout: time of one cell.
    :param silence_timeout: longest time without output.
    :param deadline: counted from submission; follows ``execution_timeout`` where it is not given.
    :param run_retry: attempts that NES makes by itself, such as ``{"limit": 2, "on": ["Evicted"]}``.
    :param not_ready: lets NES start a notebook again that is not ready, such as ``{"every": "5m", "until": "3h"}``.
    :param on_not_ready: what the task does when the notebook is not ready in the end: ``"retry"`` (fail; the DAG's retries go on),
        ``"skip"``, or seconds (or a ``timedelta``) after which it runs again without using up a try or holding a place.
    :param priority: higher starts first.
    :param group: names runs that belong together.
    :param labels: to find the run by, beside those that name the DAG and the task.
    :param nes_conn_id: the connection.
    :param idempotency_key: the same key is always the same run; without it each try that is not attached is a run of its own.
    :param task_key: names the task for NES; without it, it is made of Airflow's address, DAG, task, DAG run and map index.
    :param reattach: to which run of the same task a try attaches: ``"active"``, ``"active_or_succeeded"`` or ``"never"``.
    :param wait_for_completion: without it the task ends at once and returns the run's id.
    :param deferrable: wait in the triggerer.
    :param poll_interval: seconds between two looks at the run; NES answers a change of status at once.
    :param cancel_on_kill: cancel the run when the task is ended from outside. Without it the next try attaches to it.
    :param log_output: write the notebook's output to the task's log.
    :param skip_on_reason: reasons for which the task is skipped, beside a notebook that says so.
    """

    template_fields: Sequence[str] = (
        "input_nb",
        "parameters",
        "runtime",
        "profile",
        "output_nb",
        "kernel_name",
        "host_network",
        "run_resources",
        "secrets",
        "run_timeout",
        "cell_timeout",
        "silence_timeout",
        "deadline",
        "run_retry",
        "not_ready",
        "priority",
        "group",
        "labels",
        "nes_conn_id",
        "idempotency_key",
        "task_key",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"parameters": "json", "labels": "json"}
    operator_extra_links = (NesRunLink(), NesSourceLink())
    ui_color = "#f5e6d3"
    # How long after deferring the task comes back at the earliest, in seconds.
    settling = SETTLING

    def __init__(
        self,
        *,
        input_nb: str,
        parameters: Mapping[str, Any] | None = None,
        runtime: str | None = None,
        profile: str | None = None,
        output_nb: str | None = None,
        kernel_name: str | None = None,
        host_network: bool | None = None,
        run_resources: Mapping[str, Any] | None = None,
        secrets: Mapping[str, Any] | None = None,
        run_timeout: Any = None,
        cell_timeout: Any = None,
        silence_timeout: Any = None,
        deadline: Any = None,
        run_retry: Mapping[str, Any] | None = None,
        not_ready: Mapping[str, Any] | None = None,
        on_not_ready: str | float | timedelta = "retry",
        priority: int | None = None,
        group: str | None = None,
        labels: Mapping[str, str] | None = None,
        nes_conn_id: str = DEFAULT_CONNECTION,
        idempotency_key: str | None = None,
        task_key: str | None = None,
        reattach: str = "active",
        wait_for_completion: bool = True,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poll_interval: float = 10.0,
        cancel_on_kill: bool = True,
        log_output: bool = True,
        skip_on_reason: str | Collection[str] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.input_nb = input_nb
        self.parameters = parameters
        self.runtime = runtime
        self.profile = profile
        self.output_nb = output_nb
        self.kernel_name = kernel_name
        self.host_network = host_network
        self.run_resources = run_resources
        self.secrets = secrets
        self.run_timeout = run_timeout
        self.cell_timeout = cell_timeout
        self.silence_timeout = silence_timeout
        self.deadline = deadline
        self.run_retry = run_retry
        self.not_ready = not_ready
        self.on_not_ready = on_not_ready
        self.priority = priority
        self.group = group
        self.labels = labels
        self.nes_conn_id = nes_conn_id
        self.idempotency_key = idempotency_key
        self.task_key = task_key
        self.reattach = reattach
        self.wait_for_completion = wait_for_completion
        self.deferrable = deferrable
        self.poll_interval = poll_interval
        self.cancel_on_kill = cancel_on_kill
        self.log_output = log_output
        self.skip_on_reason = skip_on_reason
        # Of the run, once it is there.
        self.run_id = ""
        self.viewer_url = ""
        self.source_url = ""
        self._run: dict[str, Any] = {}
        self._key = ""
        self._killed = False

    # The task's life

    def execute(self, context: Context) -> Any:
        """Submit the run, and wait for it or leave that to the triggerer."""
        return self._begin(context)

    def _begin(self, context: Context) -> Any:
        started = time.time()
        try:
            with self._hook().get_conn(stop=self._stopped) as nes:
                run = self._submit(nes, context)
                if not self.wait_for_completion:
                    return self.run_id
                if not reasons.ended(run):
                    if self.deferrable:
                        self._wait_in_triggerer(started)
                    run = self._follow(nes, run)
        except NesError as error:
            raise self._as_failure(error) from error
        return self._finish(context, run)

    def execute_complete(self, context: Context, event: Mapping[str, Any]) -> Any:
        """Go on after the triggerer: what became of the run is read again, whatever the event says."""
        try:
            with self._hook().get_conn(stop=self._stopped) as nes:
                self._note(context, nes.send(client.show(str(event["run_id"]))))
                if not reasons.ended(self._run):
                    self._cancel(nes)
                    what = "did not end in execution_timeout" if event["event"] == "timeout" else f"was lost sight of: {event['message']}"
                    raise AirflowException(f"The run {what}, and was cancelled - {self.viewer_url}")
        except NesError as error:
            raise self._as_failure(error) from error
        return self._finish(context, self._run)

    def execute_again(self, context: Context, event: Any = None) -> Any:
        """Run the notebook anew after it was not ready."""
        return self._begin(context)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Go on after the triggerer, which may have failed: then nobody else ends the run."""
        if next_method == "__fail__":
            self._key = self._task_key(context)
            self._cancel_quietly()
        return super().resume_execution(next_method, next_kwargs, context)

    def on_kill(self) -> None:
        """Cancel the run. Airflow 3 comes back to what the task was doing afterwards, which looks at the flag."""
        self._killed = True
        if self.cancel_on_kill:
            self._cancel_quietly()

    # Submitting

    def _hook(self) -> NesHook:
        return NesHook(self.nes_conn_id)

    def _stopped(self) -> bool:
        return self._killed

    def _submit(self, nes: Client, context: Context) -> dict[str, Any]:
        name = self._hook().extra("instance") or task.instance()
        spec = self._spec(context, name)
        self._key = spec["task_key"]
        run = nes.send(client.submit(spec, task.client_context(context, name)))
        if (run.get("spec") or {}).get("idempotency_key") != spec["idempotency_key"]:
            self.log.info("Attached to run %s of this task, which is under way.", run["id"])
        self._note(context, run)
        self.log.info("Notebook run %s: %s", run["id"], self.viewer_url)
        return run

    def _spec(self, context: Context, name: str) -> dict[str, Any]:
        """What NES is asked for: only what was given, so that its own defaults hold."""
        labels = task.labels(context, name)
        if self.idempotency_key:
            del labels["try_number"]  # the same key must come with the same request
        spec = {
            "input_url": self.input_nb,
            "parameters": dict(self.parameters) if self.parameters else None,
            "runtime": self.runtime,
            "profile": self.profile,
            "output_path": self.output_nb,
            "kernel_name": self.kernel_name,
            "host_network": _boolean(self.host_network),
            "resources": self.run_resources,
            "secrets": _references(self.secrets),
            "timeout": _duration(self.run_timeout),
            "cell_timeout": _duration(self.cell_timeout),
            "silence_timeout": _duration(self.silence_timeout),
            "deadline": _duration(self.deadline) or self._own_deadline(),
            "retry": self.run_retry,
            "not_ready": self.not_ready,
            "priority": None if self.priority in (None, "") else int(self.priority),
            "group": self.group,
            "labels": {**labels, **{str(k): str(v) for k, v in (self.labels or {}).items()}},
            "idempotency_key": self.idempotency_key or f"airflow:{uuid.uuid4()}",
            "task_key": self._task_key(context, name),
            "reattach": self.reattach,
        }
        return {field: value for field, value in spec.items() if value not in (None, "", {})}

    def _task_key(self, context: Context, name: str = "") -> str:
        return self.task_key or task.key(context["ti"], name or self._hook().extra("instance") or task.instance())

    def _own_deadline(self) -> str | None:
        if self.execution_timeout is None:
            return None
        return f"{self.execution_timeout.total_seconds() + DEADLINE_GRACE:g}s"

    def _note(self, context: Context, run: dict[str, Any]) -> None:
        """Keep what is known of the run, and show it in Airflow at once."""
        self._run, self.run_id = run, run["id"]
        viewer = self._hook().extra("viewer_url")
        self.viewer_url = f"{str(viewer).rstrip('/')}/runs/{run['id']}" if viewer else str(run.get("output_url") or "")
        source = str((run.get("source") or {}).get("web_url") or self.input_nb)
        self.source_url = source if source.startswith(("http://", "https://")) else ""
        push = context["ti"].xcom_push
        push(key="nes_run_id", value=self.run_id)
        push(key="nes_viewer_url", value=self.viewer_url)
        push(key=NesRunLink().xcom_key, value=self.viewer_url)
        push(key=NesSourceLink().xcom_key, value=self.source_url)

    # Waiting

    def _wait_in_triggerer(self, started: float) -> None:
        deadline = None
        if self.execution_timeout is not None:
            deadline = started + self.execution_timeout.total_seconds()
        self.defer(
            trigger=NesRunTrigger(
                run_id=self.run_id,
                nes_conn_id=self.nes_conn_id,
                poll_interval=self.poll_interval,
                deadline=deadline,
                log_output=self.log_output,
                cancel_on_kill=self.cancel_on_kill,
                earliest=time.time() + self.settling,
            ),
            method_name="execute_complete",
        )

    def _follow(self, nes: Client, run: dict[str, Any]) -> dict[str, Any]:
        """Wait for the run's end, with its output in this log."""
        tail = Tail(lambda line: self.log.info("[notebook] %s", line))
        while True:
            self._tell(nes, run, tail)
            if reasons.ended(run):
                return run
            self._unless_killed(nes)
            asked = time.monotonic()
            run = nes.send(client.show(self.run_id, self.poll_interval, int(run.get("version") or 0)))
            if not reasons.ended(run):
                self._rest(min(LEAST_PAUSE, self.poll_interval) - (time.monotonic() - asked))

    def _tell(self, nes: Client, run: dict[str, Any], tail: Tail) -> None:
        while self.log_output and tail.wants(run):
            if tail.take(nes.send(client.log(self.run_id, tail.attempt, tail.cursor))):
                break
        if said := tail.progress(run):
            self.log.info("NES: %s", said)
        if reasons.ended(run):
            tail.flush()

    def _rest(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._killed and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, 0.25))

    def _unless_killed(self, nes: Client) -> None:
        if not self._killed:
            return
        if self.cancel_on_kill:
            self._cancel(nes)
            raise AirflowException(f"The task was told to stop, and its run is cancelled - {self.viewer_url}")
        raise AirflowException(f"The task was told to stop; its run goes on, and the next try attaches to it - {self.viewer_url}")

    # Ending

    def _finish(self, context: Context, run: dict[str, Any]) -> Any:
        """Turn the end of the run into the end of the task."""
        self._note(context, run)
        outcome = run.get("outcome") or {}
        reason, what = run.get("reason") or "", reasons.task_for(run)
        context["ti"].xcom_push(key="nes_output_url", value=str(run.get("output_url") or ""))
        if self._ended_with_an_earlier_try(context, run):
            self.log.info("The end of an earlier try cancelled the run that this one had attached to. Running the notebook anew.")
            return self._begin(context)
        if what == reasons.SUCCEED:
            emit(list(self.outlets or []), context["outlet_events"], run, self.viewer_url)
            return outcome.get("result")
        said = failure(run, self.viewer_url)
        context["ti"].xcom_push(key="nes_reason", value=reason)
        context["ti"].xcom_push(key="nes_message", value=said)
        if outcome.get("result") is not None:
            context["ti"].xcom_push(key="nes_result", value=outcome["result"])
        skipped = {self.skip_on_reason} if isinstance(self.skip_on_reason, str) else set(self.skip_on_reason)
        if what == reasons.SKIP or reason in skipped:
            raise AirflowSkipException(said)
        if reason == "NotReady":
            self._not_ready(said)
        if text := traceback(run):
            self.log.error("The notebook's traceback:\n%s", text)
        if what == reasons.FAIL and not self._ran_out_of_our_time(reason):
            raise AirflowFailException(said)
        raise AirflowException(said)

    def _ended_with_an_earlier_try(self, context: Context, run: dict[str, Any]) -> bool:
        """
        Whether the run is an earlier try's, which cancelled it after this one had attached.

        A task that is cleared while it is deferred starts again at the moment at which its old trigger cancels.
        """
        submitted_by = ((run.get("spec") or {}).get("labels") or {}).get("try_number")
        attached = submitted_by not in (None, str(context["ti"].try_number))
        ours = run.get("reason") == "Cancelled" and run.get("cancel_requested_by") == run.get("owner")
        return attached and ours and not self._killed

    def _ran_out_of_our_time(self, reason: str) -> bool:
        """Whether the run ended by a deadline that stands for ``execution_timeout``, after which Airflow retries."""
        return reason == "DeadlineExceeded" and self.deadline is None and self.execution_timeout is not None

    def _not_ready(self, said: str) -> None:
        if self.on_not_ready == "skip":
            raise AirflowSkipException(said)
        if self.on_not_ready == "retry":
            return
        wait = self.on_not_ready.total_seconds() if isinstance(self.on_not_ready, timedelta) else float(self.on_not_ready)
        self.log.info("%s", said)
        self.log.info("Running it again in %g s.", wait)
        self.defer(trigger=NesPauseTrigger(time.time() + max(wait, self.settling)), method_name="execute_again")

    def _as_failure(self, error: NesError) -> AirflowException:
        """A request that NES refuses is not made better by trying it again; an outage is."""
        hopeless = isinstance(error, (NesRefused, ValueError)) or getattr(error, "hopeless", False)
        return (AirflowFailException if hopeless else AirflowException)(str(error))

    # Cancelling

    def _cancel(self, nes: Client) -> None:
        self.log.info("Cancelling run %s.", self.run_id)
        nes.send(client.cancel(self.run_id))

    def _cancel_quietly(self) -> None:
        """Cancel the run, or, while it is not known whether there is one, those of this task. Tried once, within seconds."""
        try:
            endpoint = self._hook().endpoint()
            with Client(_hasty(endpoint), once=True) as nes:
                if self.run_id:
                    self._cancel(nes)
                    return
                found = nes.send(client.search(task_key=self._key, status="Pending,Running")) if self._key else {"runs": []}
                for run in found["runs"]:
                    self.log.info("Cancelling run %s.", run["id"])
                    nes.send(client.cancel(run["id"]))
        except NesError as error:
            self.log.warning("The run could not be cancelled: %s", error)

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        """What the run read and wrote."""
        return facets(self._run, self._hook().endpoint().base_url) if self._run else None


def _hasty(endpoint: client.Endpoint) -> client.Endpoint:
    from dataclasses import replace

    return replace(endpoint, timeout=min(endpoint.timeout, KILL_PATIENCE), retry_for=0)


def _duration(value: Any) -> Any:
    """A duration as NES reads it."""
    return f"{value.total_seconds():g}s" if isinstance(value, timedelta) else value


def _boolean(value: Any) -> Any:
    """A truth that a template has written as text."""
    if isinstance(value, str):
        return {"true": True, "false": False, "none": None, "": None}.get(value.strip().lower(), value)
    return value


def _references(secrets: Mapping[str, Any] | None) -> Any:
    """Secrets by reference; a name alone is as good."""
    if not secrets:
        return None
    return {name: {"ref": ref} if isinstance(ref, str) else ref for name, ref in secrets.items()}
