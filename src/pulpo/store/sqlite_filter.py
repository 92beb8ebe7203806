"""Conditions as SQL: the tree becomes text with question marks, every value is bound."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

from pulpo.errors import PulpoError
from pulpo.model.conditions import All, Compare, Condition, Not, Some
from pulpo.model.model import timestamp
from pulpo.store.sqlite_schema import ColumnSql, Table, entries

_ORDER = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_TEXTUAL = ("text", "datetime", "date", "json")


def where(table: Table, condition: Condition, args: list[Any]) -> str:
    """The condition as an SQL expression; what it binds is appended to `args`. Null counts as false.

    Raises:
        PulpoError: PULPO603, a field is not declared or does not fit the operator.
    """
    match condition:
        case Compare(path, operator, value):
            column = table.column(path)
            if column.many:
                return _some_entry(column, operator, value, args)
            return _compare(column, column.sql, operator, value, args)
        case All(parts):
            return "(" + (" AND ".join([where(table, part, args) for part in parts]) or "1") + ")"
        case Some(parts):
            return "(" + (" OR ".join([where(table, part, args) for part in parts]) or "0") + ")"
        case Not(part):
            return f"NOT ifnull({where(table, part, args)},0)"
    raise TypeError(f"not a condition: {condition!r}")


def _compare(column: ColumnSql, sql: str, operator: str, value: Any, args: list[Any]) -> str:  # noqa: PLR0911 - one per operator
    if operator in _ORDER:
        if value is None:
            return "0"
        args.append(bound(column, value))
        return f"{sql}{_ORDER[operator]}?"
    if operator in ("eq", "ne"):
        if value is None:
            return f"{sql} IS NULL" if operator == "eq" else f"{sql} IS NOT NULL"
        args.append(bound(column, value))
        return f"{sql}=?" if operator == "eq" else f"{sql} IS NOT ?"
    if operator == "in":
        return _one_of(column, sql, value, args)
    if operator == "nin":
        return f"NOT ifnull({_one_of(column, sql, value, args)},0)"
    if column.kind not in _TEXTUAL or not isinstance(value, str):
        raise PulpoError("PULPO603", f"{operator} works on text, {column.path} is {column.kind}")
    if operator == "contains":
        args.append(value)
        return f"instr(lower({sql}),lower(?))>0"
    return _starts_with(sql, value, args)


def _one_of(column: ColumnSql, sql: str, values: Any, args: list[Any]) -> str:
    given = [bound(column, value) for value in values if value is not None]
    args.extend(given)
    found = f"{sql} IN ({','.join('?' * len(given))})" if given else "0"
    return f"({found} OR {sql} IS NULL)" if any(value is None for value in values) else found


def _starts_with(sql: str, prefix: str, args: list[Any]) -> str:
    """A range, so that an index helps: from the prefix up to the first text after all that begin with it."""
    args.append(prefix)
    stem = prefix.rstrip("\U0010ffff")
    if not stem:
        return f"({sql}>=? AND {sql}<x'')"  # text sorts before every blob
    last = ord(stem[-1]) + 1
    args.append(stem[:-1] + chr(0xE000 if last == 0xD800 else last))  # between are the surrogates, no characters
    return f"({sql}>=? AND {sql}<?)"


def _some_entry(column: ColumnSql, operator: str, value: Any, args: list[Any]) -> str:
    """Holds for one entry; where the entries have a table, those that are some value are looked up there."""
    if column.entries and operator in ("eq", "in") and value is not None:
        given = value if operator == "in" else (value,)
        if None not in given:
            test = _one_of(column, "value", given, args)
            return f"id IN (SELECT id FROM {column.entries} WHERE {test})"  # noqa: S608 - no value in it
    source, entry = entries(column)
    test = _compare(column, entry, operator, value, args)
    return f"EXISTS (SELECT 1 FROM {source} WHERE {test})"  # noqa: S608 - no value in it


def bound(column: ColumnSql, value: Any) -> Any:
    """A Python value of the column's type as what SQLite compares it with.

    Raises:
        PulpoError: PULPO603, the value is not of the type.
    """
    if isinstance(value, Enum):
        value = value.value
    convert = _CONVERT.get(column.kind)
    try:
        return convert(value, column.decimals) if convert else _plain(value)
    except (TypeError, ValueError, ArithmeticError):
        raise PulpoError("PULPO603", f"{column.path} is compared with something that is no {column.kind}") from None


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return float(value)
    if not isinstance(value, str | int | float):
        raise TypeError
    return value


def _minor_units(value: Any, decimals: int) -> int | float:
    exact = Decimal(str(value)).scaleb(decimals)
    # An amount finer than the currency has equals none, yet lies between two.
    return int(exact) if exact == exact.to_integral_value() and abs(exact) < 2**63 else float(exact)


def _moment(value: Any, _: int) -> str:
    return timestamp(value) if isinstance(value, datetime) else _text(value)


def _day(value: Any, _: int) -> str:
    if isinstance(value, datetime):
        value = value.date()
    return value.isoformat() if isinstance(value, date) else _text(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


_CONVERT: dict[str, Callable[[Any, int], Any]] = {"money": _minor_units, "datetime": _moment, "date": _day}
