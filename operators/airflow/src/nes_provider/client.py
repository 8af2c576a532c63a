"""NES over HTTP, for a thread and for an event loop: the same calls, the same patience.

Nothing here knows Airflow.
"""

from __future__ import annotations

import asyncio
import functools
import random
import ssl
import time
from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote

import httpx

from nes_provider import __version__
from nes_provider.errors import NesRefused, NesUnreachable, refusal, unreachable

# Answers after which the same request may be sent again: NES or a proxy before it says "not now".
LATER = frozenset({429, 500, 502, 503, 504})

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0

# The server holds a long poll for at most 60 s, and proxies often for less than 30 s.
LONGEST_WAIT = 25.0


@dataclass(frozen=True)
class Endpoint:
    """Where NES is and how to speak with it."""

    base_url: str
    token: str = ""
    verify: bool | str = True
    timeout: float = 15.0
    # How long an outage of NES may last before a call gives up, in seconds.
    retry_for: float = 600.0
    headers: tuple[tuple[str, str], ...] = ()
    # How the place is called that the address was read from, for messages.
    origin: str = "the connection"

    def all_headers(self) -> dict[str, str]:
        """Headers of every request."""
        headers = {"User-Agent": f"airflow-provider-nes/{__version__}", "Accept": "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        return {**headers, **dict(self.headers)}


@dataclass(frozen=True)
class Call:
    """One request. All of NES's calls may be repeated: submissions carry a key."""

    method: str
    path: str
    query: dict[str, Any] = field(default_factory=dict)
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    wait: float = 0.0


class Patience:
    """How long to go on with a call, and what to pause between two tries."""

    def __init__(self, endpoint: Endpoint, *, once: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._endpoint = endpoint
        self._until = clock() + (0 if once else endpoint.retry_for)
        self._pause = FIRST_PAUSE

    def pause(self, error: NesUnreachable) -> float:
        """Seconds to wait before the next try, or raises ``error`` when there is none."""
        left = self._until - self._clock()
        if error.hopeless or left <= 0:
            raise error
        wait = self._pause * random.uniform(0.75, 1.25)
        self._pause = min(self._pause * 2, LONGEST_PAUSE)
        return min(max(wait, error.retry_after), left)


def submit(spec: dict[str, Any], context: str = "") -> Call:
    """Submit a run. The specification has an idempotency key, so that the call may be repeated."""
    headers = {"Client-Id": f"airflow-provider-nes/{__version__}"}
    if context:
        headers["Client-Context"] = context
    return Call("POST", "/v1/runs", body=spec, headers=headers)


def show(run_id: str, wait: float = 0.0, version: int = 0) -> Call:
    """Read a run, and first wait until it is no longer the version that is known."""
    query: dict[str, Any] = {}
    if wait > 0:
        wait = min(wait, LONGEST_WAIT)
        query = {"wait": f"{wait:g}s", **({"version": version} if version else {})}
    return Call("GET", f"/v1/runs/{quote(run_id, safe='')}", query=query, wait=wait)


def log(run_id: str, attempt: int, cursor: int) -> Call:
    """Read a piece of an attempt's log."""
    return Call("GET", f"/v1/runs/{quote(run_id, safe='')}/log", query={"attempt": attempt, "cursor": cursor})


def cancel(run_id: str) -> Call:
    """Ask a run to end."""
    return Call("POST", f"/v1/runs/{quote(run_id, safe='')}/cancel")


def search(**conditions: Any) -> Call:
    """List runs, newest first."""
    return Call("GET", "/v1/runs", query={name: value for name, value in conditions.items() if value})


def _arguments(endpoint: Endpoint, call: Call) -> dict[str, Any]:
    return {
        "method": call.method,
        "url": endpoint.base_url.rstrip("/") + call.path,
        "params": call.query or None,
        "json": call.body,
        "headers": call.headers,
        "timeout": httpx.Timeout(endpoint.timeout, read=endpoint.timeout + call.wait),
    }


def _read(endpoint: Endpoint, call: Call, answer: httpx.Response) -> Any:
    """The JSON of an answer; raises what else it may be."""
    if answer.status_code in LATER:
        raise unreachable(endpoint, f"it answered {answer.status_code}", retry_after=retry_after(answer.headers))
    try:
        body = answer.json()
    except ValueError:
        body = None
    if answer.is_success and isinstance(body, dict):
        return body
    raise refusal(endpoint, call.method, call.path, answer.status_code, body)


def retry_after(headers: httpx.Headers) -> float:
    """Seconds that ``Retry-After`` asks to stay away, written as seconds or as a date; 0 without it."""
    value = headers.get("Retry-After", "").strip()
    if not value:
        return 0.0
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return 0.0
    if at.tzinfo is None:
        at = at.replace(tzinfo=timezone.utc)
    return max(0.0, (at - datetime.now(timezone.utc)).total_seconds())


@functools.lru_cache(maxsize=8)
def _trust(verify: bool | str) -> ssl.SSLContext:
    """Certificates that are trusted. Reading them takes megabytes and milliseconds, so it is done once."""
    if verify is True:
        return httpx.create_ssl_context()
    if verify is False:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    return ssl.create_default_context(cafile=str(verify))


class Client:
    """NES for a thread."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        once: bool = False,
        on_retry: Callable[[str], None] | None = None,
        stop: Callable[[], bool] | None = None,
    ) -> None:
        """Make a client that tries each call ``once`` or for as long as the endpoint says, until ``stop`` is true."""
        self.endpoint = endpoint
        self._once = once
        self._on_retry = on_retry or (lambda message: None)
        self._stop = stop or (lambda: False)
        self._http = httpx.Client(headers=endpoint.all_headers(), verify=_trust(endpoint.verify), follow_redirects=False)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def send(self, call: Call) -> Any:
        """Send a call and return the JSON of its answer."""
        patience = Patience(self.endpoint, once=self._once)
        while True:
            try:
                return self._send(call)
            except NesUnreachable as error:
                pause = patience.pause(error)
                self._on_retry(f"{error} Trying again in {pause:.1f} s.")
                self._sleep(pause, error)

    def _send(self, call: Call) -> Any:
        try:
            answer = self._http.request(**_arguments(self.endpoint, call))
        except httpx.TransportError as error:
            raise unreachable(self.endpoint, error) from error
        return _read(self.endpoint, call, answer)

    def _sleep(self, seconds: float, error: NesUnreachable) -> None:
        """Sleep in slices: a signal's handler does not end a sleep."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if self._stop():
                raise error
            time.sleep(min(left, 0.25))


class AsyncClient:
    """NES for an event loop."""

    def __init__(
        self, endpoint: Endpoint, http: httpx.AsyncClient, *, once: bool = False, on_retry: Callable[[str], None] | None = None
    ) -> None:
        """Make a client over connections that somebody else closes; :func:`connect` makes both."""
        self.endpoint = endpoint
        self._http = http
        self._once = once
        self._on_retry = on_retry or (lambda message: None)

    async def send(self, call: Call) -> Any:
        """Send a call and return the JSON of its answer."""
        patience = Patience(self.endpoint, once=self._once)
        while True:
            try:
                return await self._send(call)
            except NesUnreachable as error:
                pause = patience.pause(error)
                self._on_retry(f"{error} Trying again in {pause:.1f} s.")
                await asyncio.sleep(pause)

    async def _send(self, call: Call) -> Any:
        try:
            answer = await self._http.request(**_arguments(self.endpoint, call))
        except httpx.TransportError as error:
            raise unreachable(self.endpoint, error) from error
        return _read(self.endpoint, call, answer)


@dataclass
class _Shared:
    http: httpx.AsyncClient
    users: int = 0


# Connections of this process by event loop and endpoint: a triggerer follows hundreds of runs of one server.
_shared: dict[tuple[int, Endpoint], _Shared] = {}


@asynccontextmanager
async def connect(endpoint: Endpoint, *, once: bool = False, on_retry: Callable[[str], None] | None = None):
    """An :class:`AsyncClient` over connections that all users of the endpoint in this loop share."""
    key = (id(asyncio.get_running_loop()), endpoint)
    if key not in _shared:
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=50)
        _shared[key] = _Shared(
            httpx.AsyncClient(headers=endpoint.all_headers(), verify=_trust(endpoint.verify), limits=limits, follow_redirects=False)
        )
    shared = _shared[key]
    shared.users += 1
    try:
        yield AsyncClient(endpoint, shared.http, once=once, on_retry=on_retry)
    finally:
        shared.users -= 1
        if shared.users == 0:
            _shared.pop(key, None)
            await shared.http.aclose()


__all__ = [
    "AsyncClient",
    "Call",
    "Client",
    "Endpoint",
    "NesRefused",
    "NesUnreachable",
    "Patience",
    "cancel",
    "connect",
    "log",
    "retry_after",
    "search",
    "show",
    "submit",
]
