"""What NES is told of the task that a run is for."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timezone
from typing import Any
from urllib.parse import urlsplit

from airflow.providers.common.compat.sdk import conf

LONGEST_KEY = 512
LONGEST_LABEL = 256


def instance() -> str:
    """What this Airflow is called: the host by which people reach it."""
    for section in ("api", "webserver"):
        address = conf.get(section, "base_url", fallback="") or ""
        parts = urlsplit(address)
        if parts.hostname:
            return parts.netloc + parts.path.rstrip("/")
    return "airflow"


def key(ti: Any, name: str) -> str:
    """
    Name the task instance for NES.

    The number of the try is not part of it: the next try of a task whose worker was lost finds the run that is still under way.
    """
    text = f"airflow:{name}/{ti.dag_id}/{ti.task_id}/{ti.run_id}/{ti.map_index}"
    if len(text) <= LONGEST_KEY:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()
    return f"{text[: LONGEST_KEY - len(digest) - 1]}~{digest}"


def labels(context: Any, name: str) -> dict[str, str]:
    """By what a run is found again."""
    ti, dag_run = context["ti"], context.get("dag_run")
    found = {
        "airflow": name,
        "dag_id": ti.dag_id,
        "task_id": ti.task_id,
        "run_id": ti.run_id,
        "try_number": str(ti.try_number),
    }
    if ti.map_index >= 0:
        found["map_index"] = str(ti.map_index)
    if run_type := getattr(dag_run, "run_type", None):
        found["run_type"] = str(getattr(run_type, "value", run_type))
    if moment := context.get("logical_date") or getattr(dag_run, "run_after", None):
        found["logical_date"] = moment.isoformat()
    return {label: text[:LONGEST_LABEL] for label, text in found.items()}


def client_context(context: Any, name: str) -> str:
    """The header by which the original service was told who submits."""
    ti, task = context["ti"], context.get("task")
    return json.dumps({"airflow": name, "dag_id": ti.dag_id, "task_id": ti.task_id, "owner": str(getattr(task, "owner", "") or "")})


def now() -> float:
    """Seconds since 1970."""
    return datetime.now(timezone.utc).timestamp()
