"""What Airflow is told of the provider. Imports nothing heavy."""

from __future__ import annotations

from typing import Any

from nes_provider import __version__

_NAME = "NES"


def _modules(*names: str) -> list[dict[str, Any]]:
    return [{"integration-name": _NAME, "python-modules": [f"nes_provider.{name}" for name in names]}]


def _field(label: str, kind: str, description: str) -> dict[str, Any]:
    return {"label": label, "description": description, "schema": {"type": [kind, "null"]}}


def get_provider_info() -> dict[str, Any]:
    """Return the provider's metadata."""
    return {
        "package-name": "airflow-provider-nes",
        "name": "NES",
        "description": "Runs notebooks on NES, the Notebook Execution Service.",
        "versions": [__version__],
        "integrations": [{"integration-name": _NAME, "external-doc-url": "https://github.com/nes-run/nes", "tags": ["service"]}],
        "operators": _modules("operators.nes"),
        "sensors": _modules("sensors.nes"),
        "hooks": _modules("hooks.nes"),
        "triggers": _modules("triggers.nes"),
        "connection-types": [
            {
                "connection-type": "nes",
                "hook-class-name": "nes_provider.hooks.nes.NesHook",
                "hook-name": "Notebook Execution Service",
                "ui-field-behaviour": {
                    "hidden-fields": ["login", "schema"],
                    "relabeling": {"host": "Address of NES", "password": "Token"},
                    "placeholders": {"host": "https://nes.example.com", "password": "empty where NES asks for none"},
                },
                "conn-fields": {
                    "viewer_url": _field("Viewer's address", "string", "Where people reach NES, if it is not where Airflow does."),
                    "retry_for": _field("Outage, seconds", "number", "How long NES may be away before a task gives up; 600 without it."),
                    "timeout": _field("Timeout, seconds", "number", "Of one request; 15 without it."),
                    "verify": _field("Certificates", "string", "A file of certificates to trust; false trusts any."),
                    "instance": _field("Name of this Airflow", "string", "In labels and keys of runs; its base URL without it."),
                },
            }
        ],
        "extra-links": ["nes_provider.links.NesRunLink", "nes_provider.links.NesSourceLink"],
        "task-decorators": [{"name": "nes", "class-name": "nes_provider.decorators.nes.nes_task"}],
        "asset-uris": [{"schemes": ["nes"], "handler": "nes_provider.assets.sanitize_uri"}],
    }
