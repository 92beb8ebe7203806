"""The one writer of a process: what gathered while the last group was under way goes in one transaction.

Nothing ever waits for company. A group is planned in memory (`mongo_plan`) and sent as one command per collection and
kind, so that a transaction's three or four round trips are shared by all its batches.

Where much has gathered, two groups are under way at once, so that this process and the server, the disk's turn
included, work at the same time. No document is in both, nor does a batch overtake one that is about one of its
documents: those are applied in the order in which they were submitted. A batch that goes alone has nothing beside it.

What can go wrong, and what then happens:

* Another transaction is at one of the documents (a write conflict), or the primary is lost: the server has kept
  nothing, the group begins again. After a few conflicts in a row with half its batches, so that its transaction is
  shorter than those it loses against.
* A document is not at the version assumed: the group begins again and reads everything it touches.
* A batch fails, but the first reason may be one that was not looked at, a unique value for instance: what it takes to
  know that is read in the same transaction.
* A unique value is taken, or may have been before what was seen to fail: the batch in question goes alone, write by
  write, and those before and after it without it. That is exact; what is done together may fail for the wrong reason,
  but never succeeds for one.
* The outcome of a commit is unknown (the connection broke): the commit itself is sent again. It names the session's
  transaction, whose outcome the replica set remembers, so it never applies twice and says at last what happened: it
  is committed, or certainly not, and only then the group begins again. Where nobody can be asked for `patience`
  seconds the callers hear that the outcome is unknown, and not that the batch failed. Whoever repeats such a batch is
  safe by the versions and ids in it.
* Everything in a group is refused: what was read may be that of a primary which others have deposed. So in a set of
  several members a majority is asked whether it still follows, which takes as long as a commit; a group of which
  something is committed has been asked that already.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pydantic_core
from pymongo.errors import ConnectionFailure, PyMongoError

from pulpo.errors import PulpoError
from pulpo.store.mongo_errors import DRIVER, is_conflict, problem
from pulpo.store.mongo_group import ApartError, AssumedError, Entry, Groups, TakenError
from pulpo.store.mongo_plan import Key, prepare
from pulpo.store.mongo_primary import Primary
from pulpo.store.mongo_session import LOOK, Transactions, UnknownOutcomeError
from pulpo.store.mongo_table import Table
from pulpo.store.port import Batch, Commits, Unreachable

if TYPE_CHECKING:
    from pymongo.asynchronous.database import AsyncDatabase

    from pulpo.store.mongo_events import EventLog

PATIENCE = 30.0  # seconds that a primary, or the end of other transactions, is waited for
GROUP = 256  # batches that share a transaction
WRITES = 1_000  # after which no further batch joins
LANES = 2  # transactions under way at once
COMPANY = 32  # batches that go together where others are under way already
TENACITY = 4  # conflicts before a group gets smaller


class Lane:
    """One group at a time: its session, and the documents that the group under way touches."""

    __slots__ = ("alone", "groups", "keys", "task", "transactions")

    def __init__(
        self,
        database: AsyncDatabase[dict[str, Any]],
        tables: Mapping[str, Table],
        log: EventLog,
        primary: Primary,
        *,
        app: str,
        patience: float,
    ) -> None:
        self.transactions = Transactions(database, app=app, patience=patience)
        self.groups = Groups(database, tables, log, self.transactions, primary)
        self.keys: set[Key] | None = None  # None: nothing is under way
        self.alone = False
        self.task: asyncio.Task[None] | None = None


@dataclass(slots=True)
class Effort:
    """What has been tried for a group, since when (by `time.monotonic`)."""

    begun: float
    everything: bool = False
    tries: int = 0

    @property
    def seconds(self) -> float:
        """How long it has been tried."""
        return time.monotonic() - self.begun

    @property
    def pause(self) -> float:
        """Seconds until it is worth another try, where the server is the reason."""
        return min(0.5, 0.02 * 2.0 ** min(self.tries, 10))


class Writer:
    """Commits batches, those that touch the same document in the order in which they were submitted.

    Args:
        database: Where; its client is closed by whoever made it.
        tables: By collection.
        log: Takes the events.
        app: What processes of Pulpo call themselves to the server.
        patience: Seconds until what cannot be done is given up.
    """

    def __init__(
        self,
        database: AsyncDatabase[dict[str, Any]],
        tables: Mapping[str, Table],
        log: EventLog,
        *,
        app: str,
        patience: float = PATIENCE,
    ) -> None:
        self._tables = tables
        self._patience = patience
        self._loop = asyncio.get_running_loop()
        self._queue: deque[Entry] = deque()
        self._closed = False
        self.commits = Commits()
        self._usual = 0.003  # seconds that a transaction takes
        self._primary = Primary(database)
        self._lanes = tuple(
            Lane(database, tables, log, self._primary, app=app, patience=patience) for _ in range(LANES)
        )

    def submit(self, batch: Batch) -> asyncio.Future[tuple[int, ...]]:
        """Queue a batch. It is applied even if nobody waits for the future any more."""
        if self._closed:
            raise PulpoError("PULPO507", "the store is closed")
        writes = prepare(self._tables, batch)
        events = pydantic_core.to_json(batch.events).decode()[1:-1] if batch.events else None
        future: asyncio.Future[tuple[int, ...]] = self._loop.create_future()
        self._queue.append(Entry(writes, events, future))
        waiting = len(self._queue)
        if waiting % COMPANY == 0 or waiting == 1:
            self._begin()
        return future

    async def close(self) -> None:
        """Commit what is queued, then end."""
        self._closed = True
        while tasks := [lane.task for lane in self._lanes if lane.task is not None]:
            await asyncio.wait(tasks)
        for lane in self._lanes:
            await lane.transactions.close()

    def _begin(self) -> None:
        """Have a lane that is free look whether there is something for it."""
        lane = next((lane for lane in self._lanes if lane.task is None), None)
        if lane is not None:
            lane.task = self._loop.create_task(self._work(lane))

    async def _work(self, lane: Lane) -> None:
        try:
            while group := self._take():
                lane.keys = {key for entry in group for key in entry.keys}
                lane.alone = group[0].alone
                if len(self._queue) >= COMPANY:
                    self._begin()
                try:
                    await self._apply(lane, group)
                finally:
                    lane.keys, lane.alone = None, False
                # Callbacks of those just told run first: what they write next joins the next group.
                await asyncio.sleep(0)
        finally:
            lane.task = None

    async def _apply(self, lane: Lane, group: list[Entry]) -> None:
        try:
            await self._commit(lane, group)
        except UnknownOutcomeError:
            self._fail(group, _unknown(self._patience))
        except Unreachable as error:  # the members of a group need not each find that out again
            self._fail(group, error)
        except Exception as error:  # noqa: BLE001 - told to the callers
            if len(group) == 1:
                self._fail(group, problem(error) if isinstance(error, DRIVER) else error)
            else:
                # What cannot be done together may be done one by one.
                for entry in group:
                    entry.alone = True
                self._put_back(group)
        except BaseException as error:
            self._fail(group, error)
            raise

    def _fail(self, group: list[Entry], error: BaseException) -> None:
        for entry in group:
            _settle(entry, error)

    def _take(self) -> list[Entry]:
        """What goes together now: nothing that touches a document of a group under way, or of a batch that waits."""
        queue = self._queue
        under_way = [lane.keys for lane in self._lanes if lane.keys is not None]
        if not queue or (under_way and len(queue) < COMPANY):
            return []
        if queue[0].alone:
            return [] if under_way else [queue.popleft()]
        if any(lane.alone for lane in self._lanes):
            return []
        blocked: set[Key] = set().union(*under_way)
        # Where nobody else is at work, another lane gets a half: the server has one while the other is prepared.
        most = GROUP if under_way or len(queue) < 2 * COMPANY else min(GROUP, len(queue) // 2)
        group: list[Entry] = []
        waiting: list[Entry] = []
        writes = 0
        while queue and not queue[0].alone and len(group) < most and writes < WRITES and len(waiting) < GROUP:
            entry = queue.popleft()
            if blocked and not blocked.isdisjoint(entry.keys):
                blocked.update(entry.keys)
                waiting.append(entry)
            else:
                writes += len(entry.writes)
                group.append(entry)
        queue.extendleft(reversed(waiting))
        return group

    def _put_back(self, entries: list[Entry]) -> None:
        for entry in reversed(entries):
            entry.error = None
            self._queue.appendleft(entry)

    async def _commit(self, lane: Lane, group: list[Entry]) -> None:
        """Bring a group to its end, or the part of it that can go on as it is; the rest is queued again."""
        effort = Effort(time.monotonic(), everything=group[0].alone)
        while not await self._ended(lane, group, effort):
            pass

    async def _ended(self, lane: Lane, group: list[Entry], effort: Effort) -> bool:
        """Try once; whether that was the end of it."""
        try:
            sure = await self._applied(lane, group, effort)
        except AssumedError:
            if effort.everything:
                raise PulpoError("PULPO507", "MongoDB answered in a way that does not fit together") from None
            effort.everything = True
            return False
        except ApartError as apart:
            group[apart.owner].alone = True
            self._put_back(group)
            return True
        except PyMongoError as error:
            again = error.has_error_label("TransientTransactionError")
            if not again and not isinstance(error, ConnectionFailure):
                raise
            if not again or effort.seconds > self._patience:
                raise _given_up(error, self._patience) from error
            effort.tries += 1
            await self._wait(lane, group, error, effort)
            return False
        if not sure:
            if effort.seconds > self._patience:
                raise Unreachable("MongoDB has no primary that a majority follows; nothing of this was kept")
            effort.tries += 1
            await asyncio.sleep(effort.pause)
            return False
        for entry in group:
            _settle(entry, entry.error)
        return True

    async def _applied(self, lane: Lane, group: list[Entry], effort: Effort) -> bool:
        """Apply a group; whether what came of it is sure: where all is refused, what was read may not be the truth."""
        started = time.monotonic()
        elected = self._primary.elected()
        try:
            committed = await lane.groups.apply(group, everything=effort.everything)
        except TakenError as taken:
            if not group[0].alone:
                raise
            group[0].error = lane.groups.why(group[0], taken)
            committed = False
        if not committed and not await self._primary.still(elected):
            return False
        took = time.monotonic() - started
        self._usual += (took - self._usual) / 8
        self.commits.add(len(group), took)
        return True

    async def _wait(self, lane: Lane, group: list[Entry], error: PyMongoError, effort: Effort) -> None:
        """Let the reason pass why a group could not be applied."""
        if not is_conflict(error):
            await asyncio.sleep(effort.pause)
            return
        if effort.seconds > LOOK:
            await lane.transactions.end_abandoned()
        tries = effort.tries
        if tries > TENACITY and len(group) > 1:
            half = len(group) // 2
            self._put_back(group[half:])
            del group[half:]
        # As long as some transactions take here and now: sooner is only one more that fails, and slows the others. Who
        # has waited for long comes before who has just begun.
        spread = 2**tries if tries < 4 else max(1.0, 64 / tries)
        await asyncio.sleep(random.uniform(0.0, self._usual * spread))  # noqa: S311 - spreads rivals


def _given_up(error: PyMongoError, patience: float) -> Unreachable:
    """What callers get where nothing was committed, and nothing is tried any more."""
    if isinstance(error, ConnectionFailure):
        return Unreachable(f"{problem(error).detail}; nothing of this was kept", hint="try again")
    return Unreachable(
        f"others kept these documents, or MongoDB was busy, for {patience:g} s; nothing of this was kept",
        hint="try again",
    )


def _unknown(patience: float) -> Unreachable:
    return Unreachable(
        f"MongoDB could not be reached for {patience:g} s while it committed: the outcome is unknown",
        hint="look whether it was written before you repeat it",
    )


def _settle(entry: Entry, error: BaseException | None) -> None:
    if entry.future.done():  # its caller was cancelled
        return
    if error is not None:
        entry.future.set_exception(error)
    else:
        entry.future.set_result(entry.versions)
