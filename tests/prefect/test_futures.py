"""Tasks that wait for each other, with tasks that need no server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from prefect import State
from prefect.states import Completed, Failed

from pulpo.errors import PulpoError
from pulpo.runtime.flows import FlowRun
from pulpo.runtime.prefect.futures import submitting

RUN = FlowRun("run_1")
Work = Callable[..., Awaitable[State[Any]]]


class Tasks:
    """Tasks as Prefect's behave: they give the state that they ended in. What they did is in `log`."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.begun, self.go = asyncio.Event(), asyncio.Event()

    def task(
        self, name: str, *, fails: Exception | None = None, breaks: Exception | None = None, held: bool = False
    ) -> Work:
        """A task that fails, or that Prefect fails to carry out, or that is held until `go`."""

        async def work(run: FlowRun, *, wait_for: list[State[Any]], return_state: bool) -> State[Any]:
            assert run is RUN
            assert return_state
            self.log.append(f"{name} after {len(wait_for)}")
            self.begun.set()
            try:
                if held:
                    await self.go.wait()
            except asyncio.CancelledError:
                self.log.append(f"{name} cancelled")
                raise
            if breaks is not None:
                raise breaks
            self.log.append(f"{name} ends")
            return Failed(data=fails, message=str(fails)) if fails is not None else Completed(data=name)

        return work


async def test_a_task_begins_when_those_that_it_waits_for_have_ended() -> None:
    """And Prefect is given their states."""
    tasks = Tasks()
    async with submitting(RUN) as submit:
        first, second = submit(tasks.task("first", held=True)), submit(tasks.task("second"))
        submit(tasks.task("third"), wait_for=[first, second])
        submit(tasks.task("fourth"), wait_for=[second])
        await asyncio.wait([second])
        asyncio.get_running_loop().call_later(0.01, tasks.go.set)
    assert tasks.log.index("third after 2") > tasks.log.index("first ends")
    assert tasks.log.index("fourth ends") < tasks.log.index("first ends")


async def test_nothing_begins_behind_a_step_that_failed() -> None:
    """What is beside it ends first; then its error is raised, as it is."""
    tasks, refused = Tasks(), PulpoError("torn", "they are torn")
    with pytest.raises(PulpoError) as caught:  # noqa: PT012 - the block is what is tested
        async with submitting(RUN) as submit:
            first, beside = submit(tasks.task("first", fails=refused)), submit(tasks.task("beside", held=True))
            behind = submit(tasks.task("behind"), wait_for=[first, beside])
            submit(tasks.task("further"), wait_for=[behind])
            asyncio.get_running_loop().call_later(0.01, tasks.go.set)
    assert caught.value is refused
    assert tasks.log == ["first after 0", "first ends", "beside after 0", "beside ends"]


async def test_what_prefect_does_not_manage_leaves_the_others_alone() -> None:
    """A task that cannot be carried out is raised when the others have ended; none of them is cancelled."""
    tasks = Tasks()
    with pytest.raises(ConnectionError):  # noqa: PT012 - the block is what is tested
        async with submitting(RUN) as submit:
            broken = submit(tasks.task("broken", breaks=ConnectionError("500")))
            submit(tasks.task("behind"), wait_for=[broken])
            submit(tasks.task("beside", held=True))
            asyncio.get_running_loop().call_later(0.01, tasks.go.set)
    assert tasks.log == ["broken after 0", "beside after 0", "beside ends"]


async def test_a_bug_in_the_block_is_raised_when_what_it_began_has_ended() -> None:
    """An overridden flow may have code of its own between."""
    tasks = Tasks()
    with pytest.raises(ZeroDivisionError):  # noqa: PT012 - the block is what is tested
        async with submitting(RUN) as submit:
            submit(tasks.task("first"))
            raise ZeroDivisionError
    assert tasks.log == ["first after 0", "first ends"]


async def test_a_flow_that_is_ended_ends_its_tasks() -> None:
    """They have heard of it, and are over, before the block is left."""
    tasks = Tasks()

    async def flow() -> None:
        async with submitting(RUN) as submit:
            first = submit(tasks.task("first", held=True))
            submit(tasks.task("behind"), wait_for=[first])

    work = asyncio.create_task(flow())
    await tasks.begun.wait()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert tasks.log == ["first after 0", "first cancelled"]
