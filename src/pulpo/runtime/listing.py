"""A list's query parameters: which documents, in which order, from where."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import urlencode

from pydantic import AwareDatetime, TypeAdapter, ValidationError

from pulpo.errors import Nearest, PulpoError
from pulpo.model.conditions import All, Compare, Condition
from pulpo.model.model import to_millisecond
from pulpo.spec import FieldSpec

FILTERED = frozenset({"string", "integer", "number", "boolean", "money", "datetime", "date", "enum", "ref"})
"""Kinds of fields that a list can be filtered and sorted by."""
PAGE = 50
"""Documents on a page when nothing else is asked for."""
CONTROLS = ("limit", "cursor", "sort", "count")
RUN_STATES = (
    "queued", "running", "waiting", "stopped", "completed", "failed", "cancelling", "cancelled", "compensating",
    "compensated",
)  # fmt: skip
RUN_FIELDS: Mapping[str, FieldSpec] = {
    "state": FieldSpec("state", "enum", values=RUN_STATES),
    "name": FieldSpec("name", "string"),
    "kind": FieldSpec("kind", "enum", values=("flow", "operation")),
    "live": FieldSpec("live", "string"),
}
"""What the list of runs can be filtered by."""
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_moment = TypeAdapter(AwareDatetime)


@dataclass(frozen=True, slots=True)
class Listing:
    """What a list request asks for. `given` are the parameters as they came."""

    where: Condition | None
    sort: tuple[tuple[str, bool], ...]
    limit: int
    cursor: str | None
    count: bool
    given: tuple[tuple[str, str], ...]

    def next_query(self, cursor: str) -> str:
        """The query string of the next page: the same, from this cursor on."""
        return urlencode([(name, value) for name, value in self.given if name != "cursor"] + [("cursor", cursor)])


def parse(
    parameters: Iterable[tuple[str, str]],
    fields: Mapping[str, FieldSpec],
    *,
    page_limit: int,
    sort: str | None = "-created_at",
) -> Listing:
    """Read a list's parameters. A filter given twice means one of its values.

    Args:
        parameters: Names and values, decoded, in the order given.
        fields: What can be filtered and sorted by.
        page_limit: The greatest `limit`.
        sort: The order when none is given; None where the order is not the caller's to choose.
    Raises:
        PulpoError: PULPO603, a parameter is unknown or its value is not one of its field.
    """
    given = tuple(parameters)
    controls: dict[str, str] = {}
    filters: dict[str, list[Any]] = {}
    for name, value in given:
        if name in CONTROLS and not (name == "sort" and sort is None):
            if name in controls:
                raise PulpoError("PULPO603", f'the parameter "{name}" is given twice')
            controls[name] = value
        elif (field := fields.get(name)) is not None and field.kind in FILTERED:
            filters.setdefault(name, []).append(value_of(field, value))
        else:
            raise _unknown(name, fields, sortable=sort is not None)
    conditions = [
        Compare(name, "eq", values[0]) if len(values) == 1 else Compare(name, "in", tuple(values))
        for name, values in filters.items()
    ]
    where = None if not conditions else conditions[0] if len(conditions) == 1 else All(tuple(conditions))
    order = controls.get("sort", sort)
    return Listing(
        where,
        _order(order, fields) if order else (),
        _limit(controls.get("limit"), page_limit),
        controls.get("cursor") or None,
        _boolean("count", controls.get("count", "false")),
        given,
    )


def value_of(field: FieldSpec, text: str) -> Any:
    """A filter's value as a Python value of the field's type. Raises PulpoError PULPO603."""
    if field.kind == "boolean":
        return _boolean(field.name, text)
    if field.kind == "enum":
        return _one_of(field, text)
    read = _READERS.get(field.kind)
    if read is None:
        return text
    try:
        return read(text)
    except (ValueError, InvalidOperation, ValidationError):
        raise PulpoError("PULPO603", f'"{field.name}" filters by {_article(field.kind)}') from None


def _integer(text: str) -> int:
    if not _INTEGER.fullmatch(text):
        raise ValueError
    return int(text)


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError
    return number


def _amount(text: str) -> Decimal:
    amount = Decimal(text)
    if not amount.is_finite():
        raise ValueError
    return amount


def _time(text: str) -> datetime:
    return to_millisecond(_moment.validate_python(text))


_READERS: Mapping[str, Callable[[str], Any]] = {
    "integer": _integer,
    "number": _number,
    "money": _amount,
    "datetime": _time,
    "date": date.fromisoformat,
}


def _one_of(field: FieldSpec, text: str) -> Any:
    for value in field.values:
        if str(value) == text:
            return value
    known = tuple(str(value) for value in field.values)
    raise PulpoError("PULPO603", f'"{field.name}" is one of {", ".join(known)}', hint=Nearest(known).to(text))


def _order(text: str, fields: Mapping[str, FieldSpec]) -> tuple[tuple[str, bool], ...]:
    order = []
    for part in text.split(","):
        name = part.removeprefix("-")
        field = fields.get(name)
        if field is None or field.kind not in FILTERED:
            known = tuple(known for known, spec in fields.items() if spec.kind in FILTERED)
            raise PulpoError("PULPO603", "the list cannot be sorted by that", hint=Nearest(known).to(name))
        order.append((name, part.startswith("-")))
    return tuple(order)


def _limit(text: str | None, greatest: int) -> int:
    if text is None:
        return min(PAGE, greatest)
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= greatest):
        raise PulpoError("PULPO603", f'"limit" is a number from 1 to {greatest}')
    return int(text)


def _boolean(name: str, text: str) -> bool:
    if text not in ("true", "false"):
        raise PulpoError("PULPO603", f'"{name}" is true or false')
    return text == "true"


def _unknown(name: str, fields: Mapping[str, FieldSpec], *, sortable: bool) -> PulpoError:
    filters = tuple(known for known, field in fields.items() if field.kind in FILTERED)
    controls = CONTROLS if sortable else tuple(each for each in CONTROLS if each != "sort")
    known = (*filters, *controls)
    hint = Nearest(known).to(name) or "known are: " + ", ".join(known)
    return PulpoError("PULPO603", "a query parameter is not known here", hint=hint)


def _article(kind: str) -> str:
    words = {"money": "an amount", "datetime": "a time with its zone, such as 2025-10-30T09:15:00Z", "date": "a date"}
    return words.get(kind) or ("an " if kind[0] in "aeiou" else "a ") + kind
