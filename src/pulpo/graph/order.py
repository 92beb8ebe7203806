"""Order in a graph of steps, each with the steps that it needs: one answer for one graph."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import TypeAlias

from pulpo.errors import PulpoError

Needs: TypeAlias = Mapping[str, Collection[str]]
"""Step -> the steps it waits for. The order of the keys settles ties."""


def ordered(needs: Needs) -> tuple[str, ...]:
    """Every step after the steps that it needs: first what needs nothing, then what that makes ready, and so on.

    Raises:
        PulpoError: PULPO202, steps need each other in a circle.
    """
    rank = {step: place for place, step in enumerate(needs)}
    sorter = TopologicalSorter(needs)
    try:
        sorter.prepare()
    except CycleError as error:
        raise PulpoError("PULPO202", " -> ".join(error.args[1])) from None
    steps: list[str] = []
    while ready := sorted(sorter.get_ready(), key=rank.__getitem__):
        steps += ready
        sorter.done(*ready)
    return tuple(steps)


def ancestors(needs: Needs) -> dict[str, frozenset[str]]:
    """Step -> every step that is done before it starts, in `ordered`'s order."""
    before: dict[str, frozenset[str]] = {}
    for step in ordered(needs):
        before[step] = frozenset(needs[step]).union(*(before[need] for need in needs[step]))
    return before


def reduced(needs: Needs) -> dict[str, tuple[str, ...]]:
    """The same order with the fewest edges: no step needs what another of its needs already waits for."""
    before = ancestors(needs)
    rank = {step: place for place, step in enumerate(before)}
    found: dict[str, tuple[str, ...]] = {}
    for step in before:
        implied = frozenset[str]().union(*(before[need] for need in needs[step]))
        found[step] = tuple(sorted((need for need in needs[step] if need not in implied), key=rank.__getitem__))
    return found


def critical_path(needs: Needs) -> tuple[str, ...]:
    """The longest chain of steps, which no run can beat; of several, the first in order."""
    order = ordered(needs)
    rank = {step: place for place, step in enumerate(order)}
    longest: dict[str, tuple[str, ...]] = {}
    for step in order:
        chains = (longest[need] for need in sorted(needs[step], key=rank.__getitem__))
        longest[step] = (*max(chains, key=len, default=()), step)
    return max(longest.values(), key=len, default=())


def unordered(needs: Needs) -> Iterator[tuple[str, str]]:
    """Pairs of steps that may run side by side, each pair once."""
    before = ancestors(needs)
    steps = tuple(before)
    for place, first in enumerate(steps):
        for second in steps[place + 1 :]:
            if first not in before[second]:
                yield first, second


def circles(needs: Needs) -> tuple[tuple[str, ...], ...]:
    """Of every knot of steps that need each other the shortest circle: `(a, b, a)`, where b needs a."""
    after: dict[str, list[str]] = {step: [] for step in needs}
    for step, wanted in needs.items():
        for need in wanted:
            after[need].append(step)
    reach = {step: _paths(after, step) for step in needs}
    found: list[tuple[str, ...]] = []
    knotted: set[str] = set()
    for step in needs:
        if step not in reach[step] or step in knotted:
            continue
        knot = [other for other in needs if other in reach[step] and step in reach[other]]
        knotted.update(knot)
        found.append(min((reach[other][other] for other in knot), key=len))
    return tuple(found)


def _paths(after: Mapping[str, Collection[str]], start: str) -> dict[str, tuple[str, ...]]:
    """A shortest path from a step to each step that it leads to, itself included where it stands in a circle."""
    paths: dict[str, tuple[str, ...]] = {}
    edge: list[tuple[str, ...]] = [(start,)]
    while edge:
        edge = [
            paths.setdefault(follower, (*path, follower))
            for path in edge
            for follower in after[path[-1]]
            if follower not in paths
        ]
    return paths
