"""Tasks that wait for each other, for flows whose plan no nesting of awaits expresses.

Prefect's own `Task.submit` runs an async task in a thread with an event loop of its own, where the application's store
and its drivers are not. These futures stay in the flow's loop, and Prefect is told by `wait_for` what waits for what,
so that its page draws it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    from prefect import State

    from pulpo.runtime.flows import FlowRun

    Future: TypeAlias = asyncio.Task[State[Any]]
    """A task on its way: the state that it ended in, or what Prefect itself failed with."""


class Submit(Protocol):
    """Begins a task of the flow's run once those that it waits for have completed."""

    def __call__(self, task: Callable[..., Awaitable[Any]], *, wait_for: Sequence[Future] = ()) -> Future:
        """Behind a task that did not complete it is not begun, and ends in that one's state."""


@asynccontextmanager
async def submitting(run: FlowRun) -> AsyncIterator[Submit]:
    """Begin tasks with `submit(task, wait_for=[…])`; the block ends when all of them have ended.

    Raises:
        Exception: What the first step that failed has failed with; else what Prefect did not manage.
    """
    futures: list[Future] = []

    async def work(task: Callable[..., Awaitable[Any]], needs: Sequence[Future]) -> State[Any]:
        states = await asyncio.gather(*needs)
        if behind := next((state for state in states if not state.is_completed()), None):
            return behind
        ended: State[Any] = await task(run, wait_for=states, return_state=True)
        return ended

    def submit(task: Callable[..., Awaitable[Any]], *, wait_for: Sequence[Future] = ()) -> Future:
        futures.append(asyncio.create_task(work(task, wait_for)))
        return futures[-1]

    try:
        yield submit
    except asyncio.CancelledError:
        for future in futures:
            future.cancel()
        raise
    finally:
        ended = await asyncio.gather(*futures, return_exceptions=True)
    states = [each for each in ended if not isinstance(each, BaseException)]
    if failed := [state for state in states if not state.is_completed()]:
        await min(failed, key=lambda state: state.timestamp).aresult()  # raises
    for each in ended:
        if isinstance(each, BaseException):
            raise each
