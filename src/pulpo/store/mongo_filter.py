"""Conditions as MongoDB filters: every name is a declared column's, every value stands behind an explicit operator."""

from __future__ import annotations

from typing import Any

from pulpo.errors import PulpoError
from pulpo.model.conditions import All, Compare, Condition, Not, Some
from pulpo.store.mongo_table import Field, Table

EVERY: dict[str, Any] = {}
_NONE: dict[str, Any] = {"$nor": [{}]}
_ORDER = ("gt", "gte", "lt", "lte")
_TEXTUAL = ("text", "date", "json")
_LONGEST = 5_000  # characters of a text looked for; a pattern of MongoDB's ends at 32,764 bytes


def where(table: Table, condition: Condition) -> dict[str, Any]:
    """The condition as a filter.

    Raises:
        PulpoError: PULPO603, a field is not declared or does not fit the operator.
    """
    match condition:
        case Compare(path, operator, value):
            column = table.column(path)
            if not column.many:
                return _single(column, operator, value)
            test = _test(column, operator, value)
            return _NONE if test is None else {column.key: {"$elemMatch": test}}
        case All(parts):
            return {"$and": [where(table, part) for part in parts]} if parts else EVERY
        case Some(parts):
            return {"$or": [where(table, part) for part in parts]} if parts else _NONE
        case Not(part):
            return {"$nor": [where(table, part)]}
    raise TypeError(f"not a condition: {condition!r}")


def _single(column: Field, operator: str, value: Any) -> dict[str, Any]:
    test = _test(column, operator, value)
    return _NONE if test is None else {column.key: test}


def _test(column: Field, operator: str, value: Any) -> dict[str, Any] | None:
    """What a value has to meet, or None where none does. A missing field counts as null here, as MongoDB has it."""
    if operator in _ORDER:
        return None if value is None else {f"${operator}": _bound(column, value)}
    if operator in ("eq", "ne"):
        return {f"${operator}": None if value is None else _bound(column, value)}
    if operator in ("in", "nin"):
        return {f"${operator}": [None if one is None else _bound(column, one) for one in value]}
    text = looked_for(column, operator, value)
    return {"$regex": _containing(text)} if operator == "contains" else _starting(text)


def looked_for(column: Field, operator: str, value: Any) -> str:
    """The text of `contains` and `startswith`. Raises PulpoError PULPO603 where it is none, or the field holds none."""
    if column.kind not in _TEXTUAL or not isinstance(value, str):
        raise PulpoError("PULPO603", f"{operator} works on text, {column.path} is {column.kind}")
    if len(value) > _LONGEST:
        raise PulpoError("PULPO603", f"{column.path} is searched for a text of more than {_LONGEST:,} characters")
    return value


def _bound(column: Field, value: Any) -> Any:
    return column.bson(column.bound(value))


def _containing(text: str) -> str:
    """A pattern in which ASCII letters stand for both cases and everything else for itself.

    Not the option `i`: in UTF it takes é for É, and k for the Kelvin sign.
    """
    return "".join([_either(letter) for letter in text])


def _either(letter: str) -> str:
    if letter.isascii() and letter.isalpha():
        return f"[{letter.lower()}{letter.upper()}]"
    if letter.isalnum() or letter == "_" or ord(letter) > 0x7F:
        return letter
    return f"\\x{ord(letter):02x}"


def _starting(prefix: str) -> dict[str, Any]:
    """A range, so that an index helps: from the prefix up to the first text after all that begin with it."""
    stem = prefix.rstrip("\U0010ffff")
    if not stem:
        return {"$gte": prefix}  # compares with texts alone
    last = ord(stem[-1]) + 1
    beyond = stem[:-1] + chr(0xE000 if last == 0xD800 else last)  # between are the surrogates, no characters
    return {"$gte": prefix, "$lt": beyond}
