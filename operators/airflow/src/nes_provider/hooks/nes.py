"""The connection to NES."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook
from asgiref.sync import sync_to_async

from nes_provider import client
from nes_provider.client import Client, Endpoint
from nes_provider.errors import NesError

DEFAULT_CONNECTION = "nes_default"

_EXAMPLE = '{"conn_type": "nes", "host": "https://nes.example.com", "password": "<token>"}'


class NesHook(BaseHook):
    """
    Calls NES by the address and the token of an Airflow connection of type ``nes``.

    Host, and port and schema where they are not part of it, give the address; the password is the token. The extra may hold
    ``verify`` (false, or the file of an authority), ``timeout`` and ``retry_for`` (seconds: of a request, and how long an outage
    may last), ``headers``, ``viewer_url`` (what people reach the server by) and ``instance`` (what this Airflow is called).

    :param nes_conn_id: the connection.
    :param retry_for: how long an outage of NES may last, in seconds; overrules the connection.
    """

    conn_name_attr = "nes_conn_id"
    default_conn_name = DEFAULT_CONNECTION
    conn_type = "nes"
    hook_name = "Notebook Execution Service"

    def __init__(self, nes_conn_id: str = DEFAULT_CONNECTION, *, retry_for: float | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.nes_conn_id = nes_conn_id
        self.retry_for = retry_for
        self._connection: Any = None

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """What the connection's form shows."""
        return {
            "hidden_fields": ["login", "schema"],
            "relabeling": {"host": "Address of NES", "password": "Token"},
            "placeholders": {
                "host": "https://nes.example.com",
                "password": "empty where NES asks for none",
                "extra": '{"retry_for": 600, "verify": "/etc/ssl/certs/our-ca.pem"}',
            },
        }

    def endpoint(self) -> Endpoint:
        """Where NES is, by the connection."""
        if self._connection is None:
            try:
                self._connection = self.get_connection(self.nes_conn_id)
            except AirflowNotFoundException as error:
                raise missing(self.nes_conn_id) from error
        return endpoint_of(self._connection, self.nes_conn_id, self.retry_for)

    async def aendpoint(self) -> Endpoint:
        """Where NES is, read without holding up the event loop."""
        if self._connection is None:
            try:
                if hasattr(BaseHook, "aget_connection"):
                    self._connection = await BaseHook.aget_connection(self.nes_conn_id)
                else:
                    self._connection = await sync_to_async(self.get_connection)(self.nes_conn_id)
            except AirflowNotFoundException as error:
                raise missing(self.nes_conn_id) from error
        return endpoint_of(self._connection, self.nes_conn_id, self.retry_for)

    def extra(self, name: str, default: Any = None) -> Any:
        """A value of the connection's extra."""
        self.endpoint()
        return extra_of(self._connection).get(name, default)

    def get_conn(self, *, once: bool = False, stop: Callable[[], bool] | None = None) -> Client:
        """
        Return a client for this thread; close it after use.

        :param once: try each call once only.
        :param stop: ends waiting for NES to come back when it returns true.
        """
        return Client(self.endpoint(), once=once, on_retry=self.log.warning, stop=stop)

    def connect(self, endpoint: Endpoint, *, once: bool = False):
        """An asynchronous client as a context manager; the endpoint is that of :meth:`aendpoint`."""
        return client.connect(endpoint, once=once, on_retry=self.log.warning)

    def test_connection(self) -> tuple[bool, str]:
        """Ask NES whether it is there and takes the token."""
        try:
            with self.get_conn(once=True) as nes:
                health = nes.send(client.Call("GET", "/healthz"))
                nes.send(client.Call("GET", "/v1/runs", query={"limit": 1}))
        except (NesError, ValueError) as error:
            return False, str(error)
        return True, f"NES {health.get('version', '')} answers and lets this connection in."


class NesConnectionError(NesError, ValueError):
    """A connection is missing or cannot be used as it is."""


def missing(conn_id: str) -> NesConnectionError:
    """Say how the connection is made."""
    return NesConnectionError(
        f'There is no connection "{conn_id}": add one of type "nes" under Admin > Connections, '
        f"or set AIRFLOW_CONN_{conn_id.upper()}='{_EXAMPLE}'."
    )


def extra_of(connection: Any) -> dict[str, Any]:
    """The connection's extra as a dictionary."""
    value = connection.extra_dejson
    return value if isinstance(value, dict) else {}


def endpoint_of(connection: Any, conn_id: str, retry_for: float | None = None) -> Endpoint:
    """Where NES is, by an Airflow connection."""
    extra = extra_of(connection)
    try:
        timeout = float(extra.get("timeout") or 15.0)
        patience = float(600.0 if extra.get("retry_for") is None else extra["retry_for"])
    except (TypeError, ValueError) as error:
        raise NesConnectionError(
            f'"timeout" and "retry_for" in the extra of the connection "{conn_id}" must be numbers of seconds.'
        ) from error
    return Endpoint(
        base_url=_address(connection, conn_id),
        token=connection.password or "",
        verify=_verify(extra.get("verify", True)),
        timeout=timeout,
        retry_for=patience if retry_for is None else retry_for,
        headers=_headers(extra.get("headers"), conn_id),
        origin=f'the connection "{conn_id}"',
    )


def _address(connection: Any, conn_id: str) -> str:
    host = (connection.host or "").strip().rstrip("/")
    if not host:
        raise NesConnectionError(f'The connection "{conn_id}" has no host: set it to the address of NES, such as https://nes.example.com.')
    if "://" not in host:
        host = f"{_scheme(connection, host)}://{host}"
    parts = urlsplit(host)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise NesConnectionError(
            f'The host of the connection "{conn_id}" is no address of NES: it is written like https://nes.example.com.'
        )
    netloc = parts.netloc
    if connection.port and parts.port is None:
        netloc = f"{netloc}:{connection.port}"
    return urlunsplit((parts.scheme, netloc, parts.path, "", ""))


def _scheme(connection: Any, host: str) -> str:
    """A token goes over the network in the clear only where somebody wrote so."""
    if connection.schema in ("http", "https"):
        return connection.schema
    name = host.split("/")[0].rsplit(":", 1)[0]
    return "http" if name == "localhost" or name.startswith("127.") else "https"


def _verify(value: Any) -> bool | str:
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    return value if isinstance(value, (bool, str)) else True


def _headers(value: Any, conn_id: str) -> tuple[tuple[str, str], ...]:
    if isinstance(value, str) and value:
        try:
            value = json.loads(value)
        except ValueError:
            value = 0
    if value in (None, ""):
        return ()
    if not isinstance(value, dict):
        raise NesConnectionError(f'"headers" in the extra of the connection "{conn_id}" must be an object of names and values.')
    return tuple((str(name), str(text)) for name, text in value.items())
