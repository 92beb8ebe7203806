"""A compiled copy of the order app in a folder of its own, and the real processes that work on it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import httpx

REPOSITORY = Path(__file__).parents[2]
EXAMPLE = REPOSITORY / "examples" / "ecommerce-app"
_PATIENCE = 60.0
LEFT_OUT = shutil.ignore_patterns("generated", ".pulpo", "tests", "__pycache__")


def errors(log: Iterable[str]) -> list[str]:
    """The lines of a log that tell of an error, and those that are no log lines at all: something else wrote them."""
    found = []
    for line in log:
        try:
            level = json.loads(line)["level"]
        except (ValueError, KeyError, TypeError):
            level = "none"
        if level not in ("debug", "info", "warning"):
            found.append(line.rstrip()[:300])
    return found


class ApiProcess:
    """`python -m pulpo.runtime.http` on a free port; its log, one JSON line per record, is kept in memory."""

    def __init__(self, root: Path, environ: dict[str, str]) -> None:
        command = [sys.executable, "-m", "pulpo.runtime.http", "--root", str(root), "--port", "0"]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environ, cwd=root)
        assert self.process.stderr is not None
        self.log: list[str] = []
        first = self.process.stderr.readline()
        assert "listening on" in first, first + self.process.stderr.read()
        self.url: str = json.loads(first)["message"].removeprefix("listening on ")
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        self.log.extend(self.process.stderr)

    def stop(self) -> None:
        """SIGTERM, and SIGKILL where that was not enough."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._reader.join(5)


class Arena:
    """The shop under proof. What it starts ends with the `with` block.

    Args:
        folder: An empty folder, the arena's own.
        database: Where the shop keeps its data; without it in the SQLite file of a new project.
        settings: Environment variables of the shop's processes (`PULPO_ENGINE_LEASE`).
    """

    def __init__(self, folder: Path, *, database: str = "", **settings: str) -> None:
        self.root = folder / "ecommerce-app"
        self._database = database
        self.gateway_port = _free_port()
        self._ends = ExitStack()
        self._settings = settings

    @property
    def gateway_url(self) -> str:
        """Where the gateway listens once it was started."""
        return f"http://127.0.0.1:{self.gateway_port}"

    @property
    def environ(self) -> dict[str, str]:
        """The environment of the shop's processes: this one's without what is set for another shop."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PULPO_")}
        ours = {"PULPO_SERVICES_GATEWAY_PORT": str(self.gateway_port), **self._settings}
        return {
            **kept,
            **ours,
            "PYTHONPATH": f"{REPOSITORY / 'src'}{os.pathsep}{REPOSITORY}",
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def __enter__(self) -> Self:
        shutil.copytree(EXAMPLE, self.root, ignore=LEFT_OUT)
        if self._database:  # in the file, where processes find it that are started without this environment
            with (self.root / "pulpo.toml").open("a", encoding="utf-8") as file:
                file.write(f'\n[database]\nurl = "{self._database}"\n')
        command = [sys.executable, "-m", "pulpo.cli.main", "compile"]
        done = subprocess.run(command, cwd=self.root, env=self.environ, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.close()

    def start_api(self, **settings: str) -> ApiProcess:
        """An API process more on the shop's database; it listens when this returns."""
        api = ApiProcess(self.root, {**self.environ, **settings})
        self._ends.callback(api.stop)
        return api

    def start_gateway(self, *options: str) -> httpx.Client:
        """The gateway process, with a ledger of its own; a client for its control and its books."""
        command = [
            sys.executable,
            "-m",
            "gateway",
            "--port",
            str(self.gateway_port),
            "--ledger",
            "gateway.db",
            *options,
        ]
        process = subprocess.Popen(command, cwd=self.root, env=self.environ)
        self._ends.callback(_end, process)
        client = httpx.Client(base_url=self.gateway_url, trust_env=False, timeout=30)
        self._ends.callback(client.close)
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                client.get("/livez").raise_for_status()
            except httpx.TransportError:
                assert process.poll() is None, "the gateway ended"
                assert time.monotonic() < deadline, "the gateway does not answer"
                time.sleep(0.05)
            else:
                return client

    def inside(self, task: str, *arguments: str) -> subprocess.Popen[str]:
        """A process that has the shop's code loaded and works on its database: see `tests.proof.inside`."""
        command = [sys.executable, "-m", "tests.proof.inside", str(self.root), task, *arguments]
        pipe = subprocess.PIPE
        process = subprocess.Popen(command, cwd=REPOSITORY, env=self.environ, stdin=pipe, stdout=pipe, text=True)
        self._ends.callback(_end, process)
        return process

    def ask_inside(self, task: str, *arguments: str) -> Any:
        """Run such a process to its end; the JSON that it printed last."""
        process = self.inside(task, *arguments)
        out, _ = process.communicate(timeout=300)
        assert process.returncode == 0, f"{task} ended with {process.returncode}"
        return json.loads(out.splitlines()[-1])

    def violations(self, books: dict[str, Any] | None = None) -> list[str]:
        """What does not hold in the shop, the gateway's books included if given."""
        if books is not None:
            (self.root / "books.json").write_text(json.dumps(books), encoding="utf-8")
        found: list[str] = self.ask_inside("violations", *(["books.json"] if books is not None else []))
        return found

    def documents(self, *collections: str) -> dict[str, list[dict[str, Any]]]:
        """All documents of these collections; those of the journal begin with `_`."""
        found: dict[str, list[dict[str, Any]]] = self.ask_inside("documents", *collections)
        return found


def _end(process: subprocess.Popen[Any]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
