"""Timeouts of many short pieces of work, looked after together.

A timer of its own for every operation costs more than most operations do. Here a task is noted with its deadline and
struck out again, and one look every 50 ms finds those that are late; a timeout is counted in seconds, so that is near
enough. It behaves as `asyncio.timeout` does: the late task is cancelled, and the cancellation becomes an `Expired`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

T = TypeVar("T")

LOOK = 0.05
"""Seconds between two looks; none is taken while nothing has a deadline."""


class Expired(TimeoutError):
    """The work took longer than it may; a `TimeoutError` that the work itself raised is not this."""


class Deadlines:
    """The deadlines of one event loop. A task has one at a time."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._until: dict[asyncio.Task[Any], float] = {}
        self._late: set[asyncio.Task[Any]] = set()
        self._looking = False

    async def within(self, seconds: float | None, work: Awaitable[T]) -> T:
        """Await some work in the current task. Raises Expired when it takes longer."""
        if seconds is None:
            return await work
        task = asyncio.current_task()
        assert task is not None
        cancels = task.cancelling()
        self._until[task] = self._loop.time() + seconds
        if not self._looking:
            self._looking = True
            self._loop.call_later(LOOK, self._look)
        try:
            return await work
        except asyncio.CancelledError as error:
            if task in self._late:
                self._late.discard(task)
                if task.uncancel() <= cancels:
                    raise Expired from error
            raise
        finally:
            self._until.pop(task, None)
            if task in self._late:  # the work took no notice
                self._late.discard(task)
                task.uncancel()

    def _look(self) -> None:
        now = self._loop.time()
        for task in [task for task, until in self._until.items() if until <= now]:
            del self._until[task]
            self._late.add(task)
            task.cancel()
        self._looking = bool(self._until)
        if self._looking:
            self._loop.call_later(LOOK, self._look)
