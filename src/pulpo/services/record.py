"""What is kept of a running project in `.pulpo/run.json`, for the next command to find it."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from pulpo.errors import PulpoError
from pulpo.services.plan import API, UI, ServicePlan
from pulpo.settings import STATE, state_folder

_FILE = f"{STATE}/run.json"
_LOCK = f"{STATE}/up.lock"
_LOCK_PATIENCE = 45.0


@dataclass(frozen=True, slots=True)
class ServiceRecord:
    """A service as it was started."""

    name: str
    url: str | None
    health: str | None


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A started project. `pid` is the supervisor's, `socket` the path of its socket."""

    pid: int
    socket: str
    api: str | None
    ui: str | None
    services: tuple[ServiceRecord, ...]

    @staticmethod
    def of(plans: tuple[ServicePlan, ...], pid: int, socket: Path) -> RunRecord:
        """The record of services that a supervisor runs."""
        urls = {plan.name: plan.url for plan in plans}
        services = tuple(ServiceRecord(plan.name, plan.url, plan.health) for plan in plans)
        return RunRecord(pid, str(socket), urls.get(API), urls.get(UI), services)


def read(root: Path) -> RunRecord | None:
    """The project's record, or None where there is none that can be read."""
    try:
        data = json.loads((root / _FILE).read_text())
        services = tuple(ServiceRecord(name=name, **given) for name, given in data["services"].items())
        return RunRecord(data["pid"], data["socket"], data["api"], data["ui"], services)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def write(root: Path, record: RunRecord) -> None:
    """Keep the record; a reader sees the old file or the new one."""
    data = asdict(record)
    data["services"] = {service.name: {"url": service.url, "health": service.health} for service in record.services}
    file = root / _FILE
    draft = file.with_suffix(f".{os.getpid()}")
    draft.write_text(json.dumps(data, indent=2) + "\n")
    draft.replace(file)


def remove(root: Path) -> None:
    """Forget the record."""
    (root / _FILE).unlink(missing_ok=True)


@contextmanager
def lock(root: Path) -> Iterator[None]:
    """One `up` or `down` of a project at a time.

    Raises:
        PulpoError: PULPO703, another one is at work and does not finish.
    """
    state_folder(root)
    with (root / _LOCK).open("w") as file:
        deadline = time.monotonic() + _LOCK_PATIENCE
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise PulpoError(
                        "PULPO703", "another `pulpo up` or `pulpo down` of this project is at work"
                    ) from None
                time.sleep(0.05)
        yield
