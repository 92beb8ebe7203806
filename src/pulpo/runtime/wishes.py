"""What people, and operations, wish of runs that there are: cancel, wake, retry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pydantic_core

from pulpo.errors import PulpoError
from pulpo.model.conditions import Compare
from pulpo.runtime.journal import Run, StepRun, clock, step_id
from pulpo.runtime.tables import RUNS
from pulpo.spec import Json
from pulpo.store.port import Batch, Query, StaleVersion, UniqueTaken, Write

if TYPE_CHECKING:
    from pulpo.runtime.engine import Engine


async def cancel(engine: Engine, id: str, *, reason: str = "") -> Json:
    """Ask a run to stop and to undo what it did; the run's document as it is then.

    Raises:
        NotFound: PULPO404. PulpoError: PULPO407, it has ended or is past its point of no return.
    """
    for _ in range(20):
        run = await engine.load(id)
        if run.ended or run.state == "compensating":
            raise PulpoError("PULPO407", f"run {id} is {run.state}", hint="only a run that goes on can be cancelled")
        plan = await engine.plan_of(run)
        steps = await engine.steps_of(id)
        pivots = [step.operation for step in plan.steps if step.pivot] if plan else []
        if any(name in steps and steps[name].state == "completed" for name in pivots):
            raise PulpoError("PULPO407", f"run {id} is past its point of no return")
        if run.cancel_requested:
            return await engine.run(id)
        run.cancel_requested, run.state, run.wake_at = True, "cancelling", clock()
        run.reason = reason or None
        try:
            await engine.store.commit(Batch((run.replace(),), (run.event(),)))
        except StaleVersion:
            continue
        driver = engine.drivers.get(id)
        if driver is not None:
            await driver.cancel()
        else:
            engine.worker.kick()
        return await engine.run(id)
    raise PulpoError("PULPO408", f"run {id} kept changing", hint="try again")


async def cancel_live(engine: Engine, value: str, *, but: str | None = None) -> None:
    """Cancel the live runs that are `one_per` this value and wait for their end; `but` is the one that asks."""
    page = await engine.store.query(Query(RUNS, Compare("live", "eq", value), limit=20))
    for record in page.records:
        if record.id == but:
            continue
        try:
            await cancel(engine, record.id)
        except PulpoError as error:
            current = await engine.load(record.id)
            if not current.ended and current.state != "compensating":
                raise error from None
        await engine.finished(record.id, timeout=60.0)


async def wake(engine: Engine, id: str) -> Json:
    """Try a waiting run now. Raises PulpoError PULPO407 where it is not waiting."""
    run = await engine.load(id)
    if run.worker is not None or run.ended:
        raise PulpoError("PULPO407", f"run {id} is {run.state}, not waiting")
    run.wake_at = clock()
    await engine.store.commit(Batch((run.replace(),), (run.event(),)))
    engine.worker.kick()
    return await engine.run(id)


async def retry(engine: Engine, id: str, *, raw: bytes | str | Mapping[str, Json] | None = None) -> Json:
    """Go on with a run that failed: in place, or, where it was undone or the input is edited, by a new run.

    In place, a step that was definitely refused begins a new generation (a new key); one whose outcome is in doubt
    keeps its own.
    """
    run = await engine.load(id)
    caller = engine.caller_of(run)
    if not run.ended or run.state == "completed":
        raise PulpoError("PULPO407", f"run {id} is {run.state}", hint="only a run that failed can be retried")
    if run.retried_by is not None:
        raise already_retried(run)
    steps = await engine.steps_of(id)
    undone = any(step.kind == "compensation" for step in steps.values())
    if run.kind == "operation":
        if run.state != "failed":
            raise PulpoError("PULPO407", f"run {id} is {run.state}")
        if raw is None and any(step.doubt for step in steps.values()):
            return await _resume(engine, run, steps)  # perhaps it happened: under the key it had
        outcome = await engine.application.call(run.name, raw if raw is not None else run.input or "{}", caller=caller)
        return await engine.run(outcome.run)
    if raw is not None or undone or run.state != "failed":
        return await engine.start_run(
            run.name, raw if raw is not None else run.input or "{}", caller=caller, retry_of=run.id
        )
    return await _resume(engine, run, steps)


async def _resume(engine: Engine, run: Run, steps: dict[str, StepRun]) -> Json:
    plan = await engine.plan_of(run)
    if plan is None:
        raise PulpoError("PULPO414", f"the plan that run {run.id} began with is not known any more")
    writes: list[Write] = []
    for step in steps.values():
        if step.state == "completed" or step.kind == "compensation":
            continue
        if step.doubt or step.state == "running":
            step.state, step.finished_at, step.token = "running", None, run.token + 1
            writes.append(step.replace())
        else:
            again = StepRun(
                step_id(run.id, step.operation, step.generation + 1),
                run=run.id,
                operation=step.operation,
                generation=step.generation + 1,
                input=step.input,
                token=run.token + 1,
            )
            writes.append(again.insert())
    run.state, run.error, run.incident, run.ending, run.finished_at = "queued", None, None, None, None
    run.token, run.worker, run.wake_at, run.cancel_requested = run.token + 1, None, clock(), False
    run.recoveries, run.key = 0, None
    if plan.one_per:
        run.live = _live_of(engine, run, plan.one_per)
    try:
        await engine.store.commit(Batch((run.replace(), *writes), (run.event(),)))
    except UniqueTaken as taken:
        raise await engine.live_run(run.name, plan, run.live) from taken
    engine.worker.kick()
    return await engine.run(run.id)


def _live_of(engine: Engine, run: Run, one_per: str) -> str | None:
    """The value that a run is `one_per`, as it was when it began: its input leaves defaults out."""
    value = pydantic_core.from_json(run.input or "{}").get(one_per)
    if value is None and run.name in engine.application.plans:
        field = engine.input_of(run.name).model_fields.get(one_per)
        value = None if field is None else field.get_default(call_default_factory=True)
    return None if value is None else str(value)


def already_retried(run: Run) -> PulpoError:
    """The error of a second retry of one run."""
    return PulpoError("PULPO407", f"run {run.id} was retried already, by {run.retried_by}")
