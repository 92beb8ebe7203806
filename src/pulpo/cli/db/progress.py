"""How far a long command is, on standard error: on a terminal a line written over, else one every few seconds."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pulpo.store.transfer import Progress, Sum

_OFTEN, _SELDOM = 0.2, 5.0
"""Seconds between two lines: on a terminal, and elsewhere."""


class Meter:
    """Shows progress. `close` it before anything else is written."""

    def __init__(self) -> None:
        self._over = sys.stderr.isatty()
        self._next = time.monotonic() + (0 if self._over else _SELDOM)
        self._width = 0

    def __call__(self, now: Progress) -> None:
        """Show how far it is, if it is time again."""
        if time.monotonic() < self._next:
            return
        rate = now.done / now.seconds if now.seconds else 0.0
        left = f", {duration((now.total - now.done) / rate)} left" if rate else ""
        percent = 100 * now.done // now.total if now.total else 100
        self._show(
            f"{now.work} {now.collection}: {now.done:,} of {now.total:,} documents ({percent} %), {rate:,.0f}/s{left}"
        )

    def count(self, collection: str, seen: int) -> None:
        """Show how many documents of a collection were looked at, if it is time again."""
        if time.monotonic() >= self._next:
            self._show(f"reading {collection}: {seen:,} documents")

    def _show(self, line: str) -> None:
        self._next = time.monotonic() + (_OFTEN if self._over else _SELDOM)
        sys.stderr.write(f"\r{line:<{self._width}}" if self._over else f"{line}\n")
        sys.stderr.flush()
        self._width = len(line)

    def close(self) -> None:
        """Take the line away."""
        if self._over and self._width:
            sys.stderr.write(f"\r{'':<{self._width}}\r")
            sys.stderr.flush()
        self._width = 0


def duration(seconds: float) -> str:
    """`0.4 s`, `12 s`, `3 min 20 s`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def size(count: float) -> str:
    """A number of bytes for people."""
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def table(sums: dict[str, Sum]) -> str:
    """Collections with their counts and the beginnings of their checksums."""
    rows = [(name, f"{each.count:,}", each.checksum[:16]) for name, each in sums.items()]
    wide = [max(len(row[column]) for row in rows) for column in (0, 1)] if rows else [0, 0]
    return "\n".join(f"  {name:<{wide[0]}}  {count:>{wide[1]}}  {checksum}" for name, count, checksum in rows)
