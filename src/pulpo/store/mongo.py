"""The MongoDB adapter: documents as JSON text with typed fields beside it, in a replica set."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

import pymongo
from bson.errors import BSONError
from pymongo.errors import ConnectionFailure, ExecutionTimeout, PyMongoError, ServerSelectionTimeoutError

from pulpo.errors import PulpoError
from pulpo.model.conditions import Condition
from pulpo.store.mongo_aggregate import aggregation
from pulpo.store.mongo_calls import undisturbed
from pulpo.store.mongo_client import Address, check_server, database_of
from pulpo.store.mongo_errors import DRIVER, problem, translated
from pulpo.store.mongo_events import EventLog
from pulpo.store.mongo_filter import where as filtered
from pulpo.store.mongo_query import Find, find
from pulpo.store.mongo_reader import Reader
from pulpo.store.mongo_schema import bring_up_to_date, make_ours
from pulpo.store.mongo_table import TEXT, Table, table_of
from pulpo.store.mongo_writer import PATIENCE, Writer
from pulpo.store.port import (
    QUERY_TIMEOUT,
    Aggregate,
    Batch,
    Collection,
    Commits,
    Event,
    Group,
    JsonPage,
    Page,
    Query,
    Record,
    Unreachable,
    too_long,
)

if TYPE_CHECKING:
    from pymongo.asynchronous.collection import AsyncCollection
    from pymongo.asynchronous.mongo_client import AsyncMongoClient

GOODBYE = 1.0  # seconds that a server, which may be gone, is given to hear that nobody needs its sessions any more
JUST_TEXT = {"_id": 0, TEXT: 1}
WHOLE = {"version": 1, TEXT: 1}


class MongoStore:
    """Documents in a MongoDB database; implements `pulpo.store.port.Store`. It belongs to the loop that opened it.

    Args:
        url: The address; `keep_events=…` in it says how many commits' events are kept.
        query_timeout: Seconds that a query may take.
        patience: Seconds that a new primary, or the end of other transactions, is waited for by a commit.
    """

    def __init__(self, url: str, *, patience: float = PATIENCE, query_timeout: float = QUERY_TIMEOUT) -> None:
        self.address = Address(url)
        self._patience = patience
        self._query_timeout = query_timeout
        self._most = max(1, round(query_timeout * 1000))  # as the server has it
        self._tables: dict[str, Table] = {}
        self._client: AsyncMongoClient[dict[str, Any]] | None = None

    async def open(self, collections: tuple[Collection, ...]) -> None:
        """Connect and make collections, fields, indexes and validators what is declared. See the port."""
        tables = {collection.name: table_of(collection) for collection in collections}
        client = self.address.client()
        database = database_of(client, self.address.database)
        try:
            await self._prepare(client, tables)
        except BaseException:
            await client.close()
            raise
        self._tables = tables
        # Kept: the driver makes a new object each time it is asked for a collection.
        self._collections: Mapping[str, AsyncCollection[dict[str, Any]]] = {name: database[name] for name in tables}
        self._readers = {name: Reader(collection) for name, collection in self._collections.items()}
        self._log = EventLog(database, keep=self.address.keep_events)
        self._writer = Writer(database, tables, self._log, app=self.address.app, patience=self._patience)
        self._client = client

    @property
    def commits(self) -> Commits:
        """What this process has committed."""
        return self._writer.commits

    async def _prepare(self, client: AsyncMongoClient[dict[str, Any]], tables: Mapping[str, Table]) -> None:
        """Bring the database up to date; again where its primary is lost meanwhile, since each part can be repeated."""
        database = database_of(client, self.address.database)
        deadline = time.monotonic() + self._patience
        while True:
            try:
                await check_server(client, self.address)
                with translated():
                    await make_ours(database)
                    await bring_up_to_date(database, tables)
            except Unreachable as error:
                # The driver itself has waited for a server to be there at all.
                if isinstance(error.__cause__, ServerSelectionTimeoutError) or time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.2)
            else:
                return

    async def close(self) -> None:
        """Commit what is queued, end followers, disconnect. Closing twice does nothing."""
        if self._client is None:
            return
        client, self._client = self._client, None
        await self._writer.close()
        await self._log.close()
        for reader in self._readers.values():
            await reader.close()
        with pymongo.timeout(GOODBYE):
            await client.close()

    async def get(self, collection: str, id: str) -> Record | None:
        """The document with this id."""
        found = await self._reader(collection).get(id)
        return Record(id, *found) if found is not None else None

    @undisturbed
    async def get_many(self, collection: str, ids: tuple[str, ...]) -> tuple[Record, ...]:
        """The documents with these ids that exist, in no particular order."""
        reader = self._reader(collection)
        wanted = dict.fromkeys(ids)
        found = await asyncio.gather(*[reader.get(id) for id in wanted])
        return tuple([Record(id, *one) for id, one in zip(wanted, found, strict=True) if one is not None])

    async def get_each(self, wanted: Mapping[str, tuple[str, ...]]) -> Mapping[str, tuple[Record, ...]]:
        """As `get_many`, of several collections at once."""
        found = await asyncio.gather(*[self.get_many(name, ids) for name, ids in wanted.items()])
        return dict(zip(wanted, found, strict=True))

    async def get_json(self, collection: str, id: str) -> tuple[bytes, int] | None:
        """The document's text as bytes, and its version."""
        found = await self._reader(collection).get(id)
        return (found[1].encode(), found[0]) if found is not None else None

    async def query(self, query: Query) -> Page:
        """A page of documents."""
        found, cursor = await self._page(query, WHOLE)
        return Page(tuple(_record(one) for one in found), cursor)

    async def query_json(self, query: Query) -> JsonPage:
        """The same page as one JSON array."""
        found, cursor = await self._page(query, JUST_TEXT)
        return JsonPage(f"[{','.join([one[TEXT] for one in found])}]".encode(), cursor)

    @undisturbed
    async def _page(self, query: Query, fields: Mapping[str, int]) -> tuple[list[dict[str, Any]], str | None]:
        """The page's documents and the next cursor, from one more document than the page has."""
        wanted = find(self._tables[query.collection], query)
        if not query.limit:  # to MongoDB no limit
            return [], None
        try:
            found = await self._found(query, wanted, fields)
        except PyMongoError as error:
            raise self._problem(error) from error
        if len(found) <= query.limit:
            return found, None
        del found[query.limit :]
        return found, wanted.cursor(found[-1][TEXT])

    async def _found(self, query: Query, wanted: Find, fields: Mapping[str, int]) -> list[dict[str, Any]]:
        """What a find gives. As a command it costs a tenth less than by the driver's cursor."""
        collection = self._collection(query.collection)
        more = query.limit + 1
        asked: dict[str, Any] = {
            "find": query.collection,
            "filter": wanted.filter,
            "projection": fields,
            "sort": dict(wanted.sort),
            "skip": query.offset,
            "limit": more,
            "batchSize": more,
            "readConcern": collection.read_concern.document,
            "maxTimeMS": self._most,
        }
        try:
            reply = await collection.database.command(asked)
        except ConnectionFailure:  # which the driver repeats only for its own finds
            reply = await collection.database.command(asked)
        cursor = reply["cursor"]
        found: list[dict[str, Any]] = cursor["firstBatch"]
        if not cursor["id"]:
            return found
        # More than one reply holds (16 MB): from the beginning, by the driver, which asks for the rest as it should.
        await collection.database.command({"killCursors": query.collection, "cursors": [cursor["id"]]})
        whole = collection.find(
            wanted.filter, fields, sort=wanted.sort, skip=query.offset, limit=more, max_time_ms=self._most
        )
        return await whole.to_list()

    @undisturbed
    async def count(self, collection: str, where: Condition | None = None) -> int:
        """How many documents there are where the condition holds."""
        wanted = filtered(self._tables[collection], where) if where is not None else {}
        try:
            return await self._collection(collection).count_documents(wanted, maxTimeMS=self._most)
        except PyMongoError as error:
            raise self._problem(error) from error

    @undisturbed
    async def aggregate(self, wanted: Aggregate) -> tuple[Group, ...]:
        """The first groups, in the order of their keys."""
        asked = aggregation(self._tables[wanted.collection], wanted)
        try:
            cursor = await self._collection(wanted.collection).aggregate(asked.pipeline, maxTimeMS=self._most)
            return asked.groups(await cursor.to_list())
        except DRIVER as error:
            raise self._problem(error) from error

    def _problem(self, error: PyMongoError | BSONError) -> PulpoError:
        return too_long(self._query_timeout) if isinstance(error, ExecutionTimeout) else problem(error)

    async def commit(self, batch: Batch) -> tuple[int, ...]:
        """Write a batch: all of it, durably, or nothing and the first reason why."""
        if not batch.writes and not batch.events:
            return ()
        self._opened()
        return await self._writer.submit(batch)

    async def events(self, after: str | None, limit: int = 500) -> tuple[Event, ...]:
        """Committed events after a cursor."""
        self._opened()
        return await self._log.after(after, limit)

    async def last_event(self) -> str:
        """A cursor from which `events` and `follow` give only what comes."""
        self._opened()
        return await self._log.last()

    def follow(self, after: str | None) -> AsyncIterator[Event]:
        """Events after a cursor as they are committed; ends when the store is closed."""
        return self._log.follow(after)

    def _opened(self) -> None:
        if self._client is None:
            raise PulpoError("PULPO507", "the store is closed")

    def _collection(self, name: str) -> AsyncCollection[dict[str, Any]]:
        self._opened()
        return self._collections[name]

    def _reader(self, name: str) -> Reader:
        self._opened()
        return self._readers[name]


def _record(found: Mapping[str, Any]) -> Record:
    return Record(found["_id"], found["version"], found[TEXT])
