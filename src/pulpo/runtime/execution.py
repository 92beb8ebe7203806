"""One operation at work: attempts, timeout, and the commit that holds its writes and its journal entry together."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from pulpo.errors import NotReady, PulpoError
from pulpo.runtime import broke, faults, shapes, step_log, telemetry
from pulpo.runtime.context import Caller, Context, RunRef
from pulpo.runtime.counts import Counts, Outcome
from pulpo.runtime.deadlines import Deadlines, Expired
from pulpo.runtime.journal import StepRun, clock, error_json
from pulpo.runtime.session import Access, Session
from pulpo.runtime.tables import STEPS
from pulpo.settings import Settings
from pulpo.spec import Json, OperationSpec
from pulpo.store.port import Batch, DuplicateId, StaleVersion, Store, UniqueTaken, Unreachable, Write, WriteFailed

if TYPE_CHECKING:
    from pulpo.runtime.tracing import RunSpan

log = logging.getLogger("pulpo.engine")

MISTAKES = frozenset({"PULPO405", "PULPO414", "PULPO415", "PULPO417"})
"""What only a change of code mends: trying again is of no use."""
UNIQUE_TRIES = 10
"""How often an operation that meets a taken id or unique value runs again before that is its answer."""


_CHANGED_NAMES = ("state", "output", "already", "error", "doubt", "wake_at", "finished_at", "touched", "version")
_CHANGED = attrgetter(*_CHANGED_NAMES)


class _Overtaken(Exception):
    """What should have ridden along with a result no longer holds; the result itself may."""


class Lost(Exception):
    """The step belongs to another worker now; nothing of this attempt was kept."""


@dataclass(slots=True)
class Followup:
    """What is committed together with a step's result, and what to do once that has landed.

    `separable`: when these writes do not hold, the result may land without them.
    """

    writes: tuple[Write, ...] = ()
    events: tuple[Mapping[str, Json], ...] = ()
    separable: bool = False
    landed: Callable[[], None] = lambda: None
    failed: Callable[[], None] = lambda: None


@dataclass(slots=True)
class Owner:
    """What whoever runs an operation decides.

    Attributes:
        follow: What rides along with a result (step, alone, plain); `alone`: nothing, it only says what is to be done
            once the result has landed; `plain`: the result's commit holds nothing that could be refused.
        stopping: Whether to leave it at the attempt that just failed.
        cancel_runs: What `ctx.cancel_runs` does.
    """

    follow: Callable[[StepRun, bool, bool], Followup] = lambda _step, _alone, _plain: Followup()
    stopping: Callable[[], bool] = lambda: False
    cancel_runs: Callable[[str], Awaitable[None]] | None = None


@dataclass(slots=True)
class Execution:
    """An operation and the journal entry it works on.

    Attributes:
        parent: The span that the step's is part of; without one, whatever is current.
        outcome: How it ended.
        committing: A commit is under way: cancelling now could not tell what happened.
    """

    store: Store
    settings: Settings
    spec: OperationSpec
    step: StepRun
    caller: Caller
    flow: str | None
    owner: Owner
    deadlines: Deadlines
    counts: Counts
    delay: float = 0.0
    retries: int | None = None
    parent: RunSpan | None = None
    committing: bool = False
    outcome: Outcome = "failed"

    async def run(self) -> str:
        """Run the operation until it has a committed result or has failed for good.

        Returns:
            The output as JSON text.
        Raises:
            Lost: Another worker owns the step.
            NotReady: Not yet.
            PulpoError: It was refused, timed out (PULPO402), kept meeting changes (PULPO408) or raised (PULPO401).
        """
        if telemetry.active is None:
            return await self._counted()
        return await telemetry.active.step(self, self._counted)

    async def _counted(self) -> str:
        began = time.perf_counter()
        try:
            text = await self._tried()
        except (Lost, asyncio.CancelledError):
            self.outcome = "cancelled"
            raise
        except NotReady:
            self.outcome = "waiting"
            raise
        except PulpoError as error:
            self.outcome = "refused" if error.status < 500 else "failed"
            raise
        else:
            self.outcome = "completed"
            return text
        finally:
            self.counts.step(self.spec.name, self.step.kind, self.outcome, time.perf_counter() - began)

    async def _tried(self) -> str:  # noqa: C901 - one loop, an exit per kind of failure
        spec, clock_ = self.spec, asyncio.get_running_loop().time
        retries = spec.retries if self.retries is None else self.retries
        deadline = clock_() + (spec.timeout or 30.0)
        failures = conflicts = 0
        while True:
            self.step.attempts += 1
            try:
                return await self._attempt()
            except (StaleVersion, DuplicateId, UniqueTaken) as conflict:
                # what it read has changed meanwhile: the body decides again on what is there now
                conflicts += 1
                self.counts.conflicts[spec.name] += 1
                if isinstance(conflict, StaleVersion):
                    if clock_() >= deadline:
                        raise PulpoError(
                            "PULPO408", f"what {spec.name} read kept changing", hint="try again"
                        ) from conflict
                elif conflicts >= UNIQUE_TRIES:
                    raise
                await asyncio.sleep(random.uniform(0, min(0.05, 0.001 * 2**conflicts)))  # noqa: S311 - jitter
                await self._refuse_if_taken()
            except (NotReady, Lost, Unreachable):
                raise  # the store has waited itself, and perhaps the result is there: whoever runs this has to look
            except PulpoError as error:
                if error.status < 500 or error.code in MISTAKES or failures >= retries or self.owner.stopping():
                    raise
                failures += 1
                await self._back_off(failures, error)
            except Exception as error:
                log.exception("%s failed in run %s", spec.name, self.step.run)
                if failures >= retries or self.owner.stopping():
                    detail = f"{spec.name} raised {type(error).__name__}"
                    if self.settings.project.mode == "dev":  # what it says may be secret where others read it
                        detail += broke.said(error, spec.function)
                    raise PulpoError("PULPO401", detail, hint="the log has the traceback") from error
                failures += 1
                await self._back_off(failures, error)

    async def _refuse_if_taken(self) -> None:
        """Raise Lost where another worker has restamped the step: what it read has changed by that one's work."""
        if self.step.version:
            found = await self.store.get(STEPS, self.step.id)
            if found is not None and found.version != self.step.version:
                raise Lost

    async def _attempt(self) -> str:
        spec, step = self.spec, self.step
        session = Session(self.store, Access.of(spec.name, spec.reads, spec.writes, spec.adds))
        ref = RunRef(step.run, self.flow, spec.name, step.generation, step.attempts)

        async def commit() -> None:
            if spec.atomic:
                raise PulpoError("PULPO405", f"{spec.name} is atomic and calls ctx.commit()", hint="drop atomic=True")
            await _whole(self._commit(session))
            faults.reach("after_commit", spec.name)

        cancel = self.owner.cancel_runs or _no_runs
        context = Context(session, step.key, self.caller, ref, self.settings, commit, cancel)
        faults.reach("before_body", spec.name)
        try:
            value = await self.deadlines.within(spec.timeout, self._body(context))
        except Expired as error:
            raise PulpoError("PULPO402", f"{spec.name} took longer than {spec.timeout} s") from error
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # nobody asked this step to end: something that it waited for was cancelled
            raise PulpoError("PULPO401", f"{spec.name} raised CancelledError", hint="the log has more") from error
        text = shapes.output_text(spec, value)
        faults.reach("after_body" if step.kind == "step" else "inside_compensation", spec.name)
        await self._finish(session, text, already=context._already)  # noqa: SLF001 - ours
        faults.reach("after_result", spec.name)
        return text

    async def _body(self, context: Context) -> Any:
        if self.delay:
            await asyncio.sleep(self.delay)
        with step_log.kept_in(self.step.log, self.step.attempts):
            return await call(self.spec, self.step.input or "{}", context)

    async def _finish(self, session: Session, text: str, *, already: bool) -> None:
        step = self.step
        before = _CHANGED(step)
        step.state, step.output, step.already, step.error = "completed", text, already, None
        step.doubt, step.wake_at, step.finished_at = False, None, clock()
        plain = not session.pending
        follow = self.owner.follow(step, False, plain)
        try:
            try:
                await self._commit(session, follow)
            except _Overtaken:
                follow = self.owner.follow(step, True, plain)
                await self._commit(session, follow)
        except BaseException:
            follow.failed()
            for name, value in zip(_CHANGED_NAMES, before, strict=True):
                setattr(step, name, value)
            raise
        follow.landed()

    async def _commit(self, session: Session, follow: Followup | None = None) -> None:
        gathered, step = session.batch(), self.step
        before, touched = step.version, step.touched
        step.touched = [*touched, *([e["model"], e["id"], e.get("version")] for e in gathered.events)]
        own = step.replace() if step.version else step.insert()
        events = gathered.events
        if follow is not None:
            events = (*events, step.event(), *follow.events)
        batch = Batch((*gathered.writes, own, *(follow.writes if follow else ())), events)
        self.committing = True
        try:
            await self.store.commit(batch)
        except WriteFailed as error:
            step.version, step.touched = before, touched
            if error.index > len(gathered.writes) and follow is not None and follow.separable:
                raise _Overtaken from error
            if error.index >= len(gathered.writes):
                raise Lost from error
            refusal = session.refusal(error)
            raise refusal from (None if refusal is error else error)
        except BaseException:
            step.version, step.touched = before, touched
            raise
        finally:
            self.committing = False
        session.landed()

    async def _back_off(self, failures: int, error: Exception) -> None:
        step = self.step
        self.counts.retries[self.spec.name] += 1
        if telemetry.active is not None:
            telemetry.active.failed(error)
        log.warning("%s failed in run %s (attempt %s): %s", self.spec.name, step.run, step.attempts, error)
        if step.version:
            step.error = error_json(error, self.spec.name)
            before = step.version
            try:
                await self.store.commit(Batch((step.replace(),), ()))
            except WriteFailed as lost:
                raise Lost from lost
            except PulpoError:
                step.version = before  # the note of a failed attempt is not worth failing for
                log.exception("the failed attempt could not be recorded")
        await asyncio.sleep(min(10.0, 0.2 * 2 ** (failures - 1)) * random.uniform(0.5, 1.0))  # noqa: S311 - jitter


async def call(spec: OperationSpec, text: str, context: Context) -> Any:
    """Call the user's function with an input given as JSON text."""
    given: dict[str, Any] = {}
    if spec.context is not None:
        given[spec.context] = context
    if spec.takes == "nothing" or spec.input.cls is None:
        return await spec.function(**given)
    data: BaseModel = shapes.parse(spec.input.cls, text)
    if spec.takes == "model":
        return await spec.function(data, **given)
    return await spec.function(**{name: getattr(data, name) for name in type(data).model_fields}, **given)


async def _whole(work: Coroutine[Any, Any, None]) -> None:
    """Await a commit to its end, also when cancelled meanwhile: it lands all the same, and its step has to know."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("a commit that nobody waits for any more was refused: %s", error)
        raise


async def _no_runs(_: str) -> None:
    return None
