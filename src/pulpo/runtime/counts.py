"""What a process counts of the work it does, for whoever watches it: a few additions a step."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from typing import Literal, TypeAlias

Outcome: TypeAlias = Literal["completed", "refused", "failed", "waiting", "cancelled"]
"""How an operation's work ended: `refused` is its own no, `failed` anything that it did not foresee."""

SECONDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 60.0)
"""Upper bounds of durations of steps and runs."""


class Histogram:
    """How many values fell below each bound, and their sum."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def add(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def merge(self, other: Histogram) -> None:
        """Count another's values, which has the same bounds."""
        self.counts = [one + two for one, two in zip(self.counts, other.counts, strict=True)]
        self.sum += other.sum


class Counts:
    """Of the steps and runs that this process worked on.

    Attributes:
        steps: (operation, kind, outcome) -> durations.
        retries: Operation -> attempts after one that failed.
        conflicts: Operation -> attempts after one whose reading had changed.
        runs: (flow, state) -> runs of flows that this process brought to an end.
    """

    def __init__(self) -> None:
        self.steps: dict[tuple[str, str, Outcome], Histogram] = {}
        self.retries: Counter[str] = Counter()
        self.conflicts: Counter[str] = Counter()
        self.runs: Counter[tuple[str, str]] = Counter()

    def step(self, operation: str, kind: str, outcome: Outcome, seconds: float) -> None:
        """Count an operation's work."""
        key = (operation, kind, outcome)
        found = self.steps.get(key)
        if found is None:
            found = self.steps[key] = Histogram(SECONDS)
        found.add(seconds)
