"""Events over SSE: everything, or one run's; a stream can be taken up again where it broke off.

Each message's `data` is the event's JSON, its `id` the cursor right after it. A browser that reconnects sends the last
one as `Last-Event-ID`; anybody else may give it as `?cursor=`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, suppress
from typing import Self

import pydantic_core
from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from pulpo.errors import PulpoError
from pulpo.runtime.application import Application
from pulpo.runtime.journal import END_STATES
from pulpo.spec import Json
from pulpo.store.port import Event

HEARTBEAT = 15.0
"""Seconds of silence after which a comment is sent, so that neither side takes the connection for dead."""
RECONNECT = b"retry: 2000\n\n"
RECONNECT_SOON = b": the server is going down, come back\nretry: 500\n\n"
_MEDIA_TYPE = "text/event-stream"
_HEADERS = {"X-Accel-Buffering": "no"}
_ENDS = frozenset(f"run.{state}" for state in END_STATES)


async def of_everything(application: Application, request: Request) -> Response:
    """Every event from a cursor on, or from now on.

    Raises:
        PulpoError: PULPO509 (410), the cursor has expired: begin again without one.
    """
    after = await _cursor(application, request)
    if after is None:
        after = await application.store.last_event()
    return _stream(_messages(application, request, after, lambda _: True, _never))


async def of_run(application: Application, request: Request, id: str) -> Response:
    """A run's events until it has ended. Without a cursor the first message is the run as it is now (`type`: `run`).

    Raises:
        NotFound: There is no such run.
        PulpoError: PULPO509, the cursor has expired.
    """
    after = await _cursor(application, request)
    start = after if after is not None else await application.store.last_event()
    run = await application.engine.run(id)
    ended = run["state"] in END_STATES
    if after is not None and ended and not await _has_more(application, after, id):
        return Response(status_code=204)  # tells a browser not to come back
    first = b"" if after is not None else _message(start, {"type": "run", "run": run})
    if ended and after is None:
        return _stream(_only(first))

    def ends(event: Json) -> bool:
        return event.get("type") in _ENDS

    messages = _messages(application, request, start, lambda event: event.get("run") == id, ends)
    return _stream(messages, first)


async def _cursor(application: Application, request: Request) -> str | None:
    """Where to begin; asked of the store once, so that an expired cursor is an answer and not a broken stream."""
    for name in request.query_params:
        if name != "cursor":
            raise PulpoError("PULPO603", "a query parameter is not known here", hint="known are: cursor")
    after = request.headers.get("last-event-id") or request.query_params.get("cursor") or None
    if after is not None:
        await application.store.events(after, limit=1)
    return after


async def _has_more(application: Application, after: str, run: str) -> bool:
    while events := await application.store.events(after):
        if any(event.data.get("run") == run for event in events):
            return True
        after = events[-1].cursor
    return False


def _stream(messages: AsyncIterator[bytes], first: bytes = b"") -> Response:
    async def body() -> AsyncIterator[bytes]:
        yield RECONNECT + first
        async for message in messages:
            yield message

    return StreamingResponse(body(), media_type=_MEDIA_TYPE, headers=_HEADERS)


async def _only(message: bytes) -> AsyncIterator[bytes]:
    yield message


async def _messages(
    application: Application,
    request: Request,
    after: str,
    wanted: Callable[[Json], bool],
    ends: Callable[[Json], bool],
) -> AsyncIterator[bytes]:
    """Wanted events as they come, a comment where none come, an end when the server goes down."""
    closing: asyncio.Event = request.app.state.closing
    yield b"id: " + after.encode() + b"\n\n"
    async with aclosing(_feed(application, after)) as feed, _Waiting(closing) as waiting:
        while (event := await waiting.next(feed)) is not _CLOSED:
            if event is None:
                yield b": still here\n\n"
            elif isinstance(event, Event) and wanted(event.data):
                yield _message(event.cursor, event.data)
                if ends(event.data):
                    return
    yield RECONNECT_SOON


async def _feed(application: Application, after: str) -> AsyncGenerator[Event]:
    async for event in application.store.follow(after):
        yield event


_CLOSED = object()


class _Waiting:
    """Waits for the next event, the heartbeat or the end, whichever is first; nothing is lost in between."""

    def __init__(self, closing: asyncio.Event) -> None:
        self._closing = asyncio.ensure_future(closing.wait())
        self._next: asyncio.Future[Event] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        for task in (self._closing, self._next):
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError, StopAsyncIteration):
                    await task

    async def next(self, feed: AsyncIterator[Event]) -> object:
        """An event, None after `HEARTBEAT` seconds of silence, `_CLOSED` at the end."""
        if self._next is None:
            self._next = asyncio.ensure_future(anext(feed))
        await asyncio.wait((self._next, self._closing), timeout=HEARTBEAT, return_when=asyncio.FIRST_COMPLETED)
        if self._next.done():
            task, self._next = self._next, None
            return task.result()
        return _CLOSED if self._closing.done() else None


def _message(cursor: str, data: Json) -> bytes:
    return b"id: " + cursor.encode() + b"\ndata: " + pydantic_core.to_json(data) + b"\n\n"


def _never(_: Json) -> bool:
    return False
