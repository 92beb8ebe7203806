"""What an operation logs is kept with its step: the page of a run shows it, so that nobody looks for it elsewhere."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeAlias

from pulpo.runtime.journal import clock
from pulpo.spec import Json

LINES = 100
"""How many lines a step keeps: the newest."""
LENGTH = 500
"""How many characters a line keeps."""

Lines: TypeAlias = "list[dict[str, Json]]"

_current: ContextVar[tuple[Lines, int] | None] = ContextVar("pulpo_step_log", default=None)


@contextmanager
def kept_in(lines: Lines, attempt: int) -> Iterator[None]:
    """What is logged inside, by any logger and in tasks and threads begun inside, is added to these lines."""
    token = _current.set((lines, attempt))
    try:
        yield
    finally:
        _current.reset(token)


class Keeper(logging.Handler):
    """Adds what is logged during an operation to its step. Without tracebacks: those are for the log of the process."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one record."""
        where = _current.get()
        if where is None:
            return
        lines, attempt = where
        try:
            message = record.getMessage()
        except Exception:  # noqa: BLE001 - a message that does not fit its arguments ends no operation
            self.handleError(record)
            return
        if record.exc_info and record.exc_info[0] is not None:
            message = f"{message} ({record.exc_info[0].__name__})"
        if len(message) > LENGTH:
            message = f"{message[: LENGTH - 1]}…"
        lines.append({"at": clock(), "level": record.levelname.lower(), "message": message, "attempt": attempt})
        if len(lines) > LINES:
            _shorten(lines)


def _shorten(lines: Lines) -> None:
    """Leave the oldest out, and say in the first line how many those were."""
    left_out = lines[0].get("left_out", 1) + 1  # the note takes a line's place too
    del lines[:2]
    message = f"{left_out} earlier lines were left out"
    lines.insert(0, {"at": lines[0]["at"], "level": "info", "message": message, "attempt": 1, "left_out": left_out})


def keep() -> None:
    """From now on keep what operations log in this process; a second time does nothing."""
    root = logging.getLogger()
    if not any(isinstance(handler, Keeper) for handler in root.handlers):
        root.addHandler(Keeper())
