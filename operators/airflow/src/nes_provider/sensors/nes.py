"""Wait for a run that something else submitted."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException, BaseSensorOperator, conf

from nes_provider import client, reasons
from nes_provider.errors import NesError, NesRefused
from nes_provider.follow import failure, where
from nes_provider.hooks.nes import DEFAULT_CONNECTION, NesHook
from nes_provider.links import NesRunLink, NesSourceLink
from nes_provider.triggers.nes import SETTLING, NesRunTrigger

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


class NesRunSensor(BaseSensorOperator):
    """
    Wait until a run has ended; its result is the task's.

    :param run_id: the run, such as what a :class:`~nes_provider.operators.nes.NesOperator` without ``wait_for_completion`` returned.
    :param nes_conn_id: the connection.
    :param deferrable: wait in the triggerer.
    :param log_output: write the notebook's output to the task's log; only in the triggerer.
    """

    template_fields: Sequence[str] = ("run_id", "nes_conn_id")
    operator_extra_links = (NesRunLink(), NesSourceLink())
    ui_color = "#f5e6d3"
    settling = SETTLING

    def __init__(
        self,
        *,
        run_id: str,
        nes_conn_id: str = DEFAULT_CONNECTION,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        log_output: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.run_id = run_id
        self.nes_conn_id = nes_conn_id
        self.deferrable = deferrable
        self.log_output = log_output
        self.viewer_url = ""
        self.source_url = ""
        self._run: dict[str, Any] = {}

    def execute(self, context: Context) -> Any:
        """Wait, here or in the triggerer."""
        if not self.deferrable:
            super().execute(context)
        elif not self.poke(context):
            trigger = NesRunTrigger(
                self.run_id,
                self.nes_conn_id,
                self.poke_interval,
                log_output=self.log_output,
                cancel_on_kill=False,
                earliest=time.time() + self.settling,
            )
            self.defer(trigger=trigger, method_name="execute_complete")
        return self._result()

    def poke(self, context: Context) -> bool:
        """Look at the run once."""
        try:
            with NesHook(self.nes_conn_id).get_conn() as nes:
                self._run = nes.send(client.show(self.run_id))
        except NesError as error:
            if isinstance(error, (NesRefused, ValueError)):
                raise AirflowFailException(str(error)) from error
            raise
        self.viewer_url = str(self._run.get("output_url") or "")
        self.source_url = str((self._run.get("source") or {}).get("web_url") or "")
        self.log.info("Run %s: %s", self.run_id, where(self._run))
        return reasons.ended(self._run)

    def execute_complete(self, context: Context, event: Mapping[str, Any]) -> Any:
        """Go on after the triggerer."""
        if not self.poke(context):
            raise AirflowFailException(f"The run could not be watched: {event.get('message') or event.get('event')}")
        return self._result()

    def _result(self) -> Any:
        what = reasons.task_for(self._run)
        if what == reasons.SUCCEED:
            return (self._run.get("outcome") or {}).get("result")
        said = failure(self._run, self.viewer_url)
        # Whoever waits gains nothing from waiting again for a run that has ended.
        raise (AirflowSkipException if what == reasons.SKIP or self.soft_fail else AirflowFailException)(said)
