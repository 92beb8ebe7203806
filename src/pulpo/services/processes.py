"""The processes that belong to a project: every one that `pulpo up` started, and whatever those started in turn."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

import psutil

MARK = "PULPO_SUPERVISED_ROOT"
"""The environment variable that the processes of a project inherit: its root. A process that left its parent and its
session behind is still found by it."""


def mark(root: Path) -> str:
    """The mark's value for a project."""
    return str(root.resolve())


def alive(pid: int) -> bool:
    """Whether a process with this id runs; one that ended and only waits for its parent does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def of_project(root: Path) -> list[psutil.Process]:
    """The living processes of a project, but never the calling one or those it descends from."""
    wanted = mark(root)
    spared = _self_and_ancestors()
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid in spared or process.environ().get(MARK) != wanted:
                continue
            if process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:  # it ended meanwhile, or is another user's
            continue
    return found


def belongs(pid: int, root: Path) -> bool:
    """Whether a living process is one of the project's; another that got the same id later is not."""
    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and process.environ().get(MARK) == mark(root)
    except psutil.Error:
        return False


def end(processes: Iterable[psutil.Process], *, patience: float) -> int:
    """Ask processes to end and, after `patience` seconds, end them. Returns how many had to be killed."""
    waiting = list(processes)
    for process in waiting:
        with contextlib.suppress(psutil.Error):  # it ended by itself
            process.terminate()
    _, left = psutil.wait_procs(waiting, timeout=patience)
    left = [process for process in left if alive(process.pid)]
    for process in left:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(left, timeout=1)
    return len(left)


def _self_and_ancestors() -> set[int]:
    try:
        return {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    except psutil.Error:
        return {os.getpid()}
