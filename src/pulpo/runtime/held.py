"""A run that this worker holds: its record, and the commits that change it and nobody else may make."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy

import pydantic_core

from pulpo.errors import PulpoError
from pulpo.runtime.execution import Lost
from pulpo.runtime.journal import Run, State, StepRun
from pulpo.runtime.keys import Answer, Key
from pulpo.store.port import Batch, Store, Write, WriteFailed

UNRECORDED = frozenset({"PULPO505", "PULPO507", "PULPO512"})
"""What the store says when it cannot do it now: no room, not reachable, too slow. No verdict on what was to be kept."""


class Held:
    """A run's record as this worker knows it. Every change names the version it was read at."""

    def __init__(self, store: Store, run: Run) -> None:
        self._store = store
        self.run = run

    async def record(self, *steps: StepRun) -> None:
        """Store steps that have changed. Raises Lost where another worker has restamped one."""
        before = [step.version for step in steps]
        writes = tuple(step.replace() if step.version else step.insert() for step in steps)
        try:
            await self._store.commit(Batch(writes, tuple(step.event() for step in steps)))
        except PulpoError as error:
            for step, version in zip(steps, before, strict=True):
                step.version = version
            if isinstance(error, WriteFailed):
                raise Lost from error
            raise

    async def change(self, run: Run, steps: Sequence[StepRun] = (), more: Sequence[Write] = ()) -> None:
        """Store a changed copy of the run, with steps, and take it for the run once it has landed.

        `more` are writes for others, who may have gone: where one does not hold, the change lands without them.

        Raises:
            Lost: The run belongs to another worker now.
            PulpoError: PULPO407, somebody else changed its record (asked for a cancel): `run` is the newer one now.
        """
        before = [step.version for step in steps]
        writes = (run.replace(), *(step.replace() if step.version else step.insert() for step in steps), *more)
        try:
            await self._store.commit(Batch(writes, (run.event(), *(step.event() for step in steps))))
        except PulpoError as error:
            for step, version in zip(steps, before, strict=True):
                step.version = version
            if isinstance(error, WriteFailed):
                if error.index > len(steps) and more:
                    run.version -= 1
                    await self.change(run, steps)
                    return
                await self._reload(error)
            raise
        self.run = run

    async def _reload(self, error: WriteFailed) -> None:
        if not await self.refresh():
            raise Lost from error
        raise PulpoError("PULPO407", f"run {self.run.id} was changed meanwhile") from error

    async def refresh(self) -> bool:
        """Read the record again; whether the run still belongs to this worker."""
        record = await self._store.get(Run.collection, self.run.id)
        if record is None:
            return False
        current = Run.load(record)
        if current.token != self.run.token or current.worker != self.run.worker:
            return False
        self.run = current
        return True

    async def release(self, wake_at: str, state: State | None = None) -> None:
        """Hold the run no longer; it is looked at again at `wake_at`, by whoever is there."""
        run = copy(self.run)
        run.state = state or run.state
        run.worker, run.wake_at = None, wake_at
        await self.change(run)


def key_writes(run: Run, step: StepRun | None) -> tuple[Write, ...]:
    """A direct call's idempotency key gets its answer in the commit that ends the run, or is freed.

    A refusal is an answer only where something was written before it, as in a decline.
    """
    if run.key is None or not run.ended:
        return ()
    key = Key(run.key["id"], run.key["body"])
    if run.state == "completed":
        return (key.answered(Answer(200, pydantic_core.from_json(run.output or "null"), run.id), claimed=True),)
    wrote = step is not None and step.touched and step.waiting_since is None  # not ready is never an answer
    if run.error is not None and run.error.get("status", 500) < 500 and wrote:
        return (key.answered(Answer(run.error["status"], run.error, run.id), claimed=True),)
    return (key.released(),)
