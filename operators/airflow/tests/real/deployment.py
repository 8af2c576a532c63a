"""A whole Airflow 3: PostgreSQL, scheduler with LocalExecutor, API server, triggerer and DAG processor, on loopback ports of its own."""

from __future__ import annotations

import base64
import contextlib
import glob
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from world import free_port, until

NOBODY = 65534  # PostgreSQL refuses to run as root


def initdb() -> Path | None:
    """The directory of PostgreSQL's programs."""
    found = [*sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"), reverse=True), shutil.which("initdb") or ""]
    return next((Path(path).resolve().parent for path in found if path), None)


class Postgres:
    """A private PostgreSQL with one database."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._port = free_port()
        self._process: subprocess.Popen | None = None

    def start(self) -> str:
        """Start it and return its address."""
        programs = initdb()
        assert programs is not None
        who: dict[str, Any] = {"cwd": self._directory, "env": {"PATH": f"{programs}:/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}}
        if os.geteuid() == 0:
            os.chown(self._directory, NOBODY, NOBODY)
            who |= {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        data = str(self._directory / "data")
        subprocess.run(
            [programs / "initdb", "-D", data, "-U", "airflow", "--auth", "trust", "--no-sync", "-E", "UTF8", "--locale", "C"],
            check=True,
            capture_output=True,
            **who,
        )
        settings = {"listen_addresses": "127.0.0.1", "port": self._port, "unix_socket_directories": self._directory, "fsync": "off"}
        settings |= {"shared_buffers": "32MB", "max_connections": 200, "log_min_messages": "fatal"}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self._process = subprocess.Popen(
            [programs / "postgres", "-D", data, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **who
        )
        create = [programs / "createdb", "-h", "127.0.0.1", "-p", str(self._port), "-U", "airflow", "airflow"]
        until(lambda: subprocess.run(create, capture_output=True, **who).returncode == 0, "PostgreSQL answers", patience=60)
        return f"airflow@127.0.0.1:{self._port}/airflow"

    def close(self) -> None:
        """Stop it."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait()


class Airflow:
    """The components of an Airflow, as processes of this machine."""

    COMPONENTS = ("api-server", "scheduler", "triggerer", "dag-processor")

    def __init__(self, directory: Path, database: str, dags: Path, env: dict[str, str]) -> None:
        self.directory = directory
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._processes: dict[str, subprocess.Popen] = {}
        self._token = ""
        section = {
            "CORE__EXECUTOR": "LocalExecutor",
            "CORE__PARALLELISM": "4",
            "CORE__MAX_ACTIVE_TASKS_PER_DAG": "64",
            "CORE__LOAD_EXAMPLES": "False",
            "CORE__DAGS_FOLDER": str(dags),
            "CORE__FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            "CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "CORE__TEST_CONNECTION": "Enabled",
            "CORE__DEFAULT_POOL_TASK_SLOT_COUNT": "64",
            "DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg2://{database}",
            "DATABASE__SQL_ALCHEMY_CONN_ASYNC": f"postgresql+asyncpg://{database}",
            "API__BASE_URL": self.url,
            "API__HOST": "127.0.0.1",
            "API__PORT": str(self.port),
            "API__WORKERS": "1",
            "API__SECRET_KEY": secrets.token_hex(16),
            "API_AUTH__JWT_SECRET": secrets.token_hex(32),
            "LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
            "LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
            # A worker that is lost is missed after seconds, not after five minutes.
            "SCHEDULER__TASK_INSTANCE_HEARTBEAT_SEC": "2",
            "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
            "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
            "SCHEDULER__ENABLE_HEALTH_CHECK": "False",
            "TRIGGERER__DEFAULT_CAPACITY": "1000",
            # The first answers of an API server on a busy machine take their time.
            "WORKERS__EXECUTION_API_TIMEOUT": "60",
            "DAG_PROCESSOR__REFRESH_INTERVAL": "300",
            "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "300",
        }
        clean = {
            name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW_", "NES_")) and "proxy" not in name.lower()
        }
        self.env = {**clean, "AIRFLOW_HOME": str(directory), "PYTHONWARNINGS": "ignore", "_AIRFLOW__AS_LIBRARY": "", **env}
        self.env |= {f"AIRFLOW__{name}": value for name, value in section.items()}
        del self.env["_AIRFLOW__AS_LIBRARY"]

    def start(self) -> Airflow:
        """Make the database, start all components and return once DAGs can be run."""
        self._airflow("db", "migrate")
        for name in self.COMPONENTS:
            self.up(name)
        until(self._healthy, f"Airflow is healthy; its logs are in {self.directory}", patience=300, pause=1)
        return self

    def _airflow(self, *arguments: str) -> None:
        done = subprocess.run([sys.executable, "-m", "airflow", *arguments], env=self.env, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr

    def up(self, name: str) -> None:
        """Start a component."""
        with (self.directory / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                [sys.executable, "-m", "airflow", name], env=self.env, stdout=log, stderr=log, start_new_session=True
            )

    def _healthy(self) -> bool:
        for name, process in self._processes.items():
            assert process.poll() is None, f"{name} ended: {self.log(name)}"
        try:
            health = self.call("GET", "/api/v2/monitor/health")
        except OSError:
            return False
        return all((health.get(name) or {}).get("status") == "healthy" for name in ("scheduler", "triggerer", "dag_processor"))

    def close(self) -> None:
        """End all components and what they started."""
        for process in self._processes.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
        for process in self._processes.values():
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def log(self, name: str) -> str:
        """The end of what a component wrote."""
        return (self.directory / f"{name}.log").read_text(errors="replace")[-5000:]

    def pid(self, name: str) -> int:
        """Of a component."""
        return self._processes[name].pid

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request to Airflow's API and return the JSON of the answer."""
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method, headers=headers)
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code == 401 and not path.startswith("/auth"):
                self._token = ""
                self._token = self.call("GET", "/auth/token")["access_token"]
                return self.call(method, path, body)
            raise AssertionError(f"{method} {path}: {error.code} {error.read().decode(errors='replace')[:2000]}") from error

    def trigger(self, dag_id: str, **conf: Any) -> DagRun:
        """Start a run of a DAG, once it is known."""

        def known() -> bool:
            return any(dag["dag_id"] == dag_id for dag in self.call("GET", "/api/v2/dags?limit=100")["dags"])

        until(known, f"the DAG {dag_id} is known", pause=1)
        made = self.call("POST", f"/api/v2/dags/{dag_id}/dagRuns", {"logical_date": None, "conf": conf})
        return DagRun(self, dag_id, made["dag_run_id"])


class DagRun:
    """A run of a DAG, seen by Airflow's API."""

    def __init__(self, airflow: Airflow, dag_id: str, run_id: str) -> None:
        self.airflow, self.dag_id, self.run_id = airflow, dag_id, run_id
        self._path = f"/api/v2/dags/{dag_id}/dagRuns/{urllib.parse.quote(run_id)}"

    def tasks(self) -> list[dict[str, Any]]:
        """Its task instances."""
        return self.airflow.call("GET", f"{self._path}/taskInstances?limit=100")["task_instances"]

    def task(self, task_id: str = "run") -> dict[str, Any]:
        """One task instance."""
        return self.airflow.call("GET", f"{self._path}/taskInstances/{task_id}")

    def reaches(self, *states: str, task_id: str = "run", patience: float = 180) -> dict[str, Any]:
        """The task instance once it is in one of the states."""
        seen = ""

        def look() -> dict[str, Any] | None:
            nonlocal seen
            found = self.task(task_id)
            seen = f"{found['state']} (try {found['try_number']})"
            return found if found["state"] in states else None

        try:
            return until(look, f"{self.dag_id} becomes {states}", patience=patience, pause=0.5)
        except AssertionError as error:
            raise AssertionError(f"{error}; it is {seen}; its log:\n{self.log(task_id)}\n{self.airflow.log('scheduler')}") from error

    def all(self, state: str, count: int, patience: float = 600) -> None:
        """Return once that many tasks are in a state."""
        try:
            until(
                lambda: sum(t["state"] == state for t in self.tasks()) == count, f"{count} tasks of {self.dag_id} are {state}", patience, 1
            )
        except AssertionError as error:
            raise AssertionError(f"{error}; they are {[t['state'] for t in self.tasks()]}") from error

    def mark(self, state: str, task_id: str = "run") -> None:
        """Set the state of a task by hand."""
        self.airflow.call("PATCH", f"{self._path}/taskInstances/{task_id}", {"new_state": state})

    def clear(self, task_id: str = "run") -> None:
        """Clear a task, so that it runs again."""
        body = {"dry_run": False, "dag_run_id": self.run_id, "task_ids": [task_id], "only_failed": False, "reset_dag_runs": True}
        self.airflow.call("POST", f"/api/v2/dags/{self.dag_id}/clearTaskInstances", body)

    def xcom(self, key: str = "return_value", task_id: str = "run") -> Any:
        """What a task pushed; nothing where it did not."""
        entries = self.airflow.call("GET", f"{self._path}/taskInstances/{task_id}/xcomEntries?limit=100")["xcom_entries"]
        if not any(entry["key"] == key for entry in entries):
            return None
        return self.airflow.call("GET", f"{self._path}/taskInstances/{task_id}/xcomEntries/{key}")["value"]

    def links(self, task_id: str = "run") -> dict[str, str]:
        """The buttons of a task and where they lead."""
        return self.airflow.call("GET", f"{self._path}/taskInstances/{task_id}/links")["extra_links"]

    def log(self, task_id: str = "run", attempt: int = 0) -> str:
        """The log of a try, the newest without a number."""
        number = attempt or self.task(task_id)["try_number"]
        pages = self.airflow.call("GET", f"{self._path}/taskInstances/{task_id}/logs/{number}?full_content=true")["content"]
        lines = [line if isinstance(line, str) else line_text(line) for line in pages] if isinstance(pages, list) else [str(pages)]
        return "\n".join(lines)


def line_text(line: dict[str, Any]) -> str:
    """A structured line of a log as text."""
    errors = [f"{e.get('exc_type')}: {e.get('exc_value')}" for e in line.get("error_detail") or []]
    return " ".join([str(line.get("event", "")), *errors])


def tree(pid: int) -> list[int]:
    """A process and all that it started."""
    children: dict[int, list[int]] = {}
    for stat in glob.glob("/proc/[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = Path(stat).read_text().rsplit(")", 1)[1].split()
            children.setdefault(int(fields[1]), []).append(int(stat.split("/")[2]))
    found, todo = [], [pid]
    while todo:
        one = todo.pop()
        found.append(one)
        todo += children.get(one, [])
    return found


def memory(pid: int) -> float:
    """Memory of a process and all that it started, in MB; what they share counts once."""
    total = 0
    for one in tree(pid):
        with contextlib.suppress(OSError):
            rollup = Path(f"/proc/{one}/smaps_rollup").read_text()
            total += sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
    return total / 1024


def kill_worker(scheduler: int, task_pid: int) -> None:
    """End the process of a task and the worker that supervises it, as losing their machine does."""
    parent = int(Path(f"/proc/{task_pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    assert task_pid in tree(scheduler) and parent != scheduler
    os.kill(parent, signal.SIGKILL)
    os.kill(task_pid, signal.SIGKILL)
    until(lambda: task_pid not in tree(scheduler), "the worker is dead", pause=0.05)


__all__ = ["Airflow", "DagRun", "Postgres", "initdb", "kill_worker", "memory", "time", "tree"]
