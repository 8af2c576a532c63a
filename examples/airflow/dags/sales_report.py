"""A daily report: a notebook for each region, and a summary of what was made.

Every notebook is run straight from Git: to change one, push it. No DAG is deployed for that.
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta

from airflow.sdk import DAG, task

from nes_provider.assets import notebook_asset
from nes_provider.operators.nes import NesOperator

# A repository with the folders of examples/notebooks and examples/airflow/notebooks.
NOTEBOOKS = os.environ.get("EXAMPLE_NOTEBOOKS", "https://github.com/acme/reports/blob/main")

with DAG(
    "sales_report",
    schedule="@daily",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    default_args={
        "deferrable": True,  # wait in the triggerer: a hundred tasks take no worker
        "retries": 2,
        "retry_delay": timedelta(minutes=5),
        "execution_timeout": timedelta(hours=1),  # then the run is cancelled, too
        "owner": "sales",
    },
    tags=["nes"],
) as dag:
    # One run for each region, all of one notebook. A region's year is rendered as text, and fitted to the notebook's int.
    report = NesOperator.partial(
        task_id="report",
        input_nb=f"{NOTEBOOKS}/sales-report/report.ipynb",
        labels={"report": "sales"},
        # An event for each executed notebook, with its run, commit and address; other DAGs may be scheduled by it.
        outlets=[notebook_asset("github.com/acme/reports", "sales-report/report.ipynb")],
    ).expand(parameters=[{"region": region, "year": "{{ dag_run.start_date.year }}"} for region in ("north", "south", "east")])

    # A function may work out the parameters. What the notebook hands over by nes.result() is the task's XCom.
    @task.nes(input_nb=f"{NOTEBOOKS}/summary/summary.ipynb")
    def summary(ti=None):
        return {"runs": list(ti.xcom_pull(task_ids="report", key="nes_run_id", map_indexes=[0, 1, 2]))}

    @task
    def announce(found):
        print(f"{found['count']} reports were made: runs {', '.join(found['runs'])}")

    made = summary()
    report >> made
    announce(made)
