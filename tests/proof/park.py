"""What the proof of many machines runs on: installations by pip, a database, a Prefect server on PostgreSQL and Redis.

Everything is a process of its own that ends with the `with` block of its `Park`.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeAlias

import httpx
import psutil

from pulpo.runtime.prefect.place import Place
from pulpo.services import mongod
from pulpo.services.mongod import free_port
from pulpo.services.prefect import environment
from pulpo.services.processes import end
from pulpo.settings import PrefectSettings, Settings
from tests.proof import postgres
from tests.proof.arena import EXAMPLE, LEFT_OUT, REPOSITORY
from tests.proof.kill_town import TRACED
from tests.proof.network import Together

HEAD = "head"
"""Where the API, the gateway and the Prefect server run."""
PATIENCE = 120.0
Words: TypeAlias = list[str | Path]
"""A command line."""
_GATEWAY = """
import sys, uvicorn
from pathlib import Path
from gateway.app import create_app
uvicorn.run(create_app(Path("gateway.db")), host=sys.argv[1], port=int(sys.argv[2]), log_level="warning")
"""
"""The gateway as the project starts it, at an address that machines reach."""


def missing() -> list[str]:
    """The programs that are not here."""
    found = [] if postgres.programs() else ["PostgreSQL (initdb, postgres)"]
    return found + ([] if shutil.which("redis-server") else ["Redis (redis-server)"])


@dataclass
class Installation:
    """A machine as somebody sets it up: an environment with Pulpo by pip, a home, and a copy of the project."""

    name: str
    folder: Path

    @property
    def project(self) -> Path:
        """Its copy, and where its processes work."""
        return self.folder / "ecommerce-app"

    @property
    def programs(self) -> Path:
        """Its virtual environment's."""
        return self.folder / "venv" / "bin"

    @property
    def bodies(self) -> Path:
        """Where operations' bodies leave a line on this machine."""
        return self.folder / "bodies.jsonl"

    def environ(self, settings: Mapping[str, str] | None = None) -> dict[str, str]:
        """What a login there has, these settings, and where bodies leave their lines, which only the proof wants."""
        home = {"HOME": str(self.folder), "LANG": "C.UTF-8", "VIRTUAL_ENV": str(self.folder / "venv")}
        note = {"PYTHONPATH": str(TRACED), "BODIES_LOG": str(self.bodies)}
        return {"PATH": f"{self.programs}:/usr/bin:/bin:/usr/sbin:/sbin", **home, **note, **(settings or {})}

    def install(self, wheel: Path, *more: str) -> None:
        """`pip install`, as a user does, with the newest of everything that it admits."""
        self.folder.mkdir()
        subprocess.run([sys.executable, "-m", "venv", self.folder / "venv"], check=True, capture_output=True)
        words: Words = [self.programs / "python", "-m", "pip", "install", f"{wheel}[prefect,mongodb]", *more]
        done = subprocess.run(words, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr

    def copy_project(self, more: str) -> None:
        """A copy of the order system with these lines at the end of its `pulpo.toml`, compiled here."""
        shutil.copytree(EXAMPLE, self.project, ignore=LEFT_OUT)
        with (self.project / "pulpo.toml").open("a", encoding="utf-8") as file:
            file.write(more)
        tomllib.loads((self.project / "pulpo.toml").read_text(encoding="utf-8"))
        words: Words = [self.programs / "pulpo", "compile"]
        done = subprocess.run(words, cwd=self.project, env=self.environ(), check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def install(folder: Path, names: Iterable[str]) -> dict[str, Installation]:
    """Build the wheel of this working tree and install it on each of these machines, and with Redis on the head."""
    words: Words = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder / "dist", REPOSITORY]
    subprocess.run(words, check=True, capture_output=True)
    (wheel,) = (folder / "dist").glob("*.whl")
    made = {name: Installation(name, folder / name) for name in (HEAD, *names)}
    with ThreadPoolExecutor(2) as pool:
        more = {HEAD: ["prefect-redis"]}
        for done in [pool.submit(each.install, wheel, *more.get(name, ())) for name, each in made.items()]:
            done.result()
    return made


@dataclass
class Park:
    """Machines, and the servers that they share.

    Args:
        folder: An empty folder. network: How machines are kept apart. made: What was installed, by machine.
        settings: Lines for the end of each copy's `pulpo.toml`, after its `[app]`.
    """

    folder: Path
    network: Together
    made: Mapping[str, Installation]
    settings: str
    database: str = ""
    gateway: str = ""
    api: str = ""
    prefect: Place = field(init=False)
    workers: dict[str, psutil.Popen] = field(default_factory=dict)
    _ends: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._ends.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.close()

    @property
    def machines(self) -> tuple[str, ...]:
        """Those with a worker."""
        return tuple(name for name in self.made if name != HEAD)

    @property
    def three_settings(self) -> dict[str, str]:
        """All that a machine is told."""
        return {
            "PULPO_DATABASE_URL": self.database,
            "PULPO_PREFECT_URL": self.prefect.url,
            "PULPO_PREFECT_AUTH": self.prefect.auth,
        }

    def _start(self) -> None:
        here, head = self.network.address, self.made[HEAD]
        member = mongod.start(self.folder / "mongod", reached_at=here)
        self._ends.callback(member.stop)
        mongod.initiate((member.port,), reached_at=here)
        self.database = f"mongodb://{here}:{member.port}/shop?replicaSet={mongod.SET}"
        self.gateway = f"http://{here}:{free_port()}"
        for each in self.made.values():
            each.copy_project(f'gateway_url = "{self.gateway}"\n{self.settings}')
        self._serve_prefect(self._ends.enter_context(postgres.cluster()), self._redis())
        words: Words = [head.programs / "python", "-c", _GATEWAY, here, self.gateway.rpartition(":")[2]]
        self._process("gateway", words, head.project, head.environ())
        self._answers("gateway", lambda: httpx.get(f"{self.gateway}/livez", trust_env=False).is_success)
        self.api = f"http://127.0.0.1:{free_port()}"
        words = [head.programs / "python", "-m", "pulpo.runtime.http", "--port", self.api.rpartition(":")[2]]
        self._process("api", words, head.project, head.environ(self.three_settings))
        self._answers("api", lambda: httpx.get(f"{self.api}/readyz", trust_env=False).is_success)
        for name in self.machines:
            each = self.made[name]
            words = [*self.network.command(name, str(each.programs / "pulpo"), "worker")]
            self.workers[name] = self._process(name, words, each.project, each.environ(self.three_settings))
            self._ends.callback(self._shut_down, name)
        for name in self.machines:
            self._answers(name, lambda name=name: "ready, in the work pool" in self.log(name))  # type: ignore[misc]

    def _redis(self) -> str:
        """A Redis server of the proof's own, which keeps nothing; its `prefect.redis`."""
        port, program, password = free_port(), shutil.which("redis-server"), secrets.token_urlsafe(24)
        assert program is not None
        words: Words = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        words += ["--requirepass", password]
        self._process("redis", words, self.folder, {})
        self._answers("redis", lambda: "Ready to accept connections" in self.log("redis"))
        return f"redis://default:{password}@127.0.0.1:{port}/0"

    def _serve_prefect(self, database: str, redis: str) -> None:
        """`prefect server start`, with what `pulpo up` tells its own server, at an address that machines reach."""
        head, port = self.made[HEAD], free_port()
        auth = f"pulpo:{secrets.token_urlsafe(24)}"
        self.prefect = Place(f"http://{self.network.address}:{port}/api", auth, "ecommerce-app", own=False)
        given = Settings(prefect=PrefectSettings.model_validate({"database": database, "redis": redis}))
        environ = {**head.environ(), **environment(given, self.folder / "prefect", self.prefect)}
        words: Words = [
            head.programs / "prefect",
            "server",
            "start",
            "--host",
            self.network.address,
            "--port",
            str(port),
        ]
        self._process("prefect", words, head.folder, environ)
        self._answers("prefect", lambda: self.ask_prefect("GET", "/health") is True)

    def ask_prefect(self, method: str, path: str, body: Any = None) -> Any:
        """What the Prefect server answers."""
        user, _, password = self.prefect.auth.partition(":")
        answer = httpx.request(
            method, f"{self.prefect.url}{path}", json=body, auth=(user, password), trust_env=False, timeout=30
        )
        return answer.raise_for_status().json()

    def kill(self, machine: str) -> None:
        """The end of a machine: its link is down, and all of its processes are gone."""
        self.network.cut(machine)
        for pid in self.network.processes(machine):
            os.kill(pid, signal.SIGKILL)
        self.workers[machine].kill()
        self.workers[machine].wait()

    def _shut_down(self, machine: str) -> None:
        """Tell its worker, which is not the process that was started where that separates it."""
        for pid in self.network.processes(machine):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)

    def log(self, name: str) -> str:
        """What a process has said."""
        return (self.folder / f"{name}.log").read_text(encoding="utf-8", errors="replace")

    def _process(
        self,
        name: str,
        words: Words,
        folder: Path,
        environ: dict[str, str],
        *,
        stop: signal.Signals = signal.SIGTERM,
        **who: Any,
    ) -> psutil.Popen:
        with (self.folder / f"{name}.log").open("ab") as log:
            process = psutil.Popen(
                [str(word) for word in words],
                cwd=folder,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **who,
            )
        self._ends.callback(self._stop, process, stop)
        return process

    def _stop(self, process: psutil.Popen, how: signal.Signals) -> None:
        if process.poll() is None:
            process.send_signal(how)
        end([process], patience=20.0)

    def _answers(self, name: str, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                if holds():
                    return
            except httpx.HTTPError:
                pass
            assert time.monotonic() < deadline, f"{name} is not ready: {self.log(name)[-3000:]}"
            time.sleep(0.1)
