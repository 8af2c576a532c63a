"""What a task does when a run ends, by the reason for which it ended.

The table is that of ``GET /v1/reasons``; a test compares the two.
"""

from __future__ import annotations

from typing import Any

SUCCEED = "succeed"
SKIP = "skip"
RETRY = "retry"  # fail; the DAG's own retries may help
FAIL = "fail"  # fail for good; running the same again cannot help

ENDED = frozenset({"Succeeded", "Failed", "Error"})

_TASKS = {
    "": SUCCEED,
    "Skipped": SKIP,
    "CellError": RETRY,
    "KernelDied": RETRY,
    "OutOfMemory": RETRY,
    "CellTimeout": RETRY,
    "RunTimeout": RETRY,
    "SilenceTimeout": RETRY,
    "DeadlineExceeded": FAIL,
    "Cancelled": FAIL,
    "NotReady": RETRY,
    "ParameterError": FAIL,
    "SourceNotFound": FAIL,
    "SourceForbidden": FAIL,
    "SourceTooLarge": FAIL,
    "NotANotebook": FAIL,
    "KernelNotFound": FAIL,
    "EngineMissing": FAIL,
    "ImageNotFound": FAIL,
    "ResourcesRefused": FAIL,
    "OutputTooLarge": FAIL,
    "DiskFull": RETRY,
    "SourceUnavailable": RETRY,
    "ImagePullFailed": RETRY,
    "Unschedulable": RETRY,
    "AdmissionRejected": RETRY,
    "Evicted": RETRY,
    "NodeLost": RETRY,
    "PodDeleted": RETRY,
    "AgentLost": RETRY,
    "StorageUnavailable": RETRY,
    "Internal": RETRY,
}


def table() -> dict[str, str]:
    """The reasons that are known, and what a task does for each."""
    return dict(_TASKS)


def ended(run: dict[str, Any]) -> bool:
    """Whether a run is over. A status that is not known is one that is under way."""
    return run.get("status") in ENDED


def task_for(run: dict[str, Any]) -> str:
    """What a task does about a run that has ended. A reason that is not known is read by the run's status."""
    reason = run.get("reason") or ""
    if run.get("status") == "Succeeded":
        return SKIP if _TASKS.get(reason) == SKIP else SUCCEED
    task = _TASKS.get(reason, RETRY)
    return task if task in (RETRY, FAIL) else RETRY
