"""The one writer of a process: what gathered while the last group was under way goes in one transaction.

Nothing ever waits for company. A group is planned in memory (`mongo_plan`) and sent as one command per collection and
kind, so that a transaction's three or four round trips are shared by all its batches.

What can go wrong, and what then happens:

* Another transaction is at one of the documents (a write conflict), or the primary is lost: the server has kept
  nothing, the group begins again. After a few conflicts in a row with half its batches, so that its transaction is
  shorter than those it loses against.
* A document is not at the version assumed: the group begins again and reads everything it touches.
* A unique value is taken: the batch in question goes alone, write by write, and those before and after it without it.
  That is exact, so what is done together may fail for the wrong reason, but never succeed for one.
* The outcome of a commit is unknown (the connection broke): the commit itself is sent again. It names the session's
  transaction, whose outcome the replica set remembers, so it never applies twice and says at last what happened: it
  is committed, or certainly not, and only then the group begins again. Where nobody can be asked for `patience`
  seconds the callers hear that the outcome is unknown, and not that the batch failed. Whoever repeats such a batch is
  safe by the versions and ids in it.
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
from bson import Timestamp
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from pulpo.errors import PulpoError
from pulpo.store.mongo_errors import DUPLICATE, is_conflict, problem
from pulpo.store.mongo_plan import Held, Key, Plan, Prepared, Stage, changes, prepare, removal, stored, to_read
from pulpo.store.mongo_table import Table
from pulpo.store.port import Batch, DuplicateId, UniqueTaken, WriteFailed

if TYPE_CHECKING:
    from pymongo.asynchronous.client_session import AsyncClientSession
    from pymongo.asynchronous.database import AsyncDatabase

    from pulpo.store.mongo_events import EventLog

PATIENCE = 30.0  # seconds that a primary, or the end of other transactions, is waited for
GROUP = 256  # batches that share a transaction
WRITES = 1_000  # after which no further batch joins
COMMAND = 1_000  # statements of a command
CHARACTERS = 4_000_000  # of documents in a command, whose 48 MB hold the text, its fields and UTF-8
TENACITY = 3  # conflicts before a group gets smaller

MAJORITY = WriteConcern("majority", j=True)
SNAPSHOT = ReadConcern("snapshot")


class _Entry:
    """A queued batch, its future and, once it was planned, what came of it."""

    __slots__ = ("alone", "error", "events", "future", "versions", "writes")

    def __init__(
        self, writes: tuple[Prepared, ...], events: str | None, future: asyncio.Future[tuple[int, ...]]
    ) -> None:
        self.writes = writes
        self.events = events
        self.future = future
        self.alone = False
        self.versions: tuple[int, ...] = ()
        self.error: Exception | None = None


class _AssumedError(Exception):
    """A document that was not read is not as its write assumes."""


@dataclass(frozen=True, slots=True)
class _TakenError(Exception):
    """A unique value is taken: the batch's place in the group, the stage, and what the server says."""

    owner: int
    stage: int
    key: Key
    said: Mapping[str, Any]


class _UnknownError(Exception):
    """Nobody could be asked what came of a commit."""


