"""Pages of documents: order, cursors, and the statements that give them."""

# ruff: noqa: S608 - the texts are made of declared names, every value is bound

from __future__ import annotations

import base64
import hashlib
import json
import math
from dataclasses import dataclass
from typing import Any

from pulpo.errors import PulpoError
from pulpo.model.conditions import Condition
from pulpo.store.port import Query
from pulpo.store.sqlite_filter import where
from pulpo.store.sqlite_indexes import merged, narrowing
from pulpo.store.sqlite_schema import Table

_compact = json.JSONEncoder(separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class Key:
    """A sort key in SQL."""

    sql: str
    descending: bool


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of the result that an index can seek to, as statements that bind `args`, a limit and an offset.

    Attributes:
        rows: Id, version, text and the sort values of each document.
        edge: The sort values alone.
        body: All texts joined by commas, and how many: joining in SQLite halves the cost of a page.
        args: What the statements bind first.
    """

    rows: str
    edge: str
    body: str
    args: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Statements:
    """A query in SQL: its segments, in the order in which they are read until the page is full."""

    segments: tuple[Segment, ...]
    mark: str

    def cursor(self, values: tuple[Any, ...]) -> str:
        """The opaque cursor that goes on after the document with these sort values."""
        return base64.urlsafe_b64encode(_compact([self.mark, *values]).encode()).decode().rstrip("=")


def statements(table: Table, query: Query) -> Statements:
    """A query's statements.

    Raises:
        PulpoError: PULPO603, a field is unknown or no scalar, the cursor is not of this query, a number is negative.
    """
    if query.limit < 0 or query.offset < 0:
        raise PulpoError("PULPO603", "limit and offset are not negative")
    keys = _keys(table, query)
    args: list[Any] = []
    condition = where(table, query.where, args) if query.where is not None else ""
    seed = repr((table.name, condition, args, keys))
    mark = hashlib.blake2b(seed.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()
    order = [(key.sql, key.descending) for key in keys]
    parts = [(condition, tuple(args))]
    found = merged(table, query.where, order)
    if found is not None:
        parts = [_condition(table, each) for each in found[1]]
    index = found[0] if found is not None else narrowing(table, query.where, order)
    beyond = _after(keys, _read_cursor(query.after, mark, len(keys))) if query.after is not None else [("", ())]
    return Statements(tuple(_segment(keys, table.sql + index, parts, *each) for each in beyond), mark)


def _condition(table: Table, condition: Condition) -> tuple[str, tuple[Any, ...]]:
    args: list[Any] = []
    return where(table, condition, args), tuple(args)


def _segment(
    keys: tuple[Key, ...],
    source: str,
    parts: list[tuple[str, tuple[Any, ...]]],
    beyond: str,
    more: tuple[Any, ...],
) -> Segment:
    """The statements of a stretch; of several parts, merged in order. `source`: the table, and perhaps its index."""
    wheres = [" AND ".join(filter(None, (condition, beyond))) for condition, _ in parts]
    values = tuple(key.sql for key in keys)

    def select(columns: tuple[str, ...]) -> str:
        several = len(wheres) > 1
        if several and columns[-len(values) :] != values:
            columns = (*columns, *values)  # what parts are merged by has to stand in them, and is named by its place
        selected = f"SELECT {','.join(columns)} FROM {source}"
        union = " UNION ALL ".join([f"{selected} WHERE {each}" if each else selected for each in wheres])
        by = range(len(columns) - len(values) + 1, len(columns) + 1) if several else values
        order = ",".join(f"{each}{' DESC' if key.descending else ''}" for each, key in zip(by, keys, strict=True))
        return f"{union} ORDER BY {order} LIMIT ? OFFSET ?"

    return Segment(
        select(("id", "version", "doc", *values)),
        select(values),
        f"SELECT group_concat(doc,','),count(*) FROM ({select(('doc',))})",
        tuple(value for _, bound in parts for value in (*bound, *more)),
    )


def _keys(table: Table, query: Query) -> tuple[Key, ...]:
    keys: list[Key] = []
    for path, descending in query.sort:
        column = table.column(path)
        if column.many or column.kind == "json":
            raise PulpoError("PULPO603", f"{table.name} cannot be sorted by {path}, it is no single scalar field")
        keys.append(Key(column.sql, descending))
        if path == "id":
            return tuple(keys)
    # Ties go by id in the direction of the last field, so that an index over (field, id) is walked either way.
    return (*keys, Key("id", bool(keys) and keys[-1].descending))


def _read_cursor(cursor: str, mark: str, count: int) -> tuple[Any, ...]:
    try:
        found, *values = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, TypeError, RecursionError):
        found, values = None, []
    if found != mark or len(values) != count or not all(map(_is_stored, values)):
        raise PulpoError(
            "PULPO603",
            "the cursor does not belong to this query",
            hint="begin again without a cursor; it holds only for the same filter and sort",
        )
    return tuple(values)


def _is_stored(value: Any) -> bool:
    """Whether a value is one that a column can have: the mark can be read in any cursor, so values can be made up."""
    if isinstance(value, str):
        return value.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in value)
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or (isinstance(value, int) and -(2**63) <= value < 2**63)


def _after(keys: tuple[Key, ...], values: tuple[Any, ...]) -> list[tuple[str, tuple[Any, ...]]]:
    """What lies beyond the values, in segments by the first key: a range each, so that late pages cost no more."""
    key, value = keys[0], values[0]
    if len(keys) == 1:
        return [(f"{key.sql}{'<' if key.descending else '>'}?", (value,))]
    rest, args = _beyond(keys[1:], values[1:])
    if value is None:
        tied = (f"({key.sql} IS NULL AND {rest})", args)
        return [tied] if key.descending else [tied, (f"{key.sql} IS NOT NULL", ())]
    sign = "<" if key.descending else ">"
    if len(keys) == 2 and keys[1].descending == key.descending:
        here = (f"({key.sql},{keys[1].sql}){sign}(?,?)", values)
    else:
        here = (f"({key.sql}{sign}=? AND ({key.sql}{sign}? OR {rest}))", (value, value, *args))
    return [here, (f"{key.sql} IS NULL", ())] if key.descending else [here]


def _beyond(keys: tuple[Key, ...], values: tuple[Any, ...]) -> tuple[str, tuple[Any, ...]]:
    """What lies beyond the values, as one condition. Null sorts before every value."""
    key, value = keys[0], values[0]
    args: tuple[Any, ...] = ()
    if value is None:
        past = "0" if key.descending else f"{key.sql} IS NOT NULL"
    else:
        past = f"({key.sql}<? OR {key.sql} IS NULL)" if key.descending else f"{key.sql}>?"
        args = (value,)
    if len(keys) == 1:
        return past, args
    rest, more = _beyond(keys[1:], values[1:])
    return f"({past} OR ({key.sql} IS ? AND {rest}))", (*args, value, *more)
