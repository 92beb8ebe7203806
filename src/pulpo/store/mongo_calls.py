"""Calls of the driver that go to their end, whoever stops waiting for them.

Cancelled while it waits for a primary, the driver may give back a lock that another call holds, which then breaks
("cannot wait on un-acquired lock"). Requests that have a deadline do that just while a primary is being elected.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_left: set[asyncio.Task[Any]] = set()
"""Calls that nobody waits for any more; the loop itself does not keep tasks."""


def undisturbed(method: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """A method whose callers may be cancelled; its own work is not."""

    @wraps(method)
    async def call(*args: P.args, **kwargs: P.kwargs) -> T:
        task = asyncio.get_running_loop().create_task(method(*args, **kwargs))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if not task.done():
                _left.add(task)
                task.add_done_callback(_ended)
            raise

    return call


def left() -> int:
    """How many calls are under way that nobody waits for."""
    return len(_left)


def _ended(task: asyncio.Task[Any]) -> None:
    _left.discard(task)
    if not task.cancelled():
        task.exception()  # seen, so that nobody is told that it was not
