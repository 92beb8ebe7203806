"""`pulpo serve`, `worker` and `dev`: processes that stay, and end when they are told to."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pulpo.cli.dev import is_source

from .conftest import Run, free_port

PATIENCE = 20.0


@contextmanager
def pulpo(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A command in a process of its own; killed if it has not ended by itself."""
    command = [sys.executable, "-m", "pulpo.cli.main", *arguments]
    with said(folder).open("w") as output:
        process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=output)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def said(folder: Path) -> Path:
    """The file that keeps what the processes of a project print."""
    return folder.parent / "said.txt"


def eventually(holds: Callable[[], bool], what: str) -> None:
    """Wait until something outside of this process is so."""
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, what
        time.sleep(0.05)


def answers(url: str) -> bool:
    """Whether an address answers 200."""
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def stop(process: subprocess.Popen[bytes]) -> int:
    """SIGTERM, and the exit code."""
    process.send_signal(signal.SIGTERM)
    return process.wait(PATIENCE)


def test_serve(desk: Path) -> None:
    """The API on the port that was asked for; SIGTERM ends it with 0."""
    port = free_port()
    with pulpo(desk, "serve", "--port", str(port)) as process:
        eventually(lambda: answers(f"http://127.0.0.1:{port}/livez"), "the API is up")
        assert stop(process) == 0
    assert not answers(f"http://127.0.0.1:{port}/livez")


def test_a_worker_takes_up_what_waits(run: Run, desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An API that only takes orders queues a run; a worker carries it out, and ends with 0 on SIGTERM."""
    port = free_port()
    monkeypatch.setenv("PULPO_ENGINE_IN_API", "false")
    with pulpo(desk, "serve", "--port", str(port)) as api, pulpo(desk, "worker") as worker:
        eventually(lambda: answers(f"http://127.0.0.1:{port}/livez"), "the API is up")
        monkeypatch.setenv("PULPO_API_URL", f"http://127.0.0.1:{port}")
        ran = run("flows", "run", "tickets", "--input", '{"title": "No coffee"}', "--wait", "--timeout", "15", "--json")
        assert (ran.code, json.loads(ran.out)["state"]) == (0, "completed")
        assert stop(worker) == 0
        assert stop(api) == 0


def test_dev_compiles_on_save_and_survives_mistakes(desk: Path) -> None:
    """A new model is served after a save; a mistake is shown and what ran goes on; SIGTERM ends both."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with pulpo(desk, "dev", "--port", str(port)) as process:
        eventually(lambda: answers(f"{url}/livez"), "the API is up")
        model = desk / "models" / "room.py"
        model.write_text(
            "from pulpo import Model, datamodel\n\n\n@datamodel\nclass Room(Model):\n"
            '    """A room."""\n\n    name: str\n'
        )
        eventually(lambda: answers(f"{url}/rooms"), "the new model is served")
        model.write_text("class Room(:\n")
        (desk / "note.txt").write_text("not a source")
        eventually(lambda: "waiting for the next change" in said(desk).read_text(), "the mistake was seen")
        assert "PULPO101" in said(desk).read_text()
        assert answers(f"{url}/rooms")
        assert stop(process) == 0
    assert not answers(f"{url}/livez")


ROUTES = """
import os
import sys
from fastapi import APIRouter

if "generated.api.app" in sys.modules and not os.path.exists("ready"):  # compiles, and is not served
    raise RuntimeError("not yet")
router = APIRouter()


@router.get("/process")
async def process() -> int:
    return os.getpid()
"""


def test_dev_replaces_what_serves_by_what_loads(desk: Path) -> None:
    """What does not load leaves the old process serving; one that dies is said, and started at the next change."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"

    def number() -> int:
        with urllib.request.urlopen(f"{url}/process", timeout=2) as response:
            return int(response.read())

    with pulpo(desk, "dev", "--port", str(port)) as process:
        eventually(lambda: answers(f"{url}/livez"), "the API is up")
        (desk / "routes.py").write_text(ROUTES)
        eventually(lambda: "not loaded" in said(desk).read_text(), "the mistake was seen")
        assert "not yet" in said(desk).read_text()
        assert answers(f"{url}/livez")
        assert not answers(f"{url}/process")
        (desk / "ready").touch()
        (desk / "routes.py").write_text(f"{ROUTES}\n")
        eventually(lambda: answers(f"{url}/process"), "the new routes are served")
        first = number()
        os.kill(first, signal.SIGKILL)
        eventually(lambda: "the server has ended (-9)" in said(desk).read_text(), "the end was seen")
        assert not answers(f"{url}/livez")
        (desk / "routes.py").write_text(f"{ROUTES}\n\n")
        eventually(lambda: answers(f"{url}/process"), "it serves again")
        assert number() != first
        assert stop(process) == 0
    assert not answers(f"{url}/livez")


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("models/order.py", True),
        ("flows.py", True),
        ("pulpo.toml", True),
        ("overrides/graphs/README.md", True),
        ("generated/api/app.py", False),
        ("pulpo.lock", False),
        ("openapi.json", False),
        (".pulpo/data.db", False),
        (".venv/lib/x.py", False),
        ("shop/__pycache__/x.py", False),
        ("README.md", False),
    ],
)
def test_what_dev_watches(path: str, source: bool) -> None:
    """Sources, settings and overrides; never what compiling or running writes, or it would not come to rest."""
    root = Path(os.sep, "home", "generated", "project")
    assert is_source(root, root / path) is source
