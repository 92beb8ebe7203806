"""Looking at a MongoDB database as it is, and filling one: `pulpo.store.upkeep` for replica sets.

A snapshot is a session whose reads are all of one cluster time. The server keeps that state for five minutes
(`minSnapshotHistoryWindowInSeconds`); who needs longer raises it. The time it chooses is what a majority has, which may
lie before a collection or an index that has just been made; such a collection cannot be read as of then, so that the
snapshot is taken again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pydantic_core
from bson import Timestamp
from pymongo.errors import BulkWriteError, OperationFailure, PyMongoError
from pymongo.read_concern import ReadConcern

from pulpo.errors import PulpoError
from pulpo.store.mongo_client import Address, check_server, database_of
from pulpo.store.mongo_errors import DUPLICATE, problem, translated
from pulpo.store.mongo_events import EVENTS, PULPO, SINCE
from pulpo.store.mongo_schema import bring_up_to_date, make_ours
from pulpo.store.mongo_session import MAJORITY, SNAPSHOT
from pulpo.store.mongo_table import TEXT, Table, table_of
from pulpo.store.mongo_writer import PATIENCE
from pulpo.store.port import Collection, Record, UniqueTaken
from pulpo.store.renames import old_path
from pulpo.store.upkeep import SCAN, SCAN_BYTES, Change, Facts

if TYPE_CHECKING:
    from pymongo.asynchronous.client_session import AsyncClientSession
    from pymongo.asynchronous.database import AsyncDatabase
    from pymongo.asynchronous.mongo_client import AsyncMongoClient

    Database = AsyncDatabase[dict[str, Any]]

_ROW = "collection "
_TOO_OLD = 239  # SnapshotTooOld
_UNAVAILABLE = 246  # SnapshotUnavailable: a collection or an index was made or dropped after the snapshot's time
_AGAIN = 0.1  # seconds until a snapshot is taken again


class MongoSnapshot:
    """A database at one moment; implements `pulpo.store.upkeep.Snapshot`. One call at a time."""

    def __init__(self, url: str) -> None:
        self._address = Address(url)
        self._client: AsyncMongoClient[dict[str, Any]] | None = None
        self._session: AsyncClientSession | None = None
        self._rows: Mapping[str, Mapping[str, Any]] = {}

    async def open(self) -> bool:
        """Take the snapshot."""
        client = self._client = self._address.client()
        await check_server(client, self._address)
        # The session says how it reads; the database's own concern would stand against it.
        self._db = database_of(client, self._address.database).with_options(read_concern=ReadConcern())
        until = time.monotonic() + PATIENCE
        with _kept():
            while True:
                self._session = client.start_session(snapshot=True)
                try:
                    return await self._look()
                except OperationFailure as error:
                    if error.code != _UNAVAILABLE or time.monotonic() > until:
                        raise
                await self._end_session()
                await asyncio.sleep(_AGAIN)

    async def _look(self) -> bool:
        """What is there at the session's time, each collection readable as of then; False if there is nothing."""
        found = self._db[PULPO].find({}, session=self._session)
        rows = {row["_id"]: row async for row in found}
        if "format" not in rows:
            names = await self._db.list_collection_names()
            if await self._db[PULPO].find_one({"_id": "format"}) is not None:
                raise OperationFailure("the database was made after the snapshot's time", _UNAVAILABLE)
            if rows or not {name for name in names if not name.startswith("system.")} <= {PULPO, EVENTS}:
                raise PulpoError(
                    "PULPO506",
                    f"the database {self._db.name} is not a Pulpo database: it holds other collections",
                    hint="name another database; this one was left as it is",
                )
            return False
        self._rows = {id.removeprefix(_ROW): row for id, row in sorted(rows.items()) if id.startswith(_ROW)}
        for name in (EVENTS, *self._rows):
            await self._db[name].find_one({}, {"_id": 1}, session=self._session)
        return True

    async def close(self) -> None:
        """End the session and disconnect."""
        await self._end_session()
        if self._client is not None:
            client, self._client = self._client, None
            await client.close()

    async def _end_session(self) -> None:
        if self._session is not None:
            session, self._session = self._session, None
            await session.end_session()

    async def facts(self) -> Facts:
        """Size on disk, and commits whose events are kept."""
        with _kept():
            told = await self._db.command("dbStats")
        return Facts(int(told["storageSize"] + told["indexSize"]), await self._count(EVENTS))

    async def counts(self) -> Mapping[str, int]:
        """Each collection and its size."""
        return {name: await self._count(name) for name in self._rows}

    async def _count(self, collection: str) -> int:
        found = await self._aggregate(collection, {"$count": "n"})
        return int(found[0]["n"]) if found else 0

    async def _aggregate(self, collection: str, *stages: dict[str, Any]) -> list[dict[str, Any]]:
        with _kept():
            return await (await self._db[collection].aggregate(list(stages), session=self._session)).to_list()

    async def scan(
        self, collection: str, after: str | None = None, limit: int = SCAN, size: int = SCAN_BYTES
    ) -> tuple[Record, ...]:
        """The documents after an id."""
        if collection not in self._rows:
            return ()
        where: dict[str, Any] = {} if after is None else {"_id": {"$gt": after}}
        found: list[Record] = []
        with _kept():
            cursor = self._db[collection].find(
                where, {"version": 1, TEXT: 1}, sort=[("_id", 1)], limit=limit, session=self._session
            )
            async with cursor:
                async for one in cursor:
                    found.append(Record(one["_id"], one["version"], one[TEXT]))
                    size -= len(one[TEXT])
                    if size < 0:
                        break
        return tuple(found)

    async def tally(self, collection: str, field: str) -> Mapping[str, int]:
        """How many documents have each value of a field."""
        if collection not in self._rows:
            return {}
        found = await self._aggregate(
            collection,
            {"$match": {field: {"$exists": True}}},
            {"$group": {"_id": f"${field}", "n": {"$sum": 1}}},
            {"$sort": {"_id": 1}},
        )
        return {one["_id"]: one["n"] for one in found}

    async def pending(self, collections: tuple[Collection, ...]) -> tuple[Change, ...]:
        """What differs from what is declared."""
        tables = {collection.name: table_of(collection) for collection in collections}
        found: list[Change] = []
        for name, table in tables.items():
            if name not in self._rows:
                found.append(Change("additive", name, "new collection"))
            else:
                found += _differences(table, self._rows[name]["layout"])
        for name in self._rows:
            if name not in tables and not name.startswith("_"):
                count = await self._count(name)
                if count:
                    found.append(Change("loss", name, f"collection that no model declares, {count} documents"))
        return tuple(found)


