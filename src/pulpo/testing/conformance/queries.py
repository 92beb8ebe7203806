"""Filters, sorts and pages, held to the reference."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pulpo.errors import PulpoError
from pulpo.model.conditions import All, Compare, Condition, Not, Operator, Some
from pulpo.model.model import timestamp
from pulpo.spec import Json
from pulpo.store.port import Aggregate, Batch, Delete, GroupBy, Insert, Query, Store
from pulpo.testing.conformance.data import COLLECTIONS, THINGS, Opener, keep, text, thing
from pulpo.testing.conformance.reference import Reference

REFERENCE = Reference(COLLECTIONS[0])
MOMENT = datetime(2025, 10, 30, 9, 15, 0, 123_000, tzinfo=UTC)

VALUES: dict[str, list[Any]] = {
    "text": [
        *("", "a", "A", "ab", "aB", "b", "é", "É", "ñandú", "%", "_", "'", '"', "\\", "a\u0000b"),
        *("\ud7ff", "\ue000", "\U0001d11e", "\U0010ffff", "\U0010ffff!"),
    ],
    "integer": [-5, -1, 0, 1, 2, 3, 10, 2**53],
    "number": [-2.5, -1, 0, 0.1, 0.5, 1, 1.5, 1e300],
    "boolean": [True, False],
    "money": [Decimal(one) for one in ("-5.00", "0.00", "0.01", "0.07", "19.98", "19.99", "20.00", "9999999999999.99")],
    "datetime": [MOMENT + timedelta(milliseconds=one) for one in (-86_400_000, -1, 0, 1, 60_000)],
    "date": [date(2025, 10, 30) + timedelta(days=one) for one in (-400, -1, 0, 1)],
}
SCALARS = {column.path: column.kind for column in COLLECTIONS[0].columns if not column.many}
KINDS = {column.path: column.kind for column in COLLECTIONS[0].columns} | {"id": "text", "version": "integer"}
SORTABLE = [*SCALARS, "id", "version"]


def wire(value: Any) -> Json:
    """A Python value as documents hold it."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, datetime):
        return timestamp(value)
    return value.isoformat() if isinstance(value, date) else value


def held(kind: str) -> st.SearchStrategy[Json]:
    """A value of a kind in a document, or null."""
    return st.none() | st.sampled_from(VALUES[kind]).map(wire)


def objects(**fields: st.SearchStrategy[Json]) -> st.SearchStrategy[Json]:
    """An object that may lack any of its fields."""
    return st.fixed_dictionaries({}, optional=fields)


DOCUMENTS = st.lists(
    objects(
        **{path: held(kind) for path, kind in SCALARS.items() if "." not in path and path not in ("sku", "shelf")},
        maker=st.none() | objects(city=held("text"), fee=held("money")),
        tags=st.none() | st.lists(st.sampled_from(VALUES["text"]), max_size=3),
        parts=st.lists(
            objects(code=held("text"), cost=held("money"), bins=st.lists(objects(row=held("integer")), max_size=2)),
            max_size=3,
        ),
    ),
    max_size=12,
)


def operators(path: str) -> list[Operator]:
    """Those that fit the field."""
    words: list[Operator] = ["eq", "ne", "gt", "gte", "lt", "lte", "in", "nin"]
    return [*words, "contains", "startswith"] if KINDS[path] == "text" else words


@st.composite
def compares(draw: st.DrawFn) -> Condition:
    """A comparison that fits its field."""
    path = draw(st.sampled_from(sorted(KINDS)))
    kind = KINDS[path]
    word = draw(st.sampled_from(operators(path)))
    value = st.sampled_from(VALUES[kind])
    if kind == "money":
        value |= st.sampled_from([Decimal("19.985"), Decimal("-0.001")])
    if word in ("in", "nin"):
        return Compare(path, word, tuple(draw(st.lists(st.none() | value, max_size=3))))
    return Compare(path, word, draw(value if word in ("contains", "startswith") else st.none() | value))


CONDITIONS = st.recursive(
    compares(),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda parts: All(tuple(parts)))
        | st.lists(inner, max_size=3).map(lambda parts: Some(tuple(parts)))
        | inner.map(Not)
    ),
    max_leaves=4,
)
SORTS = st.lists(st.tuples(st.sampled_from(SORTABLE), st.booleans()), max_size=3, unique_by=lambda pair: pair[0]).map(
    tuple
)

