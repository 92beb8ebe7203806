"""The SQLite adapter: documents as JSON in one file, one writer with group commit, readers beside it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import apsw

from pulpo.errors import PulpoError
from pulpo.model.conditions import Condition
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
)
from pulpo.store.sqlite_aggregate import aggregation
from pulpo.store.sqlite_events import EventFeed
from pulpo.store.sqlite_file import PATIENCE, connect, make_ours, patiently
from pulpo.store.sqlite_filter import where as filtered
from pulpo.store.sqlite_indexes import holding
from pulpo.store.sqlite_log import LogCopies
from pulpo.store.sqlite_query import Statements, statements
from pulpo.store.sqlite_reader import Reader
from pulpo.store.sqlite_schema import Table, bring_up_to_date, table_of
from pulpo.store.sqlite_writer import Writer

PREPARED = 128
"""Queries whose statements are kept: lists ask for the same pages again and again."""


class SqliteStore:
    """Documents in an SQLite file; implements `pulpo.store.port.Store`. It belongs to the loop that opened it.

    Args:
        path: The file; it and its folder are made if need be.
        keep_events: How many rows of events are kept for replay: of 1 to 16 commits each.
        patience: Seconds that a lock held by another process is waited for.
        query_timeout: Seconds that a query may take.
        max_pages: Upper limit of the file's size in pages of 4 KiB, beyond which it is full; None for the disk's.
    """

    def __init__(
        self,
        path: Path,
        *,
        keep_events: int = 50_000,
        patience: float = PATIENCE,
        query_timeout: float = QUERY_TIMEOUT,
        max_pages: int | None = None,
    ) -> None:
        if keep_events < 1:
            raise ValueError("keep_events is at least 1")
        self.path = path
        self._keep_events = keep_events
        self._patience = patience
        self._query_timeout = query_timeout
        self._max_pages = max_pages
        self._tables: dict[str, Table] = {}
        self._parts: tuple[Reader, Writer, EventFeed, LogCopies] | None = None
        self._statements = lru_cache(maxsize=PREPARED)(self._prepared)

    async def open(self, collections: tuple[Collection, ...]) -> None:
        """Connect and make tables, columns and indexes what is declared. See the port."""
        self._tables = {collection.name: table_of(collection) for collection in collections}
        self._statements.cache_clear()
        db = await asyncio.to_thread(prepare, self.path, self._tables, self._patience, self._max_pages)
        reader = Reader(self.path, self._query_timeout)
        feed = EventFeed(reader)
        writer = Writer(db, self._tables, keep_events=self._keep_events, told=feed.wake, patience=self._patience)
        self._parts = reader, writer, feed, LogCopies(db, self.path)
        self._reader, self._writer, self._feed = reader, writer, feed

    async def close(self) -> None:
        """Commit what is queued, end followers, let go of the file. Closing twice does nothing."""
        if self._parts is None:
            return
        (reader, writer, feed, copies), self._parts = self._parts, None
        await asyncio.to_thread(copies.close)
        await writer.close()
        feed.close()
        await reader.close()

    @property
    def commits(self) -> Commits:
        """What was committed since the store was opened."""
        return self._writer.commits

    async def get(self, collection: str, id: str) -> Record | None:
        """The document with this id."""
        sql = self._tables[collection].get
        row = await self._reader.read(lambda db: db.execute(sql, (id,)).get)
        return Record(id, row[0], row[1]) if row is not None else None

    async def get_many(self, collection: str, ids: tuple[str, ...]) -> tuple[Record, ...]:
        """The documents with these ids that exist, in no particular order."""
        return (await self.get_each({collection: ids}))[collection]

    async def get_each(self, wanted: Mapping[str, tuple[str, ...]]) -> Mapping[str, tuple[Record, ...]]:
        """As `get_many`, of several collections at once."""
        if not wanted:
            return {}
        asked = [self._tables[name].many(ids) for name, ids in wanted.items()]
        # One statement takes and gives back the lock of the file once, which costs as much as the look itself.
        sql = " UNION ALL ".join([f"SELECT {place},{text}" for place, (text, _) in enumerate(asked)])
        given = tuple([id for _, ids in asked for id in ids])
        rows: list[Any] = await self._reader.read(lambda db: db.execute(sql, given).fetchall())
        found: list[list[Record]] = [[] for _ in asked]
        for place, id, version, text in rows:
            found[place].append(Record(id, version, text))
        return {name: tuple(records) for name, records in zip(wanted, found, strict=True)}

    async def get_json(self, collection: str, id: str) -> tuple[bytes, int] | None:
        """The document's text as bytes, and its version."""
        sql = self._tables[collection].get
        row = await self._reader.read(lambda db: db.execute(sql, (id,)).get)
        return (row[1].encode(), row[0]) if row is not None else None

    async def query(self, query: Query) -> Page:
        """A page of documents."""
        wanted = self._statements(query)
        rows, cursor = await self._reader.read(lambda db: _rows(db, wanted, query))
        return Page(tuple(Record(*row[:3]) for row in rows), cursor)

    async def query_json(self, query: Query) -> JsonPage:
        """The same page as one JSON array."""
        wanted = self._statements(query)
        text, cursor = await self._reader.read(lambda db: _body(db, wanted, query))
        return JsonPage(f"[{text}]".encode(), cursor)

    def _prepared(self, query: Query) -> Statements:
        return statements(self._tables[query.collection], query)

    async def count(self, collection: str, where: Condition | None = None) -> int:
        """How many documents there are where the condition holds."""
        table = self._tables[collection]
        args: list[Any] = []
        sql = f"SELECT count(*) FROM {table.sql}{holding(table, (), where)}"  # noqa: S608 - values are bound
        if where is not None:
            sql += f" WHERE {filtered(table, where, args)}"
        return int(await self._reader.read(lambda db: db.execute(sql, args).get))

    async def aggregate(self, wanted: Aggregate) -> tuple[Group, ...]:
        """The first groups, in the order of their keys."""
        asked = aggregation(self._tables[wanted.collection], wanted)
        return asked.groups(await self._reader.read(lambda db: db.execute(asked.sql, asked.args).fetchall()))

    async def commit(self, batch: Batch) -> tuple[int, ...]:
        """Write a batch: all of it, durably, or nothing and the first reason why."""
        return await self._writer.submit(batch)

    async def events(self, after: str | None, limit: int = 500) -> tuple[Event, ...]:
        """Committed events after a cursor."""
        return await self._feed.after(after, limit)

    async def last_event(self) -> str:
        """The cursor of the newest event."""
        return await self._feed.last()

    def follow(self, after: str | None) -> AsyncIterator[Event]:
        """Events after a cursor as they are committed; ends when the store is closed."""
        return self._feed.follow(after)