@contextmanager
def _kept() -> Iterator[None]:
    """As `translated`; a snapshot that the server has given up is told by what to do about it."""
    try:
        yield
    except PyMongoError as error:
        if isinstance(error, OperationFailure) and error.code == _UNAVAILABLE:
            raise PulpoError(
                "PULPO507",
                "a collection or an index was made or dropped while MongoDB was read as of one moment",
                hint="try again when the application's start or migration beside this has ended",
            ) from error
        if isinstance(error, OperationFailure) and error.code == _TOO_OLD:
            raise PulpoError(
                "PULPO507",
                "MongoDB gave the snapshot up: it keeps one for five minutes",
                hint="raise the server's parameter minSnapshotHistoryWindowInSeconds, and try again",
            ) from error
        raise problem(error) from error


def _differences(table: Table, had: Mapping[str, Any]) -> list[Change]:
    layout, name = table.layout, table.name
    found = [
        Change("rename", name, f"field {path}, renamed from {old}", path, old)
        for path, old in table.renamed.items()
        if had["renamed"].get(path) != old
    ]
    gone = [old_path(path, old) for path, old in table.renamed.items()]
    for column in sorted({*layout["columns"], *had["columns"]}):
        before, after = had["columns"].get(column), layout["columns"].get(column)
        if before is None:
            found.append(Change("additive", name, f"new column {column}"))
        elif after is None:
            if not any(column == old or column.startswith(f"{old}.") for old in gone):
                found.append(Change("loss", name, f"field {column} that the model does not declare"))
        elif before != after:
            found.append(Change("additive", name, f"column {column} of another kind"))
    for index in sorted({*layout["indexes"], *had["indexes"]}):
        shown = index.replace("+", ", ").replace("!", " (unique)")
        if index not in had["indexes"]:
            found.append(Change("additive", name, f"new index {shown}"))
        elif index not in layout["indexes"]:
            found.append(Change("additive", name, f"index {shown} is not needed any more"))
    return found


