"""The connection: how it is written, what is wrong with it, and its test button."""

from __future__ import annotations

import asyncio
import json

import pytest
from airflow.providers.common.compat.sdk import Connection
from world import serving

from nes_provider.hooks.nes import NesConnectionError, NesHook, endpoint_of


def connection(**kwargs):
    extra = kwargs.pop("extra", {})
    return Connection(conn_id="c", conn_type="nes", extra=json.dumps(extra), **kwargs)


@pytest.mark.parametrize(
    ("kwargs", "address"),
    [
        ({"host": "https://nes.example.com"}, "https://nes.example.com"),
        ({"host": "https://nes.example.com/prefix/"}, "https://nes.example.com/prefix"),
        ({"host": "nes.example.com"}, "https://nes.example.com"),
        ({"host": "nes.example.com", "port": 8443}, "https://nes.example.com:8443"),
        ({"host": "nes.nes.svc", "schema": "http"}, "http://nes.nes.svc"),
        ({"host": "localhost", "port": 8080}, "http://localhost:8080"),
        ({"host": "127.0.0.1:8080"}, "http://127.0.0.1:8080"),
        ({"host": "http://[::1]:8080"}, "http://[::1]:8080"),
        ({"host": "https://nes.example.com:1", "port": 2}, "https://nes.example.com:1"),
    ],
)
def test_addresses(kwargs, address):
    assert endpoint_of(connection(**kwargs), "c").base_url == address


@pytest.mark.parametrize(
    ("kwargs", "cure"),
    [
        ({}, 'The connection "c" has no host: set it to the address of NES, such as https://nes.example.com.'),
        ({"host": "ftp://nes.example.com"}, "it is written like https://nes.example.com."),
        ({"host": "https://user:pw@nes.example.com"}, "it is written like https://nes.example.com."),
        ({"host": "https://nes.example.com/?a=1"}, "it is written like https://nes.example.com."),
        ({"host": "h", "extra": {"timeout": "long"}}, "must be numbers of seconds."),
        ({"host": "h", "extra": {"headers": "x"}}, "must be an object of names and values."),
    ],
)
def test_what_is_wrong_is_said_with_its_cure(kwargs, cure):
    with pytest.raises(NesConnectionError) as caught:
        endpoint_of(connection(**kwargs), "c")
    assert cure in str(caught.value) and "pw" not in str(caught.value)


def test_the_extra():
    extra = {"verify": "false", "timeout": "3", "retry_for": 0, "headers": {"X-Team": "risk"}}
    made = endpoint_of(connection(host="h", password="t", extra=extra), "c")
    assert (made.verify, made.timeout, made.retry_for, made.token) == (False, 3.0, 0.0, "t")
    assert made.all_headers()["X-Team"] == "risk"
    assert endpoint_of(connection(host="h", extra={"verify": "/ca.pem"}), "c", retry_for=5).verify == "/ca.pem"


CONFIG = "tokens:\n  - {name: kim, team: risk, token: a-token-of-sixteen-characters, roles: [submit]}\n"


@pytest.fixture(scope="module")
def closed():
    """A server that wants a token."""
    with serving(CONFIG) as server:
        server.token = "a-token-of-sixteen-characters"
        yield server


@pytest.mark.parametrize(
    ("password", "good", "said"),
    [
        ("a-token-of-sixteen-characters", True, "answers and lets this connection in."),
        (
            "another-token-of-some-length",
            False,
            'does not know the token. Put a valid one into the password of the connection "nes_default".',
        ),
        ("", False, 'wants a token, and there is none. Put a valid one into the password of the connection "nes_default".'),
    ],
)
def test_the_test_button(closed, monkeypatch, password, good, said):
    monkeypatch.setenv("AIRFLOW_CONN_NES_DEFAULT", json.dumps({"conn_type": "nes", "host": closed.url, "password": password}))
    ok, message = NesHook().test_connection()
    assert ok is good and said in message, message
    assert "another-token" not in message


def test_the_test_button_where_nothing_is(monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_NES_DEFAULT", json.dumps({"conn_type": "nes", "host": "http://127.0.0.1:1"}))
    ok, message = NesHook().test_connection()
    assert not ok and "NES does not answer at http://127.0.0.1:1" in message
    ok, message = NesHook("nes_nowhere").test_connection()
    assert not ok and 'There is no connection "nes_nowhere"' in message


def test_the_connection_is_read_without_holding_up_the_loop(closed, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_NES_DEFAULT", json.dumps({"conn_type": "nes", "host": closed.url, "password": closed.token}))

    async def run():
        hook = NesHook()
        endpoint = await hook.aendpoint()
        async with hook.connect(endpoint) as nes:
            from nes_provider import client

            return await nes.send(client.search(limit=1))

    assert asyncio.run(run()) == {"runs": []}


def test_the_form():
    form = NesHook.get_ui_field_behaviour()
    assert form["relabeling"] == {"host": "Address of NES", "password": "Token"}
    assert "login" in form["hidden_fields"]
