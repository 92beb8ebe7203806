"""The end of a run that goes no further: what is undone, in which order, each undoing a journaled step of its own."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal, TypeAlias

import pydantic_core

from pulpo.errors import NotReady, PulpoError
from pulpo.model.model import now, timestamp
from pulpo.runtime import faults, shapes
from pulpo.runtime.execution import Execution, Lost, Owner
from pulpo.runtime.held import UNRECORDED, key_writes
from pulpo.runtime.journal import State, StepRun, clock, error_json, step_id
from pulpo.spec import FlowPlan, Json, OperationSpec, Step

if TYPE_CHECKING:
    from pulpo.runtime.drive import Driver

Why: TypeAlias = Literal["error", "gate", "cancel"]
END_OF: Mapping[Why, tuple[State, State]] = {  # why -> (nothing was to undo, everything was undone)
    "error": ("failed", "compensated"),
    "gate": ("stopped", "stopped"),
    "cancel": ("cancelled", "cancelled"),
}
RETRIES = 5
"""Attempts that an undoing gets at least, after its first."""


@dataclass(slots=True)
class Ending:
    """Why a run goes no further."""

    why: Why
    error: dict[str, Json] | None = None


async def unwind(driver: Driver, ending: Ending) -> None:
    """Bring a run to its end: enter compensating in one commit that raises the token, then undo what was done."""
    if driver.run.state != "compensating":
        if ending.why == "cancel" and driver.passed():
            await _too_late(driver)
            return
        await _enter(driver, ending)
        if driver.run.ended:
            return
    if await compensate(driver):
        run = copy(driver.run)
        failed = [step for step in driver.steps.values() if step.kind == "compensation" and step.state == "failed"]
        if failed:
            run.incident = "could not be undone: " + ", ".join(step.operation for step in failed)
            run.end("failed")
        else:
            run.end(END_OF[ending.why][1])
        await driver.held.change(run)


async def _too_late(driver: Driver) -> None:
    run = copy(driver.run)
    run.cancel_requested, run.state = False, "running"
    await driver.held.change(run)
    driver.resume()


async def _enter(driver: Driver, ending: Ending) -> None:
    driver.drop_unbegun()
    run = copy(driver.run)
    run.error, run.ending = ending.error, ending.why
    if driver.passed():
        run.incident = "it failed after its point of no return: it has to go forward"
        run.end("failed")
    elif ending.error is not None and ending.error["code"] == "PULPO414":
        run.incident = f"the code has changed since it began: {ending.error['detail']}"
        run.end("failed")
    elif run.kind == "operation" or not to_undo(driver.plan, driver.steps):
        run.end(END_OF[ending.why][0])
    else:
        run.state = "compensating"
        run.token += 1
    atomic = {step.operation: step.atomic for step in driver.plan.steps}
    stamped = [copy(step) for step in driver.steps.values() if step.kind == "step" and step.finished_at is None]
    for step in stamped:
        step.doubt = step.state == "running" and not atomic[step.operation]
        step.state, step.token, step.finished_at = "cancelled", run.token, clock()
    await driver.held.change(run, stamped, key_writes(run, driver.steps.get(run.name)))
    driver.steps.update({step.operation: step for step in stamped})


def to_undo(plan: FlowPlan, steps: Mapping[str, StepRun]) -> tuple[Step, ...]:
    """The steps to undo, the last first: those with a result and those in doubt, but none that said `already`."""

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
        record = driver.steps.get("~" + step.operation)
        if record is None or record.state not in ("completed", "failed"):
            record = await _intended(driver, step, record)
        if record.state in ("completed", "failed"):
            continue
        spec = driver.app.operation(record.operation)
        execution = Execution(
            driver.engine.store,
            driver.app.settings,
            spec,
            record,
            driver.engine.caller_of(driver.run),
            driver.run.name,
            Owner(),
            driver.engine.deadlines,
            driver.engine.counts,
            delay=driver.engine.delay(spec.name),
            retries=max(spec.retries, RETRIES),
            parent=driver.span,
        )
        try:
            await execution.run()
        except Lost:
            raise
        except NotReady as error:
            if await _waits(driver, record, spec, error):
                return False
        except Exception as error:
            if isinstance(error, PulpoError) and error.code in UNRECORDED:
                raise
            # an undoing that fails is an incident, and the next is undone all the same
            failed = copy(record)
            failed.state, failed.error, failed.finished_at = "failed", error_json(error, spec.name), clock()
            await driver.held.record(failed)
            driver.steps["~" + step.operation] = failed
    return True


async def _intended(driver: Driver, step: Step, record: StepRun | None) -> StepRun:
    """The recorded intent of an undoing; it is `failed` at once where the code no longer has what it needs."""
    assert step.compensate is not None
    of = driver.steps[step.operation]
    intent = copy(record) if record is not None else None
    if intent is None:
        intent = StepRun(
            step_id(driver.run.id, step.compensate, of.generation, compensation_of=step.operation),
            run=driver.run.id,
            operation=step.compensate,
            kind="compensation",
            of=step.operation,
            generation=of.generation,
            token=driver.run.token,
            started_at=clock(),
        )
    try:
        spec = driver.app.operation(step.compensate)
        intent.input = intent.input or undo_input(spec, driver.app.operation(step.operation), of)
    except PulpoError as error:
        intent.state, intent.error, intent.finished_at = "failed", error_json(error, step.compensate), clock()
    if record is None or intent.state in ("waiting", "failed"):
        if intent.state == "waiting":
            intent.state, intent.wake_at = "running", None
        await driver.held.record(intent)
    driver.steps["~" + step.operation] = intent
    return intent


async def _waits(driver: Driver, record: StepRun, spec: OperationSpec, error: NotReady) -> bool:
    record.waiting_since = record.waiting_since or clock()
    waited = (now() - datetime.fromisoformat(record.waiting_since)).total_seconds()
    record.error = error_json(error, spec.name)
    if spec.wait is not None and waited >= spec.wait:
        record.state, record.finished_at = "failed", clock()
        await driver.held.record(record)
        return False
    record.state = "waiting"
    record.wake_at = timestamp(now() + timedelta(seconds=min(60.0, max(1.0, waited))))
    await driver.held.record(record)
    await driver.held.release(record.wake_at)
    return True


def undo_input(spec: OperationSpec, of: OperationSpec, step: StepRun) -> str:
    """An undoing's input, by name: from the step's input, defaults included, and its output where there is one."""
    given = pydantic_core.from_json(step.input or "{}")
    if of.input.cls is not None:
        given = shapes.parse(of.input.cls, step.input or "{}").model_dump(mode="json")
    output = pydantic_core.from_json(step.output or "null")
    sources = [given, output] if isinstance(output, dict) else [given]
    found = {
        field.name: source[field.name] for source in sources for field in spec.input.fields if field.name in source
    }
    return pydantic_core.to_json(found).decode()
