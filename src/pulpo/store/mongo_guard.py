"""Conditions on a document that is at hand: what an update's guard asks, as the filters of queries mean it."""

from __future__ import annotations

import operator as op
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from pulpo.model.conditions import All, Compare, Condition, Not, Some
from pulpo.spec import Json
from pulpo.store.mongo_filter import looked_for
from pulpo.store.mongo_table import Field, Table, values

_ORDER: Mapping[str, Callable[[Any, Any], bool]] = {"gt": op.gt, "gte": op.ge, "lt": op.lt, "lte": op.le}


Test: TypeAlias = Callable[[Json], bool]


def guard(table: Table, condition: Condition) -> Test:
    """A function that says whether the condition holds for a document, its text decoded.

    Raises:
        PulpoError: PULPO603, a field is not declared or does not fit the operator.
    """
    match condition:
        case Compare(path, operator, value):
            column, names = table.column(path), path.split(".")
            test = _test(column, operator, value)
            return lambda document: any(test(column.plain(one)) for one in values(document, names, column.many))
        case All(parts):
            tests = [guard(table, part) for part in parts]
            return lambda document: all(test(document) for test in tests)
        case Some(parts):
            tests = [guard(table, part) for part in parts]
            return lambda document: any(test(document) for test in tests)
        case Not(part):
            negated = guard(table, part)
            return lambda document: not negated(document)
    raise TypeError(f"not a condition: {condition!r}")


def _test(column: Field, operator: str, value: Any) -> Callable[[Any], bool]:
    if operator in _ORDER:
        return _compare(_ORDER[operator], column.bound(value)) if value is not None else _never
    if operator in ("eq", "ne"):
        wanted = None if value is None else column.bound(value)
        return (lambda found: _same(found, wanted)) if operator == "eq" else (lambda found: not _same(found, wanted))
    if operator in ("in", "nin"):
        several = [None if one is None else column.bound(one) for one in value]
        inside = operator == "in"
        return lambda found: any(_same(found, one) for one in several) is inside
    text = looked_for(column, operator, value)
    if operator == "startswith":
        return lambda found: isinstance(found, str) and found.startswith(text)
    lowered = _lower(text)
    return lambda found: isinstance(found, str) and lowered in _lower(found)


def _never(_: Any) -> bool:
    return False


def _compare(order: Callable[[Any, Any], bool], wanted: Any) -> Callable[[Any], bool]:
    return lambda found: found is not None and _kin(found, wanted) and order(found, wanted)


def _same(found: Any, wanted: Any) -> bool:
    return bool(found == wanted) and (found is None or _kin(found, wanted))


def _kin(one: Any, other: Any) -> bool:
    """Whether MongoDB compares the two: a number with a number, a flag with a flag."""
    return isinstance(one, bool) is isinstance(other, bool) and isinstance(one, str) is isinstance(other, str)


def _lower(text: str) -> bytes:
    """Only ASCII letters have a lower case here."""
    return text.encode("utf-8", "surrogatepass").lower()
