"""What is measured: servers as processes, several of one kind together, and SQLite without any."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import psutil

HERE = Path(__file__).resolve().parents[1] / "http"
CONNECTIONS = 32
ROWS = 10_000


class Measured(Protocol):
    """Something that can be loaded."""

    name: str
    scenarios: Sequence[str]

    def load(self, scenario: str, seconds: int, serial: int) -> dict[str, float]: ...


class Server:
    """A server process (with what it starts itself), its address and how it is started."""

    def __init__(
        self,
        name: str,
        command: list[str],
        environ: dict[str, str],
        folder: Path,
        scenarios: Sequence[str],
        first: str,
        rows: int = ROWS,
    ) -> None:
        self.name, self.command, self.environ, self.folder = name, command, environ, folder
        self.scenarios, self.first, self.rows = scenarios, first, rows
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: psutil.Popen | None = None

    def start(self) -> float:
        """Start it; the seconds until it first answers with 200."""
        log = self.folder / f"{self.name.replace(' ', '_')}.log"
        began = time.perf_counter()
        with log.open("ab") as out:
            command = [part.format(port=self.port) for part in self.command]
            environ = {**os.environ, **self.environ, "PYTHONDONTWRITEBYTECODE": "1"}
            self.process = psutil.Popen(command, cwd=self.folder, env=environ, stdout=out, stderr=out)
        while time.perf_counter() - began < 30 and self.process.poll() is None:
            try:
                with urllib.request.urlopen(self.url + self.first, timeout=5):
                    return time.perf_counter() - began
            except OSError:
                time.sleep(0.01)
        self.stop()
        sys.exit(f"{self.name} did not start:\n{log.read_text()[-2000:]}")

    def stop(self) -> None:
        """End it and all that it started."""
        if self.process is None or self.process.poll() is not None:
            return
        family = self._family()
        self.process.send_signal(signal.SIGTERM)
        _, left = psutil.wait_procs(family, timeout=12)
        for each in left:
            each.kill()
        self.process.wait()

    def _family(self) -> list[psutil.Process]:
        assert self.process is not None
        return [self.process, *self.process.children(recursive=True)]

    def memory(self) -> float:
        """MiB in memory."""
        return sum(each.memory_info().rss for each in self._family()) / 2**20

    def cpu(self) -> float:
        """Seconds of processor time so far."""
        return sum(sum(each.cpu_times()[:2]) for each in self._family())

    def load(self, scenario: str, seconds: int, serial: int) -> dict[str, float]:
        """Load it once."""
        return _loaded([self], scenario, seconds, serial)


class Together:
    """Several servers of one kind that share the load, as several processes on one port do."""

    def __init__(self, name: str, servers: list[Server], scenarios: Sequence[str]) -> None:
        self.name, self.servers, self.scenarios = name, servers, scenarios

    def load(self, scenario: str, seconds: int, serial: int) -> dict[str, float]:
        """Load them all at once, each with its share of the connections."""
        return _loaded(self.servers, scenario, seconds, serial)


class Alone:
    """SQLite in a process of its own: see `alone.py`."""

    scenarios = ("get", "post")

    def __init__(self, name: str, database: Path, rows: int) -> None:
        self.name, self.database, self.rows = name, database, rows

    def load(self, scenario: str, seconds: int, serial: int) -> dict[str, float]:
        """Let it work for so long."""
        command = [sys.executable, str(HERE / "alone.py"), scenario, str(self.database)]
        more = [str(seconds), str(serial), str(self.rows)]
        ran = subprocess.run([*command, *more], check=True, capture_output=True, text=True)
        return {**json.loads(ran.stdout), "failed": 0}


def _loaded(servers: list[Server], scenario: str, seconds: int, serial: int) -> dict[str, float]:
    """A `wrk` for each server at the same time: rates summed, the worst of the times."""
    before = [server.cpu() for server in servers]
    tools = []
    for place, server in enumerate(servers):
        command = ["wrk", "-t1", f"-c{CONNECTIONS // len(servers)}", f"-d{seconds}s", "--timeout", "30s"]
        environ = {"BENCH_SCENARIO": scenario, "BENCH_SERIAL": str(serial + place), "BENCH_ROWS": str(server.rows)}
        script = ["-s", str(HERE / "load.lua"), server.url]
        tools.append(
            subprocess.Popen([*command, *script], env={**os.environ, **environ}, stdout=subprocess.PIPE, text=True)
        )
    found = []
    for tool in tools:
        out, _ = tool.communicate(timeout=seconds + 60)
        found.append(json.loads(next(line for line in out.splitlines() if line.startswith("RESULT "))[7:]))
    used = sum(server.cpu() - began for server, began in zip(servers, before, strict=True))
    requests = sum(each["requests"] for each in found)
    return {
        "rate": sum((each["requests"] - each["bad"]) / each["seconds"] for each in found),
        "cpu_us": used / max(requests, 1) * 1e6,
        "p50_ms": max(each["p50_ms"] for each in found),
        "p99_ms": max(each["p99_ms"] for each in found),
        "failed": sum(each["bad"] + each["broken"] for each in found),
        "own_cpu": used,
    }
