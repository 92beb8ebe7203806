"""The process supervisor of a project: supervisord, its configuration, and what it says of its processes.

It runs in the project's root, so that its configuration names relative paths only. It is reached through a Unix socket
that belongs to the user alone.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import resource
import shlex
import socket
import subprocess
import sys
import tempfile
import time
import xmlrpc.client
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pulpo.errors import PulpoError
from pulpo.services.plan import ServicePlan
from pulpo.services.processes import MARK, belongs, mark
from pulpo.settings import STATE

LOGS = f"{STATE}/logs"
CONFIGURATION = f"{STATE}/supervisord.conf"
PID_FILE = f"{STATE}/supervisord.pid"
LOG_FILE = f"{LOGS}/supervisord.log"

_SOCKET = "supervisord.sock"
_LONGEST_SOCKET = 88  # of 104 (macOS) to 108 (Linux) bytes; supervisord binds `NAME.PID` first
_GROUPS = ("first", "project", "pulpo")  # in the order of starting
_OWN_PATIENCE, _PROJECT_PATIENCE = 6, 2  # seconds between SIGTERM and SIGKILL; together less than ten
_FIRST_PATIENCE = 10  # of a database server, which has to write down what it holds
_START_PATIENCE = 15.0


@dataclass(frozen=True, slots=True)
class ProcessState:
    """What the supervisor knows of a process. `state` is its word: STARTING, RUNNING, BACKOFF, EXITED, FATAL."""

    name: str
    state: str
    pid: int
    started_at: int
    description: str

    @property
    def lives(self) -> bool:
        """Whether there is a process at this moment."""
        return self.state in {"STARTING", "RUNNING", "STOPPING"} and self.pid > 0


def log_file(root: Path, name: str) -> Path:
    """Where a service's output goes."""
    return root / LOGS / f"{name}.log"


def socket_path(root: Path) -> Path:
    """The path for a new supervisor's socket: in `.pulpo/`, or in a new temporary folder where that is too long."""
    beside = root.resolve() / STATE / _SOCKET
    if len(os.fsencode(beside)) <= _LONGEST_SOCKET:
        return beside
    return Path(tempfile.mkdtemp(prefix="pulpo-")) / _SOCKET


def configuration(plans: Iterable[ServicePlan], socket: Path | str) -> str:
    """The configuration of supervisord for these services."""
    plans = tuple(plans)
    sections = [
        _section(
            "supervisord",
            logfile=LOG_FILE,
            logfile_maxbytes="1MB",
            logfile_backups=1,
            pidfile=PID_FILE,
            childlogdir=LOGS,
            nocleanup="true",
            minfds=_descriptors(),
            minprocs=1,
        ),
        _section("unix_http_server", file=_quoted(str(socket)), chmod="0700"),
        _section(
            "rpcinterface:supervisor",
            **{"supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"},
        ),
        *(_program(plan, at_once=plan.first or not any(each.first for each in plans)) for plan in plans),
    ]
    # A stop goes through the groups backwards: nothing that the others need is gone before they are.
    for priority, group in enumerate(_GROUPS):
        programs = [plan.name for plan in plans if _group(plan) == group]
        if programs:
            sections.append(_section(f"group:{group}", programs=",".join(programs), priority=priority))
    return "\n".join(sections)


