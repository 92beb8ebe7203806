"""A plan as a tree of steps one after another and side by side, for whoever prints it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from pulpo.graph import order
from pulpo.spec import FlowPlan


@dataclass(frozen=True, slots=True)
class Leaf:
    """One step."""

    step: str


@dataclass(frozen=True, slots=True)
class Seq:
    """Parts one after another: each starts when all of the one before is done."""

    parts: tuple[Shape, ...]


@dataclass(frozen=True, slots=True)
class Par:
    """Parts side by side, none of which waits for another."""

    parts: tuple[Shape, ...]


Shape: TypeAlias = Leaf | Seq | Par


def shape(plan: FlowPlan) -> Shape | None:
    """A plan as nested sequences and parallels, or None where its order is not of that kind.

    The tree says exactly the plan's order: a step waits for another in the tree where it does so in the plan, so
    nothing is slower for being written as nested `await`s and `gather`s. A plan without steps is `Seq(())`.
    """
    needs = {step.operation: step.needs for step in plan.steps}
    return _shape(tuple(needs), order.ancestors(needs)) if needs else Seq(())


def linear(tree: Shape) -> tuple[str, ...]:
    """The tree's steps from left to right, an order in which they could run one by one."""
    return (tree.step,) if isinstance(tree, Leaf) else tuple(step for part in tree.parts for step in linear(part))


def _shape(steps: tuple[str, ...], before: Mapping[str, frozenset[str]]) -> Shape | None:
    if len(steps) == 1:
        return Leaf(steps[0])

    def comparable(first: str, second: str) -> bool:
        return first in before[second] or second in before[first]

    if len(branches := _components(steps, comparable)) > 1:
        found = tuple(_shape(branch, before) for branch in branches)
        return None if None in found else Par(tuple(part for part in found if part is not None))
    stages = _components(steps, lambda first, second: not comparable(first, second))
    if len(stages) == 1:
        return None  # an N: a needs x and y, b needs y alone
    # Any two steps of different stages are ordered, and two stages always the same way round
    stages.sort(key=lambda stage: len(before[stage[0]].intersection(steps)))
    found = tuple(_shape(stage, before) for stage in stages)
    return None if None in found else Seq(tuple(part for part in found if part is not None))


def _components(steps: tuple[str, ...], linked: Callable[[str, str], bool]) -> list[tuple[str, ...]]:
    """The connected parts, each and all in the order of the steps."""
    left, found = list(steps), []
    while left:
        part, reached = {left[0]}, [left[0]]
        for step in reached:
            more = [other for other in left if other not in part and linked(step, other)]
            part.update(more)
            reached += more
        found.append(tuple(step for step in left if step in part))
        left = [step for step in left if step not in part]
    return found
