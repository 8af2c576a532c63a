"""Runs one of the original's DAGs in this process, as a worker does, and says how its task ended."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

dags = runpy.run_path(str(Path(__file__).parent / "dags/old.py"))["DAGS"]
dag_run = dags[sys.argv[1]].test()
print("ended:", dag_run.get_task_instance("run").state)
