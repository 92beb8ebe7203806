"""The embedded engine: starts runs, holds those its worker owns, tells of them, and passes on what people wish of them.

A fifth of it is signatures and promises of public methods, whose work is done in `drive`, `wishes` and `workers`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from typing import TYPE_CHECKING, Any

import pydantic_core

from pulpo.errors import NotFound, PulpoError
from pulpo.model.conditions import All, Compare, Condition
from pulpo.model.model import new_id
from pulpo.runtime import shapes, telemetry, wishes
from pulpo.runtime.context import Caller
from pulpo.runtime.counts import Counts
from pulpo.runtime.deadlines import Deadlines
from pulpo.runtime.drive import Driver
from pulpo.runtime.held import Held, key_writes
from pulpo.runtime.intents import first_intents
from pulpo.runtime.journal import Run, State, StepRun, clock, error_from, step_id
from pulpo.runtime.keys import Answer, Key
from pulpo.runtime.listing import TOUCHING
from pulpo.runtime.tables import PLANS, RUNS, STEPS
from pulpo.runtime.workers import Worker
from pulpo.spec import FlowPlan, Json, OperationSpec, Step, Wire
from pulpo.store.port import Batch, Insert, Page, Query, Record, StaleVersion, Store, UniqueTaken, Write, WriteFailed

if TYPE_CHECKING:
    from pydantic import BaseModel

    from pulpo.runtime.application import Application
    from pulpo.runtime.prefect.dispatch import Dispatch

log = logging.getLogger("pulpo.engine")

_LET_GO = 2.0
"""Seconds in which a run that its process lets go of is written down as free; else its lease runs out."""
POLL = 0.05
"""Seconds between two looks at a run that another process executes."""


class Engine:
    """Runs plans in this process; several processes on one database share the work."""

    def __init__(self, application: Application) -> None:
        self.application = application
        self.store: Store = application.store
        self.worker = Worker(self)
        self.deadlines = Deadlines()
        self.counts = Counts()
        self.drivers: dict[str, Driver] = {}
        self._delays = _delays(application.settings.engine.delay)
        self._inputs: dict[str, type[BaseModel]] = {}
        self._plans: dict[str, FlowPlan] = {plan.hash: plan for plan in application.plans.values()}
        self._hashes = {flow: plan.hash for flow, plan in application.plans.items()}
        self._background: set[asyncio.Task[None]] = set()
        self._beginning: set[str] = set()
        self.attached: set[str] = set()  # runs whose steps somebody else starts, or did, until they are taken from here
        self.dispatch: Dispatch | None = None
        if application.settings.engine.needs_prefect:
            from pulpo.runtime.prefect import dispatch, place  # noqa: PLC0415 - only where it is asked for

            self.dispatch = dispatch.Dispatch(self, place.place(application.settings, application.root))

    # life

    async def start(self, *, execute: bool) -> None:
        """Keep the plans, and with `execute` take on runs that nobody holds."""
        for hash_, plan in self._plans.items():
            if await self.store.get(PLANS, hash_) is None:
                text = pydantic_core.to_json({"id": hash_, "version": 1, "plan": plan.as_json()}).decode()
                try:
                    await self.store.commit(Batch((Insert(PLANS, hash_, text),)))
                except WriteFailed:
                    log.debug("another process kept the plan %s first", hash_)
        await self.worker.start(execute=execute)

    async def stop(self, seconds: float) -> None:
        """Let what runs come to the end of its steps, then let go of it; unfinished runs go on elsewhere."""
        await self.worker.quiet()
        drivers = list(self.drivers.values())
        for driver in drivers:
            driver.drain()
        waiting = [driver.done for driver in drivers]
        if waiting:
            await asyncio.wait(waiting, timeout=seconds)
        for driver in list(self.drivers.values()):
            driver.abandon()
        if waiting:
            await asyncio.wait(waiting, timeout=1.0)
        if self._background:
            await asyncio.wait(self._background, timeout=1.0)
        await self.worker.stop()
        if self.dispatch is not None:
            await self.dispatch.api.close()

    def in_background(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something that nobody waits for; what it raises goes to the log."""
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background_done)

    def _background_done(self, task: asyncio.Task[None]) -> None:
        self._background.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("in the background: %s: %s", type(error).__name__, error)

    # beginning a run

    async def start_run(
        self,
        flow: str,
        raw: bytes | str | Mapping[str, Json],
        *,
        caller: Caller,
        key: str | None = None,
        run_id: str | None = None,
        retry_of: str | None = None,
    ) -> Json:
        """Begin a run of a flow, in this process unless it is full or only asks.

        Returns:
            The run's document; with an idempotency key that was used before, that of the run it began.
        Raises:
            NotFound: PULPO404, no such flow, or a reference to nothing.
            PulpoError: PULPO601/602 the input, PULPO406 a live run for the same `one_per` value, PULPO410 the key.
        """
        plan, value = self._asked(flow, raw)
        claim = Key.of(caller, f"flows/{flow}", key, value.model_dump_json(exclude_unset=True)) if key else None
        # before references: what the first request named may be gone by now
        if claim is not None and (answer := await claim.stored(self.store)) is not None and answer.run:
            return await self.run(answer.run)
        text, live = await self._resolved(plan, value)
        run, steps = self._new(plan, text, live, caller, run_id, retry_of)
        writes: list[Write] = [run.insert(), *(step.insert() for step in steps)]
        if claim is not None:
            writes.append(claim.answered(Answer(202, None, run.id), claimed=False))
        if retry_of is not None:
            writes.append(await self._retried_by(retry_of, run.id))
        events = (run.event(), *(step.event() for step in steps))
        try:
            with self.beginning(run.id):
                await self.store.commit(Batch(tuple(writes), events))
                if run.worker is not None:
                    Driver(self, run, plan, {step.operation: step for step in steps}).start()
        except WriteFailed as refused:
            if claim is not None and (answer := await claim.stored(self.store)) is not None and answer.run:
                return await self.run(answer.run)  # a twin of this request was first
            if isinstance(refused, UniqueTaken):
                raise await self.live_run(flow, plan, live) from refused
            raise
        if run.worker is None:
            self.worker.kick()
        return run.as_json()

    async def prepare(self, flow: str, raw: bytes | str | Mapping[str, Json]) -> tuple[FlowPlan, str, str | None]:
        """A flow's plan, its validated input as JSON text with references resolved, and its `one_per` value."""
        plan, value = self._asked(flow, raw)
        return plan, *await self._resolved(plan, value)

    def _asked(self, flow: str, raw: bytes | str | Mapping[str, Json]) -> tuple[FlowPlan, BaseModel]:
        plan = self.application.plans.get(flow)
        if plan is None:
            raise NotFound("flow", flow)
        return plan, shapes.asked(self.input_of(flow), shapes.text_of(raw))

    async def _resolved(self, plan: FlowPlan, value: BaseModel) -> tuple[str, str | None]:
        await self.application.references.resolve(shapes.flow_references(plan), value)
        live = getattr(value, plan.one_per) if plan.one_per else None
        return value.model_dump_json(exclude_unset=True), None if live is None else str(live)

    def input_of(self, flow: str) -> type[BaseModel]:
        """The class of a flow's input."""
        found = self._inputs.get(flow)
        if found is None:
            plan = self.application.plans[flow]
            found = self._inputs[flow] = shapes.flow_input(plan, self.application.spec)
        return found

    def _new(
        self, plan: FlowPlan, text: str, live: str | None, caller: Caller, run_id: str | None, retry_of: str | None
    ) -> tuple[Run, tuple[StepRun, ...]]:
        run = self._run(plan, text, live, caller, run_id, retry_of)
        elsewhere = self.dispatch is not None and self.dispatch.sends(run)
        if elsewhere or not self.worker.takes(len(self.drivers)):
            run.state, run.wake_at = "queued", clock()
            return run, ()
        run.worker, run.started_at = self.worker.id, clock()
        return run, first_intents(run, plan)

    def queued(self, plan: FlowPlan, text: str, live: str | None, caller: Caller) -> Run:
        """A new run, not yet stored, for whoever takes runs up."""
        run = self._run(plan, text, live, caller, None, None)
        run.state, run.wake_at = "queued", clock()
        return run

    def _run(
        self, plan: FlowPlan, text: str, live: str | None, caller: Caller, run_id: str | None, retry_of: str | None
    ) -> Run:
        return Run(
            run_id or new_id("run"),
            name=plan.flow,
            input=text,
            plan=self._hashes[plan.flow],
            live=live,
            caller={"principal": caller.principal, "role": caller.role},
            retry_of=retry_of,
            trace=telemetry.active.beginning(plan.flow) if telemetry.active is not None else None,
        )

    async def live_run(self, flow: str, plan: FlowPlan, live: str | None) -> PulpoError:
        """The error that names the live run in the way of another for the same `one_per` value."""
        where = All((Compare("name", "eq", flow), Compare("live", "eq", live)))
        page = await self.store.query(Query(RUNS, where, limit=1))
        other = page.records[0].id if page.records else "another run"
        return PulpoError(
            "PULPO406",
            f"{other} is a live run of {flow} for this {plan.one_per}",
            hint=f"wait for it, or cancel it: pulpo runs cancel {other}",
        )

    async def _retried_by(self, old: str, new: str) -> Write:
        run = await self.load(old)
        if run.retried_by is not None:
            raise wishes.already_retried(run)
        run.retried_by = new
        return run.replace()

    async def attach(
        self,
        flow: str,
        raw: bytes | str | Mapping[str, Json],
        *,
        run_id: str | None = None,
        caller: Caller | None = None,
        prefect: str | None = None,
    ) -> Attached | Settled:
        """Hold a run whose steps somebody else starts one by one; a known `run_id` goes on from its journal.

        One that has ended stays as it ended: whoever wants it to go on retries it first.

        Args:
            flow: The flow's name. raw: Its input, for a new run.
            run_id: The run's id. caller: Who asks.
            prefect: The flow run in Prefect that this is.
        Raises:
            PulpoError: PULPO409, another worker holds the run; PULPO404, it is no run of this flow; for a new one what
                `start_run` raises.
        """
        if run_id is not None and (record := await self.store.get(RUNS, run_id)) is not None:
            found = Run.load(record)
            if (found.kind, found.name) != ("flow", flow):
                raise PulpoError("PULPO404", f"there is no run {run_id} of the flow {flow}")
            return await self._attach_again(run_id, prefect)
        plan, text, live = await self.prepare(flow, raw)
        run, _ = self._new(plan, text, live, caller or Caller(), run_id, None)
        run.prefect = prefect
        run.worker, run.state, run.wake_at, run.started_at = self.worker.id, "running", None, clock()
        try:
            with self.beginning(run.id):
                await self.store.commit(Batch((run.insert(),), (run.event(),)))
                driver = Driver(self, run, plan, {}, auto=False)
                self.driver_started(driver)
        except UniqueTaken as taken:
            raise await self.live_run(flow, plan, live) from taken
        return Attached(driver)

    async def _attach_again(self, id: str, prefect: str | None) -> Attached | Settled:
        looked = False
        while True:
            run = await self.load(id)
            if run.ended:
                return Settled(self, run, await self.steps_of(id))
            if run.worker is not None:
                if looked or run.id in self.drivers:
                    raise PulpoError("PULPO409", f"run {id} is held by another worker")
                looked = True
                await self.worker.recover()  # perhaps it is gone
                continue
            run.prefect = prefect or run.prefect
            driver = await self._claim(run, auto=False)
            if driver is not None:
                return Attached(driver, planned=run.plan == self.hash_of(run.name))

    # holding runs

    @contextmanager
    def beginning(self, id: str) -> Iterator[None]:
        """Inside, a run is committed as this worker's own and its driver is started.

        Nobody may find the run between the two and take it for one that was left behind.
        """
        self._beginning.add(id)
        try:
            yield
        finally:
            self._beginning.discard(id)

    def holds(self, id: str) -> bool:
        """Whether this process is at work on a run."""
        return id in self.drivers or id in self._beginning

    def driver_started(self, driver: Driver) -> None:
        """A driver holds its run from now on."""
        self.drivers[driver.run.id] = driver
        if not driver.auto:
            self.attached.add(driver.run.id)

    def driver_done(self, driver: Driver) -> None:
        """A driver has let go of its run."""
        if self.drivers.get(driver.run.id) is driver:
            del self.drivers[driver.run.id]
            self.worker.freed()

    async def claim(self, record: Record) -> None:
        """Take on a run that nobody holds, if nobody else is faster."""
        run = Run.load(record)
        if run.id not in self.drivers and not run.ended and run.worker is None:
            await self._claim(run)

    async def _claim(self, run: Run, *, auto: bool = True) -> Driver | None:
        plan = await self.plan_of(run)
        if plan is None:
            run.incident = "the plan it began with is not known any more"
            run.error = {"code": "PULPO414", "detail": run.incident, "hint": None, "status": 500, "step": None}
            run.end("failed")
            await Held(self.store, run).change(run, more=key_writes(run, None))
            return None
        claimed = copy(run)
        claimed.worker, claimed.wake_at = self.worker.id, None
        if claimed.state in ("queued", "waiting"):
            claimed.state = "running"
        claimed.started_at = claimed.started_at or clock()
        with self.beginning(run.id):
            try:
                await self.store.commit(Batch((claimed.replace(),), (claimed.event(),)))
            except StaleVersion:
                return None
            steps = await self.steps_of(run.id)
            driver = Driver(self, claimed, plan, steps, auto=auto)
            driver.start()
        return driver

    def hash_of(self, flow: str) -> str | None:
        """The hash of the plan by which runs of a flow begin today."""
        return self._hashes.get(flow)

    async def plan_of(self, run: Run) -> FlowPlan | None:
        """The plan that a run began with, or None where it is not known any more."""
        if run.kind == "operation":
            spec = self.application.operations.get(run.name)
            return None if spec is None else single(spec)
        if run.plan not in self._plans:
            record = await self.store.get(PLANS, run.plan or "")
            if record is None:
                return None
            try:
                self._plans[record.id] = FlowPlan.from_json(pydantic_core.from_json(record.json)["plan"])
            except (KeyError, TypeError, ValueError, AttributeError):
                log.exception("the plan of run %s cannot be read", run.id)
                return None
        return self._plans[run.plan or ""]

    async def steps_of(self, run: str) -> dict[str, StepRun]:
        """A run's steps by name (undoings after `~`), each in its newest generation."""
        found: dict[str, StepRun] = {}
        for record in await self._step_records(run):
            step = StepRun.load(record)
            name = f"~{step.of}" if step.kind == "compensation" else step.operation
            if name not in found or found[name].generation < step.generation:
                found[name] = step
        return found

    async def _step_records(self, run: str) -> list[Record]:
        where = All((Compare("id", "gte", f"{run}:"), Compare("id", "lt", f"{run};")))
        records: list[Record] = []
        after = None
        while True:
            page = await self.store.query(Query(STEPS, where, limit=500, after=after))
            records.extend(page.records)
            after = page.cursor
            if after is None:
                return records

    # asking

    async def run(self, id: str) -> Json:
        """A run's document with its steps in the order of the plan; those not begun are `queued` or `skipped`."""
        run = await self.load(id)
        steps = [StepRun.load(record).as_json() for record in await self._step_records(id)]
        plan = await self.plan_of(run)
        order = {step.operation: place for place, step in enumerate(plan.steps)} if plan else {}
        begun = {step["operation"] for step in steps}
        state: State = "skipped" if run.ended else "queued"
        missing = [
            StepRun(step_id(id, name), run=id, operation=name, state=state, created_at=run.created_at).as_json()
            for name in order
            if name not in begun
        ]
        steps.sort(key=lambda step: (step["kind"] != "step", step["created_at"] if step["kind"] != "step" else "",
                                     order.get(step["operation"], 0), step["generation"]))  # fmt: skip
        return {**run.as_json(), "steps": [*steps, *missing]}

    async def runs(self, *, where: Condition | None = None, limit: int = 50, after: str | None = None) -> Page:
        """A page of runs, the newest first."""
        return await self.store.query(Query(RUNS, where, (("created_at", True),), limit, after))

    async def touching(self, document: str) -> list[str]:
        """The runs whose steps wrote to a document, `Order/order_1`, the newest first; at most `TOUCHING`."""
        where = Compare("touches", "eq", document)
        found = await self.store.query(Query(STEPS, where, (("id", True),), TOUCHING, None))
        return list(dict.fromkeys(StepRun.load(record).run for record in found.records))

    async def finished(self, id: str, timeout: float | None = None) -> Json:  # noqa: ASYNC109 - what callers expect
        """Wait until a run is in an end state. Raises TimeoutError."""
        async with asyncio.timeout(timeout):
            while True:
                driver = self.drivers.get(id)
                if driver is not None:
                    await asyncio.shield(driver.done)
                record = await self.store.get(RUNS, id)
                if record is None:
                    raise NotFound("run", id)
                if Run.load(record).ended:
                    return await self.run(id)
                if id not in self.drivers:
                    await asyncio.sleep(POLL)

    # a person's (or an operation's) wishes

    async def cancel(self, id: str, *, reason: str = "") -> Json:
        """Ask a run to stop and to undo what it did; the run's document as it is then.

        Raises:
            NotFound: PULPO404. PulpoError: PULPO407, it has ended or is past its point of no return.
        """
        return await wishes.cancel(self, id, reason=reason)

    async def cancel_live(self, value: str, *, but: str | None = None) -> None:
        """Cancel the live runs that are `one_per` this value and wait for their end; `but` is the one that asks."""
        await wishes.cancel_live(self, value, but=but)

    async def wake(self, id: str) -> Json:
        """Try a waiting run now. Raises PulpoError PULPO407 where it is not waiting."""
        return await wishes.wake(self, id)

    async def retry(self, id: str, *, raw: bytes | str | Mapping[str, Json] | None = None) -> Json:
        """Go on with a run that failed: in place, or, where it was undone or the input is edited, by a new run."""
        return await wishes.retry(self, id, raw=raw)

    # what drivers ask

    def caller_of(self, run: Run) -> Caller:
        """Who began a run."""
        return Caller(run.caller.get("principal", "local"), run.caller.get("role", "admin"))

    def delay(self, operation: str) -> float:
        """Seconds that are added to an operation, to show a plan's shape."""
        if not self._delays:
            return 0.0
        short = operation.rpartition(".")[2]
        return self._delays.get(operation, self._delays.get(short, self._delays.get("all", 0.0)))

    async def load(self, id: str) -> Run:
        """A run's record. Raises NotFound."""
        record = await self.store.get(RUNS, id)
        if record is None:
            raise NotFound("run", id)
        return Run.load(record)


