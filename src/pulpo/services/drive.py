"""Bring a project up, take it down, say how it is."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from pulpo.errors import PulpoError
from pulpo.services import health, logs, ports, processes, record, supervisor
from pulpo.services.plan import PREFECT, ServicePlan
from pulpo.services.record import RunRecord, ServiceRecord
from pulpo.services.supervisor import ProcessState
from pulpo.settings import STATE

START_PATIENCE = 30.0
"""Seconds that the services have to become healthy."""
STOP_PATIENCE = 19.0
"""Seconds that everything has to end by itself; the supervisor allows nine without a database server."""
SETTLED = 1.0
"""Seconds that a service without a health address must live to count as healthy."""

ServiceState: TypeAlias = Literal["healthy", "starting", "unhealthy", "restarting", "stopped"]


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """How a service is. `uptime` is in seconds, None while it does not live."""

    name: str
    state: ServiceState
    url: str | None
    pid: int | None = None
    uptime: int | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class ProjectStatus:
    """How a project is. `leftovers` are processes of it that no supervisor watches any more."""

    running: bool
    services: tuple[ServiceStatus, ...] = ()
    api: str | None = None
    ui: str | None = None
    pid: int | None = None
    leftovers: tuple[int, ...] = ()

    @property
    def healthy(self) -> bool:
        """Whether it runs and every service does its work."""
        return self.running and all(service.state == "healthy" for service in self.services)


@dataclass(frozen=True, slots=True)
class Stopped:
    """What a `down` ended: the services of a running project, and how many processes had to be killed."""

    services: tuple[str, ...] = ()
    killed: int = 0


Report: TypeAlias = Callable[[str], None]


def up(
    root: Path,
    plans: tuple[ServicePlan, ...] | Callable[[], tuple[ServicePlan, ...]],
    *,
    prepare: Callable[[], None] = lambda: None,
    report: Report = lambda _: None,
    patience: float = START_PATIENCE,
) -> ProjectStatus:
    """Start a project's services and wait until each is healthy; where one is not, stop them all again.

    Args:
        plans: The services, as `plan.services` gives them, or what gives them: it is asked when nothing of the project
            runs any more and nobody else starts it.
        prepare: What must be done before anything starts, once it is sure that it may; where services come first, when
            they are healthy and before the others start.
        report: Is told each step, in a few words.
        patience: Seconds that the services have to become healthy.
    Raises:
        PulpoError: PULPO701 a port is taken, PULPO702 a service did not become healthy, PULPO703 the project is running
            already.
    """
    with record.lock(root):
        if running(root) is not None:
            raise PulpoError("PULPO703", "the project is running already", hint="`pulpo down` stops it")
        if _clean(root):
            report("what an earlier run left behind is stopped")
        if callable(plans):
            plans = plans()
        ports.check(plans)
        if not any(plan.first for plan in plans):
            prepare()
            return _start(root, plans, lambda: None, report, patience)
        return _start(root, plans, prepare, report, patience)


def down(root: Path) -> Stopped | None:
    """Stop a project's services, gracefully, and leave no process. None: nothing was running.

    It takes ten seconds at most, and with a database server of the project's own, which stops last, twenty.
    """
    if not (root / STATE).is_dir() and not processes.of_project(root):
        return None
    with record.lock(root):
        kept = running(root)
        if kept is None:
            found = len(processes.of_project(root))
            return Stopped(killed=_clean(root)) if found else None
        return Stopped(tuple(service.name for service in kept.services), _stop(root, Path(kept.socket)))


def status(root: Path) -> ProjectStatus:
    """How the project is now."""
    kept = running(root)
    if kept is None:
        return ProjectStatus(running=False, leftovers=tuple(process.pid for process in processes.of_project(root)))
    states = _states(Path(kept.socket))
    return ProjectStatus(
        running=True,
        services=tuple(_status(service, states.get(service.name)) for service in kept.services),
        api=kept.api,
        ui=kept.ui,
        pid=kept.pid,
    )


def running(root: Path) -> RunRecord | None:
    """The record of the project's run, if its supervisor lives."""
    kept = record.read(root)
    if kept is None or not processes.belongs(kept.pid, root):
        return None
    return kept


def _start(
    root: Path, plans: tuple[ServicePlan, ...], prepare: Callable[[], None], report: Report, patience: float
) -> ProjectStatus:
    seen = {plan.name: logs.size(supervisor.log_file(root, plan.name)) for plan in plans}
    socket = supervisor.socket_path(root)
    try:
        pid = supervisor.start(root, plans, socket)
        kept = RunRecord.of(plans, pid, socket)
        if first := tuple(plan for plan in plans if plan.first):
            _wait(root, first, socket, seen, report, patience)
            prepare()
            supervisor.start_rest(socket, plans)
        _wait(root, tuple(plan for plan in plans if not plan.first), socket, seen, report, patience)
        record.write(root, kept)
    except BaseException:
        _stop(root, socket)
        raise
    return status(root)


