"""Collections, their fields, indexes and validators made what is declared; documents stay but for what is made of them.

`_pulpo` remembers how each collection is kept. Everything here can be begun again after it was broken off, and by
several processes at once: what is done already is left as it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pydantic_core
from bson import Timestamp
from pymongo import IndexModel, ReplaceOne
from pymongo.errors import BulkWriteError, OperationFailure

from pulpo.errors import PulpoError
from pulpo.store.mongo_errors import DUPLICATE
from pulpo.store.mongo_events import EVENTS, PULPO, SINCE
from pulpo.store.mongo_table import MARK, TEXT, Field, Table
from pulpo.store.port import ColumnKind
from pulpo.store.renames import BothNamesError, with_new_name
from pulpo.store.splice import Members

if TYPE_CHECKING:
    from pymongo.asynchronous.database import AsyncDatabase

    Database = AsyncDatabase[dict[str, Any]]

FORMAT = 1
PART = 500  # documents that are made anew together
LATECOMERS = timedelta(hours=24)
"""How long after a change documents are looked for that processes of an older declaration have written since."""

_TYPES: dict[ColumnKind, Any] = {
    "text": "string",
    "integer": ["int", "long", "double"],
    "number": ["int", "long", "double"],
    "boolean": "bool",
    "money": "decimal",
    "datetime": "date",
    "date": "string",
}
_NOT_FOUND = 26, 27  # NamespaceNotFound, IndexNotFound
_NAMESPACE_EXISTS = 48


async def make_ours(db: Database) -> None:
    """Claim an empty database, and make sure that what is there is Pulpo's.

    Raises:
        PulpoError: PULPO506, another program's database, left as it is.
    """
    there = await db[PULPO].find_one({"_id": "format"})
    if there is None:
        names = {name for name in await db.list_collection_names() if not name.startswith("system.")}
        if not names <= {PULPO, EVENTS} and not await db[PULPO].find_one({"_id": "format"}):
            raise _not_ours(db, "it holds other collections")
        await _create(db, PULPO, {})
        await _create(db, EVENTS, {})
        reply = await db.command("ping")
        since: Timestamp = reply["operationTime"]
        await db[PULPO].update_one(SINCE, {"$setOnInsert": {"since": since}}, upsert=True)
        await db[PULPO].update_one({"_id": "format"}, {"$setOnInsert": {"format": FORMAT}}, upsert=True)
    elif there["format"] > FORMAT:
        raise _not_ours(db, "a newer Pulpo wrote it", hint="upgrade pulpo-core")


async def bring_up_to_date(db: Database, tables: Mapping[str, Table]) -> None:
    """Bring collections into the form wanted.

    Raises:
        PulpoError: PULPO508, documents there break a new unique index, or have a field under both its names.
    """
    kept = {row["_id"]: row async for row in db[PULPO].find({"_id": {"$regex": "^collection "}})}
    now = datetime.now(UTC)
    await asyncio.gather(*(_one(db, table, kept.get(f"collection {table.name}"), now) for table in tables.values()))


async def _one(db: Database, table: Table, had: Mapping[str, Any] | None, now: datetime) -> None:
    if had is None:
        await _create(db, table.name, {"validator": _validator(table)})
        await _build(db, table)
        await _remember(db, table, now)
    elif had["layout"] != table.layout or had.get("changing"):
        await _change(db, table, had["layout"], now)
    elif now - had["changed_at"] < LATECOMERS:
        await _make_anew(db, table)


async def _remember(db: Database, table: Table, now: datetime) -> None:
    row = {"_id": f"collection {table.name}", "layout": table.layout, "changed_at": now}
    await db[PULPO].replace_one({"_id": row["_id"]}, row, upsert=True)


async def _create(db: Database, name: str, options: Mapping[str, Any]) -> None:
    try:
        await db.create_collection(name, check_exists=False, **options)
    except OperationFailure as error:
        if error.code != _NAMESPACE_EXISTS:  # another process was faster
            raise


async def _change(db: Database, table: Table, had: Mapping[str, Any], now: datetime) -> None:
    await _check_renames(db, table)
    # Whoever comes next finishes what is broken off here.
    await db[PULPO].update_one({"_id": f"collection {table.name}"}, {"$set": {"changing": True}})
    # Old values would not pass the new validator, new ones not the old.
    await db.command({"collMod": table.name, "validator": {}})
    await _make_anew(db, table)
    await _build(db, table)
    for name in had["indexes"]:
        if name not in table.indexes:
            await _drop(db, table, name)
    await db.command({"collMod": table.name, "validator": _validator(table)})
    await _remember(db, table, now)


async def _build(db: Database, table: Table) -> None:
    """Build the indexes that are not there; the name of one says all that it is made of."""
    wanted = [
        IndexModel([(key, 1) for key in index.keys], name=name, **index.options)
        for name, index in table.indexes.items()
    ]
    if not wanted:
        return
    try:
        await db[table.name].create_indexes(wanted)
    except OperationFailure as error:
        if error.code != DUPLICATE:
            raise
        broken = [name for name, index in table.indexes.items() if index.unique and f" {name} " in str(error)]
        raise await _not_unique(db, table, broken[0] if broken else next(iter(table.indexes))) from None


async def _drop(db: Database, table: Table, name: str) -> None:
    try:
        await db[table.name].drop_index(name)
    except OperationFailure as error:
        if error.code not in _NOT_FOUND:
            raise


async def _not_unique(db: Database, table: Table, name: str) -> PulpoError:
    keys = table.indexes[name].keys
    fields = table.unique[keys]
    pipeline: list[dict[str, Any]] = [
        {"$match": {key: {"$exists": True} for key in keys}},
        {"$sort": {"_id": 1}},
        {
            "$group": {
                "_id": {str(n): f"${key}" for n, key in enumerate(keys)},
                "ids": {"$push": "$_id"},
                "n": {"$sum": 1},
            }
        },
        {"$match": {"n": {"$gt": 1}}},
        {"$limit": 3},
    ]
    groups = [group["ids"] async for group in await db[table.name].aggregate(pipeline, allowDiskUse=True)]
    return PulpoError(
        "PULPO508",
        f"{table.name}: {' and '.join(fields)} cannot become unique, documents have the same value: "
        + "; ".join(", ".join(ids) for ids in groups),
        hint="change these documents, or take the uniqueness away",
    )


async def _check_renames(db: Database, table: Table) -> None:
    """Refuse renames that would overwrite, before anything is changed."""
    for path, old in table.renamed.items():
        parent, _, _ = path.rpartition(".")
        short = old.rpartition(".")[2]
        if (f"{parent}.{short}" if parent else short) in table.columns:
            raise PulpoError(
                "PULPO508",
                f"{table.name}: {path} was {short}, but a field {short} is declared still",
                hint="rename in one version, and use the old name again in a later one",
            )
    if table.renamed:
        async for found in db[table.name].find(_older(table), {TEXT: 1}):
            _renamed(table, found[TEXT])


def _older(table: Table) -> dict[str, Any]:
    return {MARK: {"$ne": table.mark}}


async def _make_anew(db: Database, table: Table) -> None:
    """Make the fields of documents that have another layout's, until there is none: others may be writing meanwhile."""
    collection = db[table.name]
    while True:
        found = await collection.find(_older(table), {"version": 1, TEXT: 1}, limit=PART).to_list()
        if not found:
            return
        changes: list[ReplaceOne[dict[str, Any]]] = []
        for one in found:
            text, version = one[TEXT], one["version"]
            renamed = _renamed(table, text)
            if renamed is not None:
                text, version = renamed, version + 1
                text = Members(text).changed({"version": str(version)})
            document = table.stored(one["_id"], version, text, pydantic_core.from_json(text))
            changes.append(ReplaceOne({"_id": one["_id"], "version": one["version"]}, document))
        try:
            await collection.bulk_write(changes, ordered=False)
        except BulkWriteError as error:
            said = next((one for one in error.details["writeErrors"] if one["code"] == DUPLICATE), None)
            if said is None:
                raise
            fields = table.unique.get(tuple(said["keyPattern"]), tuple(said["keyPattern"]))
            raise PulpoError(
                "PULPO508",
                f"{table.name}: documents that differ in {' and '.join(fields)} would no longer, and it is unique",
                hint="change these documents, or take the uniqueness away",
            ) from None


