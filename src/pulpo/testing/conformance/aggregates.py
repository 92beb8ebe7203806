"""Groups of documents, counted and summed, held to Python's own arithmetic."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulpo.errors import PulpoError
from pulpo.model.conditions import Compare, Condition
from pulpo.spec import Json
from pulpo.store.port import Aggregate, Bucket, Group, GroupBy, Store, Total
from pulpo.testing.conformance.data import COLLECTIONS, THINGS, keep, thing
from pulpo.testing.conformance.queries import CONDITIONS, DOCUMENTS, REFERENCE, SCALARS, only, thorough
from pulpo.testing.conformance.reference import typed

COLUMNS = {column.path: column for column in COLLECTIONS[0].columns}
SUMMED = [path for path, kind in SCALARS.items() if kind in ("integer", "number", "money")]
BUCKETS: tuple[Bucket, ...] = ("hour", "day", "week", "month", "year")
GROUPINGS = st.lists(
    st.sampled_from(sorted(SCALARS)).map(GroupBy)
    | st.sampled_from(BUCKETS).map(lambda bucket: GroupBy("made_at", bucket))
    | st.sampled_from(BUCKETS[1:]).map(lambda bucket: GroupBy("day", bucket)),
    max_size=2,
    unique_by=lambda by: by.path,
)


def value_at(document: Json, path: str) -> Any:
    """What a document has at a path, as a Python value."""
    found = document
    for name in path.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return typed(COLUMNS[path], found)


def key_of(document: Json, by: GroupBy) -> Any:
    """The group that a document falls into."""
    value = value_at(document, by.path)
    if value is None:
        return None
    if by.bucket is None:
        return value.isoformat() if by.path == "day" else value
    if by.bucket == "hour":
        return f"{value:%Y-%m-%dT%H}:00Z"
    if by.bucket == "week":
        value -= timedelta(days=value.weekday())
    return format(value, {"month": "%Y-%m", "year": "%Y"}.get(by.bucket, "%Y-%m-%d"))


def comparable(group: Group, by: tuple[GroupBy, ...]) -> tuple[Any, ...]:
    """A group's key with its times as times, as the reference has them."""
    plain = [each.path == "made_at" and each.bucket is None for each in by]
    return tuple(
        datetime.fromisoformat(value) if time and value is not None else value
        for time, value in zip(plain, group.key, strict=True)
    )


class Aggregates:
    """What aggregate promises."""

    @thorough
    @given(documents=DOCUMENTS, condition=st.none() | CONDITIONS, by=GROUPINGS, of=st.sets(st.sampled_from(SUMMED)))
    async def test_groups_are_what_python_makes_of_them(
        self, store: Store, documents: list[Json], condition: Condition | None, by: list[GroupBy], of: set[str]
    ) -> None:
        """Every document that the filter holds for is in one group; amounts and integers are summed exactly."""
        stored = [one for one in await only(store, documents) if REFERENCE.matches(condition, one)]
        expected: dict[tuple[Any, ...], list[Json]] = {} if by else {(): []}
        for one in stored:
            expected.setdefault(tuple(key_of(one, each) for each in by), []).append(one)
        wanted = Aggregate(THINGS, tuple(by), tuple(sorted(of)), condition)
        groups = await store.aggregate(wanted)
        assert {comparable(group, wanted.by): group.count for group in groups} == {
            key: len(members) for key, members in expected.items()
        }
        assert len(groups) == len(expected)
        for group in groups:
            members = expected[comparable(group, wanted.by)]
            for path, total in zip(wanted.of, group.totals, strict=True):
                values = [value for one in members if (value := value_at(one, path)) is not None]
                assert total.count == len(values)
                if SCALARS[path] == "number":
                    assert math.isclose(total.sum, math.fsum(values), rel_tol=1e-9, abs_tol=1e-9)
                else:
                    assert total.sum == sum(values)

    async def test_sums_are_exact_beyond_floats_and_64_bits(self, store: Store) -> None:
        """A hundred times nine trillion and one cent; integers whose sum no 64 bits hold; negative ones too."""
        await keep(store, *(thing(f"t{n}", price=9_000_000_000_000.01, stock=2**62 - n) for n in range(100)))
        await keep(store, *(thing(f"u{n}", price=-0.07, stock=-(2**62)) for n in range(3)))
        (group,) = await store.aggregate(Aggregate(THINGS, of=("price", "stock")))
        price = Decimal("9000000000000.01") * 100 - Decimal("0.21")
        assert group.totals == (Total(103, price), Total(103, 2**62 * 97 - sum(range(100))))

    async def test_groups_come_in_the_order_of_their_keys(self, store: Store) -> None:
        """Null first, then by value; at most as many as asked for; of nothing there is one empty group, or none."""
        for n, name in enumerate(("b", None, "a", "b")):
            await keep(store, thing(f"t{n}", name=name))
        groups = await store.aggregate(Aggregate(THINGS, (GroupBy("name"),)))
        assert [(group.key, group.count) for group in groups] == [((None,), 1), (("a",), 1), (("b",), 2)]
        assert await store.aggregate(Aggregate(THINGS, (GroupBy("name"),), limit=2)) == groups[:2]
        nothing = Compare("name", "eq", "z")
        assert await store.aggregate(Aggregate(THINGS, of=("stock",), where=nothing)) == (Group((), 0, (Total(0, 0),)),)
        assert await store.aggregate(Aggregate(THINGS, (GroupBy("name"),), where=nothing)) == ()

    @pytest.mark.parametrize(
        "wanted",
        [
            Aggregate(THINGS, (GroupBy("colour"),)),
            Aggregate(THINGS, (GroupBy("tags"),)),
            Aggregate(THINGS, (GroupBy("stock", "day"),)),
            Aggregate(THINGS, (GroupBy("day", "hour"),)),
            Aggregate(THINGS, of=("name",)),
            Aggregate(THINGS, of=("parts.cost",)),
        ],
    )
    async def test_what_cannot_be_grouped_or_summed_is_refused(self, store: Store, wanted: Aggregate) -> None:
        """Undeclared fields, lists, stretches of what is no time, sums of texts: PULPO603."""
        with pytest.raises(PulpoError, match="PULPO603"):
            await store.aggregate(wanted)
