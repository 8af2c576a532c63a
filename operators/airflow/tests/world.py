"""What the tests run against: a real NES, and a real Git server with real notebooks."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
PATIENCE = 120.0


def free_port() -> int:
    """A port on loopback that nobody listens on."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def until(condition: Callable[[], Any], what: str, patience: float = PATIENCE, pause: float = 0.1) -> Any:
    """What a condition gives once it is true."""
    end = time.monotonic() + patience
    while not (value := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"waited {patience:g} s in vain: {what}")
        time.sleep(pause)
    return value


def notebook(*cells: str, parameters: str = "") -> str:
    """A notebook of code cells, and of a parameters cell before them."""
    sources = [(parameters, ["parameters"])] if parameters else []
    sources += [(cell, []) for cell in cells]
    return json.dumps(
        {
            "nbformat": 4,
            "nbformat_minor": 5,
            "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
            "cells": [
                {"cell_type": "code", "id": f"c{i}", "execution_count": None, "outputs": [], "metadata": {"tags": tags}, "source": source}
                for i, (source, tags) in enumerate(sources)
            ],
        },
        ensure_ascii=False,
    )


class Repository:
    """A Git repository that Git's own program serves over HTTP."""

    def __init__(self, directory: Path, name: str = "acme/reports", address: tuple[str, int] = ("127.0.0.1", 0), tls: Any = None) -> None:
        self.work = directory / "work"
        bare = directory / "served" / f"{name}.git"
        self._git("init", "-q", "--bare", "-b", "main", str(bare), at=directory)
        self._git("init", "-q", "-b", "main", str(self.work), at=directory)
        self._git("remote", "add", "origin", str(bare))
        self._server = _git_server(directory / "served", address, tls)
        self.url = f"http://127.0.0.1:{self._server.server_port}/{name}"

    def _git(self, *arguments: str, at: Path | None = None) -> str:
        identity = ["-c", "user.name=Kim", "-c", "user.email=kim@example.com", "-c", "commit.gpgsign=false"]
        return subprocess.run(
            ["git", *identity, *arguments], cwd=at or self.work, check=True, capture_output=True, text=True
        ).stdout.strip()

    def push(self, path: str, text: str) -> str:
        """Commit a file, push it and return the address of the notebook in the repository."""
        target = self.work / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        self._git("add", "-A")
        self._git("commit", "-q", "--allow-empty", "-m", f"Write {path}")
        self._git("push", "-q", "origin", "main")
        return f"{self.url}/blob/main/{path}"

    def head(self) -> str:
        """The newest commit."""
        return self._git("rev-parse", "HEAD")

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()


def _git_server(root: Path, address: tuple[str, int], tls: Any) -> ThreadingHTTPServer:
    program = subprocess.run(["git", "--exec-path"], check=True, capture_output=True, text=True).stdout.strip() + "/git-http-backend"

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            path, _, query = self.path.partition("?")
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            env = {
                "PATH": os.environ["PATH"],
                "GIT_PROJECT_ROOT": str(root),
                "GIT_HTTP_EXPORT_ALL": "1",
                "REQUEST_METHOD": self.command,
                "PATH_INFO": path,
                "QUERY_STRING": query,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "CONTENT_LENGTH": str(len(body)),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
                "REMOTE_ADDR": "127.0.0.1",
                "REMOTE_USER": "",
                "GIT_CONFIG_COUNT": "1",
                "GIT_CONFIG_KEY_0": "safe.directory",
                "GIT_CONFIG_VALUE_0": "*",
            }
            answer = subprocess.run([program], input=body, env=env, capture_output=True).stdout
            head, _, content = answer.partition(b"\r\n\r\n")
            headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
            self.send_response(int(headers.pop("Status", "200").split()[0]))
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = _serve  # noqa: N815

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(address, Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


class Nes:
    """A ``nes serve`` process over a data directory, which outlives it."""

    def __init__(self, directory: Path, *, config: str = "", **env: str) -> None:
        self.directory = directory
        self.port = int(env.pop("port", 0)) or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.token = ""
        self._process: subprocess.Popen | None = None
        directory.mkdir(parents=True, exist_ok=True)
        file = ""
        if config:
            file = str(directory / "nes.yaml")
            Path(file).write_text(config)
        clean = {name: value for name, value in os.environ.items() if not name.startswith("NES_") and "proxy" not in name.lower()}
        python = os.environ.get("NES_PYTHON") or str(ROOT / ".venv/bin/python")
        self._env = {
            **clean,
            "NES_ADDR": f"127.0.0.1:{self.port}",
            "NES_DATA_DIR": str(directory / "data"),
            "NES_PYTHON": python,
            "NES_CONFIG": file,
            **env,
        }

    def start(self) -> Nes:
        """Start it and return once it answers."""
        with (self.directory / "server.log").open("ab") as log:
            self._process = subprocess.Popen([str(ROOT / "bin/nes"), "serve"], env=self._env, stdout=log, stderr=log)
        until(self._answers, f"nes serve answers: {self.log()}", patience=30)
        return self

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"nes serve ended: {self.log()}"
        try:
            return bool(self.call("GET", "/healthz"))
        except OSError:
            return False

    def stop(self) -> None:
        """Stop it gently; notebooks that run go on."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a crash does."""
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait()
            self._process = None

    def close(self) -> None:
        """Cancel what still runs, and stop."""
        if self._process is None:
            return
        with contextlib.suppress(OSError, AssertionError):
            for run in self.runs(status="Pending,Running"):
                self.cancel(run["id"])
            until(lambda: not self.runs(status="Pending,Running"), "the runs end", patience=30)
        self.stop()

    def log(self) -> str:
        """What it wrote to standard error."""
        path = self.directory / "server.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request and return the JSON of the answer."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method, headers={"Content-Type": "application/json"})
        if self.token:
            request.add_header("Authorization", f"Bearer {self.token}")
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=40) as answer:
            return json.load(answer)

    def run(self, run_id: str) -> dict[str, Any]:
        """A run."""
        return self.call("GET", f"/v1/runs/{run_id}")

    def runs(self, **conditions: Any) -> list[dict[str, Any]]:
        """Runs that fit, newest first."""
        query = "&".join(f"{name}={urllib.request.quote(str(value))}" for name, value in {"limit": 500, **conditions}.items())
        return self.call("GET", f"/v1/runs?{query}")["runs"]

    def runs_of(self, dag_id: str, **labels: str) -> list[dict[str, Any]]:
        """Runs that tasks of a DAG submitted, newest first."""
        wanted = {"dag_id": dag_id, **labels}
        return [run for run in self.runs(label=f"dag_id={dag_id}") if all(run["spec"]["labels"].get(k) == v for k, v in wanted.items())]

    def cancel(self, run_id: str) -> dict[str, Any]:
        """Ask a run to end."""
        return self.call("POST", f"/v1/runs/{run_id}/cancel")

    def executing(self, run_id: str) -> dict[str, Any]:
        """The run once its cells run."""
        return until(lambda: (r := self.run(run_id))["stage"] == "executing" and r, f"run {run_id} executes")

    def ended(self, run_id: str) -> dict[str, Any]:
        """The run once it has ended."""
        return until(lambda: (r := self.run(run_id))["stage"] == "ended" and r, f"run {run_id} ends")


@contextlib.contextmanager
def serving(config: str = "", **env: str):
    """A server in a directory of its own."""
    with tempfile.TemporaryDirectory(prefix="nes-airflow-") as directory:
        nes = Nes(Path(directory), config=config, **env)
        try:
            yield nes.start()
        finally:
            nes.close()