def prepare(path: Path, tables: Mapping[str, Table], patience: float, max_pages: int | None = None) -> apsw.Connection:
    """A connection that writes to a database whose tables are what they should be.

    Raises:
        PulpoError: PULPO506, PULPO507, PULPO508; see `Store.open`.
    """
    make_ours(path)
    try:
        db = connect(path, cache_kib=16_384)
        try:
            if max_pages is not None:
                db.pragma("max_page_count", max_pages)
            patiently(lambda: bring_up_to_date(db, tables), patience)
        except BaseException:
            db.close()
            raise
    except apsw.Error as error:
        raise PulpoError("PULPO507", f"the database {path} cannot be prepared: {error}") from error
    return db


def _rows(db: apsw.Connection, wanted: Statements, query: Query) -> tuple[list[Any], str | None]:
    """The page's rows and the next cursor, from one more row than the page has."""
    need = query.offset + query.limit + 1
    rows: list[Any] = []
    for segment in wanted.segments:
        rows += db.execute(segment.rows, (*segment.args, need - len(rows), 0)).fetchall()
        if len(rows) == need:
            break
    page = rows[query.offset : query.offset + query.limit]
    return page, wanted.cursor(page[-1][3:]) if page and len(rows) == need else None


def _body(db: apsw.Connection, wanted: Statements, query: Query) -> tuple[str, str | None]:
    """The page's texts joined, and the next cursor."""
    db.execute("BEGIN")  # every statement sees one state
    segment, *others = wanted.segments
    text, count = db.execute(segment.body, (*segment.args, query.limit, query.offset)).get
    edge: list[Any] = []
    if count and count == query.limit:
        last = query.offset + query.limit - 1
        edge = db.execute(segment.edge, (*segment.args, 2, last)).fetchall()
    cursor = wanted.cursor(edge[0]) if len(edge) == 2 else None
    if cursor is None and others:  # the page reaches into the next segment, or ends where this one does
        rows, cursor = _rows(db, wanted, query)
        text = ",".join([row[2] for row in rows])
    db.execute("COMMIT")
    return text or "", cursor
