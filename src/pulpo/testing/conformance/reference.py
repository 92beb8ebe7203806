"""What conditions and sorts mean, in plain Python over decoded documents: the yardstick for every adapter."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from pulpo.model.conditions import All, Compare, Condition, Not, Some
from pulpo.spec import Json
from pulpo.store.port import Collection, Column

_ORDER: Mapping[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}
_UPPER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}


class Reference:
    """A collection's conditions and orders."""

    def __init__(self, collection: Collection) -> None:
        self._columns: dict[str, Column] = {"id": Column("id", "text"), "version": Column("version", "integer")}
        self._columns.update({column.path: column for column in collection.columns})

    def matches(self, condition: Condition | None, document: Json) -> bool:
        """Whether the condition holds for the document."""
        match condition:
            case None:
                return True
            case Compare(path, word, value):
                column = self._columns[path]
                return any(_holds(word, typed(column, found), value) for found in _values(document, path, column.many))
            case All(parts):
                return all(self.matches(part, document) for part in parts)
            case Some(parts):
                return any(self.matches(part, document) for part in parts)
            case Not(part):
                return not self.matches(part, document)
        raise TypeError(condition)

    def ordered(self, documents: Iterable[Json], sort: tuple[tuple[str, bool], ...]) -> list[Json]:
        """The documents in order: by the last key first, since Python's sort keeps the order of what is equal."""
        found = list(documents)
        for path, descending in (*sort, ("id", bool(sort) and sort[-1][1]))[::-1]:
            column = self._columns[path]
            found.sort(key=lambda one, column=column: _key(typed(column, _values(one, column.path, many=False)[0])))  # type: ignore[misc]
            if descending:
                found = _reversed_stably(found, lambda one, column=column: _values(one, column.path, many=False)[0])  # type: ignore[misc]
        return found


def typed(column: Column, value: Json) -> Any:
    """A JSON value as a Python value of the column's type."""
    if value is None:
        return None
    if column.kind == "money":
        return Decimal(str(value))
    if column.kind == "datetime":
        return datetime.fromisoformat(value)
    return date.fromisoformat(value) if column.kind == "date" else value


def _values(document: Json, path: str, many: bool) -> list[Json]:
    """What is at the path; on lists every entry's, so none for an empty list."""
    found = [document]
    for name in path.split("."):
        found = [one.get(name) if isinstance(one, dict) else None for one in found]
        if many:
            found = [entry for one in found for entry in (one if isinstance(one, list) else [one])]
    return found


def _holds(word: str, found: Any, value: Any) -> bool:  # noqa: PLR0911 - one per operator
    if word == "eq":
        return bool(found == value)
    if word == "ne":
        return bool(found != value)
    if word == "in":
        return found in value
    if word == "nin":
        return found not in value
    if found is None or value is None:
        return False
    if word == "contains":
        return value.translate(_UPPER) in found.translate(_UPPER)
    if word == "startswith":
        return bool(found.startswith(value))
    return _ORDER[word](found, value)


def _key(value: Any) -> tuple[bool, Any]:
    return (value is not None, value if value is not None else 0)


def _reversed_stably(documents: list[Json], value: Callable[[Json], Any]) -> list[Json]:
    """The groups of equal documents in reverse, each group as it is."""
    groups: list[list[Json]] = []
    for document in documents:
        if groups and value(groups[-1][0]) == value(document):
            groups[-1].append(document)
        else:
            groups.append([document])
    return [document for group in reversed(groups) for document in group]
