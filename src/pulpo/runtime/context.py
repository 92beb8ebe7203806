"""What an operation is given besides its input."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from pulpo.model.model import now
from pulpo.runtime import telemetry
from pulpo.settings import Settings

if TYPE_CHECKING:
    from pulpo.runtime.session import Session

log = logging.getLogger("pulpo.operation")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: in development mode everyone on this machine is the local administrator."""

    principal: str = "local"
    role: str = "admin"


@dataclass(frozen=True, slots=True)
class RunRef:
    """The run that an operation is part of; `flow` is None for a direct call. `attempt` counts from 1."""

    id: str
    flow: str | None
    operation: str
    generation: int = 1
    attempt: int = 1


@dataclass(slots=True)
class Context:
    """Injected where an operation has a parameter annotated `Context`.

    Attributes:
        store: The documents, typed.
        idempotency_key: Stable for the outside world: the same in every attempt of this step, and in its undoing.
        caller: Who asked. run: What this is part of. settings: The project's.
    """

    store: Session
    idempotency_key: str
    caller: Caller
    run: RunRef
    settings: Settings
    _commit: Callable[[], Awaitable[None]]
    _cancel_runs: Callable[[str], Awaitable[None]]
    _already: bool = False

    @property
    def log(self) -> logging.LoggerAdapter[logging.Logger]:
        """A logger whose records carry the run, the operation and the attempt."""
        run = self.run
        return logging.LoggerAdapter(log, {"run": run.id, "operation": run.operation, "attempt": run.attempt})

    @property
    def traceparent(self) -> str | None:
        """The header `traceparent` for calls to the outside; None where telemetry is off."""
        carried = telemetry.carrier()
        return None if carried is None else carried["traceparent"]

    def already(self) -> None:
        """Say that the effect was there before: nothing is to be undone on this step's account."""
        self._already = True

    async def commit(self) -> None:
        """Make what has gathered durable now, before the operation goes on (never in an `atomic` one)."""
        await self._commit()

    async def cancel_runs(self, value: str) -> None:
        """Cancel the other live flow runs that are `one_per` this value, and wait until they are undone.

        Raises:
            PulpoError: PULPO407, a run is past its point of no return.
        """
        await self._cancel_runs(value)

    def now(self) -> datetime:
        """The time in UTC, to the millisecond."""
        return now()