class Writer:
    """Commits batches in the order in which they were submitted.

    Args:
        database: Where; its client is closed by whoever made it.
        tables: By collection.
        log: Takes the events.
        patience: Seconds until what cannot be done is given up.
    """

    def __init__(
        self,
        database: AsyncDatabase[dict[str, Any]],
        tables: Mapping[str, Table],
        log: EventLog,
        *,
        patience: float = PATIENCE,
    ) -> None:
        self._db = database
        self._tables = tables
        self._log = log
        self._patience = patience
        self._loop = asyncio.get_running_loop()
        self._queue: deque[_Entry] = deque()
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        self._session: AsyncClientSession | None = None

    def submit(self, batch: Batch) -> asyncio.Future[tuple[int, ...]]:
        """Queue a batch. It is applied even if nobody waits for the future any more."""
        if self._closed:
            raise PulpoError("PULPO507", "the store is closed")
        writes = prepare(self._tables, batch)
        events = pydantic_core.to_json(batch.events).decode()[1:-1] if batch.events else None
        future: asyncio.Future[tuple[int, ...]] = self._loop.create_future()
        self._queue.append(_Entry(writes, events, future))
        if self._task is None:
            self._task = self._loop.create_task(self._work())
        return future

    async def close(self) -> None:
        """Commit what is queued, then end."""
        self._closed = True
        if self._task is not None:
            await self._task
        if self._session is not None:
            await self._session.end_session()
            self._session = None

    async def _work(self) -> None:
        while self._queue:
            group = self._take()
            try:
                await self._commit(group)
            except BaseException as error:
                for entry in group:
                    _settle(entry, error)
                if not isinstance(error, Exception):
                    raise
            # Callbacks of those just told run first: what they write next joins the next group.
            await asyncio.sleep(0)
        self._task = None

    def _take(self) -> list[_Entry]:
        queue = self._queue
        group = [queue.popleft()]
        writes = len(group[0].writes)
        if not group[0].alone:
            while queue and len(group) < GROUP and not queue[0].alone and writes < WRITES:
                writes += len(queue[0].writes)
                group.append(queue.popleft())
        return group

    def _put_back(self, entries: list[_Entry]) -> None:
        for entry in reversed(entries):
            entry.error = None
            self._queue.appendleft(entry)

    async def _commit(self, group: list[_Entry]) -> None:
        """Bring a group to its end, or the part of it that can go on as it is; the rest is queued again."""
        deadline = time.monotonic() + self._patience
        everything = False
        tries = 0
        while True:
            try:
                await self._attempt(group, everything=everything)
            except _AssumedError:
                everything = True
            except _TakenError as taken:
                if group[0].alone:
                    group[0].error = self._taken(group[0], taken)
                    break
                group[taken.owner].alone = True
                self._put_back(group)
                return
            except _UnknownError:
                for entry in group:
                    _settle(entry, _unknown(self._patience))
                return
            except PyMongoError as error:
                tries += 1
                retried = error.has_error_label("TransientTransactionError") and time.monotonic() < deadline
                if not retried:
                    if len(group) == 1:
                        raise problem(error) from error
                    self._separate(group)
                    return
                if is_conflict(error):
                    if tries > TENACITY and len(group) > 1:
                        half = len(group) // 2
                        self._put_back(group[half:])
                        del group[half:]
                    await asyncio.sleep(random.uniform(0.0, min(0.02, 0.0005 * 1.6**tries)))  # noqa: S311 - spreads rivals
                else:
                    await asyncio.sleep(min(0.5, 0.02 * 2**tries))
            except Exception:
                if len(group) == 1:
                    raise
                self._separate(group)
                return
            else:
                break
        for entry in group:
            _settle(entry, entry.error)

    def _separate(self, group: list[_Entry]) -> None:
        """What cannot be done together may be done one by one."""
        for entry in group:
            entry.alone = True
        self._put_back(group)

    async def _attempt(self, group: list[_Entry], *, everything: bool) -> None:
        """One transaction with what of the group holds. Where it returns, every entry has its versions or its error."""
        session = self._session
        if session is None:
            session = self._session = self._db.client.start_session(causal_consistency=False)
        await session.start_transaction(read_concern=SNAPSHOT, write_concern=MAJORITY)
        try:
            known = await self._read(session, group, everything=everything)
            stages = self._planned(group, known, everything=everything)
            for number, stage in enumerate(stages):
                await self._send(session, stage, number)
            events = [entry.events for entry in group if entry.error is None and entry.events is not None]
            if events:
                await self._log.insert(session, events)
            if stages or events:
                await self._finish(session)
                self._log.noticed(session.operation_time)
        except BaseException:
            await self._give_up(session)
            raise
        if session.in_transaction:
            await session.abort_transaction()  # nothing to make durable

    async def _give_up(self, session: AsyncClientSession) -> None:
        """Leave a transaction; a session that saw trouble is not used again."""
        self._session = None
        try:
            if session.in_transaction:
                await session.abort_transaction()
        finally:
            await session.end_session()

    async def _finish(self, session: AsyncClientSession) -> None:
        deadline = time.monotonic() + self._patience
        pause = 0.02
        while True:
            try:
                await session.commit_transaction()
            except PyMongoError as error:
                if not error.has_error_label("UnknownTransactionCommitResult"):
                    raise
                if time.monotonic() >= deadline:
                    raise _UnknownError from error
                await asyncio.sleep(pause)
                pause = min(0.5, pause * 2)
            else:
                return

    async def _read(self, session: AsyncClientSession, group: list[_Entry], *, everything: bool) -> dict[Key, Held]:
        known: dict[Key, Held] = {}
        for name, ids in to_read((entry.writes for entry in group), everything=everything).items():
            for id in ids:
                known[name, id] = Held(False)
            command: dict[str, Any] = {
                "find": name,
                "filter": {"_id": {"$in": ids}},
                "projection": {"version": 1, "_json": 1},
                "batchSize": len(ids) + 1,
            }
            reply = await self._db.command(command, session=session)
            found, cursor = reply["cursor"]["firstBatch"], reply["cursor"]["id"]
            while cursor:  # more than one reply holds
                reply = await self._db.command({"getMore": cursor, "collection": name}, session=session)
                found += reply["cursor"]["nextBatch"]
                cursor = reply["cursor"]["id"]
            for document in found:
                known[name, document["_id"]] = Held(True, document["version"], document["_json"])
        return known

    def _planned(self, group: list[_Entry], known: Mapping[Key, Held], *, everything: bool) -> list[Stage]:
        plan = Plan(known)
        for place, entry in enumerate(group):
            entry.error = None
            try:
                entry.versions = plan.apply(entry.writes, place, singly=entry.alone)
            except WriteFailed as error:
                # The first reason counts: one before it may be among what was not read.
                if not everything and any(write.key not in known for write in entry.writes[: error.index]):
                    raise _AssumedError from error
                entry.error = error
            except Exception as error:  # noqa: BLE001 - it is raised where it is awaited
                entry.error = error
        plan.flush()
        return plan.stages

    async def _send(self, session: AsyncClientSession, stage: Stage, number: int) -> None:
        for name, pending in stage.inserts.items():
            table = self._tables[name]
            for part in _parts(pending):
                documents = [stored(table, key, held) for key, held in part]
                reply = await self._db.command({"insert": name, "documents": documents}, session=session)
                _check(reply, part, number)
        for name, pending in stage.updates.items():
            table = self._tables[name]
            for part in _parts(pending):
                updates = [changes(table, key, held) for key, held in part]
                reply = await self._db.command({"update": name, "updates": updates}, session=session)
                _check(reply, part, number)
        for name, pending in stage.deletes.items():
            for part in _parts(pending):
                deletes = [removal(key, held) for key, held in part]
                reply = await self._db.command({"delete": name, "deletes": deletes}, session=session)
                _check(reply, part, number)

    def _taken(self, entry: _Entry, taken: _TakenError) -> Exception:
        """Why a batch that went alone failed; each of its writes was a stage."""
        write = entry.writes[taken.stage].write
        pattern = tuple(taken.said.get("keyPattern", ()))
        if pattern == ("_id",):
            return DuplicateId("PULPO501", f"{write.collection} {write.id} exists", taken.stage)
        fields = self._tables[write.collection].unique.get(pattern)
        if fields is None:  # an index that somebody else made
            return PulpoError("PULPO507", f"MongoDB refused {write.collection} {write.id}: {taken.said.get('errmsg')}")
        detail = f"another document of {write.collection} has the same {' and '.join(fields)}"
        return UniqueTaken(detail, taken.stage, fields)


