"""A collection in MongoDB: each document's JSON text, and beside it the declared columns as typed fields.

Reads give the text as it is; filters, sorts and indexes use the fields, which are made from the text whenever it is
written. Nothing of a document but declared columns becomes a name in the database: whatever keys a text holds, none of
them reaches MongoDB as an operator or a path.

A field is left out where it is null. A column with `many` is one flat list of what its path leads to, nulls included,
so that "one entry holds" is one `$elemMatch`. Amounts are Decimal128, moments are dates (Pulpo's have milliseconds,
which is what those keep), days are text.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

from bson.decimal128 import Decimal128, create_decimal128_context

from pulpo.errors import PulpoError
from pulpo.spec import Json
from pulpo.store.port import Collection, Column, ColumnKind

TEXT = "_json"
"""The field with the document's text."""
MARK = "_layout"
"""The field that tells by which layout the other fields were made."""
REQUIRED = "_required"
"""The counter that a `Require` raises: of two transactions that each read what the other writes, one then fails."""

_RESERVED = {"_id", TEXT, MARK, REQUIRED}
_SMALL = 2**63


@dataclass(frozen=True, slots=True)
class Field:
    """A declared column in MongoDB; `key` is its dotted name there."""

    path: str
    kind: ColumnKind
    decimals: int
    many: bool
    key: str

    def plain(self, value: Json) -> Any:
        """A JSON value as a Python value to compare with; None if it is none of this kind. Amounts in minor units."""
        return None if value is None else _PLAIN[self.kind](value, self.decimals)

    def bound(self, value: Any) -> Any:
        """A Python value out of a condition, as `plain` has them.

        Raises:
            PulpoError: PULPO603, the value is not of the type.
        """
        if isinstance(value, Enum):
            value = value.value
        try:
            return _BOUND[self.kind](value, self.decimals)
        except (TypeError, ValueError, ArithmeticError):
            raise PulpoError("PULPO603", f"{self.path} is compared with something that is no {self.kind}") from None

    def bson(self, value: Any) -> Any:
        """What `plain` or `bound` made, as MongoDB stores and compares it."""
        return value if self.kind != "money" or value is None else decimal128(value, self.decimals)


@dataclass(frozen=True, slots=True)
class IndexKeys:
    """An index: fields upwards, and for a unique one the documents it holds: those that have every field."""

    keys: tuple[str, ...]
    unique: bool

    @property
    def options(self) -> dict[str, Any]:
        """What an index is created with besides its keys."""
        if not self.unique:
            return {}
        return {"unique": True, "partialFilterExpression": {key: {"$exists": True} for key in self.keys}}


@dataclass(frozen=True, slots=True)
class Table:
    """A collection as it is kept. `unique` gives a broken unique index's fields for its keys."""

    name: str
    columns: Mapping[str, Field]
    indexes: Mapping[str, IndexKeys]
    unique: Mapping[tuple[str, ...], tuple[str, ...]]
    renamed: Mapping[str, str]
    mark: str = field(init=False)
    _flat: tuple[tuple[str, Field], ...] = field(init=False)
    _deep: tuple[tuple[tuple[str, ...], bool, tuple[tuple[str, Field], ...]], ...] = field(init=False)

    def __post_init__(self) -> None:
        columns = [column for column in self.columns.values() if column.path not in ("id", "version")]
        flat = tuple((column.path, column) for column in columns if "." not in column.path and not column.many)
        # Columns in one embedded object, or list of them, share the walk to it.
        deep: dict[tuple[tuple[str, ...], bool], list[tuple[str, Field]]] = {}
        for column in columns:
            *parents, name = column.path.split(".")
            if parents or column.many:
                deep.setdefault((tuple(parents), column.many), []).append((name, column))
        object.__setattr__(self, "_flat", flat)
        object.__setattr__(self, "_deep", tuple((*key, tuple(found)) for key, found in deep.items()))
        layout = json.dumps(self.layout["columns"], sort_keys=True) + json.dumps(self.layout["renamed"], sort_keys=True)
        object.__setattr__(self, "mark", hashlib.blake2b(layout.encode(), digest_size=6).hexdigest())

    @property
    def layout(self) -> dict[str, Any]:
        """What the collection is made to be; kept, so that a change of it shows."""
        return {
            "columns": {
                column.path: [column.kind, column.decimals if column.kind == "money" else 0, column.many]
                for column in self.columns.values()
            },
            "indexes": {name: [list(index.keys), index.unique] for name, index in self.indexes.items()},
            "renamed": dict(self.renamed),
        }

    def column(self, path: str) -> Field:
        """The column at this path. Raises PulpoError PULPO603 where none is declared."""
        try:
            return self.columns[path]
        except KeyError:
            raise PulpoError("PULPO603", f"{self.name} has no field {path} to filter or sort by") from None

    def stored(self, id: str, version: int, text: str, document: Json) -> dict[str, Any]:
        """A document as MongoDB gets it; `document` is its text decoded."""
        made: dict[str, Any] = {"_id": id, "version": version, MARK: self.mark, **_present(document, self._flat)}
        for parents, many, columns in self._deep:
            holders = values(document, parents, many)
            if many:
                found = {
                    name: [column.bson(column.plain(value)) for value in _entries(holders, name)]
                    for name, column in columns
                }
            else:
                found = _present(holders[0], columns)
                if not found:
                    continue
            inside = made
            for parent in parents:
                inside = inside.setdefault(parent, {})
            inside.update(found)
        made[TEXT] = text
        return made

    def holding(self, keys: tuple[str, ...], held: tuple[Any, ...]) -> dict[str, Any]:
        """The filter of the document that holds these values, as `taken` has them, in a unique index."""
        fields = self.unique[keys]
        return {
            key: {"$eq": self.columns[path].bson(value)} for key, path, value in zip(keys, fields, held, strict=True)
        }

    def taken(self, document: Json) -> tuple[tuple[Any, ...], ...]:
        """What a document holds in each unique index, to see whether a change touches them."""
        return tuple(
            tuple(self.columns[path].plain(values(document, path.split("."), many=False)[0]) for path in fields)
            for fields in self.unique.values()
        )


