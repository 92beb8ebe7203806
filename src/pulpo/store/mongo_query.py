"""Pages of documents: order, cursors, and the finds that give them."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pydantic_core

from pulpo.errors import PulpoError
from pulpo.model.model import timestamp
from pulpo.spec import Json
from pulpo.store.mongo_filter import where
from pulpo.store.mongo_table import Field, Table, values
from pulpo.store.port import Query

_ENCODE = json.JSONEncoder(separators=(",", ":")).encode  # `dumps` would make one each time


@dataclass(frozen=True, slots=True)
class Key:
    """A sort key."""

    column: Field
    descending: bool

    def value(self, document: Json) -> Json:
        """What a document is sorted by, as a cursor holds it."""
        found = self.column.plain(values(document, self.column.path.split("."), many=False)[0])
        return timestamp(found) if isinstance(found, datetime) else found

    def read(self, value: Json) -> Any:
        """What a cursor holds, as MongoDB compares it. Raises ValueError for what cannot be of this field."""
        if value is None:
            return None
        if isinstance(value, list | dict):
            raise ValueError  # noqa: TRY004 - a bad cursor, whatever is wrong with it
        if self.column.kind == "money":
            if isinstance(value, bool) or not isinstance(value, int) or abs(value) >= 2**63:
                raise ValueError
            return self.column.bson(value)
        plain = self.column.plain(value)
        if plain is None:
            raise ValueError
        return plain


@dataclass(frozen=True, slots=True)
class Find:
    """A query for MongoDB."""

    table: Table
    filter: dict[str, Any]
    keys: tuple[Key, ...]
    mark: str

    @property
    def sort(self) -> list[tuple[str, int]]:
        """Its order."""
        return [(key.column.key, -1 if key.descending else 1) for key in self.keys]

    def cursor(self, text: str) -> str:
        """The opaque cursor that goes on after the document with this text."""
        document = pydantic_core.from_json(text)
        held = _ENCODE([self.mark, *(key.value(document) for key in self.keys)])
        return base64.urlsafe_b64encode(held.encode()).decode().rstrip("=")


def find(table: Table, query: Query) -> Find:
    """A query's filter and order.

    Raises:
        PulpoError: PULPO603, a field is unknown or no scalar, the cursor is not of this query, a number is negative.
    """
    if query.limit < 0 or query.offset < 0:
        raise PulpoError("PULPO603", "limit and offset are not negative")
    keys = _keys(table, query)
    wanted = where(table, query.where) if query.where is not None else {}
    order = [(key.column.path, key.descending) for key in keys]
    seed = repr((table.name, wanted, order)).encode("utf-8", "surrogatepass")
    mark = hashlib.blake2b(seed, digest_size=6).hexdigest()
    if query.after is not None:
        beyond = _after(keys, _read_cursor(query.after, mark, keys))
        wanted = {"$and": [wanted, beyond]} if wanted else beyond
    return Find(table, wanted, keys, mark)


def _keys(table: Table, query: Query) -> tuple[Key, ...]:
    keys: list[Key] = []
    for path, descending in query.sort:
        column = table.column(path)
        if column.many or column.kind == "json":
            raise PulpoError("PULPO603", f"{table.name} cannot be sorted by {path}, it is no single scalar field")
        keys.append(Key(column, descending))
        if path == "id":
            return tuple(keys)
    # Ties go by id in the direction of the last field, so that an index over (field, id) is walked either way.
    return (*keys, Key(table.columns["id"], bool(keys) and keys[-1].descending))


def _read_cursor(cursor: str, mark: str, keys: tuple[Key, ...]) -> tuple[Any, ...]:
    try:
        found, *held = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if found != mark:
            raise ValueError  # noqa: TRY301 - the one answer to a cursor that does not fit
        return tuple(key.read(value) for key, value in zip(keys, held, strict=True))
    except (ValueError, TypeError, OverflowError, RecursionError):
        raise PulpoError(
            "PULPO603",
            "the cursor does not belong to this query",
            hint="begin again without a cursor; it holds only for the same filter and sort",
        ) from None


def _after(keys: tuple[Key, ...], held: tuple[Any, ...]) -> dict[str, Any]:
    """What lies beyond the values: a range of the first key, so that late pages cost no more, and ties within it."""
    (key, *others), (value, *rest) = keys, held
    name = key.column.key
    past = _past(key, value)
    if not others:
        return past
    tied = {"$and": [{name: {"$eq": value}}, _after(tuple(others), tuple(rest))]}
    either = {"$or": [past, tied]}
    if value is None:
        return tied if key.descending else either
    # Downwards null comes last: whatever is not greater, which an index walks as one range.
    within = {"$not": {"$gt": value}} if key.descending else {"$gte": value}
    return {"$and": [{name: within}, either]}


def _past(key: Key, value: Any) -> dict[str, Any]:
    """What comes strictly after a value. Null comes before every other."""
    name = key.column.key
    if key.descending:
        return {"$nor": [{}]} if value is None else {name: {"$not": {"$gte": value}}}
    return {name: {"$ne": None}} if value is None else {name: {"$gt": value}}
