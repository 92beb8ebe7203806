"""The figures of a run, from its document: times in seconds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from pulpo.spec import Json


@dataclass(frozen=True, slots=True)
class StepFigures:
    """A step's document, when it started after the run did, and how long it took; None: not yet."""

    step: Json
    start: float | None
    took: float | None


def duration(document: Json) -> float | None:
    """How long a run or step took, or has been taking so far; None: it has not started."""
    started = _time(document.get("started_at"))
    if started is None:
        return None
    finished = _time(document.get("finished_at")) or datetime.now(UTC)
    return max(0.0, (finished - started).total_seconds())


def steps(run: Json) -> list[StepFigures]:
    """The steps of a run in the order in which they started, those to come last."""
    began = _time(run.get("started_at"))
    found = []
    for step in run.get("steps", []):
        started = _time(step.get("started_at"))
        start = (started - began).total_seconds() if began and started else None
        found.append(StepFigures(step, start, duration(step)))
    return sorted(found, key=lambda each: (each.start is None, each.start or 0.0))


def one_by_one(run: Json) -> float:
    """How long the run's steps would have taken one after another."""
    return sum(duration(step) or 0.0 for step in run.get("steps", []))


def seconds(value: float | None) -> str:
    """`24 ms`, `1.50 s`, `3 min 5 s`, or a dash."""
    if value is None:
        return "-"
    if value < 1:
        return f"{value * 1000:.0f} ms"
    if value < 60:
        return f"{value:.2f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s"


def clock(moment: str | None) -> str:
    """`2025-10-30 14:03:11`, in UTC, or a dash."""
    time = _time(moment)
    return "-" if time is None else time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def _time(moment: str | None) -> datetime | None:
    return None if moment is None else datetime.fromisoformat(moment)
