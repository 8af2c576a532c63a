"""Patience, answers and cures, against a server that misbehaves as it is told."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from world import free_port

from nes_provider import client
from nes_provider.client import Call, Client, Endpoint, Patience, connect, retry_after
from nes_provider.errors import NesRefused, NesUnreachable

OK = (200, {}, {"id": "r-1", "status": "Pending"})
BUSY = {"code": "busy", "detail": "10000 runs are waiting", "title": "busy", "type": "x", "status": 429}


class Server:
    """Gives the answers that it was told, the last one for ever."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, dict, object]] = [OK]
        self.seen: list[tuple[str, str, dict, bytes]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                outer.seen.append((self.command, self.path, dict(self.headers), body))
                status, headers, content = outer.answers.pop(0) if len(outer.answers) > 1 else outer.answers[0]
                data = content if isinstance(content, bytes) else json.dumps(content).encode()
                self.send_response(status)
                for name, value in {"Content-Length": str(len(data)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = _answer  # noqa: N815

            def log_message(self, *arguments) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._http.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture
def server():
    made = Server()
    yield made
    made.close()


def endpoint(url, **kwargs):
    return Endpoint(url, origin='the connection "c"', **{"retry_for": 20.0, **kwargs})


def send(how, where, call, **kwargs):
    """Send a call by the client for threads or by that for event loops."""
    if how == "thread":
        with Client(where, **kwargs) as nes:
            return nes.send(call)

    async def run():
        async with connect(where, **kwargs) as nes:
            return await nes.send(call)

    return asyncio.run(run())


both = pytest.mark.parametrize("how", ["thread", "loop"])


@both
def test_a_submission_is_sent_again_with_its_key(server, how):
    server.answers = [(503, {"Retry-After": "0"}, {}), (502, {}, b"<html>bad gateway</html>"), OK]
    said = []
    call = client.submit({"input_url": "x", "idempotency_key": "열쇠"}, '{"dag_id": "d"}')
    assert send(how, endpoint(server.url, token="t"), call, on_retry=said.append)["id"] == "r-1"
    assert [json.loads(body)["idempotency_key"] for *_, body in server.seen] == ["열쇠"] * 3
    headers = server.seen[0][2]
    assert (
        headers["Authorization"] == "Bearer t"
        and headers["Client-Context"] == '{"dag_id": "d"}'
        and "airflow-provider-nes/" in headers["User-Agent"]
    )
    assert len(said) == 2 and f"NES does not answer at {server.url}: it answered 503." in said[0]


@both
def test_retry_after_is_honoured(server, how):
    server.answers = [(429, {"Retry-After": "2"}, BUSY), OK]
    began = time.monotonic()
    send(how, endpoint(server.url), client.show("r-1"))
    assert time.monotonic() - began >= 2


@both
def test_patience_ends(server, how):
    server.answers = [(503, {}, {})]
    began = time.monotonic()
    with pytest.raises(NesUnreachable, match="it answered 503"):
        send(how, endpoint(server.url, retry_for=1.5), client.show("r-1"))
    assert 1.4 <= time.monotonic() - began < 10
    seen = len(server.seen)
    with pytest.raises(NesUnreachable):
        send(how, endpoint(server.url), client.show("r-1"), once=True)
    assert len(server.seen) == seen + 1


@both
def test_a_server_that_comes_back(how):
    port = free_port()
    said = []

    def later():
        time.sleep(1)
        listening.extend([ThreadingHTTPServer(("127.0.0.1", port), Health)])
        listening[0].serve_forever()

    class Health(BaseHTTPRequestHandler):
        def do_GET(self):  # noqa: N802
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *arguments):
            pass

    listening = []
    threading.Thread(target=later, daemon=True).start()
    assert send(how, endpoint(f"http://127.0.0.1:{port}"), Call("GET", "/healthz"), on_retry=said.append) == {}
    assert said and 'Check that it runs, and the host of the connection "c".' in said[0]
    listening[0].shutdown()
    listening[0].server_close()


@both
@pytest.mark.parametrize(
    ("answer", "cure"),
    [
        (
            (401, {}, {"code": "unauthorized", "detail": "x"}),
            'wants a token, and there is none. Put a valid one into the password of the connection "c".',
        ),
        (
            (403, {}, {"code": "forbidden", "detail": "kim may not submit here"}),
            'kim may not submit here. Put a token that may do this into the password of the connection "c".',
        ),
        ((404, {}, b"<html>not found</html>"), 'is not NES: 404 for GET /v1/runs/r-1. Correct the host of the connection "c".'),
        ((200, {}, b"<html>welcome</html>"), 'is not NES: 200 for GET /v1/runs/r-1. Correct the host of the connection "c".'),
        (
            (302, {"Location": "https://sso.example.com"}, b""),
            'is not NES: 302 for GET /v1/runs/r-1. Correct the host of the connection "c".',
        ),
        ((404, {}, {"detail": "Not Found"}), "is not NES: 404"),
        (
            (
                400,
                {},
                {
                    "code": "invalid",
                    "detail": "a: is b (and 1 more)",
                    "problems": [{"field": "a", "message": "is b"}, {"field": "c", "message": "is d"}],
                },
            ),
            "a: is b; c: is d",
        ),
        ((422, {}, {"code": "key_reused", "detail": "use a new key"}), "use a new key"),
    ],
)
def test_refusals_name_the_cure_in_one_line(server, how, answer, cure):
    server.answers = [answer]
    with pytest.raises(NesRefused) as caught:
        send(how, endpoint(server.url), client.show("r-1"))
    assert cure in str(caught.value) and "\n" not in str(caught.value)
    assert len(server.seen) == 1, "it is not tried again"


@both
def test_a_name_that_is_none_is_said_at_once(how):
    began = time.monotonic()
    with pytest.raises(NesUnreachable, match='there is no such host. Correct the host of the connection "c".'):
        send(how, endpoint("http://no-such-host.invalid"), client.show("r-1"))
    assert time.monotonic() - began < 15


def test_a_kill_ends_the_wait_for_a_server_that_is_away(server):
    server.answers = [(503, {"Retry-After": "60"}, {})]
    killed = threading.Event()
    threading.Timer(0.5, killed.set).start()
    began = time.monotonic()
    with pytest.raises(NesUnreachable), Client(endpoint(server.url, retry_for=300), stop=killed.is_set) as nes:
        nes.send(client.show("r-1"))
    assert time.monotonic() - began < 10


def test_pauses_grow_and_stay_within_bounds():
    now = [0.0]
    patience = Patience(endpoint("http://x", retry_for=1000), clock=lambda: now[0])
    pauses = [patience.pause(NesUnreachable("x")) for _ in range(12)]
    assert 0.3 < pauses[0] < 0.7 and all(0 < p <= 37.5 for p in pauses) and pauses[6] > pauses[0]
    assert patience.pause(NesUnreachable("x", retry_after=120)) == 120
    now[0] = 995
    assert patience.pause(NesUnreachable("x", retry_after=120)) == 5
    now[0] = 1001
    with pytest.raises(NesUnreachable):
        patience.pause(NesUnreachable("x"))


@pytest.mark.parametrize(
    ("value", "least", "most"),
    [("", 0, 0), ("7", 7, 7), ("1.5", 1.5, 1.5), ("-3", 0, 0), ("soon", 0, 0), ("Wed, 21 Oct 2015 07:28:00 GMT", 0, 0)],
)
def test_retry_after_as_it_is_written(value, least, most):
    assert least <= retry_after(httpx.Headers({"Retry-After": value} if value else {})) <= most


def test_retry_after_as_a_date():
    at = format_datetime(datetime.now(timezone.utc) + timedelta(seconds=30), usegmt=True)
    assert 25 < retry_after(httpx.Headers({"Retry-After": at})) <= 30


def test_connections_of_a_loop_are_shared(server):
    async def run():
        where = endpoint(server.url)
        async with connect(where) as one, connect(where) as two:
            assert one._http is two._http
            await asyncio.gather(*(nes.send(client.show("r-1")) for nes in (one, two)))
        assert not client._shared
        async with connect(where) as three:
            assert three._http is not one._http

    asyncio.run(run())


def test_a_long_poll_waits_no_longer_than_proxies_do():
    assert client.show("r-1", wait=300, version=3).query == {"wait": "25s", "version": 3}
    assert client.show("r-1", wait=2.5).query == {"wait": "2.5s"}
    assert client.show("r/1?").path == "/v1/runs/r%2F1%3F"
