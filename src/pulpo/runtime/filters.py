"""Filters of a query string: `status=pending&total[gte]=10&items.product_id=…&q=curie` becomes a condition.

A filter names a field by its path and compares it in one of the ways that its kind has; values are read as the field's
type and bound. `q` looks for a text in every text field at the top of a document.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from pydantic import AwareDatetime, TypeAdapter, ValidationError

from pulpo.errors import Nearest, PulpoError
from pulpo.model.conditions import All, Compare, Condition, Not, Operator, Some
from pulpo.model.model import to_millisecond
from pulpo.spec import FieldSpec

FILTERED = frozenset({"string", "integer", "number", "boolean", "money", "datetime", "date", "enum", "ref"})
"""Kinds of fields that a list can be filtered by."""
CLAUSES = 20
"""How many filters a request may have; one that is given several values counts once."""
VALUES = 100
"""How many values a filter takes."""

SEVERAL: tuple[Operator, ...] = ("eq", "ne", "in", "nin")
"""Ways of comparing that take several values."""
_ORDERED: tuple[Operator, ...] = (*SEVERAL, "gt", "gte", "lt", "lte")
_TEXT: tuple[Operator, ...] = (*SEVERAL, "contains", "startswith")
_OPERATORS: Mapping[str, tuple[Operator, ...]] = {"string": _TEXT, "enum": SEVERAL, "ref": SEVERAL, "boolean": SEVERAL}
_FILTER = re.compile(r"(?P<path>[^\[\]]+)(?:\[(?P<operator>[a-z]+)\])?")
_SHOWN = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,39}")
"""Unknown names that an answer repeats: those that could be a field's."""
_INTEGER = re.compile(r"([+-]?[0-9]{1,18})(?:\.0+)?")
"""JSON knows no difference between 3 and 3.0, and some clients write the latter."""
_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]{1,3})?")
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ].*")
"""A time as RFC 3339 writes it: a bare number is none, though Pydantic takes it for seconds since 1970."""
_moment = TypeAdapter(AwareDatetime)


@dataclass(frozen=True, slots=True)
class Leaf:
    """A field that holds one value: its dotted path, and whether some part of the path is a list."""

    path: str
    spec: FieldSpec
    many: bool = False
    within: str | None = None

    @property
    def operators(self) -> tuple[Operator, ...]:
        """The ways in which it can be compared."""
        return _OPERATORS.get(self.spec.kind, _ORDERED)


@dataclass(frozen=True, slots=True)
class Fields:
    """What lists of a model can be filtered, sorted and searched by."""

    leaves: Mapping[str, Leaf]

    @staticmethod
    def of(fields: Iterable[FieldSpec]) -> Fields:
        """The fields of a model, those of embedded models among them under dotted paths."""
        return Fields({leaf.path: leaf for leaf in _leaves(fields, "", many=False)})

    @property
    def sortable(self) -> tuple[str, ...]:
        """Those that a document has one value of."""
        return tuple(path for path, leaf in self.leaves.items() if not leaf.many)

    @property
    def searched(self) -> tuple[str, ...]:
        """Those that `q` looks into."""
        return tuple(
            path
            for path, leaf in self.leaves.items()
            if leaf.spec.kind == "string" and not leaf.many and "." not in path
        )

    def named(self, path: str, known: Iterable[str], what: str) -> Leaf:
        """The field at a path, if it is one of these. Raises PulpoError PULPO603 saying what cannot be done."""
        known = tuple(known)
        if path not in known:
            raise PulpoError("PULPO603", what, hint=Nearest(known).to(path) or "known are: " + ", ".join(known))
        return self.leaves[path]


def _leaves(fields: Iterable[FieldSpec], prefix: str, *, many: bool) -> Iterator[Leaf]:
    for field in fields:
        path = prefix + field.name
        inner, lists = (field.item, True) if field.kind == "list" and field.item is not None else (field, many)
        if inner.kind == "embedded":
            yield from _leaves(inner.fields, path + ".", many=lists)
        elif inner.kind in FILTERED:
            yield Leaf(path, inner, lists, field.within)


@dataclass(frozen=True, slots=True)
class Asked:
    """A query string, taken apart: the filters as a condition, everything else by its name."""

    where: Condition | None
    controls: Mapping[str, str]


def read(parameters: Iterable[tuple[str, str]], fields: Fields, controls: tuple[str, ...]) -> Asked:
    """Take a query string apart. A filter given twice means one of its values.

    Args:
        parameters: Names and values, decoded, in the order given.
        fields: What can be filtered by.
        controls: The parameters that are no filters; a field of the same name is reached as `name[eq]`.
    Raises:
        PulpoError: PULPO603, a parameter is unknown, given twice, or not of its field's type, or there are too many.
    """
    found: dict[str, str] = {}
    filters: dict[tuple[str, Operator], list[Any]] = {}
    for name, text in parameters:
        if name in controls:
            if name in found:
                raise PulpoError("PULPO603", f'the parameter "{name}" is given twice')
            found[name] = text
            continue
        leaf, operator = _filter(name, fields, controls)
        values = text.split(",") if operator in ("in", "nin") else [text]
        filters.setdefault((leaf.path, operator), []).extend(value_of(leaf, value, operator) for value in values)
    if sum(1 if operator in SEVERAL else len(values) for (_, operator), values in filters.items()) > CLAUSES:
        raise PulpoError("PULPO603", f"a request has at most {CLAUSES} filters", hint="use [in] for several values")
    parts = [
        part for (path, word), values in filters.items() for part in _conditions(fields.leaves[path], word, values)
    ]
    if "q" in found:
        parts.append(Some(tuple(Compare(path, "contains", found["q"]) for path in fields.searched)))
    where = None if not parts else parts[0] if len(parts) == 1 else All(tuple(parts))
    return Asked(where, found)


