"""`pulpo dev`: serve while the code changes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Annotated

import typer

from pulpo.cli.options import project_root

FILE = "pulpo.toml"
_STOP_SECONDS = 10.0
_PRELOADED = ["typer", "pulpo.cli.compile", "pulpo.cli.dev", "pulpo.project", "pulpo.runtime.http.serve"]
_DEBOUNCE_MILLISECONDS = 200
_LOOK_MILLISECONDS = 500
"""Between looks at whether the server lives."""
_IGNORED = ("generated", ".pulpo", ".venv", ".git", "node_modules", "__pycache__", ".mypy_cache", ".pytest_cache")


def dev(
    *,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Listen on this port; by default api.port.")
    ] = None,
) -> None:
    """Serve the API, and compile and restart it whenever a file is saved.

    While the code has problems they are shown, and the last version that compiled and loads goes on serving.
    """
    import watchfiles

    root = project_root()
    _refuse_taken(root, port)
    stop = _told_to_stop()
    processes = Processes(root)
    with _server(processes, port, stop) as server:
        server.restart(compiled=processes.compile())
        for changed in watchfiles.watch(
            root,
            watch_filter=lambda _change, path: is_source(root, Path(path)),
            stop_event=stop,
            debounce=_DEBOUNCE_MILLISECONDS,
            rust_timeout=_LOOK_MILLISECONDS,
            yield_on_timeout=True,
            raise_interrupt=False,
        ):
            if not changed:
                server.look()
                continue
            names = sorted({Path(path).relative_to(root).as_posix() for _, path in changed})
            typer.echo(f"changed  {', '.join(names)}", err=True)
            server.restart(compiled=processes.compile())


def _refuse_taken(root: Path, port: int | None) -> None:
    """Raise PulpoError PULPO701 where something listens there already; settings that cannot be read are said later."""
    from pulpo import settings
    from pulpo.errors import PulpoError
    from pulpo.services import ports
    from pulpo.services.plan import API, ServicePlan

    try:
        api = settings.load(root).api
    except PulpoError:
        return
    plan = ServicePlan(API, (), host=api.host, port=api.port if port is None else port, setting="PULPO_API_PORT")
    if plan.port:
        ports.check((plan,), command="pulpo dev")


def _told_to_stop() -> threading.Event:
    """Set by SIGTERM, so that the server is stopped with this process."""
    told = threading.Event()
    signal.signal(signal.SIGTERM, lambda _number, _frame: told.set())
    return told


class Processes:
    """Fresh processes that see the project's code as it is now, forked from one that has only Pulpo loaded.

    Loading Pulpo and FastAPI takes longer than compiling and starting a project: this way it is done once.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        methods = multiprocessing.get_all_start_methods()
        self._context = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
        self._context.set_forkserver_preload(_PRELOADED)

    def start(self, target: Callable[..., int], *arguments: object) -> BaseProcess:
        """A process that calls `target(*arguments)` in the project's root and exits with what it returns."""
        process = self._context.Process(target=_run, args=(self._root, target, arguments))  # type: ignore[attr-defined]
        assert isinstance(process, BaseProcess)
        process.start()
        return process

    def pipe(self) -> tuple[Connection, Connection]:
        """Two ends of a pipe for one more process: to read, and to write."""
        reader, writer = self._context.Pipe(duplex=False)
        return reader, writer

    def compile(self) -> bool:
        """Compile; whether it went well."""
        process = self.start(_compile)
        process.join()
        return process.exitcode == 0


def _run(root: Path, target: Callable[..., int], arguments: tuple[object, ...]) -> None:
    os.chdir(root)
    sys.exit(target(*arguments))


def _compile() -> int:
    from pulpo.cli.main import main

    return main(["compile"])


def _serve(port: int | None, wait: float, told: Connection) -> int:
    from pulpo.cli.main import exit_code, show_error
    from pulpo.errors import PulpoError
    from pulpo.runtime.http.serve import serve

    try:
        serve(Path.cwd(), port=port, wait=wait, loaded=lambda: told.send(True))
    except PulpoError as error:
        show_error(error, as_json=False)
        return exit_code(error)
    return 0


class Server:
    """The API's process."""

    def __init__(self, processes: Processes, port: int | None, stop: threading.Event) -> None:
        self._processes, self._port, self._told_to_stop = processes, port, stop
        self._process: BaseProcess | None = None

    def restart(self, *, compiled: bool) -> None:
        """Start anew with what was compiled; where it was not, or does not load, leave what is running alone.

        The new process loads the project while the old one serves, and then takes over its port.
        """
        self.look()
        if not compiled:
            typer.echo("waiting for the next change", err=True)
            return
        old = self._process
        reader, writer = self._processes.pipe()
        new = self._processes.start(_serve, self._port, 0.0 if old is None else 2 * _STOP_SECONDS, writer)
        writer.close()  # the new process has it: where that one ends, there is nothing more to read
        if self._loads(reader):
            self._process = new
            _stop(old)
        else:
            _stop(new)
            typer.echo("not loaded: waiting for the next change", err=True)

    def _loads(self, reader: Connection) -> bool:
        with reader:
            while not reader.poll(_LOOK_MILLISECONDS / 1000):
                if self._told_to_stop.is_set():
                    return False
            try:
                return bool(reader.recv())
            except EOFError:
                return False

    def look(self) -> None:
        """Say so where the process has ended by itself."""
        process = self._process
        if process is not None and process.exitcode is not None:
            self._process = None
            typer.echo(f"the server has ended ({process.exitcode}): it starts again at the next change", err=True)

    def stop(self) -> None:
        """End the process, gently first."""
        process, self._process = self._process, None
        _stop(process)


def _stop(process: BaseProcess | None) -> None:
    if process is None:
        return
    process.terminate()
    process.join(_STOP_SECONDS)
    if process.exitcode is None:
        process.kill()
        process.join()


@contextmanager
def _server(processes: Processes, port: int | None, stop: threading.Event) -> Iterator[Server]:
    server = Server(processes, port, stop)
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
