"""A temporary copy of a project, running: its own database and free ports, so that the project is not disturbed."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pulpo import settings as configuration
from pulpo.errors import PulpoError
from pulpo.runtime import target

_LEFT_OUT = shutil.ignore_patterns(".pulpo", ".venv", ".git", "node_modules", "__pycache__", ".*_cache", "tests")


@contextmanager
def temporary_project(root: Path, delay: str, report: Callable[[str], None]) -> Iterator[str]:
    """Copy a project, start its services, give the address of its API, and take everything down again.

    Args:
        root: The project to copy; nothing in it is changed.
        delay: `NAME=SECONDS,…`, waiting to add to steps.
        report: Is told what comes next, in a few words.

    Raises:
        PulpoError: PULPO702, it did not come up.
    """
    with tempfile.TemporaryDirectory(prefix="pulpo-bench-") as folder:
        copy = Path(folder, root.name)
        shutil.copytree(root, copy, ignore=_LEFT_OUT)
        environment = _environment(root, delay)
        try:
            report("starting a temporary copy")
            _pulpo(copy, environment, "compile")
            _pulpo(copy, environment, "up")
            api = target.running_api(copy)
            if api is None:
                raise PulpoError("PULPO702", "the API of the temporary copy does not answer")
            yield api
        finally:
            _pulpo(copy, environment, "down")


def _environment(root: Path, delay: str) -> dict[str, str]:
    """This process's environment, with everything that could lead back to the project replaced."""
    services = configuration.load(root).services
    changed = {
        "PULPO_DATABASE_URL": "sqlite:///.pulpo/data.db",
        "PULPO_API_PORT": str(free_port()),
        "PULPO_UI_PORT": str(free_port()),
        "PULPO_ENGINE_DELAY": delay,
    }
    for name, service in services.items():
        if service.port is not None:
            changed[configuration.service_variable(name, "port")] = str(free_port())
    return {name: value for name, value in os.environ.items() if name != "PULPO_API_URL"} | changed


def free_port() -> int:
    """A port of this machine that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _pulpo(folder: Path, environment: dict[str, str], *arguments: str) -> None:
    command = [sys.executable, "-m", "pulpo.cli.main", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)  # noqa: S603 - this interpreter and words of our own
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip()).replace("\n", "\n  | ")
        raise PulpoError("PULPO702", f"`pulpo {' '.join(arguments)}` in a temporary copy:\n  | {said}")