def _filter(name: str, fields: Fields, controls: tuple[str, ...]) -> tuple[Leaf, Operator]:
    match = _FILTER.fullmatch(name)
    leaf = fields.leaves.get(match["path"]) if match is not None else None
    if match is None or leaf is None:
        known = (*fields.leaves, *controls)
        path = name.partition("[")[0]
        hint = Nearest(known).to(path) or "known are: " + ", ".join(known)
        named = f'the query parameter "{path}"' if _SHOWN.fullmatch(path) else "a query parameter"
        raise PulpoError("PULPO603", f"{named} is not known here", hint=hint)
    word = match["operator"] or "eq"
    for operator in leaf.operators:
        if operator == word:
            return leaf, operator
    raise PulpoError(
        "PULPO603",
        f'"{leaf.path}" cannot be filtered in that way',
        hint=Nearest(leaf.operators).to(word) or "known are: " + ", ".join(f"[{each}]" for each in leaf.operators),
    )


def _conditions(leaf: Leaf, operator: Operator, values: list[Any]) -> Iterator[Condition]:
    """What a filter means; of a list: that one entry is so, for `ne` and `nin` that none is."""
    if len(values) > VALUES:
        raise PulpoError("PULPO603", f'"{leaf.path}" takes at most {VALUES} values')
    if operator in ("eq", "in"):
        several = operator == "in" or len(values) > 1
        yield Compare(leaf.path, "in", tuple(values)) if several else Compare(leaf.path, "eq", values[0])
    elif operator in ("ne", "nin"):
        several = len(values) > 1
        if leaf.many:
            yield Not(Compare(leaf.path, "in", tuple(values)))
        else:
            yield Compare(leaf.path, "nin", tuple(values)) if several else Compare(leaf.path, "ne", values[0])
    else:
        for value in values:
            yield Compare(leaf.path, operator, value)


def value_of(leaf: Leaf, text: str, operator: Operator = "eq") -> Any:
    """A filter's value as a Python value of the field's type. Raises PulpoError PULPO603."""
    kind = leaf.spec.kind
    if kind == "boolean":
        return boolean(leaf.path, text)
    if kind == "enum":
        return _one_of(leaf, text)
    convert = _READERS.get(kind)
    if convert is None or operator in ("contains", "startswith"):
        return text
    try:
        return convert(text)
    except (ValueError, InvalidOperation, ValidationError):
        raise PulpoError("PULPO603", f'"{leaf.path}" filters by {_article(kind)}') from None


def boolean(name: str, text: str) -> bool:
    """`true` or `false`. Raises PulpoError PULPO603."""
    if text not in ("true", "false"):
        raise PulpoError("PULPO603", f'"{name}" is true or false')
    return text == "true"


def _integer(text: str) -> int:
    match = _INTEGER.fullmatch(text)
    if match is None:
        raise ValueError
    return int(match[1])


def _number(text: str) -> float:
    number = float(_plain(text))
    if not math.isfinite(number):
        raise ValueError
    return number


def _amount(text: str) -> Decimal:
    return Decimal(_plain(text))


def _plain(text: str) -> str:
    if not _NUMBER.fullmatch(text):
        raise ValueError
    return text


def _time(text: str) -> datetime:
    if not _MOMENT.fullmatch(text):
        raise ValueError
    moment = _moment.validate_python(text)
    try:
        return to_millisecond(moment)
    except ValueError:  # in UTC it is outside of the calendar: everything is after it, or before
        return datetime.min.replace(tzinfo=UTC) if moment.year == 1 else datetime.max.replace(tzinfo=UTC)


_READERS: Mapping[str, Callable[[str], Any]] = {
    "integer": _integer,
    "number": _number,
    "money": _amount,
    "datetime": _time,
    "date": date.fromisoformat,
}


def _one_of(leaf: Leaf, text: str) -> Any:
    for value in leaf.spec.values:
        if str(value) == text:
            return value
    known = tuple(str(value) for value in leaf.spec.values)
    raise PulpoError("PULPO603", f'"{leaf.path}" is one of {", ".join(known)}', hint=Nearest(known).to(text))


def _article(kind: str) -> str:
    words = {"money": "an amount", "datetime": "a time with its zone, such as 2025-10-30T09:15:00Z", "date": "a date"}
    return words.get(kind) or ("an " if kind[0] in "aeiou" else "a ") + kind
