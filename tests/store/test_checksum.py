"""The checksum of documents: what it does not see, and what it does."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulpo.store.checksum import Checksum, canonical
from pulpo.store.port import Record

NUMBERS = st.integers(-(10**20), 10**20) | st.decimals(allow_nan=False, allow_infinity=False, places=4)
TEXTS = st.text() | st.sampled_from(["\0", "\x001e-1", "\0\x001e-1", "1e-1", '"', "é"])
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
RECORDS = st.lists(st.tuples(st.text(min_size=1), st.integers(1, 9), VALUES), max_size=8, unique_by=lambda one: one[0])


def text(value: Any, *, reverse: bool = False, loose: bool = False) -> str:
    """A value as JSON, written in one of several ways."""
    if isinstance(value, dict):
        items = [
            f"{json.dumps(name, ensure_ascii=loose)}:{text(part, reverse=reverse, loose=loose)}"
            for name, part in value.items()
        ]
        return "{" + (" , " if loose else ",").join(reversed(items) if reverse else items) + "}"
    if isinstance(value, list):
        return "[" + ",".join(text(part, reverse=reverse, loose=loose) for part in value) + "]"
    if isinstance(value, Decimal):
        return f"{value:e}" if loose else f"{value:f}"
    return json.dumps(value, ensure_ascii=loose)


def same(first: Any, second: Any) -> bool:
    """Whether two values are the same JSON; 1 is 1.0, and neither is true."""
    if isinstance(first, bool) or isinstance(second, bool) or type(first) is not type(second):
        numbers = not isinstance(first, bool) and not isinstance(second, bool)
        return first is second or (
            numbers and isinstance(first, int | Decimal) and isinstance(second, int | Decimal) and first == second
        )
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(first[name], second[name]) for name in first)
    if isinstance(first, list):
        return len(first) == len(second) and all(map(same, first, second))
    return bool(first == second)


def summed(records: list[tuple[str, int, str]]) -> str:
    checksum = Checksum()
    for record in records:
        checksum.add(Record(*record))
    assert checksum.count == len(records)
    return checksum.hexdigest()


@given(RECORDS, st.randoms())
def test_neither_order_nor_spelling_counts(records: list[tuple[str, int, Any]], draw: Any) -> None:
    """Records in another order, names in another order, white space, escapes, exponents: the same sum."""
    here = [(id, version, text(value)) for id, version, value in records]
    there = [(id, version, text(value, reverse=True, loose=True)) for id, version, value in records]
    draw.shuffle(there)
    assert summed(here) == summed(there)


@given(VALUES, VALUES)
def test_what_is_not_the_same_json_is_told_apart(first: Any, second: Any) -> None:
    """Two documents have one canonical text exactly where they are the same."""
    assert (canonical(text(first)) == canonical(text(second))) == same(first, second)


@given(RECORDS.filter(bool), VALUES, st.integers(0, 7))
def test_every_part_of_a_record_counts(records: list[tuple[str, int, Any]], value: Any, at: int) -> None:
    """Another id, another version, another value, one record less or one twice: another sum."""
    whole = [(id, version, text(value)) for id, version, value in records]
    at %= len(whole)
    id, version, old = whole[at]
    rest = whole[:at] + whole[at + 1 :]
    others = [rest, [*whole, whole[at]], [*rest, (f"{id}x", version, old)], [*rest, (id, version + 1, old)]]
    if not same(records[at][2], value):
        others.append([*rest, (id, version, text(value))])
    assert len({summed(whole), *map(summed, others)}) == len(others) + 1


@pytest.mark.parametrize(
    ("first", "second"),
    [("19.9", "19.90"), ("1", "1.0"), ("100", "1e2"), ("0", "-0.0"), ("0.5", "5E-1"), ('"\\u0000"', '"\\u0000"')],
)
def test_a_number_is_its_value(first: str, second: str) -> None:
    """However it is written."""
    assert canonical(first) == canonical(second)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("0.1", "0.10000000000000001"),
        ("12345678901234567.89", "12345678901234567.88"),
        ("9007199254740993", "9007199254740992"),
        ("1", '"1"'),
        ("1", "true"),
        ("1e400", "1e401"),
        ("0.5", '"\\u00005e-1"'),
        ('["\\u0000", 0.5]', '["\\u0000", "\\u00005e-1"]'),
    ],
)
def test_other_values_stay_apart(first: str, second: str) -> None:
    """To the last digit, and by their type."""
    assert canonical(first) != canonical(second)