def _wait(
    root: Path,
    plans: tuple[ServicePlan, ...],
    socket: Path,
    seen: dict[str, int],
    report: Report,
    patience: float,
) -> None:
    began = time.monotonic()
    waiting = {plan.name: plan for plan in plans}
    seen_alive: dict[int, float] = {}
    while waiting:
        states = supervisor.processes(socket)
        for name, plan in list(waiting.items()):
            state = states[name]
            if state.state in {"BACKOFF", "FATAL", "EXITED"}:
                raise _unhealthy(root, plan, state.description, seen[name])
            if not state.lives:
                continue
            age = time.monotonic() - seen_alive.setdefault(state.pid, time.monotonic())
            if health.answers(plan.health) if plan.health else age >= SETTLED:
                del waiting[name]
                where = f" at {plan.url}" if plan.url else ""
                report(f"{name} is healthy{where} ({time.monotonic() - began:.1f} s)")
        if waiting and time.monotonic() - began > patience:
            plan = next(iter(waiting.values()))
            why = f"{plan.health or 'it'} did not answer with 200 within {patience:.0f} s"
            raise _unhealthy(root, plan, why, seen[plan.name])
        if waiting:
            time.sleep(0.05)


def _unhealthy(root: Path, plan: ServicePlan, why: str, seen: int) -> PulpoError:
    lines = logs.last_lines(supervisor.log_file(root, plan.name), 15, since=seen)
    said = "; the last it said:\n" + "\n".join(f"  | {line}" for line in lines) if lines else ""
    return PulpoError(
        "PULPO702",
        f"{plan.name} did not become healthy: {why}{said}",
        hint=f"everything is stopped again; the whole log: pulpo logs {plan.name}",
    )


def _status(service: ServiceRecord, state: ProcessState | None) -> ServiceStatus:
    if state is None:
        return ServiceStatus(service.name, "unhealthy", service.url, detail="the supervisor does not answer")
    if not state.lives:
        word: ServiceState = "restarting" if state.state == "BACKOFF" else "stopped"
        return ServiceStatus(service.name, word, service.url, detail=state.description)
    uptime = max(0, int(time.time()) - state.started_at)
    # One process of Prefect's does everything, health included, and may be busy just then.
    patience = 4.0 if service.name == PREFECT else 1.0
    if service.health is None or health.answers(service.health, timeout=patience):
        return ServiceStatus(service.name, "healthy", service.url, state.pid, uptime)
    if state.state == "STARTING":
        return ServiceStatus(service.name, "starting", service.url, state.pid, uptime)
    return ServiceStatus(service.name, "unhealthy", service.url, state.pid, uptime, f"{service.health} is not 200")


def _states(socket: Path) -> dict[str, ProcessState]:
    try:
        return supervisor.processes(socket)
    except OSError:
        return {}


def _stop(root: Path, socket: Path) -> int:
    """Stop what runs under the supervisor, and it; returns how many processes had to be killed or ended one by one."""
    pid = supervisor.read_pid(root)
    deadline = time.monotonic() + STOP_PATIENCE
    try:
        supervisor.shut_down(socket)
    except OSError:  # it hangs, or its socket is gone
        killed = _clean(root)
    else:
        while pid is not None and processes.alive(pid) and time.monotonic() < deadline:
            supervisor.nudge(socket)
            time.sleep(0.05)
        killed = _clean(root, patience=0.2)
    _discard(socket)
    return killed


def _clean(root: Path, *, patience: float = 5.0) -> int:
    """End what is left of an earlier run and forget it; returns how many processes were ended."""
    left = processes.of_project(root)
    processes.end(left, patience=patience)
    kept = record.read(root)
    if kept is not None:
        _discard(Path(kept.socket))
    record.remove(root)
    for name in (supervisor.CONFIGURATION, supervisor.PID_FILE):
        (root / name).unlink(missing_ok=True)
    return len(left)


def _discard(socket: Path) -> None:
    """Remove a supervisor's socket, and the temporary folder made for it."""
    socket.unlink(missing_ok=True)
    folder = socket.parent
    if folder.name.startswith("pulpo-") and folder.parent == Path(tempfile.gettempdir()):
        shutil.rmtree(folder, ignore_errors=True)
