"""`pulpo dev`: serve while the code changes."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from pulpo.cli.options import project_root

FILE = "pulpo.toml"
_STOP_SECONDS = 10.0
_DEBOUNCE_MILLISECONDS = 200
_IGNORED = ("generated", ".pulpo", ".venv", ".git", "node_modules", "__pycache__", ".mypy_cache", ".pytest_cache")


def dev(*, port: Annotated[int | None, typer.Option(help="Listen on this port; by default api.port.")] = None) -> None:
    """Serve the API, and compile and restart it whenever a file is saved.

    While the code has problems they are shown, and the last version that compiled goes on serving.
    """
    import watchfiles

    root = project_root()
    with _server(root, port) as server:
        server.restart(compiled=compile_project(root))
        for changed in watchfiles.watch(
            root,
            watch_filter=lambda _change, path: is_source(root, Path(path)),
            stop_event=_told_to_stop(),
            debounce=_DEBOUNCE_MILLISECONDS,
            raise_interrupt=False,
        ):
            names = sorted({Path(path).relative_to(root).as_posix() for _, path in changed})
            typer.echo(f"changed  {', '.join(names)}", err=True)
            server.restart(compiled=compile_project(root))


def _told_to_stop() -> threading.Event:
    """Set by SIGTERM, so that the server is stopped with this process."""
    told = threading.Event()
    signal.signal(signal.SIGTERM, lambda _number, _frame: told.set())
    return told


def compile_project(root: Path) -> bool:
    """Compile in a fresh interpreter, which sees the code as it is now; whether it went well."""
    return subprocess.run([sys.executable, "-m", "pulpo.cli.main", "compile"], cwd=root, check=False).returncode == 0


class Server:
    """The API's process."""

    def __init__(self, root: Path, port: int | None) -> None:
        self._command = [sys.executable, "-m", "pulpo.cli.main", "serve", *(["--port", str(port)] if port else [])]
        self._root = root
        self._process: subprocess.Popen[bytes] | None = None

    def restart(self, *, compiled: bool) -> None:
        """Start anew with what was compiled; where it was not, leave what is running alone."""
        if not compiled:
            typer.echo("waiting for the next change", err=True)
            return
        self.stop()
        self._process = subprocess.Popen(self._command, cwd=self._root)  # noqa: S603 - this interpreter and numbers

    def stop(self) -> None:
        """End the process, gently first."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None


@contextmanager
def _server(root: Path, port: int | None) -> Iterator[Server]:
    server = Server(root, port)
    try:
        yield server
    finally:
        server.stop()


def is_source(root: Path, path: Path) -> bool:
    """Whether a change of this file may change what is compiled; what compiling itself writes does not."""
    parts = path.relative_to(root).parts
    if any(part in _IGNORED for part in parts[:-1]):
        return False
    return path.suffix == ".py" or parts[0] == "overrides" or parts == (FILE,)
