"""DAGs of the tests; where the notebooks are is told by the environment."""

from __future__ import annotations

import os
from datetime import datetime, timedelta

from airflow.providers.common.compat.sdk import DAG, task

from nes_provider.operators.nes import NesOperator
from nes_provider.sensors.nes import NesRunSensor

NOTEBOOKS = os.environ.get("NES_TEST_NOTEBOOKS", "http://127.0.0.1:1/acme/reports/blob/main")
# dag.test() has no scheduler that would have to settle.
NesOperator.settling = NesRunSensor.settling = 0.0

DEFAULTS = {"poll_interval": 1.0, "owner": "kim"}


DAGS = []


def dag(dag_id: str, **defaults) -> DAG:
    DAGS.append(DAG(dag_id, schedule=None, start_date=datetime(2026, 1, 1), catchup=False, default_args={**DEFAULTS, **defaults}))
    return DAGS[-1]


for deferrable in (False, True):
    how = "deferred" if deferrable else "sync"

    with dag(f"report_{how}", deferrable=deferrable):
        report = NesOperator(
            task_id="report",
            input_nb=NOTEBOOKS + "/report.ipynb",
            parameters={"day": "{{ dag_run.conf.get('day', '2026-02-03') }}", "rows": "{{ 20 + 1 }}", "지역": "부산"},
            labels={"team": "{{ task.owner }}"},
        )

        @task
        def read(result):
            assert result == {"day": "2026-02-03", "rows": 42, "지역": "부산"}, result

        read(report.output)

    for name in ("broken", "skips", "not_ready"):
        with dag(f"{name}_{how}", deferrable=deferrable):
            NesOperator(task_id="run", input_nb=f"{NOTEBOOKS}/{name}.ipynb", retries=1, retry_delay=timedelta(seconds=1))

    with dag(f"mapped_{how}", deferrable=deferrable):
        NesOperator.partial(task_id="each", input_nb=NOTEBOOKS + "/report.ipynb").expand(parameters=[{"rows": n} for n in (1, 2, 3)])

    with dag(f"decorated_{how}", deferrable=deferrable):

        @task.nes(input_nb=NOTEBOOKS + "/report.ipynb", parameters={"day": "2026-03-04"})
        def decorated(rows, **context):
            return {"rows": rows + 1, "지역": context["dag"].dag_id}

        decorated(rows=4)

    with dag(f"handed_over_{how}", deferrable=deferrable):
        submitted = NesOperator(task_id="submit", input_nb=NOTEBOOKS + "/report.ipynb", wait_for_completion=False)
        NesRunSensor(task_id="wait", run_id=submitted.output, poke_interval=1)

    with dag(f"again_{how}", deferrable=deferrable):
        NesOperator(task_id="run", input_nb=NOTEBOOKS + "/not_ready.ipynb", on_not_ready="skip")

    with dag(f"too_slow_{how}", deferrable=deferrable):
        NesOperator(
            task_id="run",
            input_nb=NOTEBOOKS + "/slow.ipynb",
            parameters={"seconds": 300},
            execution_timeout=timedelta(seconds=6),
            retries=0,
        )

with dag("unknown_parameter"):
    NesOperator(task_id="run", input_nb=NOTEBOOKS + "/report.ipynb", parameters={"rowz": 1}, retries=3)

with dag("no_connection"):
    NesOperator(task_id="run", input_nb=NOTEBOOKS + "/report.ipynb", nes_conn_id="nes_nowhere", retries=3)
