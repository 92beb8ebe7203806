"""Named fault points: places where a process can be made to die, so that a test needs no lucky moment.

Without arming, a point costs one comparison. `PULPO_CRASH_AT=point[:operation[:nth]]` arms a process from outside: it
kills itself with SIGKILL when the point is reached for the nth time.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Literal, TypeAlias

Point: TypeAlias = Literal[
    "before_body",  # an operation's intent is recorded, its body has not begun
    "after_body",  # the body has returned, nothing of its result is committed
    "after_commit",  # a commit inside a body has landed, the body goes on
    "after_result",  # the result is committed, nobody has heard of it yet
    "before_compensation",  # a run has entered compensating, its first undo has not begun
    "inside_compensation",  # an undo's body has returned, its result is not committed
]
Hook: TypeAlias = Callable[[Point, str], None]

_hook: Hook | None = None


def reach(point: Point, operation: str) -> None:
    """Pass a fault point."""
    if _hook is not None:
        _hook(point, operation)


def arm(hook: Hook | None) -> None:
    """Call `hook(point, operation)` at every point from now on; None disarms."""
    global _hook  # noqa: PLW0603 - one process, one fault plan
    _hook = hook


def arm_from_environment(value: str | None = None) -> None:
    """Arm as `PULPO_CRASH_AT` says: `after_result:payments.processing.charge:2`, `before_body`."""
    value = os.environ.get("PULPO_CRASH_AT", "") if value is None else value
    if not value:
        return
    point, operation, nth = (*value.split(":"), "", "")[:3]
    left = int(nth or 1)

    def die(reached: Point, name: str) -> None:
        nonlocal left
        if reached == point and operation in ("", name):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    arm(die)
