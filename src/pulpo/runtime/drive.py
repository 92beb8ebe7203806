"""One run at work: a step starts as soon as the steps it needs are done; when one fails, what was done is undone.

The driver holds a run that its worker owns. Everything it decides can be worked out again from the journal, so a driver
that dies is replaced by one that reads the journal and goes on.

The module is long because it is one state machine: what may start, what rides along and when it ends all turn on the
same few sets of step names. The records it changes are in `held`, its undoing in `unwind`, people's wishes in `wishes`.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Mapping
from copy import copy
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pydantic_core

from pulpo.errors import NotReady, PulpoError
from pulpo.model.model import now, timestamp
from pulpo.runtime import telemetry
from pulpo.runtime.execution import Execution, Followup, Lost, Owner
from pulpo.runtime.held import UNRECORDED, Held, key_writes
from pulpo.runtime.intents import intent
from pulpo.runtime.journal import Run, StepRun, clock, error_json
from pulpo.runtime.tables import STEPS
from pulpo.runtime.unwind import Ending, unwind
from pulpo.spec import FlowPlan, Json, Step
from pulpo.store.port import Batch, Require, Unreachable, Write, WriteFailed

if TYPE_CHECKING:
    from pulpo.runtime.engine import Engine

log = logging.getLogger("pulpo.engine")

LONGEST_PAUSE = 60.0
"""Seconds between two looks at something that is not ready yet, at most."""


class Driver:
    """Runs one run. `auto=False`: somebody else decides when each step starts (`step`), as Prefect does."""

    def __init__(
        self, engine: Engine, run: Run, plan: FlowPlan, steps: Mapping[str, StepRun], *, auto: bool = True
    ) -> None:
        self.engine = engine
        self.app = engine.application
        self.held = Held(engine.store, run)
        self.plan = plan
        self.steps = dict(steps)
        self.auto = auto
        self.ending: Ending | None = None
        self.draining = False
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._input: dict[str, Json] = pydantic_core.from_json(run.input or "{}")
        self._outputs: dict[str, Json] = {}
        self._completed: set[str] = set()
        self._landing: set[str] = set()
        self._recorded: set[str] = set()
        self._doubtful: set[str] = set()  # steps whose record may be newer than it is known here
        self._active: dict[str, asyncio.Task[None]] = {}
        self._executions: dict[str, Execution] = {}
        self._plan_steps = {step.operation: step for step in plan.steps}
        self._needs = {step.operation: frozenset(step.needs) for step in plan.steps}
        self._next: dict[str, list[Step]] = {step.operation: [] for step in plan.steps}
        for step in plan.steps:
            for need in step.needs:
                self._next[need].append(step)
        self._owner = Owner(self._follow, lambda: self.ending is not None, self._cancel_others)
        self._timers: list[asyncio.TimerHandle] = []
        self._settling: asyncio.Task[None] | None = None
        self.span = telemetry.active.run(run) if telemetry.active is not None else None

    @property
    def run(self) -> Run:
        """The run's record as this worker knows it."""
        return self.held.run

    # beginning

    def start(self) -> None:
        """Go on from what the journal says."""
        self.engine.driver_started(self)
        for name, record in self.steps.items():
            if record.kind == "step" and record.state == "completed":
                self._completed.add(name)
                self._outputs[name] = pydantic_core.from_json(record.output or "null")
        if self.run.state == "compensating":
            self.ending = Ending(self.run.ending or "error", self.run.error)
        elif self.run.cancel_requested:
            self.ending = Ending("cancel")
        else:
            self._find_ending()
        if self.ending is None and self.auto:
            for step in self.plan.steps:
                self._launch_if_ready(step)
        self.settle()

    def _find_ending(self) -> None:
        for name, record in self.steps.items():
            if record.kind == "step" and record.state == "failed":
                self.ending = Ending("error", record.error)
            step = self._plan_steps.get(name)
            if step is not None and name in self._completed and self._stops(step, self._outputs[name]):
                self.ending = self.ending or self._gate_ending(step)

    # steps

    def _launch_if_ready(self, step: Step) -> None:
        name = step.operation
        over = self.draining or self.ending is not None or self.done.done()
        if over or name in self._completed or name in self._active:
            return
        if self._needs[name] <= self._completed:
            self._active[name] = asyncio.get_running_loop().create_task(self._perform(step))

    async def step(self, operation: str) -> Json:
        """Run one step now, or wait for it, or take its recorded result; its output. Raises what it failed with."""
        step = self._plan_steps.get(operation)
        if step is None:
            raise PulpoError("PULPO414", f"the plan of run {self.run.id} has no step {operation}")
        if operation not in self._completed and operation not in self._active:
            if self.ending is not None:
                raise PulpoError("PULPO413", f"run {self.run.id} is ending")
            if self.done.done():  # whoever called this was late: another worker may hold the run by now
                raise PulpoError("PULPO413", f"run {self.run.id} is not held here any more")
            self._active[operation] = asyncio.get_running_loop().create_task(self._perform(step))
        if (task := self._active.get(operation)) is not None:
            await asyncio.wait([task])
        if operation in self._completed:
            return self._outputs[operation]
        record = self.steps.get(operation)
        detail = (record.error if record else None) or {"code": "PULPO413", "detail": f"{operation} did not complete"}
        raise PulpoError(detail["code"], detail["detail"], status=detail.get("status"))

    async def _perform(self, step: Step) -> None:
        name = step.operation
        try:
            if not self.draining:
                await self._execute(step)
        except Lost:
            self.lose()
        except PulpoError as error:
            # what happened cannot be recorded now (no room, not reachable): it stays as it was and is tried again
            log.warning("step %s of run %s is not recorded: %s", name, self.run.id, error.detail)
            self._doubtful.add(name)
            if (record := self.steps.get(name)) is not None:
                record.state, record.finished_at = "running", None
            self._timers.append(asyncio.get_running_loop().call_later(1.0, self._launch_if_ready, step))
        finally:
            self._active.pop(name, None)
            self._executions.pop(name, None)
            self.settle()

    async def _execute(self, step: Step) -> None:
        name = step.operation
        try:
            spec = self.app.operation(name)
            await self._be_sure(name)
            record = self.steps.get(name)
            if record is None:
                record = self.steps[name] = intent(self.run, step, self._input, self._outputs)
                await self._commit_intent(record, atomic=spec.atomic)
            elif record.state == "waiting" or (record.attempts and not spec.atomic):
                record.state, record.wake_at = "running", None
                await self.held.record(record)
            if self.ending is not None:
                record.state = "cancelled"
                return
            self._recorded.discard(name)
            execution = Execution(
                self.engine.store,
                self.app.settings,
                spec,
                record,
                self.engine.caller_of(self.run),
                self.run.name if self.run.kind == "flow" else None,
                self._owner,
                self.engine.deadlines,
                self.engine.counts,
                delay=self.engine.delay(name),
                parent=self.span,
            )
            self._executions[name] = execution
            await execution.run()
        except (Lost, Unreachable):
            raise  # what the store could not take or give is no failure of the step
        except NotReady as error:
            await self._wait(step, error)
        except asyncio.CancelledError:
            if self.ending is None and not self.draining:
                raise
            if (cancelled := self.steps.get(name)) is not None and self.ending is not None:
                cancelled.state = "cancelled"
        except Exception as error:  # noqa: BLE001 - whatever an operation raises ends its run, never the worker
            await self._fail(step, error)

    async def _be_sure(self, *names: str) -> None:
        """Look at what is recorded of steps that nothing works on, where a commit was given up: perhaps it is in.

        Raises:
            Lost: Something is not as it is known here: whoever takes the run on reads all of it.
        """
        records = [self.steps[name] for name in self._doubtful.intersection(names) if name in self.steps]
        if records:
            found = await self.engine.store.get_many(STEPS, tuple(record.id for record in records))
            versions = {each.id: each.version for each in found}
            # A row that is not there may be on its way, before whatever is written next.
            if any(versions.get(record.id, record.version) != record.version for record in records):
                raise Lost
        self._doubtful.difference_update(names)

    async def _cancel_others(self, value: str) -> None:
        # a step that waited for its own run would wait for itself
        await self.engine.cancel_live(value, but=self.run.id)

    async def _commit_intent(self, record: StepRun, *, atomic: bool) -> None:
        if atomic:
            # its result cannot land without this row, so nobody needs to wait for it
            self.engine.in_background(self._lands(record))
            await asyncio.sleep(0)
            return
        try:
            await self._lands(record)
        except PulpoError:
            self.steps.pop(record.operation, None)  # the row is not there: it has to be intended again
            raise

    async def _lands(self, record: StepRun) -> None:
        """Record an intent while the run is as it is known here: who was paused begins nothing in a run of others."""
        while True:
            writes = (record.insert(), Require(Run.collection, self.run.id, self.run.version))
            try:
                await self.engine.store.commit(Batch(writes, (record.event(),)))
            except WriteFailed as error:
                if error.index == 0 or not await self.held.refresh():
                    self.lose()
                    raise Lost from error
                if self.run.cancel_requested:
                    self.stop(Ending("cancel"))
            else:
                return

    def _follow(self, record: StepRun, alone: bool, plain: bool) -> Followup:  # noqa: C901 - its parts share names
        """What rides along with a step's result: the intents it makes possible, or the end of the run.

        An intent counts on results that are on their way to the store and cannot be refused there. Should one not land
        all the same, the intent stands there early; the step itself begins when all it needs has landed.
        """
        name = record.operation
        step = self._plan_steps[name]
        output = pydantic_core.from_json(record.output or "null")
        self._outputs[name] = output  # of use only once the step has landed, or is sure to
        stops = self._stops(step, output)
        intents: list[StepRun] = []
        ended: Run | None = None
        if self.auto and self.ending is None and not (stops or alone):
            if not self.draining:
                done = {*self._completed, *self._landing, name}
                near = [s for s in self._next[name] if s.operation not in self.steps]
                ready = [later for later in near if self._needs[later.operation] <= done]
                intents = [intent(self.run, later, self._input, self._outputs) for later in ready]
            if len(self._completed) + 1 == len(self._plan_steps):
                ended = self._ended(self._outputs)

        if plain and not stops:
            self._landing.add(name)

        def failed() -> None:
            self._landing.discard(name)

        def landed() -> None:
            self._landing.discard(name)
            self._completed.add(name)
            if ended is not None:
                self.held.run = ended
            for early in intents:
                self.steps[early.operation] = early
                self._recorded.add(early.operation)
            if stops:
                self.stop(self._gate_ending(step))
            elif self.auto:
                for later in self._next[name]:
                    self._launch_if_ready(later)

        writes: tuple[Write, ...] = tuple(early.insert() for early in intents)
        events: tuple[Mapping[str, Json], ...] = tuple(early.event() for early in intents)
        if ended is not None:
            writes = (*writes, ended.replace(), *key_writes(ended, record))
            events = (*events, ended.event())
        return Followup(writes, events, separable=bool(writes), landed=landed, failed=failed)

    def _ended(self, outputs: Mapping[str, Json]) -> Run:
        run = copy(self.run)
        run.end("completed")
        run.error = None
        if run.kind == "operation":
            result: Json = outputs[run.name]
        else:
            result = {
                step.operation: outputs[step.operation] for step in self.plan.steps if not self._next[step.operation]
            }
        run.output = pydantic_core.to_json(result).decode()
        return run

    def _stops(self, step: Step, output: Json) -> bool:
        return (
            step.gate is not None
            and self.run.kind == "flow"
            and isinstance(output, dict)
            and output.get(step.gate) is False
        )

    def _gate_ending(self, step: Step) -> Ending:
        detail = f"{step.operation} answered {step.gate} = false"
        error = PulpoError("PULPO416", detail, hint="its output says why")
        return Ending("gate", error_json(error, step.operation))

    async def _fail(self, step: Step, error: BaseException) -> None:
        if step.operation not in self._executions and isinstance(error, PulpoError) and error.code in UNRECORDED:
            raise error  # it has not begun, so it has not failed
        record = self.steps.get(step.operation)
        data = error_json(error, step.operation)
        if record is not None:
            definite = isinstance(error, PulpoError) and error.status < 500
            record.state, record.error, record.finished_at = "failed", data, clock()
            record.doubt = not definite and not step.atomic
            await self.held.record(record)
        else:
            log.error("step %s of run %s could not begin: %s", step.operation, self.run.id, error)
        self.stop(Ending("error", data))

    async def _wait(self, step: Step, error: NotReady) -> None:
        record = self.steps[step.operation]
        record.waiting_since = record.waiting_since or clock()
        waited = (now() - datetime.fromisoformat(record.waiting_since)).total_seconds()
        if step.wait is not None and waited >= step.wait:
            await self._fail(step, error)
            return
        if self.ending is not None:
            record.state = "cancelled"
            return
        if self.run.kind == "operation":
            await self._fail(step, error)
            return
        pause = min(LONGEST_PAUSE, max(1.0, waited))
        record.state, record.error = "waiting", error_json(error, step.operation)
        record.wake_at = timestamp(now() + timedelta(seconds=pause))
        await self.held.record(record)
        self._timers.append(asyncio.get_running_loop().call_later(pause, self._launch_if_ready, step))

    # ending

    def stop(self, ending: Ending) -> None:
        """Start nothing new; atomic siblings are cancelled, others may end."""
        if self.ending is not None or (ending.why == "cancel" and self.passed()):
            return
        self.ending = ending
        if ending.why != "gate":
            for name, task in list(self._active.items()):
                execution = self._executions.get(name)
                if execution is not None and execution.spec.atomic and not execution.committing:
                    task.cancel()
        self.settle()

    def take_over(self) -> None:
        """From now on start steps by the plan."""
        self.auto = True
        for step in self.plan.steps:
            self._launch_if_ready(step)
        self.settle()

    def resume(self) -> None:
        """Go on after all: a cancel came too late."""
        self.ending = None
        self._find_ending()
        for step in self.plan.steps:
            self._launch_if_ready(step)

    def drop_unbegun(self) -> None:
        """Steps whose intent was recorded with their forerunner's result and that never began are in no doubt."""
        for name in self._recorded:
            self.steps[name].state = "cancelled"

    def passed(self) -> bool:
        """Whether the point of no return lies behind, or all is done."""
        return len(self._completed) == len(self._plan_steps) or any(
            step.pivot and step.operation in self._completed for step in self.plan.steps
        )

    def lose(self) -> None:
        """Let go: another worker has taken this run over."""
        self.draining = True
        for name, task in list(self._active.items()):
            if task is not asyncio.current_task() and name in self._active and _begun(task):
                task.cancel()
        self._finish()

    def settle(self) -> None:
        """When nothing is at work: undo, wait, let go or be done."""
        if self._active or self.done.done() or self._settling is not None:
            return
        if self.run.ended:
            self._finish()
        elif self.ending is not None or self.draining or (self.auto and not self._startable()):
            self._settling = asyncio.get_running_loop().create_task(self._conclude())

    def _startable(self) -> bool:
        return any(
            step.operation not in self._completed
            and self._needs[step.operation] <= self._completed
            and (step.operation not in self.steps or self.steps[step.operation].state != "waiting")
            for step in self.plan.steps
        )

    async def _conclude(self) -> None:
        if self.done.done():
            return
        try:
            await self._be_sure(*self._doubtful)
            await self._decide()
        except Lost:
            self.lose()
        except asyncio.CancelledError:
            if not self.draining:
                raise
            self._again()  # the time to undo is over: let go of the run, another worker goes on
            return
        except PulpoError as error:
            # somebody asked for a cancel, or the store takes nothing now (no room, not reachable): look again
            log.warning("run %s cannot be concluded yet: %s", self.run.id, error.detail)
            if isinstance(error, Unreachable):
                self._doubtful.update(self.steps)
            if self.run.cancel_requested and self.ending is None and not self.passed():
                self.ending = Ending("cancel")
            pause = 0.0 if error.code == "PULPO407" else 1.0
            self._timers.append(asyncio.get_running_loop().call_later(pause, self._again))
            return
        self._settling = None
        if self._active or self._startable_now():
            self.settle()
            return
        self._finish()

    async def _decide(self) -> None:
        complete = len(self._completed) == len(self._plan_steps)
        if self.draining and not complete and (self.ending is None or self.run.kind == "flow"):
            await self.held.release(clock())
        elif self.ending is not None:
            await unwind(self, self.ending)
        elif complete:
            ended = self._ended(self._outputs)
            await self.held.change(ended, more=key_writes(ended, None))
        else:
            self._stop_timers()
            wakes = [r.wake_at for r in self.steps.values() if r.state == "waiting" and r.wake_at]
            await self.held.release(min(wakes, default=clock()), "waiting")

    def _startable_now(self) -> bool:
        """Whether concluding found that the run goes on."""
        return not self.run.ended and self.run.worker is not None and self.ending is None and not self.draining

    def _again(self) -> None:
        self._settling = None
        self.settle()

    async def cancel(self) -> None:
        """The run's record asks for a cancel: take note of it and stop."""
        if await self.held.refresh():
            self.stop(Ending("cancel"))

    def drain(self) -> None:
        """Start nothing new and let go when what runs has ended."""
        self.draining = True
        self.settle()

    @property
    def tasks(self) -> tuple[asyncio.Task[None], ...]:
        """What is at work: steps, and the end of the run."""
        return (*self._active.values(), *([self._settling] if self._settling else []))

    def abandon(self) -> None:
        """Cancel what runs: the time to end is over. What was not recorded runs again elsewhere."""
        self.draining = True
        for task in self.tasks:
            if _begun(task):
                task.cancel()

    def _stop_timers(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    def _finish(self) -> None:
        self._stop_timers()
        if not self.done.done():
            self.done.set_result(None)
            if self.span is not None:
                self.span.end(self.run)
            if self.run.ended and self.run.kind == "flow":
                self.engine.counts.runs[self.run.name, self.run.state] += 1
            self.engine.driver_done(self)


def _begun(task: asyncio.Task[None]) -> bool:
    """Whether a task has begun. One that has not would be cancelled without ever cleaning up: it looks by itself."""
    return inspect.getcoroutinestate(task.get_coro()) != inspect.CORO_CREATED  # type: ignore[arg-type]  # it is one
