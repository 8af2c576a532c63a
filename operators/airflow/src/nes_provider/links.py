"""Buttons of a task in Airflow's pages. Their addresses are pushed as soon as the run is submitted."""

from __future__ import annotations

from typing import Any

from airflow.providers.common.compat.sdk import BaseOperatorLink, XCom


class _PushedLink(BaseOperatorLink):
    """A link whose address the task pushed under :attr:`xcom_key`."""

    attribute: str

    @property
    def xcom_key(self) -> str:
        """Where Airflow looks for the address."""
        return f"_link_{type(self).__name__}"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Return the address; empty before the run is submitted."""
        if address := getattr(operator, self.attribute, ""):
            return str(address)
        try:
            return str(XCom.get_value(key=self.xcom_key, ti_key=ti_key) or "")
        except Exception:  # one link that fails would hide all others
            return ""


class NesRunLink(_PushedLink):
    """The run in the viewer of NES, live while it goes on."""

    name = "Notebook run"
    attribute = "viewer_url"


class NesSourceLink(_PushedLink):
    """The notebook on its Git host, at the commit that ran once that is known."""

    name = "Notebook source"
    attribute = "source_url"