thorough = settings(
    max_examples=150,
    deadline=None,
    # one suite for several adapters: each runs the same tests as another class
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.differing_executors,
    ],
)


async def only(store: Store, documents: list[Json]) -> list[Json]:
    """Have the collection hold exactly these, under ids of their own; as they are stored."""
    there = await store.query(Query(THINGS, limit=1000))
    stored = [{"id": f"t{n:03}", "version": 1, **document} for n, document in enumerate(documents)]
    writes = [Delete(THINGS, record.id) for record in there.records]
    inserts = [Insert(THINGS, one["id"], json.dumps(one, ensure_ascii=False)) for one in stored]
    await store.commit(Batch((*writes, *inserts)))
    return stored


async def pages(store: Store, query: Query) -> list[str]:
    """The ids of every page, gone through by cursor."""
    found: list[str] = []
    while True:
        page = await store.query(query)
        body = await store.query_json(query)
        assert json.loads(body.body) == [json.loads(record.json) for record in page.records]
        assert body.cursor == page.cursor
        found += [record.id for record in page.records]
        if page.cursor is None:
            return found
        assert len(page.records) == query.limit
        query = Query(query.collection, query.where, query.sort, query.limit, page.cursor)


class Queries:
    """What query, query_json and count promise."""

    @pytest.mark.parametrize("path", ["name", "stock", "weight", "active", "price", "made_at", "day", "tags"])
    async def test_every_operator_with_every_value(self, store: Store, path: str) -> None:
        """Each value of a kind against each, null and missing included."""
        values = VALUES[KINDS[path]]
        many = path == "tags"
        documents: list[Json] = [{path: [wire(value)] if many else wire(value)} for value in values]
        stored = await only(store, [*documents, {path: None}, {}])
        for word in operators(path):
            for value in values:
                condition = Compare(path, word, (value, values[0]) if word in ("in", "nin") else value)
                expected = [one["id"] for one in stored if REFERENCE.matches(condition, one)]
                found = await store.query(Query(THINGS, condition))
                assert [record.id for record in found.records] == expected, condition

    @thorough
    @given(documents=DOCUMENTS, condition=CONDITIONS)
    async def test_filters_mean_what_the_reference_says(
        self, store: Store, documents: list[Json], condition: Condition
    ) -> None:
        """Any condition over any documents, its count and its negation."""
        stored = await only(store, documents)
        expected = [one["id"] for one in stored if REFERENCE.matches(condition, one)]
        found = await store.query(Query(THINGS, condition))
        assert [record.id for record in found.records] == expected
        assert await store.count(THINGS, condition) == len(expected)
        assert await store.count(THINGS, Not(condition)) == len(stored) - len(expected)

    @thorough
    @given(documents=DOCUMENTS, condition=st.none() | CONDITIONS, sort=SORTS, limit=st.integers(1, 5))
    async def test_pages_are_the_whole_in_order(
        self, store: Store, documents: list[Json], condition: Condition | None, sort: Any, limit: int
    ) -> None:
        """Every document once, in the reference's order, page by page; only the last page has no cursor."""
        stored = await only(store, documents)
        ordered = REFERENCE.ordered((one for one in stored if REFERENCE.matches(condition, one)), sort)
        ids = [one["id"] for one in ordered]
        assert await pages(store, Query(THINGS, condition, sort, limit)) == ids
        skipped = await store.query(Query(THINGS, condition, sort, limit, offset=2))
        assert [record.id for record in skipped.records] == ids[2 : 2 + limit]
        assert (await store.query_json(Query(THINGS, condition, sort, limit, offset=2))).cursor == skipped.cursor

    @pytest.mark.parametrize(
        "sort", [(), (("made_at", True),), (("stock", False),), (("active", True), ("price", False))]
    )
    async def test_pages_under_concurrent_writes(self, store: Store, sort: tuple[tuple[str, bool], ...]) -> None:
        """Documents that are there all the time appear exactly once, whatever is inserted and deleted meanwhile."""
        moment = timestamp(MOMENT)
        steady = [
            thing(f"s{n:02}", stock=n % 3, active=n % 2 == 0, price=n / 4, made_at=moment if n % 5 else None)
            for n in range(40)
        ]
        await keep(store, *steady)

        async def disturb(turn: int) -> None:
            id = f"{'apz'[turn % 3]}{turn}"
            price = turn / 8
            await keep(store, thing(id, stock=turn % 3, active=turn % 2 == 0, price=price, made_at=moment))
            if turn % 2:
                await store.commit(Batch((Delete(THINGS, id),)))

        found: list[str] = []
        cursor: str | None = None
        for turn in range(1000):
            page, _ = await asyncio.gather(store.query(Query(THINGS, sort=sort, limit=3, after=cursor)), disturb(turn))
            found += [record.id for record in page.records]
            cursor = page.cursor
            if cursor is None:
                break
        assert sorted(id for id in found if id.startswith("s")) == [f"s{n:02}" for n in range(40)]
        assert len(found) == len(set(found))

    async def test_a_cursor_belongs_to_its_query(self, store: Store) -> None:
        """With another filter, sort or collection, or made up, it is refused with PULPO603; another limit is fine."""
        await keep(store, *(thing(f"a{n}", stock=n) for n in range(6)))
        query = Query(THINGS, Compare("stock", "gte", 1), (("stock", False),), limit=2)
        cursor = (await store.query(query)).cursor
        assert cursor is not None
        assert cursor.isascii()
        assert not set(cursor) & set("+/=&? ")
        more = await store.query(Query(THINGS, query.where, query.sort, limit=3, after=cursor))
        assert [record.id for record in more.records] == ["a3", "a4", "a5"]
        for wrong in (
            Query(THINGS, Compare("stock", "gte", 2), query.sort, after=cursor),
            Query(THINGS, query.where, (("stock", True),), after=cursor),
            Query(THINGS, query.where, (), after=cursor),
            Query("_notes", after=cursor),
            *(Query(THINGS, query.where, query.sort, after=made_up) for made_up in ("", "x", "W10", "é", "bnVsbA")),
        ):
            for read in (store.query, store.query_json):
                with pytest.raises(PulpoError, match="PULPO603"):
                    await read(wrong)

    @pytest.mark.parametrize(
        "query",
        [
            Query(THINGS, Compare("colour", "eq", "red")),
            Query(THINGS, sort=(("colour", False),)),
            Query(THINGS, sort=(("tags", False),)),
            Query(THINGS, Compare("stock", "contains", "1")),
            Query(THINGS, Compare("price", "gt", "cheap")),
            Query(THINGS, limit=-1),
            Query(THINGS, offset=-1),
        ],
    )
    async def test_what_cannot_be_asked_is_refused(self, store: Store, query: Query) -> None:
        """Undeclared fields, an order by a list, an operator or a value of another type: PULPO603."""
        with pytest.raises(PulpoError, match="PULPO603"):
            await store.query(query)

    async def test_a_query_that_takes_too_long_is_stopped(self, store: Store, opened: Opener, url: str) -> None:
        """PULPO512 for a page, a count and groups, while others that are asked at the same time answer."""
        for begin in range(0, 4000, 500):
            await keep(store, *(thing(f"a{begin + n}", name=f"n{n}", stock=n) for n in range(500)))
        hasty = await opened(url, 0.001)
        paths = ("name", "sku", "shelf")
        nowhere = Some(tuple(Compare(path, "contains", f"no{n}") for path in paths for n in range(9)))
        asked = (
            hasty.query(Query(THINGS, nowhere)),
            hasty.query_json(Query(THINGS, nowhere, (("weight", True),))),
            hasty.count(THINGS, nowhere),
            hasty.aggregate(Aggregate(THINGS, (GroupBy("name"),), ("stock",), nowhere)),
        )
        *slow, fast = await asyncio.gather(*asked, store.count(THINGS, nowhere), return_exceptions=True)
        assert [getattr(each, "code", each) for each in slow] == ["PULPO512"] * 4
        assert fast == 0
        assert await hasty.get(THINGS, "a1") is not None

    async def test_an_empty_page_is_an_empty_array(self, store: Store) -> None:
        """Of no documents, and of limit 0."""
        assert (await store.query_json(Query(THINGS))).body == b"[]"
        await keep(store, Insert(THINGS, "a", text("a")))
        page = await store.query_json(Query(THINGS, limit=0))
        assert (page.body, page.cursor) == (b"[]", None)
        assert await store.count(THINGS) == 1
