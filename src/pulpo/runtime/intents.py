"""Intents: the records of steps that are about to begin, their inputs wired together."""

from __future__ import annotations

from collections.abc import Mapping

import pydantic_core

from pulpo.runtime.journal import Run, StepRun, clock, step_id
from pulpo.spec import FlowPlan, Json, Step


def first_intents(run: Run, plan: FlowPlan) -> tuple[StepRun, ...]:
    """The intents of the steps that need nothing, to be committed with the run itself."""
    data = pydantic_core.from_json(run.input or "{}")
    return tuple(intent(run, step, data, {}) for step in plan.steps if not step.needs)


def intent(run: Run, step: Step, data: Mapping[str, Json], outputs: Mapping[str, Json]) -> StepRun:
    """The record of a step that is about to begin, from the flow's input and earlier steps' outputs."""
    at = clock()
    return StepRun(
        step_id(run.id, step.operation),
        run=run.id,
        operation=step.operation,
        input=wired(step, data, outputs),
        token=run.token,
        created_at=at,
        updated_at=at,
        started_at=at,
    )


def wired(step: Step, data: Mapping[str, Json], outputs: Mapping[str, Json]) -> str:
    """A step's input as JSON text, from the flow's input and earlier steps' outputs; what is missing is left out."""
    found: dict[str, Json] = {}
    for wire in step.wires:
        source = data if wire.step is None else outputs.get(wire.step)
        if isinstance(source, Mapping) and wire.source in source:
            found[wire.field] = source[wire.source]
    return pydantic_core.to_json(found).decode()
