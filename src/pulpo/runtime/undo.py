"""Undoing: what has to be undone, in which order, and each undoing as a journaled step of its own."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pydantic_core

from pulpo.errors import NotReady
from pulpo.model.model import now, timestamp
from pulpo.runtime import faults
from pulpo.runtime.execution import Execution, Lost, Owner
from pulpo.runtime.journal import StepRun, clock, error_json, step_id
from pulpo.spec import FlowPlan, OperationSpec, Step

if TYPE_CHECKING:
    from pulpo.runtime.drive import Driver

RETRIES = 5
"""Attempts that an undoing gets at least, after its first."""


def to_undo(plan: FlowPlan, steps: Mapping[str, StepRun]) -> tuple[Step, ...]:
    """The steps to undo, the last first: those with a result and those in doubt, but none whose effect was there already."""

    def needs_undoing(step: Step) -> bool:
        record = steps.get(step.operation)
        if record is None or step.compensate is None or record.already:
            return False
        return record.state == "completed" or record.doubt or (record.state == "running" and not step.atomic)

    return tuple(step for step in reversed(plan.steps) if needs_undoing(step))


async def compensate(driver: Driver) -> bool:
    """Undo, one after another, whatever is not undone yet.

    Returns:
        Whether all is settled, for good or ill; False when one has to wait and the run was let go.
    """
    faults.reach("before_compensation", driver.run.name)
    for step in to_undo(driver.plan, driver.steps):
        assert step.compensate is not None
        spec = driver.app.operation(step.compensate)
        name = "~" + step.operation
        record = driver.steps.get(name)
        if record is not None and record.state in ("completed", "failed"):
            continue
        if record is None:
            of = driver.steps[step.operation]
            record = StepRun(
                step_id(driver.run.id, spec.name, of.generation, compensation_of=step.operation),
                run=driver.run.id,
                operation=spec.name,
                kind="compensation",
                of=step.operation,
                generation=of.generation,
                input=undo_input(spec, of),
                token=driver.run.token,
                started_at=clock(),
            )
            driver.steps[name] = record
            await driver.record([record])
        elif record.state == "waiting":
            record.state, record.wake_at = "running", None
            await driver.record([record])
        execution = Execution(
            driver.engine.store,
            driver.app.settings,
            spec,
            record,
            driver.engine.caller_of(driver.run),
            driver.run.name,
            Owner(),
            delay=driver.engine.delay(spec.name),
            retries=max(spec.retries, RETRIES),
        )
        try:
            await execution.run()
        except Lost:
            raise
        except NotReady as error:
            if await _waits(driver, record, spec, error):
                return False
        except Exception as error:  # noqa: BLE001 - an undoing that fails is an incident, and the next is undone all the same
            record.state, record.error, record.finished_at = "failed", error_json(error, spec.name), clock()
            await driver.record([record])
    return True


async def _waits(driver: Driver, record: StepRun, spec: OperationSpec, error: NotReady) -> bool:
    record.waiting_since = record.waiting_since or clock()
    waited = (now() - datetime.fromisoformat(record.waiting_since)).total_seconds()
    record.error = error_json(error, spec.name)
    if spec.wait is not None and waited >= spec.wait:
        record.state, record.finished_at = "failed", clock()
        await driver.record([record])
        return False
    record.state = "waiting"
    record.wake_at = timestamp(now() + timedelta(seconds=min(60.0, max(1.0, waited))))
    await driver.record([record])
    await driver.release(record.wake_at)
    return True


def undo_input(spec: OperationSpec, of: StepRun) -> str:
    """An undoing's input, by name: from the step's input, and from its output where there is one."""
    given = pydantic_core.from_json(of.input or "{}")
    output = pydantic_core.from_json(of.output or "null")
    sources = [given, output] if isinstance(output, dict) else [given]
    found = {
        field.name: source[field.name] for source in sources for field in spec.input.fields if field.name in source
    }
    return pydantic_core.to_json(found).decode()
