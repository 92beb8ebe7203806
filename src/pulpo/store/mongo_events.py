"""Committed events: written with their batches, told in the order in which the server committed those.

A transaction that tells something inserts one document with all its events into `_events`. The order is that of a
change stream over this collection, which is the order of commits for every process; a cursor is the cluster's time of
the commit and the place among what was committed then. What a stream can no longer reach, or what lies before `since`
(kept in `_pulpo`, and moved when old events are deleted), has expired.

Following processes share one stream each, whatever the number of followers; only who comes with an older cursor reads
up to it by a stream of his own.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import secrets
from collections import deque
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, TypeAlias

from bson import Timestamp
from pymongo.errors import ConnectionFailure, PyMongoError

from pulpo.errors import PulpoError
from pulpo.store.mongo_calls import undisturbed
from pulpo.store.mongo_errors import is_expired, translated
from pulpo.store.port import Event, Unreachable

if TYPE_CHECKING:
    from pymongo.asynchronous.client_session import AsyncClientSession
    from pymongo.asynchronous.database import AsyncDatabase

log = logging.getLogger("pulpo.store")

EVENTS = "_events"
PULPO = "_pulpo"
SINCE: dict[str, Any] = {"_id": "events"}
"""The document in `_pulpo` that says from when on events are kept."""

KEPT = 200_000  # commits
BEHIND = 8  # quarters of a second that a cursor may be ahead of the primary
BUFFER = 10_000  # events that followers find without asking the server
PAUSE = 0.5  # seconds until who follows asks again, while the database is away
SIZE = 8_000_000  # bytes of events in one document

Place: TypeAlias = tuple[int, int]
"""The cluster's time of a commit, as one number, and the place among the events of then."""

_AFTER_ALL = 999_999_999
_CURSOR = re.compile(r"([0-9a-f]{16})-(\d{1,9})")
_PIPELINE: list[dict[str, Any]] = [
    {"$match": {"operationType": "insert"}},
    {"$project": {"clusterTime": 1, "fullDocument.e": 1}},
]


