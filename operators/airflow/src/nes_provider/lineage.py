"""What a run read and wrote, for OpenLineage."""

from __future__ import annotations

from typing import Any


def facets(run: dict[str, Any], base_url: str) -> Any:
    """
    Lineage of a run: the notebook at its commit is the input, the executed notebook the output.

    Returns None where the OpenLineage provider is not installed.
    """
    try:
        from airflow.providers.common.compat.openlineage.facet import Dataset
        from airflow.providers.openlineage.extractors import OperatorLineage
        from openlineage.client.facet_v2 import source_code_location_job
    except ImportError:
        return None
    source = run.get("source") or {}
    lineage = OperatorLineage()
    if source.get("repository"):
        lineage.inputs = [Dataset(namespace=f"git://{source['repository']}", name=source["path"])]
        address = source.get("web_url") or source.get("clone_url") or source["repository"]
        lineage.job_facets["sourceCodeLocation"] = source_code_location_job.SourceCodeLocationJobFacet(
            type="git", url=address, repoUrl=source.get("clone_url"), path=source["path"], version=source.get("commit")
        )
    if notebook := (run.get("outcome") or {}).get("notebook"):
        lineage.outputs = [Dataset(namespace=base_url, name=notebook)]
    return lineage
