"""Event streams from the inside: silence, shutdown, and a client that goes away."""

from __future__ import annotations

import asyncio

import pytest
from fastapi import FastAPI
from starlette.requests import Request

from pulpo.errors import PulpoError
from pulpo.runtime.http import streams
from pulpo.store.port import Batch


def asking(app: FastAPI, query: str = "") -> Request:
    """A request for events."""
    return Request({"type": "http", "app": app, "query_string": query.encode(), "headers": []})


async def test_silence_is_filled_with_comments_and_nothing_is_lost(
    started: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A heartbeat does not drop the event that is waited for; shutdown ends the stream with a hint."""
    monkeypatch.setattr(streams, "HEARTBEAT", 0.01)
    application = started.state.application
    response = await streams.of_everything(application, asking(started))
    parts = response.body_iterator  # type: ignore[attr-defined]
    assert await anext(parts) == streams.RECONNECT
    assert (await anext(parts)).startswith(b"id: ")
    for _ in range(3):
        assert await anext(parts) == b": still here\n\n"
    await application.store.commit(Batch((), ({"type": "something"},)))
    while (part := await anext(parts)).startswith(b":"):
        pass
    assert part.endswith(b'data: {"type":"something"}\n\n')
    started.state.closing.set()
    rest = [part async for part in parts]
    assert rest[-1] == streams.RECONNECT_SOON


async def test_a_client_that_goes_away_leaves_nothing_waiting(started: FastAPI) -> None:
    """No task of the stream is left when it is closed, once a question that was on its way has its answer."""
    before = asyncio.all_tasks()
    response = await streams.of_everything(started.state.application, asking(started))
    parts = response.body_iterator  # type: ignore[attr-defined]
    reading = asyncio.ensure_future(_drain(parts))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await parts.aclose()
    await asyncio.sleep(0)
    if left := {task for task in asyncio.all_tasks() - before if not task.done()}:
        _, left = await asyncio.wait(left, timeout=10)
    assert left == set()


async def _drain(parts: object) -> None:
    async for _ in parts:  # type: ignore[attr-defined]
        pass


async def test_a_parameter_that_is_not_the_cursor_is_refused(started: FastAPI) -> None:
    """Before the stream begins."""
    with pytest.raises(PulpoError, match="PULPO603"):
        await streams.of_everything(started.state.application, asking(started, "after=1"))
