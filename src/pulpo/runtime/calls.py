"""Direct calls of one operation: the same validation, journal and events as a step of a flow."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pydantic_core
from pydantic import BaseModel

from pulpo.errors import PulpoError
from pulpo.model.model import new_id
from pulpo.runtime import shapes, telemetry
from pulpo.runtime.context import Caller
from pulpo.runtime.drive import Driver
from pulpo.runtime.engine import single
from pulpo.runtime.execution import Execution, Followup, Lost, Owner
from pulpo.runtime.journal import Run, StepRun, clock, error_from, error_json, step_id
from pulpo.runtime.keys import Answer, Key
from pulpo.runtime.tables import STEPS
from pulpo.spec import Json, OperationSpec
from pulpo.store.port import Batch, Unreachable, Write, WriteFailed

if TYPE_CHECKING:
    from pulpo.runtime.application import Application


@dataclass(frozen=True, slots=True)
class Called:
    """What a call gave: its output as JSON text."""

    output: str
    already: bool
    replayed: bool
    run: str


async def call(
    app: Application, spec: OperationSpec, raw: bytes | str | Mapping[str, Json], caller: Caller, key: str | None
) -> Called:
    """Validate, look the key up, run, journal. Raises PulpoError."""
    value = _asked(spec, raw)
    claim = Key.of(caller, spec.name, key, _text(value)) if key is not None else None
    # before references: what the first call named may be gone by now
    if claim is not None and (answer := await claim.stored(app.store)) is not None:
        return _replay(answer)
    if value is not None:
        await app.references.resolve(spec.input.fields, value)
    text = _text(value)
    if not app.engine.worker.accepting:
        raise PulpoError("PULPO612", "the server is stopping", headers={"Retry-After": "1"})
    run = Run(
        new_id("run"),
        kind="operation",
        name=spec.name,
        input=text,
        worker=app.engine.worker.id,
        caller={"principal": caller.principal, "role": caller.role},
        started_at=clock(),
        trace=telemetry.carrier(),
    )
    step = StepRun(step_id(run.id, spec.name), run=run.id, operation=spec.name, input=text, started_at=clock())
    work = _atomic if spec.atomic else _driven
    try:
        return await work(app, spec, run, step, claim)
    except Lost:
        # another request with the same key was faster
        if claim is not None and (answer := await claim.stored(app.store)) is not None:
            return _replay(answer)
        raise PulpoError("PULPO409", f"run {run.id} was taken over by another worker") from None


def _asked(spec: OperationSpec, raw: bytes | str | Mapping[str, Json]) -> BaseModel | None:
    text = shapes.text_of(raw)
    return None if spec.input.cls is None else shapes.asked(spec.input.cls, text)


def _text(value: BaseModel | None) -> str:
    return "{}" if value is None else value.model_dump_json(exclude_unset=True)


def _replay(answer: Answer) -> Called:
    if answer.status >= 400:
        raise error_from(answer.body)
    return Called(pydantic_core.to_json(answer.body).decode(), already=False, replayed=True, run=answer.run or "")


async def _atomic(app: Application, spec: OperationSpec, run: Run, step: StepRun, claim: Key | None) -> Called:
    """Everything in one commit at the end: interrupted, it leaves nothing."""

    def follow(done: StepRun, _alone: bool, _plain: bool) -> Followup:
        ended = copy(run)
        ended.output = done.output
        ended.end("completed")
        writes: tuple[Write, ...] = (ended.insert(),)
        if claim is not None:
            output = pydantic_core.from_json(done.output or "null")
            writes = (*writes, claim.answered(Answer(200, output, run.id), claimed=False))
        return Followup(writes, (ended.event(),))

    execution = Execution(
        app.store,
        app.settings,
        spec,
        step,
        app.engine.caller_of(run),
        None,
        Owner(follow, cancel_runs=app.engine.cancel_live),
        app.engine.deadlines,
        app.engine.counts,
        delay=app.engine.delay(spec.name),
    )
    try:
        output = await execution.run()
    except Unreachable:
        raise  # perhaps it is done: no failure to be recorded, the key or the documents tell
    except PulpoError as error:
        step.state = "failed"
        step.error = run.error = error_json(error, spec.name)
        step.finished_at = clock()
        run.end("failed")
        await app.store.commit(Batch((run.insert(), step.insert()), (run.event(), step.event())))
        raise
    return Called(output, step.already, replayed=False, run=run.id)


async def _driven(app: Application, spec: OperationSpec, run: Run, step: StepRun, claim: Key | None) -> Called:
    """The intent first: interrupted, it is visible and resumed."""
    writes: tuple[Write, ...] = (run.insert(), step.insert())
    if claim is not None:
        run.key = {"id": claim.id, "body": claim.body}
        writes = (run.insert(), step.insert(), claim.running(run.id))
    with app.engine.beginning(run.id):
        try:
            await app.store.commit(Batch(writes, (run.event(), step.event())))
        except WriteFailed as error:
            raise Lost from error
        driver = Driver(app.engine, run, single(spec), {spec.name: step})
        driver.start()
    await asyncio.shield(driver.done)
    ended = driver.run
    if not ended.ended:  # its end may be there all the same, though nobody could say so
        ended = await app.engine.load(run.id)
    if not ended.ended:
        raise PulpoError("PULPO409", f"run {run.id} goes on elsewhere ({ended.state})", hint="look at the run")
    if ended.state != "completed":
        raise error_from(ended.error or {"code": "PULPO413", "detail": f"run {run.id} is {ended.state}"})
    record = await app.store.get(STEPS, step.id)
    already = record is not None and StepRun.load(record).already
    return Called(ended.output or "null", already, replayed=False, run=run.id)