def _parts(pending: list[tuple[Key, Held]]) -> list[list[tuple[Key, Held]]]:
    """What fits into a command each."""
    parts: list[list[tuple[Key, Held]]] = [[]]
    size = 0
    for item in pending:
        length = len(item[1].text or "")
        if parts[-1] and (len(parts[-1]) == COMMAND or size + length > CHARACTERS):
            parts.append([])
            size = 0
        parts[-1].append(item)
        size += length
    return parts


def _check(reply: Mapping[str, Any], part: list[tuple[Key, Held]], stage: int) -> None:
    """Raise what a reply says went wrong."""
    for said in reply.get("writeErrors", ()):
        key, held = part[said["index"]]
        if said["code"] == DUPLICATE:
            raise _TakenError(held.owner, stage, key, said)
        raise _refused(said)
    if reply["n"] != len(part):
        raise _AssumedError


def _refused(said: Mapping[str, Any]) -> PyMongoError:
    from pymongo.errors import WriteError  # noqa: PLC0415

    return WriteError(said.get("errmsg", "refused"), said["code"], said)


def _unknown(patience: float) -> PulpoError:
    return PulpoError(
        "PULPO507",
        f"MongoDB could not be reached for {patience:g} s while it committed: the outcome is unknown",
        hint="look whether it was written before you repeat it",
    )


def _settle(entry: _Entry, error: BaseException | None) -> None:
    if entry.future.done():  # its caller was cancelled
        return
    if error is not None:
        entry.future.set_exception(error)
    else:
        entry.future.set_result(entry.versions)


__all__ = ["MAJORITY", "PATIENCE", "Timestamp", "Writer"]
