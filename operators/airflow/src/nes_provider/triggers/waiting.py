"""Whether a task still waits for its trigger, for Airflow before 3.3, which does not tell a trigger why it ends."""

from __future__ import annotations

from typing import Any

from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_0_PLUS
from asgiref.sync import sync_to_async

DEFERRED = "deferred"


async def waits(task_instance: Any) -> bool:
    """Whether the task is deferred. One that is was left by a triggerer that stops, and another one takes it over."""
    if AIRFLOW_V_3_0_PLUS:
        return await sync_to_async(_by_supervisor)(task_instance) == DEFERRED
    return await sync_to_async(_by_database)(task_instance) == DEFERRED


def _by_supervisor(ti: Any) -> str:
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    states = RuntimeTaskInstance.get_task_states(dag_id=ti.dag_id, task_ids=[ti.task_id], run_ids=[ti.run_id], map_index=ti.map_index)
    by_task = states.get(ti.run_id) or {}
    name = ti.task_id if ti.map_index < 0 else f"{ti.task_id}_{ti.map_index}"
    return str(by_task.get(name, by_task.get(ti.task_id, "")))


def _by_database(ti: Any) -> str:
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session

    with create_session() as session:
        state = (
            session.query(TaskInstance.state)
            .filter(
                TaskInstance.dag_id == ti.dag_id,
                TaskInstance.task_id == ti.task_id,
                TaskInstance.run_id == ti.run_id,
                TaskInstance.map_index == ti.map_index,
            )
            .scalar()
        )
    return str(state or "")
