"""DAGs as they were written for the original, with its own operators."""

from __future__ import annotations

from datetime import datetime

from airflow import DAG
from airflow.providers.sktvane.operators.nes import NesOperator
from airflow.providers.sktvane.operators.v2.nes import CPURuntime, CPURuntimeSpec
from airflow.providers.sktvane.operators.v2.nes import NesOperator as SecondNesOperator

NOTEBOOKS = "https://github.com/acme/reports/blob/main"
SECOND = CPURuntime(image="aidp/python", tag="3.12", spec=CPURuntimeSpec.SMALL)


DAGS = {}


def dag(dag_id: str) -> DAG:
    DAGS[dag_id] = DAG(dag_id, schedule=None, start_date=datetime(2026, 1, 1), catchup=False)
    return DAGS[dag_id]


def soon(operator):
    operator.poll_interval = 0.5  # an attribute of theirs; a minute without it
    return operator


with dag("nulls"):
    soon(NesOperator(task_id="run", input_nb=NOTEBOOKS + "/report.ipynb"))

with dag("korean"):
    soon(
        NesOperator(
            task_id="run",
            input_nb=NOTEBOOKS + "/report.ipynb",
            parameters={"day": "{{ ds }}", "지역": "대구", "rows": "21"},
            runtime="ye-k8s-custom",
            profile="reports",
            host_network=False,
        )
    )

with dag("failing"):
    soon(NesOperator(task_id="run", input_nb=NOTEBOOKS + "/broken.ipynb"))

with dag("wrong_url"):
    soon(NesOperator(task_id="run", input_nb=NOTEBOOKS + "/nowhere.ipynb"))

with dag("killed"):
    soon(NesOperator(task_id="run", input_nb=NOTEBOOKS + "/slow.ipynb"))

with dag("second"):
    soon(
        SecondNesOperator(
            task_id="run", runtime=SECOND, input_nb=NOTEBOOKS + "/report.ipynb", parameters={"지역": "인천"}, gitlab_token="glpat-x"
        )
    )

with dag("second_failing"):
    soon(SecondNesOperator(task_id="run", runtime=SECOND, input_nb=NOTEBOOKS + "/broken.ipynb"))

with dag("second_killed"):
    soon(SecondNesOperator(task_id="run", runtime=SECOND, input_nb=NOTEBOOKS + "/slow.ipynb"))
