"""A newcomer's machine: an empty home, a fresh virtual environment, and Pulpo as the wheel of this working tree.

Made once for a whole test session, by the commands that a newcomer types.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

REPO = Path(__file__).resolve().parents[2]
_KEPT_OUT = ("PULPO_", "PYTHON", "PYTEST_", "VIRTUAL_ENV", "XDG_", "COV_")
_NEWER = "fastapi==0.165.0"
_STASHED = pytest.StashKey["Machine"]()


@dataclass(frozen=True)
class Ran:
    """What a command line did."""

    command: str
    code: int
    out: str
    err: str

    def __str__(self) -> str:
        return f"$ {self.command}\n{self.out}{self.err}-> exit code {self.code}"


@dataclass(frozen=True)
class Machine:
    """Where a newcomer types: `bash`, with only what a fresh installation has in its environment."""

    wheel: Path
    environment: dict[str, str]
    installation: Ran
    store: str = "sqlite"

    def settings(self) -> dict[str, str]:
        """What a project on this machine's kind of database is told: nothing, or where its own server is to listen."""
        here = f"mongodb://127.0.0.1:{free_port()}/shop"
        return {"PULPO_DATABASE_URL": here} if self.store == "mongodb" else {}

    @property
    def python(self) -> Path:
        """The virtual environment's interpreter."""
        return Path(self.environment["VIRTUAL_ENV"]) / "bin" / "python"

    def start(self, command: str, folder: Path, settings: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """Begin a command line, as typed in this folder."""
        return subprocess.Popen(
            ["/bin/bash", "-c", command],
            cwd=folder,
            env={**self.environment, **(settings or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(
        self,
        command: str,
        folder: Path,
        *,
        code: int | None = 0,
        timeout: float = 120.0,
        settings: Mapping[str, str] | None = None,
    ) -> Ran:
        """Run a command line to its end. Unless `code` is None it must end with that exit code."""
        return ended(self.start(command, folder, settings), command, code=code, timeout=timeout)

    def curl(self, command: str, folder: Path) -> httpx.Response:
        """Send what a `curl` command line says, by curl where the machine has one; the answer."""
        if shutil.which("curl") is None:
            return _sent(command)
        ran = self.run(f"{command.strip()} --silent --show-error --include --max-time 20", folder)
        head, _, body = ran.out.replace("\r\n", "\n").partition("\n\n")
        status, *lines = head.splitlines()
        headers = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        return httpx.Response(int(status.split()[1]), headers=headers, content=body.encode())


def ended(process: subprocess.Popen[str], command: str, *, code: int | None = 0, timeout: float = 120.0) -> Ran:
    """What a process did, once it has ended."""
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        pytest.fail(f"still running after {timeout:.0f} s: {command}\n{out}{err}")
    ran = Ran(command, process.returncode, out, err)
    assert code is None or ran.code == code, str(ran)
    return ran


def installed(config: pytest.Config, factory: pytest.TempPathFactory) -> Machine:
    """The session's machine: its wheel built, its environment made, `pip install pulpo-core` run, once."""
    if _STASHED not in config.stash:
        config.stash[_STASHED] = _install(factory.mktemp("machine"))
    return config.stash[_STASHED]


def free_port() -> int:
    """A port of this machine that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def is_free(port: int) -> bool:
    """Whether a server could listen on this port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _install(folder: Path) -> Machine:
    """Build the wheel and install it, with its dependencies, by pip; versions are the lock's, FastAPI's apart."""
    home, dist, venv, constraints = (folder / name for name in ("home", "dist", "venv", "constraints.txt"))
    home.mkdir()
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(dist), str(REPO)]
    subprocess.run(build, check=True, capture_output=True, timeout=120)
    (wheel,) = dist.glob("*.whl")
    pins = re.findall(r"^(\S+==[^\\]+?) *\\$", (REPO / "requirements.lock").read_text(), re.MULTILINE)
    # The lock's FastAPI is the newest that a Prefect server runs with; who has no Prefect gets a newer one.
    constraints.write_text("\n".join(_NEWER if pin.startswith("fastapi==") else pin for pin in pins))
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True, capture_output=True, timeout=120)
    cache = subprocess.run(
        [sys.executable, "-m", "pip", "cache", "dir"], check=True, capture_output=True, text=True, timeout=60
    ).stdout.strip()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_KEPT_OUT)} | {
        "HOME": str(home),
        "VIRTUAL_ENV": str(venv),
        "PATH": os.pathsep.join([str(venv / "bin"), os.environ["PATH"]]),
        "PIP_FIND_LINKS": " ".join([str(dist), os.environ.get("PIP_FIND_LINKS", "")]).strip(),
        "PIP_CONSTRAINT": str(constraints),
        "PIP_CACHE_DIR": cache,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    bare = Machine(wheel, environment, Ran("", 0, "", ""))
    return Machine(wheel, environment, bare.run("pip install pulpo-core", folder, timeout=300.0))


def _sent(command: str) -> httpx.Response:
    """The request of a `curl` command line, sent without curl."""
    words = iter(shlex.split(command.replace("\\\n", " "))[1:])
    method, address, headers, data = "GET", "", {}, None
    for word in words:
        match word:
            case "-X":
                method = next(words)
            case "-H":
                name, _, value = next(words).partition(":")
                headers[name] = value.strip()
            case "-d":
                data = next(words)
            case _:
                address = word
    return httpx.request(method, address, headers=headers, content=data, timeout=20.0)