class MongoLoader:
    """Fills a database; implements `pulpo.store.upkeep.Loader`. One call at a time."""

    def __init__(self, url: str) -> None:
        self._address = Address(url)
        self._client: AsyncMongoClient[dict[str, Any]] | None = None
        self._tables: dict[str, Table] = {}

    async def open(self, collections: tuple[Collection, ...]) -> None:
        """Connect and make what is declared."""
        self._tables = {collection.name: table_of(collection) for collection in collections}
        client = self._client = self._address.client()
        await check_server(client, self._address)
        self._db = database_of(client, self._address.database)
        with translated():
            await make_ours(self._db)
            await bring_up_to_date(self._db, self._tables)

    async def close(self) -> None:
        """Disconnect."""
        if self._client is not None:
            client, self._client = self._client, None
            await client.close()

    async def last_id(self, collection: str) -> str | None:
        """The greatest id."""
        with translated():
            found = await self._db[collection].find_one({}, {"_id": 1}, sort=[("_id", -1)])
        return found["_id"] if found is not None else None

    async def load(self, collection: str, records: tuple[Record, ...]) -> None:
        """Write documents as they are, in one transaction."""
        if not records:
            return
        table = self._tables[collection]
        documents = [table.stored(one.id, one.version, one.json, pydantic_core.from_json(one.json)) for one in records]

        async def write(session: AsyncClientSession) -> None:
            there = self._db[collection]
            await there.delete_many({"_id": {"$in": [one.id for one in records]}}, session=session)
            await there.insert_many(documents, session=session)

        client = self._client
        assert client is not None, "the loader is not open"
        try:
            async with client.start_session() as session:
                await session.with_transaction(write, read_concern=SNAPSHOT, write_concern=MAJORITY)
        except BulkWriteError as error:
            said: Mapping[str, Any] = error.details["writeErrors"][0]
            if said["code"] != DUPLICATE:
                raise problem(error) from error
            fields = table.unique.get(tuple(said["keyPattern"]), tuple(said["keyPattern"]))
            detail = f"another document of {collection} has the same {' and '.join(fields)}"
            raise UniqueTaken(detail, said["index"], fields) from None
        except PyMongoError as error:
            raise problem(error) from error

    async def clear(self, collection: str) -> None:
        """Drop a collection and, if it is declared, make it anew."""
        with translated():
            # What says how it is kept goes first: broken off here, the next opening makes the collection again.
            await self._db[PULPO].delete_one({"_id": f"{_ROW}{collection}"})
            await self._db[collection].drop()
            if collection in self._tables:
                await bring_up_to_date(self._db, {collection: self._tables[collection]})

    async def forget_events(self) -> None:
        """Take all events away, and let none be kept from before now on."""
        with translated():
            await self._db[EVENTS].delete_many({})
            reply = await self._db.command("ping")
            now: Timestamp = reply["operationTime"]
            # No cursor is of a later time than what has happened.
            await self._db[PULPO].update_one(SINCE, {"$max": {"since": Timestamp(now.time, now.inc + 1)}})