class EventLog:
    """The events of a database.

    Args:
        database: Where.
        keep: How many commits' events are kept.
    """

    def __init__(self, database: AsyncDatabase[dict[str, Any]], *, keep: int = KEPT) -> None:
        self._db = database
        self._events = database[EVENTS]
        self._keep = keep
        self._prune_every = max(1, min(512, keep // 4))
        self._unpruned = 0
        self._pruning: asyncio.Task[None] | None = None
        self._time = 0
        self._name = secrets.token_hex(4)
        self._number = 0
        self._waiting: set[asyncio.Future[None]] = set()
        self._followers = 0
        self._tail: asyncio.Task[None] | None = None
        self._buffer: deque[tuple[Place, Event]] = deque()
        self._floor: Place | None = None  # after it the buffer lacks nothing
        self._closed = False

    # Writing

    async def insert(self, session: AsyncClientSession, events: list[str]) -> None:
        """Write the events of a transaction's batches, each a list of JSON objects without its brackets."""
        parts: list[list[str]] = [[]]
        size = 0
        for event in events:
            length = len(event) if event.isascii() else len(event.encode())
            if parts[-1] and size + length > SIZE:
                parts.append([])
                size = 0
            parts[-1].append(event)
            size += length
        # Ids rise with the time, as it was known before the commit: so what is oldest is found without a further index.
        first, self._number = self._number, self._number + len(parts)
        documents = [
            {"_id": f"{self._time:016x}-{self._name}-{first + place:08x}", "e": f"[{','.join(part)}]"}
            for place, part in enumerate(parts)
        ]
        reply = await self._db.command({"insert": EVENTS, "documents": documents}, session=session)
        assert not reply.get("writeErrors"), reply

    def noticed(self, time: Timestamp | None, *, told: bool) -> None:
        """Note the time of a commit and, if it told events, delete old ones now and then."""
        if time is not None:
            self._time = max(self._time, _number(time))
        if not told:
            return
        self._unpruned += 1
        if self._unpruned >= self._prune_every and (self._pruning is None or self._pruning.done()):
            self._unpruned = 0
            self._pruning = asyncio.get_running_loop().create_task(self._prune())

    async def _prune(self) -> None:
        try:
            excess = await self._events.estimated_document_count() - self._keep
            if excess <= 0:
                return
            oldest = await self._events.find({}, {"_id": 1}, sort=[("_id", 1)], skip=excess, limit=1).to_list()
            if not oldest:
                return
            kept: str = oldest[0]["_id"]
            since = _timestamp(int(kept[:16], 16))
            await self._db[PULPO].update_one(SINCE, {"$max": {"since": since}})
            await self._events.delete_many({"_id": {"$lt": kept}})
        except PyMongoError:
            self._unpruned = self._prune_every  # the next commit that gets through tries again

    # Reading

    @undisturbed
    async def after(self, cursor: str | None, limit: int) -> tuple[Event, ...]:
        """Events after a cursor. Raises PulpoError PULPO509 for an expired cursor, PULPO603 for what is none."""
        place = None if cursor is None else _parsed(cursor)
        with translated():
            since, now = await self._bounds()
            if place is not None:
                for _ in range(BEHIND):
                    if place[0] <= now:
                        break
                    # A new primary learns only after a moment what a majority has; the cursor may be ahead of it.
                    await asyncio.sleep(0.25)
                    since, now = await self._bounds()
                if not since <= place[0] <= now:
                    raise _expired()
            start = place[0] if place is not None else since
            try:
                return await self._read(start, place or (since, -1), limit)
            except PyMongoError as error:
                if not is_expired(error):
                    raise
                if place is not None:
                    raise _expired() from None
                return await self._oldest(limit)

    async def _oldest(self, limit: int) -> tuple[Event, ...]:
        """The oldest events that the server's log still reaches: by halving what is there."""
        low, high = 0, await self._events.count_documents({})
        while True:
            middle = (low + high) // 2
            found = await self._events.find({}, {"_id": 1}, sort=[("_id", 1)], skip=middle, limit=1).to_list()
            start = int(found[0]["_id"][:16], 16) if found else (await self._bounds())[1]
            try:
                events = await self._read(start, (start, -1), limit)
            except PyMongoError as error:
                if not is_expired(error) or not found:
                    raise
                low = middle + 1
            else:
                if low >= middle:
                    return events
                high = middle

    @undisturbed
    async def last(self) -> str:
        """A cursor after everything that is committed."""
        with translated():
            return f"{(await self._bounds())[1]:016x}-{_AFTER_ALL}"

    async def _bounds(self) -> tuple[int, int]:
        """From when on events are kept, and up to when everything is committed: what a majority has is final."""
        asked = {"find": PULPO, "filter": SINCE, "limit": 1, "singleBatch": True, "readConcern": {"level": "majority"}}
        try:
            reply = await self._db.command(asked)
        except ConnectionFailure:  # a command as it is, which is wanted for the time, the driver does not repeat
            reply = await self._db.command(asked)
        return _number(reply["cursor"]["firstBatch"][0]["since"]), _number(reply["operationTime"])

    async def _read(self, start: int, place: Place, limit: int) -> tuple[Event, ...]:
        found: list[Event] = []
        counter = _Counter()
        stream = await self._events.watch(_PIPELINE, start_at_operation_time=_timestamp(start), max_await_time_ms=1)
        async with stream:
            # Empty-handed is who has come to the end of the log, and once also who had to open the stream again.
            empty = 0
            while len(found) < limit and empty < 2:
                change = await stream.try_next()
                empty = 0 if change is not None else empty + 1
                if change is not None:
                    found += [event for at, event in counter.events(change) if at > place]
        return tuple(found[:limit])

    # Following

    async def follow(self, cursor: str | None) -> AsyncIterator[Event]:
        """Events after a cursor as they are committed, until the log is closed."""
        place = None if cursor is None else _parsed(cursor)
        self._followers += 1
        if self._tail is None:
            self._tail = asyncio.get_running_loop().create_task(self._watch())
        woken: asyncio.Future[None] | None = None
        try:
            while not self._closed:
                # First ask to be woken, then look: a commit in between is not missed.
                woken = asyncio.get_running_loop().create_future()
                self._waiting.add(woken)
                events = self._buffered(place)
                if events is None:
                    try:
                        events = await self.after(cursor, 500)
                    except Unreachable as error:
                        log.info("events are waited for: %s", error.detail)
                        await asyncio.sleep(PAUSE)
                        self._waiting.discard(woken)
                        continue
                if not events:
                    await woken
                self._waiting.discard(woken)
                for event in events:
                    cursor = event.cursor
                    place = _parsed(cursor)
                    yield event
        finally:
            if woken is not None:
                self._waiting.discard(woken)
            self._followers -= 1  # without any the tail ends by itself: cancelled, it might disturb the driver

    def _buffered(self, place: Place | None) -> tuple[Event, ...] | None:
        """What the buffer has after a place, or None where it does not begin early enough."""
        if place is None or self._floor is None or place < self._floor:
            return None
        found: list[Event] = []
        for at, event in reversed(self._buffer):
            if at <= place:
                break
            found.append(event)
        return tuple(reversed(found))

    async def _watch(self) -> None:
        """Keep the buffer full while somebody follows."""
        token: Any = None
        counter = _Counter()
        self._buffer.clear()
        self._floor = None
        start = 0
        while self._followers:
            try:
                if self._floor is None:
                    start = (await self._bounds())[1]
                begin = {"resume_after": token} if token else {"start_at_operation_time": _timestamp(start)}
                stream = await self._events.watch(_PIPELINE, max_await_time_ms=1000, **begin)
                async with stream:
                    if self._floor is None:
                        self._floor = (start, -1)
                        self._wake()
                    try:
                        while self._followers and stream.alive:
                            if (change := await stream.try_next()) is not None:
                                self._append(counter.events(change))
                    finally:
                        token = stream.resume_token
            except PyMongoError as error:
                log.info("the stream of events is opened again: %s", type(error).__name__)
                if is_expired(error):
                    token, counter = None, _Counter()
                    self._buffer.clear()
                    self._floor = None
                    self._wake()
            await asyncio.sleep(0.1)
        self._tail = None

    def _append(self, events: list[tuple[Place, Event]]) -> None:
        newest = self._buffer[-1][0] if self._buffer else self._floor
        self._buffer.extend(one for one in events if newest is None or one[0] > newest)
        while len(self._buffer) > BUFFER:
            self._floor = self._buffer.popleft()[0]
        self._wake()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, set()
        for future in waiting:
            if not future.done():
                future.set_result(None)

    async def close(self) -> None:
        """End every follower."""
        self._closed = True
        tasks = [task for task in (self._tail, self._pruning) if task is not None]
        self._tail = None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._wake()


class _Counter:
    """Gives the events of a stream their places."""

    def __init__(self) -> None:
        self._time = -1
        self._next = 0

    def events(self, change: Any) -> list[tuple[Place, Event]]:
        """The events of one document of the stream."""
        time = _number(change["clusterTime"])
        if time != self._time:
            self._time, self._next = time, 0
        found = []
        for data in json.loads(change["fullDocument"]["e"]):
            found.append(((time, self._next), Event(f"{time:016x}-{self._next}", data)))
            self._next += 1
        return found


def _parsed(cursor: str) -> Place:
    match = _CURSOR.fullmatch(cursor)
    if match is None:
        raise PulpoError("PULPO603", "this is not an event cursor")
    return int(match[1], 16), int(match[2])


def _expired() -> PulpoError:
    return PulpoError(
        "PULPO509",
        "events after this cursor are no longer kept",
        hint="read the present state, then follow from the newest event",
    )


def _number(time: Timestamp) -> int:
    return time.time << 32 | time.inc


def _timestamp(number: int) -> Timestamp:
    return Timestamp(number >> 32, number & 0xFFFFFFFF)
