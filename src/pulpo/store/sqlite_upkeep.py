"""Looking at an SQLite database as it is, and filling one: `pulpo.store.upkeep` for files.

A snapshot is a read transaction that stays open: SQLite's write-ahead log keeps the state that it began with, without a
copy of the file. The log cannot be cut back meanwhile, so it grows by what others write.
"""

# ruff: noqa: S608 - the texts are made of declared names, every value is bound

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import apsw

from pulpo.errors import PulpoError
from pulpo.store.port import Collection, Insert, Record
from pulpo.store.sqlite import prepare
from pulpo.store.sqlite_file import PATIENCE, connect, inspect, patiently
from pulpo.store.sqlite_schema import Table, changes, drop_lists, json_path, quoted, table_of
from pulpo.store.sqlite_writer import problem
from pulpo.store.sqlite_writes import violated
from pulpo.store.upkeep import SCAN, SCAN_BYTES, Change, Facts

T = TypeVar("T")
_NAMES = "SELECT name FROM _collections ORDER BY name"


class SqliteSnapshot:
    """A database file at one moment; implements `pulpo.store.upkeep.Snapshot`. One call at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._db: apsw.Connection | None = None
        self._names: frozenset[str] = frozenset()

    async def open(self) -> bool:
        """Take the snapshot."""
        return await asyncio.to_thread(self._open)

    def _open(self) -> bool:
        try:
            if not self.path.exists() or not self.path.stat().st_size:
                return False
            inspect(self.path)
            db = connect(self.path, cache_kib=4_096, reads_only=True, patience=PATIENCE)
        except apsw.NotADBError:
            raise PulpoError("PULPO506", f"{self.path} is not a Pulpo database: it is not a database") from None
        except (OSError, apsw.Error) as error:
            raise PulpoError("PULPO507", f"the database {self.path} cannot be opened: {error}") from None
        self._db = db
        try:
            db.execute("BEGIN")  # the first read fixes what every later one sees
            if not db.execute("SELECT count(*) FROM sqlite_schema WHERE name='_collections'").get:
                return False
            self._names = frozenset(name for (name,) in db.execute(_NAMES))
        except apsw.Error as error:
            raise PulpoError("PULPO507", f"the database {self.path} cannot be read: {error}") from None
        return True

    async def close(self) -> None:
        """End the transaction."""
        if self._db is not None:
            db, self._db = self._db, None
            await asyncio.to_thread(db.close)

    async def facts(self) -> Facts:
        """Size, the log included, and commits whose events are kept."""
        size = sum(file.stat().st_size for file in (self.path, Path(f"{self.path}-wal")) if file.exists())
        events = await self._read(lambda db: db.execute("SELECT count(*) FROM _events WHERE count").get)
        return Facts(size, int(events))

    async def counts(self) -> Mapping[str, int]:
        """Each collection and its size."""

        def count(db: apsw.Connection) -> dict[str, int]:
            return {name: int(db.execute(f"SELECT count(*) FROM {quoted(name)}").get) for name in sorted(self._names)}

        return await self._read(count)

    async def scan(
        self, collection: str, after: str | None = None, limit: int = SCAN, size: int = SCAN_BYTES
    ) -> tuple[Record, ...]:
        """The documents after an id."""
        if collection not in self._names:
            return ()
        where, args = ("", ()) if after is None else (" WHERE id>?", (after,))
        sql = f"SELECT id,version,doc FROM {quoted(collection)}{where} ORDER BY id LIMIT ?"

        def some(db: apsw.Connection) -> tuple[Record, ...]:
            found: list[Record] = []
            left = size
            rows: Any = db.execute(sql, (*args, limit))
            for id, version, text in rows:
                found.append(Record(id, version, text))
                left -= len(text)
                if left < 0:
                    break
            return tuple(found)

        return await self._read(some)

    async def tally(self, collection: str, field: str) -> Mapping[str, int]:
        """How many documents have each value of a field."""
        if collection not in self._names:
            return {}
        value = f"json_extract(doc,{json_path(field)})"
        sql = f"SELECT {value},count(*) FROM {quoted(collection)} WHERE {value} IS NOT NULL GROUP BY 1 ORDER BY 1"
        rows: list[Any] = await self._read(lambda db: db.execute(sql).fetchall())
        return dict(rows)

    async def pending(self, collections: tuple[Collection, ...]) -> tuple[Change, ...]:
        """What differs from what is declared."""
        tables = _tables(collections)
        return tuple(await self._read(lambda db: changes(db, tables)))

    async def _read(self, work: Callable[[apsw.Connection], T]) -> T:
        db = self._db
        assert db is not None, "the snapshot is not open"
        try:
            return await asyncio.to_thread(work, db)
        except apsw.Error as error:
            raise PulpoError("PULPO507", f"the database {self.path} could not be read: {error}") from error


class SqliteLoader:
    """Fills a database file; implements `pulpo.store.upkeep.Loader`. One call at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._db: apsw.Connection | None = None
        self._tables: dict[str, Table] = {}

    async def open(self, collections: tuple[Collection, ...]) -> None:
        """Connect and make what is declared."""
        self._tables = _tables(collections)
        self._db = await asyncio.to_thread(prepare, self.path, self._tables, PATIENCE)

    async def close(self) -> None:
        """Let go of the file."""
        if self._db is not None:
            db, self._db = self._db, None
            await asyncio.to_thread(db.close)

    async def last_id(self, collection: str) -> str | None:
        """The greatest id."""

        def last(db: apsw.Connection) -> str | None:
            known = db.execute("SELECT 1 FROM _collections WHERE name=?", (collection,)).get
            found: str | None = db.execute(f"SELECT max(id) FROM {quoted(collection)}").get if known else None
            return found

        return await self._do(last)

    async def load(self, collection: str, records: tuple[Record, ...]) -> None:
        """Write documents as they are."""
        table = self._tables[collection]
        sql = f"INSERT INTO {table.sql}(id,version,doc) VALUES(?,?,?)"

        def write(db: apsw.Connection) -> None:
            ids = json.dumps([record.id for record in records])
            db.execute(f"DELETE FROM {table.sql} WHERE id IN (SELECT value FROM json_each(?))", (ids,))
            for index, record in enumerate(records):
                try:
                    db.execute(sql, (record.id, record.version, record.json))
                except apsw.ConstraintError as error:
                    write = Insert(collection, record.id, record.json)
                    raise violated(error, table, write, index) or error from None

        await self._do(lambda db: self._transaction(db, write))

    async def clear(self, collection: str) -> None:
        """Take all documents of a collection away."""

        def empty(db: apsw.Connection) -> None:
            if collection in self._tables:
                db.execute(f"DELETE FROM {quoted(collection)}")
            elif layout := db.execute("SELECT layout FROM _collections WHERE name=?", (collection,)).get:
                drop_lists(db, json.loads(layout).get("lists", ()))
                db.execute(f"DROP TABLE {quoted(collection)}")
                db.execute("DELETE FROM _collections WHERE name=?", (collection,))

        await self._do(lambda db: self._transaction(db, empty))

    async def forget_events(self) -> None:
        """Take all events away, and go on numbering far beyond what any database has reached: by the clock."""

        def forget(db: apsw.Connection) -> None:
            last: int = db.execute("SELECT ifnull(max(seq),0) FROM _events").get
            db.execute("DELETE FROM _events")
            # One row stays, so that the next batch is numbered after it: two more, or the last cursor given went on.
            next_ = max(last + 2, time.time_ns() // 1_000_000)
            db.execute("INSERT INTO _events(seq,count,data) VALUES(?,0,'[]')", (next_,))

        await self._do(lambda db: self._transaction(db, forget))

    def _transaction(self, db: apsw.Connection, work: Callable[[apsw.Connection], None]) -> None:
        patiently(lambda: db.execute("BEGIN IMMEDIATE"))
        try:
            work(db)
            db.execute("COMMIT")
        finally:
            if db.in_transaction:
                db.execute("ROLLBACK")

    async def _do(self, work: Callable[[apsw.Connection], T]) -> T:
        db = self._db
        assert db is not None, "the loader is not open"
        try:
            return await asyncio.to_thread(work, db)
        except apsw.Error as error:
            raise problem(db, error) from error


def _tables(collections: tuple[Collection, ...]) -> dict[str, Table]:
    return {collection.name: table_of(collection) for collection in collections}