def table_of(collection: Collection) -> Table:
    """How a collection is kept.

    Raises:
        PulpoError: PULPO102, a name that MongoDB does not take, or an index over a field that is no scalar column.
    """
    if collection.name.startswith("system.") or "$" in collection.name or "\0" in collection.name:
        raise PulpoError("PULPO102", f"MongoDB takes no collection named {collection.name}")
    columns = {
        "id": Field("id", "text", 0, many=False, key="_id"),
        "version": Field("version", "integer", 0, many=False, key="version"),
    }
    renamed: dict[str, str] = {}
    for column in collection.columns:
        if column.renamed_from and column.renamed_from != column.path:
            renamed[column.path] = column.renamed_from
        whole_part = column.kind == "json" and column.renamed_from is not None  # whose own fields are columns
        if column.path not in columns and not whole_part:
            columns[column.path] = _field(collection, column)
    _keep_apart(collection, columns)
    indexes: dict[str, IndexKeys] = {}
    unique: dict[tuple[str, ...], tuple[str, ...]] = {}
    for index in collection.indexes:
        alone = len(index.fields) == 1 and not index.unique
        keys = tuple(_indexed(columns.get(name), collection, name, alone=alone) for name in index.fields)
        if index.unique:
            unique[keys] = index.fields
        elif keys[-1] != "_id":
            keys = (*keys, "_id")  # lists go by the field, then by id: the index gives both
        indexes[f"{'+'.join(index.fields)}{'!' if index.unique else ''}"] = IndexKeys(keys, index.unique)
    return Table(collection.name, columns, indexes, unique, renamed)


def values(document: Json, names: tuple[str, ...] | list[str], many: bool) -> list[Json]:
    """What is at the path; on lists every entry's, so none for an empty list."""
    found = [document]
    for name in names:
        found = [one.get(name) if isinstance(one, dict) else None for one in found]
        if many:
            found = [entry for one in found for entry in (one if isinstance(one, list) else (one,))]
    return found


def decimal128(minor: int | Decimal, decimals: int) -> Decimal128:
    """An amount in minor units, which may be finer, as MongoDB's decimal with as many decimals as the currency has."""
    if isinstance(minor, Decimal):
        return Decimal128(create_decimal128_context().create_decimal(minor.scaleb(-decimals)))
    # The bits themselves: by way of a text it takes four times as long.
    high = (6176 - decimals) << 49 | (minor < 0) << 63
    return Decimal128.from_bid(abs(minor).to_bytes(8, "little") + high.to_bytes(8, "little"))


