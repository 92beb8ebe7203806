"""One project with the Prefect engine, started by `pulpo up` for all of these tests."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from pulpo.runtime.journal import END_STATES
from pulpo.services import drive
from tests.compile.projects import write
from tests.phase3.newcomer import free_port
from tests.prefect.trips import FLOWS, MODELS, OPERATIONS, WALKS

Json = Any


@dataclass
class Stack:
    """A running project: its API, its Prefect server, and what people do with them."""

    root: Path
    environment: dict[str, str]
    api: httpx.Client = field(init=False)
    prefect: httpx.Client = field(init=False)

    def connect(self) -> None:
        self.api = httpx.Client(base_url=f"http://127.0.0.1:{self.environment['PULPO_API_PORT']}", timeout=20)
        user, _, password = (self.root / ".pulpo/prefect/auth").read_text().partition(":")
        where = f"http://127.0.0.1:{self.environment['PULPO_PREFECT_PORT']}/api"
        self.prefect = httpx.Client(base_url=where, auth=(user, password), timeout=20)

    def pulpo(self, *words: str, code: int = 0) -> str:
        """What a command of Pulpo's prints."""
        return self.python("-m", "pulpo.cli.main", *words, code=code)

    def python(self, *words: str, code: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, *words],
            cwd=self.root,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def prefect_command(self, *words: str) -> str:
        """What a command of Prefect's prints."""
        home = str(self.root / ".pulpo/prefect")
        known = {
            "PREFECT_API_URL": str(self.prefect.base_url).rstrip("/"),
            "PREFECT_API_AUTH_STRING": (self.root / ".pulpo/prefect/auth").read_text(),
            "PREFECT_HOME": home, "DO_NOT_TRACK": "1", "COLUMNS": "200",
        }  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-m", "prefect", *words],
            cwd=self.root, env={**self.environment, **known}, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def trip(self) -> str:
        return str(self.api.post("/trips", json={}).raise_for_status().json()["id"])

    def begin(self, mode: str = "", flow: str = "trips") -> str:
        """The id of a run that was just begun."""
        body = {"trip_id": self.trip(), "mode": mode}
        answer = self.api.post(f"/flows/{flow}/runs", json=body)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def run(self, id: str) -> Json:
        return self.api.get(f"/runs/{id}").raise_for_status().json()

    def until(self, id: str, *states: str, seconds: float = 60.0) -> Json:
        """The run, as soon as it is in one of these states, by default at an end."""
        wanted = set(states) or END_STATES
        return until(lambda: (run := self.run(id))["state"] in wanted and run, seconds, lambda: self.run(id))

    def flow_run(self, id: str, *states: str) -> Json:
        """The run's flow run in Prefect, as soon as its state has one of these names."""
        flow_run = until(lambda: self.run(id)["prefect"])

        def found() -> Json:
            return self.prefect.get(f"/flow_runs/{flow_run}").raise_for_status().json()

        return until(lambda: (now := found())["state_name"] in states and now, 20.0, found)

    def deployment(self) -> Json:
        """The flow's deployment, as soon as the worker has registered it."""
        where = "/deployments/name/trips/travel"
        return until(lambda: (answer := self.prefect.get(where)).is_success and answer.json())

    def calls(self, run: str) -> list[str]:
        """What the run's operations did, in order: `hold`, `charge` and so on."""
        return [what for what, id, _ in self._calls() if id == run]

    def keys(self, run: str, what: str) -> list[str]:
        return [key for said, id, key in self._calls() if id == run and said == what]

    def _calls(self) -> list[list[str]]:
        file = self.root / "calls.log"
        return [line.split() for line in file.read_text().splitlines()] if file.exists() else []

    def go(self) -> None:
        (self.root / "go").touch()

    def kill_worker(self) -> None:
        """`kill -9` of the worker; its supervisor starts another."""
        os.kill(self.worker(), signal.SIGKILL)

    def worker(self) -> int:
        """The worker's process id, as soon as it is ready."""
        return int(until(lambda: [each["pid"] for each in self.status()["services"]
                                  if each["name"] == "worker-1" and each["pid"]], 20.0)[0])  # fmt: skip

    def supervisor_said(self, pid: int) -> str:
        """What the supervisor noted of how a process of the worker ended."""
        lines = (self.root / ".pulpo/logs/supervisord.log").read_text().splitlines()
        spawned = next(n for n, line in enumerate(lines) if line.endswith(f"'worker-1' with pid {pid}"))
        return next((line for line in lines[spawned:] if "exited: worker-1" in line), "")

    def status(self) -> Json:
        done = subprocess.run(
            [sys.executable, "-m", "pulpo.cli.main", "status", "--json"],
            cwd=self.root, env=self.environment, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        return json.loads(done.stdout)


def until(found: Callable[[], Any], seconds: float = 30.0, instead: Callable[[], Any] = lambda: None) -> Any:
    """What is found, as soon as it is something."""
    deadline = time.monotonic() + seconds
    while not (value := found()):
        if time.monotonic() > deadline:
            pytest.fail(f"not within {seconds:g} s; now: {instead()}")
        time.sleep(0.05)
    return value


@pytest.fixture(scope="session")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    root = tmp_path_factory.mktemp("prefect") / "travel"
    root.mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PULPO_", "PREFECT_"))}
    environment |= {
        "PULPO_API_PORT": str(free_port()),
        "PULPO_UI_PORT": str(free_port()),
        "PULPO_PREFECT_PORT": str(free_port()),
        "PULPO_ENGINE_LEASE": "3",
    }
    stack = Stack(root, environment)
    write(
        root,
        {"models/trip.py": MODELS, "operations/trips.py": OPERATIONS, "operations/walks.py": WALKS, "flows.py": FLOWS},
    )
    stack.pulpo("cli", "init", "--engine", "prefect")
    with (root / "pulpo.toml").open("a") as settings:
        settings.write('\n[engine.flows]\ntours = "embedded"\n')
    try:
        stack.pulpo("up")
        stack.connect()
        stack.deployment()  # whoever registers it first also says its queue, and tests change what the project says
        yield stack
        stack.pulpo("down")
        assert not drive.status(root).leftovers
    finally:
        drive.down(root)


@pytest.fixture
def stack(started: Stack) -> Iterator[Stack]:
    (started.root / "go").unlink(missing_ok=True)
    yield started
    started.go()
