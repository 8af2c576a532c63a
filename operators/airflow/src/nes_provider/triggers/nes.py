"""Waiting for a run without a worker. The triggers only read: a triggerer may run one twice."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from nes_provider import client
from nes_provider.client import AsyncClient
from nes_provider.errors import NesError
from nes_provider.follow import Tail
from nes_provider.hooks.nes import DEFAULT_CONNECTION, NesHook
from nes_provider.reasons import ended

# Between two looks at a run: a run that changes fast is not asked about more often.
LEAST_PAUSE = 2.0

# The scheduler hears some seconds later that the worker of a task that deferred is done. A trigger that fired before would have it
# take the task, which is queued again by then, for one whose worker was lost, and fail it.
SETTLING = 10.0


class NesRunTrigger(BaseTrigger):
    """
    Fires when a run has ended, or when its time is over.

    The event names the run and says what happened: ``ended``, ``timeout`` (the run is to be cancelled) or ``error`` (NES could not
    be asked).

    :param run_id: the run.
    :param nes_conn_id: the connection.
    :param poll_interval: seconds between two looks at the run; NES answers a change of status at once.
    :param deadline: when the time is over, in seconds since 1970.
    :param log_output: write the notebook's output to the task's log.
    :param cancel_on_kill: cancel the run when somebody ends the task that waits for it.
    :param earliest: before when it does not fire, in seconds since 1970: Airflow has to settle first.
    :param attempt: up to which attempt the log was written.
    :param cursor: up to where in that attempt's log.
    """

    def __init__(
        self,
        run_id: str,
        nes_conn_id: str = DEFAULT_CONNECTION,
        poll_interval: float = 10.0,
        deadline: float | None = None,
        log_output: bool = True,
        cancel_on_kill: bool = True,
        earliest: float = 0.0,
        attempt: int = 0,
        cursor: int = 0,
    ) -> None:
        super().__init__()
        self.run_id = run_id
        self.nes_conn_id = nes_conn_id
        self.poll_interval = poll_interval
        self.deadline = deadline
        self.log_output = log_output
        self.cancel_on_kill = cancel_on_kill
        self.earliest = earliest
        self.attempt = attempt
        self.cursor = cursor
        self._fired = False

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """The class and the arguments with which a triggerer makes it anew."""
        names = ("run_id", "nes_conn_id", "poll_interval", "deadline", "log_output", "cancel_on_kill", "earliest", "attempt", "cursor")
        return f"{type(self).__module__}.{type(self).__qualname__}", {name: getattr(self, name) for name in names}

    def _event(self, what: str, message: str = "") -> TriggerEvent:
        self._fired = True
        return TriggerEvent({"event": what, "run_id": self.run_id, "message": message})

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Follow the run until it has ended."""
        try:
            hook = NesHook(self.nes_conn_id)
            async with hook.connect(await hook.aendpoint()) as nes:
                what, message = await self._follow(nes), ""
        except NesError as error:
            what, message = "error", str(error)
        await asyncio.sleep(max(0.0, self.earliest - time.time()))
        yield self._event(what, message)

    async def _follow(self, nes: AsyncClient) -> str:
        tail = Tail(lambda line: self.log.info("[notebook] %s", line), self.attempt, self.cursor)
        version = 0
        while True:
            asked = time.monotonic()
            run = await self._ask(nes, version)
            if run is None:
                return "timeout"
            version = int(run.get("version") or 0)
            await self._tell(nes, run, tail)
            if ended(run):
                return "ended"
            await asyncio.sleep(max(0.0, min(LEAST_PAUSE, self.poll_interval) - (time.monotonic() - asked)))

    async def _ask(self, nes: AsyncClient, version: int) -> dict[str, Any] | None:
        """The run, once it has changed or the interval is over; nothing when the time is."""
        if self.deadline is None:
            return await nes.send(client.show(self.run_id, self.poll_interval, version))
        left = self.deadline - time.time()
        if left <= 0:
            return None
        try:
            return await asyncio.wait_for(nes.send(client.show(self.run_id, min(self.poll_interval, left), version)), left + 1)
        except asyncio.TimeoutError:  # another class than TimeoutError before Python 3.11  # noqa: UP041
            return None

    async def _tell(self, nes: AsyncClient, run: dict[str, Any], tail: Tail) -> None:
        """Write what is new to the task's log."""
        while self.log_output and tail.wants(run):
            if tail.take(await nes.send(client.log(self.run_id, tail.attempt, tail.cursor))):
                break
        if said := tail.progress(run):
            self.log.info("NES: %s", said)
        if ended(run):
            tail.flush()

    async def on_kill(self) -> None:
        """Cancel the run: somebody ended the task, or cleared it. Airflow calls this from 3.3 on."""
        self._fired = True  # cleanup follows
        await self._cancel()

    async def cleanup(self) -> None:
        """Cancel the run if the task no longer waits for it, where Airflow does not call :meth:`on_kill`."""
        if self._fired or hasattr(BaseTrigger, "on_kill") or self.task_instance is None:
            return
        from nes_provider.triggers.waiting import waits

        if not await waits(self.task_instance):
            await self._cancel()

    async def _cancel(self) -> None:
        if not self.cancel_on_kill:
            return
        hook = NesHook(self.nes_conn_id)
        try:
            async with hook.connect(await hook.aendpoint(), once=True) as nes:
                await nes.send(client.cancel(self.run_id))
        except NesError as error:
            self.log.warning("Run %s could not be cancelled: %s", self.run_id, error)
        else:
            self.log.info("Cancelled run %s.", self.run_id)


class NesPauseTrigger(BaseTrigger):
    """
    Fires at a moment: until then a task that was not ready takes no place.

    :param moment: in seconds since 1970.
    """

    def __init__(self, moment: float) -> None:
        super().__init__()
        self.moment = moment

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """The class and the arguments with which a triggerer makes it anew."""
        return f"{type(self).__module__}.{type(self).__qualname__}", {"moment": self.moment}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait."""
        await asyncio.sleep(max(0.0, self.moment - time.time()))
        yield TriggerEvent({"event": "again"})