class Attached:
    """A run whose steps somebody else starts, one by one or side by side.

    `planned` says that whoever starts them knows the run's plan. A run that began by another plan than today's keeps
    it: then the calls of its steps do nothing, and `finish` carries out what is left of the plan it has.
    """

    def __init__(self, driver: Driver, *, planned: bool = True) -> None:
        self._driver = driver
        self.id = driver.run.id
        self.planned = planned

    async def step(self, operation: str) -> Json:
        """Run a step, or take its recorded result; its output. Raises what it failed with."""
        return await self._driver.step(operation) if self.planned else None

    async def finish(self) -> Json:
        """Conclude: completed when every step is, undone when one failed; the run's document.

        Steps that nobody started run now: the plan, not its caller, says what the flow is.
        """
        self._driver.take_over()
        await asyncio.shield(self._driver.done)
        return await self._driver.engine.run(self.id)

    async def let_go(self) -> None:
        """Stop what is at work, at once; the run goes on elsewhere, from what the journal says."""
        self._driver.drain()
        self._driver.abandon()
        await asyncio.wait([self._driver.done], timeout=_LET_GO)


class Settled:
    """A run that has ended, for whoever would start its steps: what they gave is known, and nothing is done again."""

    def __init__(self, engine: Engine, run: Run, steps: Mapping[str, StepRun]) -> None:
        self._engine, self._run, self._steps = engine, run, steps
        self.id = run.id
        self.planned = run.plan == engine.hash_of(run.name)

    async def step(self, operation: str) -> Json:
        """A step's recorded result. Raises what it failed with, or PULPO413 where it did not run."""
        if not self.planned:
            return None
        step = self._steps.get(operation)
        if step is None or step.state != "completed":
            if step is not None and step.error is not None:
                raise error_from(step.error)
            raise PulpoError("PULPO413", f"run {self.id} has ended: it is {self._run.state}")
        return pydantic_core.from_json(step.output or "null")

    async def finish(self) -> Json:
        """The run's document."""
        return await self._engine.run(self.id)

    async def let_go(self) -> None:
        """Nothing is held."""


def single(spec: OperationSpec) -> FlowPlan:
    """The plan of a direct call: one step that takes the whole input."""
    wires = tuple(Wire(field.name, None, field.name) for field in spec.input.fields)
    step = Step(spec.name, wires=wires, atomic=spec.atomic, retries=spec.retries, timeout=spec.timeout, wait=spec.wait)
    return FlowPlan(spec.name, (step,))


def _delays(text: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for part in filter(None, (item.strip() for item in text.split(","))):
        name, equals, seconds = part.rpartition("=")
        try:
            found[name if equals else "all"] = float(seconds)
        except ValueError:
            raise PulpoError("PULPO105", f"engine.delay: {part!r} is not NAME=SECONDS") from None
    return found