def _field(collection: Collection, column: Column) -> Field:
    first, *others = column.path.split(".")
    odd = any(not name or name.startswith("$") or "\0" in name for name in (first, *others))
    if odd or first in _RESERVED:
        raise PulpoError("PULPO102", f"{collection.name}: MongoDB takes no field named {column.path}")
    return Field(column.path, column.kind, column.decimals, column.many, column.path)


def _keep_apart(collection: Collection, columns: Mapping[str, Field]) -> None:
    for path in columns:
        if any(other.startswith(f"{path}.") for other in columns):
            raise PulpoError(
                "PULPO102", f"{collection.name}: {path} is a value and holds others, MongoDB keeps only one"
            )


def _indexed(column: Field | None, collection: Collection, name: str, *, alone: bool) -> str:
    if column is None or (column.many and not alone) or column.kind == "json":
        raise PulpoError("PULPO102", f"{collection.name}: {name} cannot be indexed, it is no single scalar field")
    return column.key


def _present(holder: Json, columns: tuple[tuple[str, Field], ...]) -> dict[str, Any]:
    """The columns of an object that are not null."""
    found: dict[str, Any] = {}
    if isinstance(holder, dict):
        for name, column in columns:
            value = holder.get(name)
            if value is not None and (plain := column.plain(value)) is not None:
                found[name] = column.bson(plain)
    return found


def _entries(holders: list[Json], name: str) -> list[Json]:
    """What each object has under a name; a list counts by its entries."""
    found: list[Json] = []
    for holder in holders:
        value = holder.get(name) if isinstance(holder, dict) else None
        if isinstance(value, list):
            found += value
        else:
            found.append(value)
    return found


# From JSON


def _text(value: Json, _: int) -> str | None:
    return value if isinstance(value, str) else None


def _integer(value: Json, _: int) -> int | float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if -_SMALL <= value < _SMALL else float(value)


def _boolean(value: Json, _: int) -> bool | None:
    return value if isinstance(value, bool) else None


def _minor_units(value: Json, decimals: int) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    minor = round(value * 10**decimals)
    return minor if -_SMALL < minor < _SMALL else None


def _moment(value: Json, _: int) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo is UTC and not moment.microsecond % 1000 else to_millisecond(moment)


def _scalar(value: Json, _: int) -> Any:
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return _integer(value, 0) if isinstance(value, int) and not isinstance(value, bool) else value


def to_millisecond(moment: datetime) -> datetime:
    """A moment in UTC as MongoDB keeps it; one without a zone is of UTC."""
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


# From conditions


def _need_text(value: Any, _: int) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _need_number(value: Any, _: int) -> int | float:
    if isinstance(value, Decimal):
        value = float(value)
    if not isinstance(value, int | float) or value != value:  # noqa: PLR0124 - NaN
        raise TypeError
    value = int(value) if isinstance(value, bool) else value
    return value if -_SMALL <= value < _SMALL else float(value)


def _need_boolean(value: Any, _: int) -> bool:
    if value not in (0, 1):
        raise TypeError
    return bool(value)


def _need_amount(value: Any, decimals: int) -> int | Decimal:
    exact = Decimal(str(value)).scaleb(decimals)
    if exact.is_nan():
        raise ValueError
    # An amount finer than the currency has equals none, yet lies between two.
    return int(exact) if exact == exact.to_integral_value() and abs(exact) < _SMALL else exact


def _need_moment(value: Any, _: int) -> datetime:
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    elif isinstance(value, datetime):
        value = value.astimezone(UTC)
    else:
        raise TypeError
    return to_millisecond(value)


def _need_day(value: Any, _: int) -> str:
    if isinstance(value, datetime):
        value = value.date()
    return value.isoformat() if isinstance(value, date) else _need_text(value, 0)


def _need_scalar(value: Any, _: int) -> Any:
    return value if isinstance(value, str | bool) else _need_number(value, 0)


_PLAIN: dict[ColumnKind, Callable[[Json, int], Any]] = {
    "text": _text,
    "integer": _integer,
    "number": _integer,
    "boolean": _boolean,
    "money": _minor_units,
    "datetime": _moment,
    "date": _text,
    "json": _scalar,
}
_BOUND: dict[ColumnKind, Callable[[Any, int], Any]] = {
    "text": _need_text,
    "integer": _need_number,
    "number": _need_number,
    "boolean": _need_boolean,
    "money": _need_amount,
    "datetime": _need_moment,
    "date": _need_day,
    "json": _need_scalar,
}
