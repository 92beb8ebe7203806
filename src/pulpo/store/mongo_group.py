"""A group of batches as one transaction: read, plan, send, commit."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pydantic_core
from pymongo.errors import WriteError

from pulpo.errors import PulpoError
from pulpo.store.mongo_errors import DUPLICATE
from pulpo.store.mongo_plan import (
    Claim,
    Held,
    Key,
    Plan,
    Prepared,
    Stage,
    changes,
    claimed,
    claims_of,
    moves,
    removal,
    stored,
    takes,
    to_read,
)
from pulpo.store.mongo_primary import Primary, own_commits
from pulpo.store.mongo_session import Transactions
from pulpo.store.mongo_table import TEXT, Table
from pulpo.store.port import DuplicateId, UniqueTaken, WriteFailed

if TYPE_CHECKING:
    from pymongo.asynchronous.client_session import AsyncClientSession
    from pymongo.asynchronous.database import AsyncDatabase

    from pulpo.store.mongo_events import EventLog

COMMAND = 1_000  # statements of a command
FEW = 16  # inserts that go as upserts with the updates of their collection, to save a round trip
CHARACTERS = 4_000_000  # of documents in a command, whose 48 MB hold the text, its fields and UTF-8


class Entry:
    """A queued batch, its future and, once it was planned, what came of it. `alone`: it shares no transaction."""

    __slots__ = ("alone", "error", "events", "future", "keys", "versions", "writes")

    def __init__(
        self, writes: tuple[Prepared, ...], events: str | None, future: asyncio.Future[tuple[int, ...]]
    ) -> None:
        self.writes = writes
        self.keys = [write.key for write in writes]
        self.events = events
        self.future = future
        self.alone = False
        self.versions: tuple[int, ...] = ()
        self.error: Exception | None = None


class AssumedError(Exception):
    """A document that was not read is not as its write assumes."""


class ApartError(Exception):
    """A batch, whose place in the group this is, has to go alone for an exact answer."""

    def __init__(self, owner: int) -> None:
        super().__init__(owner)
        self.owner = owner


class TakenError(ApartError):
    """A unique value is taken: the stage, and what the server says."""

    def __init__(self, owner: int, stage: int, said: Mapping[str, Any]) -> None:
        super().__init__(owner)
        self.stage = stage
        self.said = said


class Groups:
    """Applies groups to a database."""

    def __init__(
        self,
        database: AsyncDatabase[dict[str, Any]],
        tables: Mapping[str, Table],
        log: EventLog,
        transactions: Transactions,
        primary: Primary,
    ) -> None:
        self._db = database
        self._primary = primary
        self._own = own_commits(database)
        self._tables = tables
        self._log = log
        self._transactions = transactions

    async def apply(self, group: list[Entry], *, everything: bool) -> bool:
        """One transaction with what of the group holds. Where it returns, every entry has its versions or its error.

        Returns:
            Whether something was committed, and by that what was read is known to have been the truth.

        Raises:
            AssumedError: Something is not as assumed, where not `everything` is read first.
            ApartError: A batch has to go alone; if it did, a unique value is taken.
            PyMongoError, UnknownOutcomeError: As of `Transactions.commit`.
        """
        session = await self._transactions.begin()
        try:
            stages = await self._plan(session, group, everything=everything)
            for number, stage in enumerate(stages):
                await self._send(session, stage, number)
            if group[0].alone and group[0].error is not None:
                await self._transactions.drop()  # the writes before the one that failed are good, so its reason counts
                return False
            events = [entry.events for entry in group if entry.error is None and entry.events is not None]
            if events:
                await self._log.insert(session, events)
            if not stages and not events:
                await self._transactions.drop()
                return False
            time = await self._transactions.commit()
        except BaseException:
            await self._transactions.close()
            raise
        self._log.noticed(time, told=bool(events))
        if time is not None and not self._primary.alone:
            self._own.committed(time)
        return True

    async def _plan(self, session: AsyncClientSession, group: list[Entry], *, everything: bool) -> list[Stage]:
        """What has to be sent for the group. Every entry that cannot be has its error."""
        known = await self._read(session, to_read((entry.writes for entry in group), everything=everything))
        stages, unsure = self._planned(group, known)
        if not unsure:
            return stages
        # What is refused is refused in any case, but the first reason counts: one may be among the writes before.
        before = [writes for writes in unsure.values() if writes]
        missing = {name: [id for id in ids if (name, id) not in known] for name, ids in to_read(before).items()}
        known.update(await self._read(session, {name: ids for name, ids in missing.items() if ids}))
        free = await self._free(session, group, unsure)
        stages, unsure = self._planned(group, known)
        for place in unsure:
            if place not in free:
                raise ApartError(place)
        return stages

    async def _read(self, session: AsyncClientSession, wanted: Mapping[str, list[str]]) -> dict[Key, Held]:
        known: dict[Key, Held] = {}
        for name, ids in wanted.items():
            for id in ids:
                known[name, id] = Held(False)
            where = {"_id": {"$in": ids}}
            for document in await self._find(session, name, where, {"version": 1, TEXT: 1}, len(ids) + 1):
                known[name, document["_id"]] = Held(True, document["version"], document[TEXT])
        return known

    async def _find(
        self, session: AsyncClientSession, name: str, where: Mapping[str, Any], fields: Mapping[str, int], most: int
    ) -> list[dict[str, Any]]:
        command = {"find": name, "filter": where, "projection": fields, "batchSize": most}
        reply = await self._db.command(command, session=session)
        found: list[dict[str, Any]] = reply["cursor"]["firstBatch"]
        cursor = reply["cursor"]["id"]
        while cursor:  # more than one reply holds
            reply = await self._db.command({"getMore": cursor, "collection": name}, session=session)
            found += reply["cursor"]["nextBatch"]
            cursor = reply["cursor"]["id"]
        return found

    async def _free(
        self, session: AsyncClientSession, group: list[Entry], unsure: Mapping[int, tuple[Prepared, ...]]
    ) -> set[int]:
        """Of batches that fail later, those whose unique values nobody else has: no document, no batch of the group."""
        claims = Counter(claim for entry in group for write in entry.writes for claim in claimed(write))
        moved = {write.key[0] for entry in group for write in entry.writes if moves(write)}
        asked: dict[str, dict[Claim, str]] = {}
        for writes in unsure.values():
            for write in writes:
                asked.setdefault(write.key[0], {}).update(dict.fromkeys(claimed(write), write.key[1]))
        others: set[Claim] = set()
        for name, wanted in asked.items():
            if wanted:
                where = {"$or": [self._tables[name].holding(keys, held) for _, keys, held in wanted]}
                for one in await self._find(session, name, where, {"version": 1, TEXT: 1}, len(wanted) + 1):
                    held = claims_of(self._tables[name], pydantic_core.from_json(one[TEXT]))
                    others.update(claim for claim in held if wanted.get(claim, one["_id"]) != one["_id"])
        return {
            place
            for place, writes in unsure.items()
            if not any(write.key[0] in moved for write in writes)
            and all(claims[claim] == 1 and claim not in others for write in writes for claim in claimed(write))
        }

    def _planned(
        self, group: list[Entry], known: Mapping[Key, Held]
    ) -> tuple[list[Stage], dict[int, tuple[Prepared, ...]]]:
        """The stages, and by its place each batch that fails where one of these writes may have failed before."""
        plan = Plan(known)
        unsure: dict[int, tuple[Prepared, ...]] = {}
        for place, entry in enumerate(group):
            entry.error = None
            try:
                entry.versions = plan.apply(entry.writes, place, singly=entry.alone)
            except WriteFailed as error:
                entry.error = error
                before = entry.writes[: error.index]
                if entry.alone:
                    if any(write.key not in known for write in before):
                        raise AssumedError from error
                    return plan.tried, {}
                if any(takes(write) or write.key not in known for write in before):
                    unsure[place] = before
            except Exception as error:  # noqa: BLE001 - it is raised where it is awaited
                entry.error = error
        plan.flush()
        return plan.stages, unsure

    async def _send(self, session: AsyncClientSession, stage: Stage, number: int) -> None:
        for name in {**stage.inserts, **stage.updates, **stage.deletes}:
            table = self._tables[name]
            inserts, updates = stage.inserts.get(name, []), stage.updates.get(name, [])
            together = bool(updates) and len(inserts) <= FEW
            for part in _parts([] if together else inserts):
                documents = [stored(table, key, held) for key, held in part]
                await self._command(session, {"insert": name, "documents": documents}, part, number)
            for part in _parts([*inserts, *updates] if together else updates):
                statements = [changes(table, key, held) for key, held in part]
                await self._command(session, {"update": name, "updates": statements}, part, number)
            for part in _parts(stage.deletes.get(name, [])):
                removals = [removal(key, held) for key, held in part]
                await self._command(session, {"delete": name, "deletes": removals}, part, number)

    async def _command(
        self, session: AsyncClientSession, command: dict[str, Any], part: list[tuple[Key, Held]], stage: int
    ) -> None:
        """Send a part of a stage, and raise what the answer says went wrong."""
        reply = await self._db.command(command, session=session)
        for said in reply.get("writeErrors", ()):
            if said["code"] == DUPLICATE:
                raise TakenError(part[said["index"]][1].owner, stage, said)
            raise WriteError(said.get("errmsg", "refused"), said["code"], said)
        if reply["n"] != len(part):
            raise AssumedError

    def why(self, entry: Entry, taken: TakenError) -> Exception:
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
    if not pending:
        return []
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
