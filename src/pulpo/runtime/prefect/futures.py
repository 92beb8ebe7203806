"""Tasks that wait for each other, for flows whose plan no nesting of awaits expresses.

Prefect's own `Task.submit` runs an async task in a thread with an event loop of its own, where the application's store
and its drivers are not. These futures stay in the flow's loop, and Prefect is told by `wait_for` what waits for what:
its page draws it, and a task behind a failed one is not begun.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from prefect import State

    from pulpo.runtime.flows import FlowRun

    Future: TypeAlias = asyncio.Task[State[Any]]
    """A task on its way: awaited it gives the state that the task ended in, and raises nothing."""
    Submit: TypeAlias = Callable[..., Future]


@asynccontextmanager
async def submitting(run: FlowRun) -> AsyncIterator[Submit]:
    """Begin tasks with `submit(task, wait_for=[…])`; the block ends when all of them have.

    Raises:
        Exception: What the first task that failed has failed with, once nothing works any more.
    """
    futures: list[Future] = []

    async def work(task: Callable[..., Awaitable[Any]], needs: Sequence[Future]) -> State[Any]:
        states = await asyncio.gather(*needs)
        ended: State[Any] = await task(run, wait_for=states, return_state=True)
        return ended

    def submit(task: Callable[..., Awaitable[Any]], *, wait_for: Sequence[Future] = ()) -> Future:
        futures.append(asyncio.create_task(work(task, wait_for)))
        return futures[-1]

    try:
        yield submit
        states = await asyncio.gather(*futures)
    finally:
        for future in futures:
            future.cancel()  # only where the flow itself is ended: else all are done
    failed = [state for state in states if state.is_failed() or state.is_crashed()]
    if failed:
        await min(failed, key=lambda state: state.timestamp).aresult()  # raises