def _renamed(table: Table, text: str) -> str | None:
    """A text with its fields under their new names, or None where it has none of the old ones."""
    found: str | None = None
    for path, old in table.renamed.items():
        parent, _, new = path.rpartition(".")
        short = old.rpartition(".")[2]
        try:
            changed = with_new_name(found or text, f"{parent}.{short}" if parent else short, new)
        except BothNamesError:
            raise PulpoError("PULPO508", f"{table.name}: there are documents with both {short} and {new}") from None
        found = changed or found
    return found


def _validator(table: Table) -> dict[str, Any]:
    """What a document has to look like, so that what others write by hand cannot mislead a query."""
    properties: dict[str, Any] = {
        "_id": {"bsonType": "string"},
        "version": {"bsonType": ["int", "long"], "minimum": 1},
        TEXT: {"bsonType": "string"},
        MARK: {"bsonType": "string"},
    }
    for column in table.columns.values():
        if column.path in ("id", "version") or column.kind not in _TYPES:
            continue
        inside = properties
        *parents, name = column.path.split(".")
        for parent in parents:
            inside = inside.setdefault(parent, {"bsonType": "object", "properties": {}})["properties"]
        inside[name] = _typed(column)
    return {"$jsonSchema": {"bsonType": "object", "required": ["version", TEXT, MARK], "properties": properties}}


def _typed(column: Field) -> dict[str, Any]:
    kind = _TYPES[column.kind]
    if not column.many:
        return {"bsonType": kind}
    return {"bsonType": "array", "items": {"bsonType": [*([kind] if isinstance(kind, str) else kind), "null"]}}


def _not_ours(db: Database, why: str, *, hint: str | None = None) -> PulpoError:
    hint = hint or "name another database in database.url; this one was left as it is"
    return PulpoError("PULPO506", f"the database {db.name} is not a Pulpo database: {why}", hint=hint)
