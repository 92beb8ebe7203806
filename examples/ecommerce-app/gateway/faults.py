"""How the gateway misbehaves: by test method, or as it was told to."""

import asyncio
from dataclasses import dataclass, field
from typing import Literal

from pydantic import BaseModel, Field

Call = Literal["authorize", "capture", "void", "refund", "any"]

DECLINED = {
    "pm_card_chargeDeclined": "card_declined",
    "pm_card_insufficientFunds": "insufficient_funds",
    "pm_card_expired": "expired_card",
}
SLOW_SECONDS = 2.0


class Fault(BaseModel, extra="forbid"):
    """What the next `times` calls of a kind meet.

    `slow` waits and then works; `timeout_before` hangs without effect, `timeout_after` takes effect and hangs, both
    answering 504 in the end; `error_after` takes effect and answers 500 at once; `decline` declines; `unavailable`
    answers 503 without effect. `seconds` is how long slow or hanging takes.
    """

    kind: Literal["slow", "timeout_before", "timeout_after", "error_after", "decline", "unavailable"]
    call: Call = "authorize"
    times: int = Field(default=1, ge=1)
    seconds: float = Field(default=30.0, ge=0, le=300)
    reason: str = "card_declined"


class Hung(Exception):
    """The gateway gives no answer of its own."""

    def __init__(self, status: int) -> None:
        super().__init__()
        self.status = status


@dataclass(slots=True)
class Faults:
    """The faults still to come, first told first met."""

    planned: list[Fault] = field(default_factory=list)
    _hung: set[str] = field(default_factory=set)
    hang_seconds: float = 30.0

    def take(self, call: Call, method: str = "", key: str = "") -> Fault | None:
        """The fault that this call meets."""
        for fault in self.planned:
            if fault.call in (call, "any"):
                fault.times -= 1
                if fault.times <= 0:
                    self.planned.remove(fault)
                return fault
        if call != "authorize":
            return None
        if method == "pm_card_slow":
            return Fault(kind="slow", seconds=SLOW_SECONDS)
        if method in {"pm_card_timeoutBefore", "pm_card_timeoutAfter"} and key not in self._hung:
            self._hung.add(key)
            kind: Literal["timeout_before", "timeout_after"] = (
                "timeout_before" if method.endswith("Before") else "timeout_after"
            )
            return Fault(kind=kind, seconds=self.hang_seconds)
        return None


async def before(fault: Fault | None) -> None:
    """What happens before the call takes effect. Raises Hung where it never does."""
    if fault is None:
        return
    if fault.kind in {"slow", "timeout_before"}:
        await asyncio.sleep(fault.seconds)
    if fault.kind == "timeout_before":
        raise Hung(504)
    if fault.kind == "unavailable":
        raise Hung(503)


async def after(fault: Fault | None) -> None:
    """What happens once the call has taken effect. Raises Hung where its answer gets lost."""
    if fault is None:
        return
    if fault.kind == "timeout_after":
        await asyncio.sleep(fault.seconds)
        raise Hung(504)
    if fault.kind == "error_after":
        raise Hung(500)
