"""The order system as processes that are killed: an API, workers, and who brings them back."""

from __future__ import annotations

import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Literal, Self

import httpx

from tests.proof.arena import Arena

Mode = Literal["api", "workers"]
TRACED = Path(__file__).with_name("traced")
PATIENCE = 60.0
WORKERS = 2
NOT_REACHABLE = 4
"""How a process ends that is started while its database is away."""


class Shop:
    """One API process, and with mode "workers" two workers that run the flows in its place.

    Every process can die at any time, by its own hand (a crash point) or by `kill`; `look_after` counts the dead and
    starts them again.

    Args:
        database_dies: The database is killed too: a process that could not begin without it is started again.
    """

    def __init__(self, arena: Arena, folder: Path, *, database_dies: bool = False) -> None:
        self.arena = arena
        self.folder = folder
        self.bodies = folder / "bodies.jsonl"
        self.mode: Mode = "api"
        self._database_dies = database_dies
        self.kills = 0
        self._port = _free_port()
        self._crash = ""
        self._next_crashes: list[str] = []
        self._armed: set[str] = set()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._http = httpx.Client(base_url=self.url, trust_env=False, timeout=30)
        self._keys = itertools.count(1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for name in list(self._processes):
            self._end(name)
        self._http.close()

    # processes

    @property
    def url(self) -> str:
        """Where the API listens."""
        return f"http://127.0.0.1:{self._port}"

    def open(self, mode: Mode, *crashes: str) -> None:
        """Have the processes of this mode run, and no others.

        Args:
            mode: Who runs flows.
            crashes: The point at which each of those dies; the next is for whoever is brought back after a death.
        """
        ending = list(self._processes) if mode != self.mode else self._executing() if crashes else list(self._armed)
        for name in ending:
            self._end(name)
        self.mode = mode
        self._crash, *self._next_crashes = [*crashes, ""]
        self._start_missing()

    def look_after(self, *, ready: bool = True) -> None:
        """Count those who died by SIGKILL and bring them back; with `ready`, until the API answers.

        Raises:
            AssertionError: A process ended in another way.
        """
        for name, process in list(self._processes.items()):
            if process.poll() is None:
                continue
            if self._database_dies and process.returncode == NOT_REACHABLE and "PULPO507" in self._said(name)[-200:]:
                self._end(name)
                continue
            assert process.returncode == -signal.SIGKILL, f"{name} ended with {process.returncode}: {self._said(name)}"
            self._end(name)
            if name in self._executing():
                self.kills += 1
                self._crash = self._next_crashes.pop(0) if self._next_crashes else ""
        self._start_missing(ready=ready)

    def kill(self, pid: int | None = None) -> bool:
        """SIGKILL whoever runs flows, or the one with this process id; whether it lived until now."""
        found = [self._processes[name] for name in self._executing() if name in self._processes]
        victims = [process for process in found if pid in (None, process.pid) and process.poll() is None]
        for process in victims:
            process.kill()
            process.wait()
        return bool(victims)

    def kill_one(self) -> bool:
        """SIGKILL the first of those who run flows that lives; whether one did."""
        pids = [self._processes[name].pid for name in self._executing() if self._processes[name].poll() is None]
        return bool(pids) and self.kill(pids[0])

    def any_dead(self) -> bool:
        """Whether a process has ended."""
        return any(process.poll() is not None for process in self._processes.values())

    def _executing(self) -> list[str]:
        return ["api"] if self.mode == "api" else [f"worker-{number}" for number in range(WORKERS)]

    def _start_missing(self, *, ready: bool = True) -> None:
        for name in dict.fromkeys(["api", *self._executing()]):
            if name not in self._processes:
                self._start(name)
        deadline = time.monotonic() + PATIENCE
        while ready and not self._answers():
            if self._processes["api"].poll() is not None:
                return  # it died again, at once: its crash point lies in what it took over
            assert time.monotonic() < deadline, "the API does not answer"
            time.sleep(0.03)

    def _start(self, name: str) -> None:
        environ = {
            **self.arena.environ,
            "PYTHONPATH": f"{TRACED}{os.pathsep}{self.arena.environ['PYTHONPATH']}",
            "BODIES_LOG": str(self.bodies),
            "PULPO_ENGINE_IN_API": str(self.mode == "api").lower(),
        }
        if name in self._executing() and self._crash:
            environ["PULPO_CRASH_AT"] = self._crash
            self._armed.add(name)
        command = ["pulpo.cli.main", "worker"]
        if name == "api":
            command = ["pulpo.runtime.http", "--root", str(self.arena.root), "--port", str(self._port)]
        with self._log(name).open("ab") as log:
            self._processes[name] = subprocess.Popen(
                [sys.executable, "-m", *command], cwd=self.arena.root, env=environ, stdout=log, stderr=log
            )

    def _end(self, name: str) -> None:
        self._armed.discard(name)
        process = self._processes.pop(name, None)
        if process is not None:
            process.kill()
            process.wait()

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def _said(self, name: str) -> str:
        return self._log(name).read_text(encoding="utf-8")[-2000:]

    def _answers(self) -> bool:
        try:
            return self._http.get("/readyz").status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    # a customer

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """POST as a patient client does: under one key, again after a crash, until there is an answer."""
        key = f"kills-{next(self._keys)}"
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                response = self._http.post(path, json=body, headers={"Idempotency-Key": key})
            except httpx.TransportError:
                assert time.monotonic() < deadline, f"POST {path}: nobody answers"
                self.look_after()
                continue
            if response.status_code == httpx.codes.CONFLICT and response.json()["code"] == "PULPO411":
                assert time.monotonic() < deadline, f"POST {path}: still running"
                time.sleep(0.05)  # the call that the crash interrupted is being finished
                continue
            assert response.is_success, f"POST {path}: {response.status_code} {response.text}"
            return response.json()

    def patch(self, path: str, body: dict[str, Any]) -> None:
        """PATCH, while nothing is being killed."""
        response = self._http.patch(path, json=body)
        assert response.is_success, f"PATCH {path}: {response.status_code} {response.text}"


class Gateway:
    """The gateway process, which is never killed: its books are the judge."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def plan(self, **fault: Any) -> None:
        """Tell it to be slow, or to hang, in its next call of a kind."""
        self._http.post("/control/faults", json=fault).raise_for_status()

    def wait_for_call(self, seconds: float = 20.0) -> bool:
        """Wait until a call has met the fault that was planned, so that it is open now."""
        deadline = time.monotonic() + seconds
        while self._http.get("/control/faults").raise_for_status().json():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.005)
        return True

    def behave(self) -> None:
        """Be healthy."""
        self._http.delete("/control/faults").raise_for_status()

    def books(self) -> dict[str, Any]:
        """Charges and entries."""
        found: dict[str, Any] = self._http.get("/ledger").raise_for_status().json()
        return found


def lines(path: Path) -> list[dict[str, Any]]:
    """What the bodies wrote."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
