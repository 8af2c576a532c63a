"""What Airflow is told of the provider."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import airflow
import jsonschema
import pytest
from airflow.providers_manager import ProvidersManager

from nes_provider import reasons
from nes_provider.get_provider_info import get_provider_info


def test_metadata_fits_airflows_schema():
    # The schema that providers are checked with when they start; newer keys are allowed beside it.
    schema = json.loads((Path(airflow.__file__).parent / "provider_info.schema.json").read_text())
    jsonschema.validate(get_provider_info(), schema)


def class_paths():
    info = get_provider_info()
    yield from (kind["hook-class-name"] for kind in info["connection-types"])
    yield from info["extra-links"]
    yield from (decorator["class-name"] for decorator in info["task-decorators"])
    yield from (uri["handler"] for uri in info["asset-uris"])
    for part in ("operators", "sensors", "hooks", "triggers"):
        for group in info[part]:
            yield from (f"{module}.__name__" for module in group["python-modules"])


@pytest.mark.parametrize("path", class_paths())
def test_everything_named_exists(path):
    module, name = path.rsplit(".", 1)
    assert getattr(importlib.import_module(module), name)


def test_airflow_discovers_it():
    manager = ProvidersManager()
    assert "airflow-provider-nes" in manager.providers
    assert manager.hooks["nes"].hook_class_name == "nes_provider.hooks.nes.NesHook"
    assert {"nes_provider.links.NesRunLink", "nes_provider.links.NesSourceLink"} <= set(manager.extra_links_class_names)
    assert "nes" in manager.taskflow_decorators


def test_reasons_are_those_of_the_server(nes):
    assert reasons.table() == {row["reason"]: row["task"] for row in nes.call("GET", "/v1/reasons")["reasons"]}


@pytest.mark.parametrize(
    ("run", "what"),
    [
        ({"status": "Succeeded"}, "succeed"),
        ({"status": "Succeeded", "reason": "Skipped"}, "skip"),
        ({"status": "Succeeded", "reason": "Invented"}, "succeed"),
        ({"status": "Failed", "reason": "CellError"}, "retry"),
        ({"status": "Failed", "reason": "ParameterError"}, "fail"),
        ({"status": "Failed", "reason": "Invented"}, "retry"),
        ({"status": "Error", "reason": "NodeLost"}, "retry"),
        ({"status": "Failed", "reason": "Skipped"}, "retry"),
        ({"status": "Failed"}, "retry"),
    ],
)
def test_words_that_are_not_known_break_nothing(run, what):
    assert reasons.task_for(run) == what
    assert reasons.ended(run)
    assert not reasons.ended({"status": "Dreaming"})