def start(root: Path, plans: Iterable[ServicePlan], socket: Path) -> int:
    """Start the supervisor, which starts the services, or those that come first; returns its process id.

    Raises:
        PulpoError: PULPO702, it did not start.
    """
    (root / LOGS).mkdir(parents=True, exist_ok=True)
    file = root / CONFIGURATION
    file.touch(mode=0o600)
    file.write_text(configuration(plans, socket))
    environment = {**os.environ, MARK: mark(root), "PYTHONUNBUFFERED": "1"}
    # -P: the project's own folders must not stand in for the supervisor's modules.
    command = [sys.executable, "-P", "-m", "supervisor.supervisord", "-c", CONFIGURATION]
    try:
        done = subprocess.run(  # noqa: S603 - a fixed command
            command,
            cwd=root,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_START_PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _did_not_start("it did not answer in time") from None
    if done.returncode != 0:
        raise _did_not_start((done.stderr or done.stdout).strip().splitlines()[-1:] or "it gave no reason")
    return _wait_for_pid(root, socket)


def processes(socket: Path) -> dict[str, ProcessState]:
    """Each service's state by name, from the supervisor.

    Raises:
        OSError: The supervisor does not answer.
    """
    states = {}
    for info in _call(socket, "supervisor.getAllProcessInfo"):
        described = info["spawnerr"] or info["description"]
        states[info["name"]] = ProcessState(info["name"], info["statename"], info["pid"], info["start"], described)
    return states


def start_rest(socket: Path, plans: Iterable[ServicePlan]) -> None:
    """Start the services that waited for those that come first. Raises OSError where the supervisor does not answer."""
    for plan in plans:
        if not plan.first:
            _call(socket, "supervisor.startProcess", f"{_group(plan)}:{plan.name}", False)


def shut_down(socket: Path) -> None:
    """Ask the supervisor to stop its services and itself. Returns at once. Raises OSError where it does not answer."""
    _call(socket, "supervisor.shutdown")


def read_pid(root: Path) -> int | None:
    """The supervisor's process id, or None where none lives."""
    try:
        pid = int((root / PID_FILE).read_text())
    except (OSError, ValueError):
        return None
    return pid if belongs(pid, root) else None


def nudge(socket: Path) -> None:
    """Have the supervisor look after its processes now: left alone it does so once a second."""
    with contextlib.suppress(OSError):  # it is gone, or about to be
        _call(socket, "supervisor.getState")


def _wait_for_pid(root: Path, socket: Path) -> int:
    deadline = time.monotonic() + _START_PATIENCE
    while time.monotonic() < deadline:
        try:
            processes(socket)
        except OSError:
            time.sleep(0.02)
            continue
        pid = read_pid(root)
        if pid is not None:
            return pid
    raise _did_not_start("it ended at once")


def _did_not_start(why: object) -> PulpoError:
    return PulpoError("PULPO702", f"the process supervisor did not start: {why}", hint=f"its log is {LOG_FILE}")


def _group(plan: ServicePlan) -> str:
    return "first" if plan.first else "pulpo" if plan.own else "project"


def _program(plan: ServicePlan, *, at_once: bool) -> str:
    words = list(plan.command)
    if plan.env:
        words = ["env", *(f"{name}={value}" for name, value in plan.env.items()), *words]
    return _section(
        f"program:{plan.name}",
        command=" ".join(_quoted(shlex.quote(word)) for word in words),
        autostart="true" if at_once else "false",
        autorestart="true",
        # One that dies within three seconds counts as failed and is tried again after 1, 2, 3, … seconds.
        startsecs=3,
        startretries=1000,
        stopsignal="TERM",
        stopwaitsecs=_FIRST_PATIENCE if plan.first else _OWN_PATIENCE if plan.own else _PROJECT_PATIENCE,
        stopasgroup="true",
        killasgroup="true",
        redirect_stderr="true",
        stdout_logfile=_quoted(f"{LOGS}/{plan.name}.log"),
        stdout_logfile_maxbytes="10MB",
        stdout_logfile_backups=2,
    )


def _section(name: str, **options: object) -> str:
    return "\n".join([f"[{name}]", *(f"{key}={value}" for key, value in options.items()), ""])


def _quoted(text: str) -> str:
    """A value as supervisord reads it back: `%` is doubled, and ` #` and ` ;`, which begin a comment, are parted."""
    text = text.replace("%", "%%")
    return text.replace(" #", " ''#").replace(" ;", " '';") if text.startswith("'") else text


def _descriptors() -> int:
    """How many descriptors supervisord asks for and closes in its children: 1024, or what this user may have."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1024 if soft == resource.RLIM_INFINITY else min(soft, 1024)


def _call(socket: Path, method: str, *arguments: str | bool) -> Any:
    # The address is not used but for the path: the connection goes through the socket.
    with xmlrpc.client.ServerProxy("http://localhost/RPC2", transport=_UnixTransport(socket)) as server:
        try:
            return getattr(server, method)(*arguments)
        except (http.client.HTTPException, xmlrpc.client.Error) as error:
            raise ConnectionError(str(error)) from None


class _UnixTransport(xmlrpc.client.Transport):
    """XML-RPC through a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: Any) -> http.client.HTTPConnection:  # noqa: ARG002 - the socket is the host
        return _UnixConnection(self._path)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=5)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))
