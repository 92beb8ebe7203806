"""Committed events: read by cursor, and followed as they come, whichever process commits them."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import apsw

from pulpo.errors import PulpoError
from pulpo.store.port import Event
from pulpo.store.sqlite_reader import Reader

POLL = 0.05  # seconds between two looks for other processes' commits, while somebody follows

_AFTER = "SELECT seq,data FROM _events WHERE seq>=? ORDER BY seq LIMIT ?"
_LAST = "SELECT seq,count FROM _events ORDER BY seq DESC LIMIT 1"
_CURSOR = re.compile(r"(\d{1,18})-(\d{1,9})")


class EventFeed:
    """The events of a database. A cursor is the number of a row, given inside its commit, and the place in it."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._waiting: set[asyncio.Future[None]] = set()
        self._followers = 0
        self._seen = 0
        self._watch: asyncio.Task[None] | None = None
        self._closed = False

    async def after(self, cursor: str | None, limit: int) -> tuple[Event, ...]:
        """Events after a cursor. Raises PulpoError PULPO509 for an expired cursor, PULPO603 for what is none."""
        seq, place = _parsed(cursor) if cursor is not None else (0, -1)
        rows: list[Any] = await self._reader.read(lambda db: db.execute(_AFTER, (seq, limit + 1)).fetchall())
        # Rows are numbered without gaps: what follows on the cursor's is either it or the next one.
        if cursor is not None and (rows[0][0] > seq + 1 if rows else seq):
            raise PulpoError(
                "PULPO509",
                "events after this cursor are no longer kept",
                hint="read the present state, then follow from the newest event",
            )
        found: list[Event] = []
        for number, data in rows:
            for index, event in enumerate(json.loads(data)):
                if number == seq and index <= place:
                    continue
                if len(found) == limit:
                    return tuple(found)
                found.append(Event(f"{number}-{index}", event))
        return tuple(found)

    async def last(self) -> str:
        """The newest event's cursor."""
        row = await self._reader.read(lambda db: db.execute(_LAST).fetchone())
        return f"{row[0]}-{max(row[1] - 1, 0)}" if row else "0-0"  # a batch of no events begins a loaded database

    async def follow(self, cursor: str | None) -> AsyncIterator[Event]:
        """Events after a cursor as they are committed, until the feed is closed."""
        self._followers += 1
        if self._followers == 1:
            self._seen = self._changes()
            self._watch = asyncio.create_task(self._look_for_others())
        woken: asyncio.Future[None] | None = None
        try:
            while not self._closed:
                # First ask to be woken, then look: a commit in between is not missed.
                woken = asyncio.get_running_loop().create_future()
                self._waiting.add(woken)
                events = await self.after(cursor, 500)
                if not events:
                    await woken
                self._waiting.discard(woken)
                for event in events:
                    cursor = event.cursor
                    yield event
        finally:
            if woken is not None:
                self._waiting.discard(woken)
            self._followers -= 1
            if not self._followers and self._watch is not None:
                self._watch.cancel()
                self._watch = None

    def wake(self) -> None:
        """Have every follower look again."""
        waiting, self._waiting = self._waiting, set()
        for future in waiting:
            if not future.done():
                future.set_result(None)

    def close(self) -> None:
        """End every follower."""
        self._closed = True
        if self._watch is not None:
            self._watch.cancel()
        self.wake()

    def _changes(self) -> int:
        """A number that is another one after every commit of other connections."""
        return int(self._reader.db.execute("PRAGMA data_version").get)

    async def _look_for_others(self) -> None:
        while True:
            await asyncio.sleep(POLL)
            try:
                changes = self._changes()
            except apsw.BusyError:  # another process recovers the log; the next look will do
                continue
            if changes != self._seen:
                self._seen = changes
                self.wake()


def _parsed(cursor: str) -> tuple[int, int]:
    match = _CURSOR.fullmatch(cursor)
    if match is None:
        raise PulpoError("PULPO603", "this is not an event cursor")
    return int(match[1]), int(match[2])
