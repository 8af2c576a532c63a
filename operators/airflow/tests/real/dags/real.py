"""DAGs of the tests on a real Airflow; where the notebooks are is told by the environment."""

from __future__ import annotations

import os
from datetime import datetime, timedelta

from airflow.sdk import DAG, Asset

from nes_provider.operators.nes import NesOperator

NOTEBOOKS = os.environ.get("NES_TEST_NOTEBOOKS", "http://127.0.0.1:1/acme/reports/blob/main")
WORK = os.environ.get("NES_TEST_WORK", "/tmp")


def dag(dag_id: str, **defaults) -> DAG:
    return DAG(
        dag_id,
        schedule=None,
        start_date=datetime(2026, 1, 1),
        catchup=False,
        max_active_tasks=64,
        default_args={"poll_interval": 2.0, "retry_delay": timedelta(seconds=1), **defaults},
    )


def slow(**kwargs):
    return NesOperator(
        task_id="run",
        input_nb=NOTEBOOKS + "/slow.ipynb",
        parameters={"seconds": 300, "until": f"{WORK}/go-{{{{ dag.dag_id }}}}", "name": "{{ dag.dag_id }}"},
        **kwargs,
    )


with dag("report"):
    NesOperator(
        task_id="run",
        input_nb=NOTEBOOKS + "/report.ipynb",
        parameters={"day": "{{ dag_run.conf.get('day', '2026-01-01') }}", "지역": "대전"},
        outlets=[Asset("nes://acme/reports/report.ipynb")],
    )

with dag("mended", deferrable=True):
    NesOperator(task_id="run", input_nb=NOTEBOOKS + "/mended.ipynb")

with dag("worker_lost", retries=2):
    slow()

with dag("marked_failed", deferrable=True):
    slow()

with dag("cleared", deferrable=True):
    slow()

with dag("killed"):
    slow()

with dag("outage_sync"):
    slow()

with dag("outage_deferred", deferrable=True):
    slow()

with dag("mapped", deferrable=True):
    NesOperator.partial(task_id="run", input_nb=NOTEBOOKS + "/report.ipynb").expand(parameters=[{"rows": n} for n in range(20)])

with dag("fifty", deferrable=True, poll_interval=10.0):
    NesOperator.partial(task_id="run", input_nb=NOTEBOOKS + "/slow.ipynb").expand(
        parameters=[{"seconds": float(os.environ.get("NES_TEST_SECONDS", "40")), "name": f"n{n}"} for n in range(50)]
    )
