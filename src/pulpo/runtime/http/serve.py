"""The API process: uvicorn on uvloop and httptools, one JSON line per log record on standard error."""

from __future__ import annotations

import asyncio
import errno
import importlib
import logging
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import pydantic_core
import uvicorn
from fastapi import FastAPI

from pulpo.errors import PulpoError
from pulpo.runtime.http.guard import is_loopback
from pulpo.runtime.http.protocol import Connection, Watch
from pulpo.runtime.log_lines import log_to_stderr
from pulpo.runtime.process import tune_collector
from pulpo.runtime.target import imported, load_application

DRAIN = 5
"""Seconds that requests in flight have to finish after SIGTERM; the rest of ten goes to stopping the engine."""
if sys.platform != "win32":
    import resource

_OWN_FILES = 256
"""What the process opens besides its clients' connections: databases, logs, connections of its own."""
_AGAIN = 0.02


class AccessLines:
    """The access log as JSON lines, written several at a time: a line costs a request a microsecond or two.

    Args:
        write: Takes text; called at most every `EVERY` seconds, in the event loop.
    """

    EVERY = 0.02

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write
        self._gathered: list[tuple[float, dict[str, object]]] = []

    def __call__(self, facts: dict[str, object]) -> None:
        """Note a request."""
        if not self._gathered:
            asyncio.get_running_loop().call_later(self.EVERY, self.flush)
        self._gathered.append((time.time(), facts))

    def flush(self) -> None:
        """Write what has gathered."""
        gathered, self._gathered = self._gathered, []
        lines: list[str] = []
        second, shown = 0, ""
        for moment, facts in gathered:
            if int(moment) != second:
                second = int(moment)
                shown = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
            begin = f'{{"at":"{shown}.{int(moment % 1 * 1000):03}+00:00","level":"info","logger":"pulpo.access"'
            lines.append(f'{begin},"message":"request",{pydantic_core.to_json(facts).decode()[1:]}\n')
        if lines:
            self._write("".join(lines))


class _Server(uvicorn.Server):
    """Says when it listens, watches its connections, and tells open event streams that it goes down before it waits."""

    def __init__(self, config: uvicorn.Config, watch: Watch) -> None:
        super().__init__(config)
        self.server_state = self._watch = watch

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second, from the start until the end."""
        self._watch.tick(time.monotonic())
        return await super().on_tick(counter)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the application, then listen."""
        await super().startup(sockets)
        tune_collector()
        for listener in sockets or ():
            address, port = listener.getsockname()[:2]
            shown = f"[{address}]" if ":" in address else address
            logging.getLogger("pulpo.http").info("listening on http://%s:%d", shown, port)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain and stop."""
        self.config.app.state.closing.set()  # type: ignore[union-attr]  # our FastAPI application
        await super().shutdown(sockets)
        self.config.app.state.access.flush()  # type: ignore[union-attr]  # `serve` put it there


def serve(
    root: Path,
    host: str | None = None,
    port: int | None = None,
    *,
    share_port: bool = False,
    wait: float = 0.0,
    loaded: Callable[[], object] | None = None,
) -> None:
    """Serve a compiled project until SIGTERM or SIGINT, then drain within 10 s.

    Args:
        root: The project's root.
        host: A loopback address; by default the setting `api.host`.
        port: 0 for a free one, which the log names; by default the setting `api.port`.
        share_port: Let other processes of this user listen there too; the system spreads connections over them.
        wait: Seconds to wait for a port that is taken.
        loaded: Called when the project has been loaded, before the port is asked for.
    Raises:
        PulpoError: PULPO802 not compiled; PULPO701 the port is taken; PULPO705 the host is not loopback; what the
            store finds wrong with the database (PULPO506, PULPO507, PULPO508).
    """
    log_to_stderr()
    app = load_app(root)
    if loaded is not None:
        loaded()
    app.state.access = AccessLines(sys.stderr.write)
    settings = app.state.application.settings
    port = settings.api.port if port is None else port
    listener = _listener(host or settings.api.host, port, share=share_port, wait=wait)
    config = uvicorn.Config(
        app,
        loop="uvloop" if sys.platform != "win32" else "asyncio",
        http=Connection,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=DRAIN,
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)  # uvicorn drains, puts this back, and raises what it caught again
    try:
        _Server(config, _watch(app)).run(sockets=[listener])
    except SystemExit:
        if app.state.failure is not None:
            raise app.state.failure from None
        raise


def _watch(app: FastAPI) -> Watch:
    """Connections within the setting, and within what the process may open, which is raised as far as it may be."""
    api = app.state.application.settings.api
    most: int = api.connections
    if sys.platform != "win32":
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = most + 2 * _OWN_FILES
        if soft != resource.RLIM_INFINITY and soft < wanted:
            soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        if soft != resource.RLIM_INFINITY:
            most = max(1, min(most, soft - min(_OWN_FILES, soft // 4)))
    return Watch(api, app.state.metrics.admission, most)


def _leave(number: int, frame: FrameType | None) -> None:
    """End with 0: to be told to stop is no failure."""
    del number, frame
    raise SystemExit(0)


def load_app(root: Path) -> FastAPI:
    """The generated ASGI application of a project.

    Raises:
        PulpoError: PULPO802 it has not been compiled, PULPO101 a module of it does not import.
    """
    root = root.resolve()
    load_application(root)
    if not (root / "generated" / "api" / "app.py").is_file():
        raise PulpoError("PULPO802", f"the project in {root} has no compiled API", hint="run `pulpo compile`")
    app: FastAPI = imported(root, lambda: importlib.import_module("generated.api.app")).app
    return app


def _listener(host: str, port: int, *, share: bool, wait: float) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    address = "127.0.0.1" if host == "localhost" else host
    if not is_loopback(address):
        raise PulpoError(
            "PULPO705", f"{host} is not a loopback address", hint="development mode serves this machine only"
        )
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if share:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    deadline = time.monotonic() + wait
    while True:
        try:
            listener.bind((address, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE and time.monotonic() < deadline:
                time.sleep(_AGAIN)
                continue
            listener.close()
            raise PulpoError(
                "PULPO701",
                f"port {port} of {host} cannot be used: {error.strerror}",
                hint="set PULPO_API_PORT to a free one",
            ) from None
        listener.set_inheritable(True)
        return listener
