"""Executed notebooks as assets (datasets, as Airflow 2 calls them)."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from airflow.providers.common.compat.sdk import Asset, AssetAlias

SCHEME = "nes"


def notebook_asset(repository: str, path: str, **kwargs: Any) -> Any:
    """
    Return the asset that a notebook's executions are: an event of it is one executed notebook.

    :param repository: as NES shows it, such as ``github.com/acme/reports``.
    :param path: of the notebook in the repository.
    """
    return Asset(uri=f"{SCHEME}://{quote(repository, safe='/:.')}/{quote(path)}", **kwargs)


def emit(outlets: list[Any], events: Any, run: dict[str, Any], viewer_url: str) -> None:
    """Attach what was executed to the events of a task's outlets; an alias gets the notebook's own asset."""
    source = run.get("source") or {}
    extra = {
        "nes_run_id": run["id"],
        "viewer_url": viewer_url,
        "commit": source.get("commit", ""),
        "notebook": (run.get("outcome") or {}).get("notebook", ""),
    }
    for outlet in outlets:
        if isinstance(outlet, AssetAlias):
            if source.get("repository"):
                events[outlet].add(notebook_asset(source["repository"], source["path"]), extra=extra)
        elif isinstance(outlet, Asset):
            events[outlet].extra = {**(events[outlet].extra or {}), **extra}


def sanitize_uri(uri: Any) -> Any:
    """Let Airflow keep the address of an asset as it is."""
    return uri
