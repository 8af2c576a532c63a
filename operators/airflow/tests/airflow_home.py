"""An Airflow of the tests' own, set up before Airflow is imported, and DAGs run in it by dag.test()."""

from __future__ import annotations

import functools
import io
import logging
import os
import runpy
import shutil
import subprocess
import sys
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent


def prepare() -> Path:
    """Point Airflow at an empty home with a migrated database; one is kept beside the environment, because making it takes long."""
    home = Path(tempfile.mkdtemp(prefix="nes-airflow-home-"))
    os.environ.update(
        {
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGS_FOLDER": str(HERE / "dags"),
            "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
            "AIRFLOW__API__BASE_URL": "http://airflow.example.com",
            "AIRFLOW__WEBSERVER__BASE_URL": "http://airflow.example.com",
            "AIRFLOW__METRICS__TIMER_UNIT_CONSISTENCY": "True",
            "PYTHONWARNINGS": "ignore",
        }
    )
    kept = Path(sys.prefix) / "nes-tests-migrated.db"
    if not kept.exists():
        subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], check=True, capture_output=True)
        shutil.copy(home / "airflow.db", kept)
    else:
        shutil.copy(kept, home / "airflow.db")
    return home


@dataclass
class Run:
    """What became of a DAG run."""

    dag_run: Any
    log: str

    @property
    def run_id(self) -> str:
        """Of the DAG run."""
        return self.dag_run.run_id

    def states(self) -> dict[str, str]:
        """State by task; mapped ones with their index."""
        return {
            ti.task_id if ti.map_index < 0 else f"{ti.task_id}[{ti.map_index}]": str(ti.state) for ti in self.dag_run.get_task_instances()
        }

    def xcoms(self, task_id: str, map_index: int = -1) -> dict[str, Any]:
        """What a task pushed."""
        from airflow.models import xcom
        from airflow.utils.session import create_session

        table = getattr(xcom, "XComModel", None) or xcom.BaseXCom  # Airflow 3, and Airflow 2
        with create_session() as session:
            rows = (
                session.query(table).filter_by(dag_id=self.dag_run.dag_id, run_id=self.run_id, task_id=task_id, map_index=map_index).all()
            )
            return {row.key: table.deserialize_value(row) if table is not xcom.BaseXCom else row.value for row in rows}


@functools.cache
def _module() -> dict[str, Any]:
    found = runpy.run_path(str(HERE / "dags/cases.py"))
    return {str(number): dag for number, dag in enumerate(found["DAGS"])}


def _test(dag: Any, kwargs: dict[str, Any]) -> Any:
    from airflow.providers.common.compat.sdk import AirflowTaskTimeout

    try:
        return dag.test(**kwargs)
    except AirflowTaskTimeout:  # Airflow 2 lets it out, after the task was marked as failed
        from airflow.models import DagRun

        return DagRun.find(dag_id=dag.dag_id)[-1]


def run_dag(dag_id: str, **kwargs: Any) -> Run:
    """Run a DAG of the tests in this process."""
    dag = next(value for value in _module().values() if getattr(value, "dag_id", "") == dag_id and hasattr(value, "test"))
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    logging.getLogger().addHandler(handler)
    try:
        with redirect_stdout(out), redirect_stderr(out):
            dag_run = _test(dag, kwargs)
    finally:
        logging.getLogger().removeHandler(handler)
    return Run(dag_run, out.getvalue())
