"""Which index a statement goes by: what is declared decides, and the answers are the same as without any index."""

from __future__ import annotations

import json
import random
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pulpo.model.conditions import All, Compare, Condition, Not, Some
from pulpo.store.port import Aggregate, Batch, Collection, Column, GroupBy, Index, Insert, Query
from pulpo.store.sqlite import SqliteStore
from pulpo.store.sqlite_aggregate import aggregation
from pulpo.store.sqlite_indexes import holding
from pulpo.store.sqlite_query import statements
from pulpo.store.sqlite_schema import table_of

COLUMNS = (
    Column("customer", "text"),
    Column("status", "text", values=3),
    Column("open", "boolean", values=2),
    Column("total", "money"),
    Column("at", "text"),
    Column("lines.product", "text", many=True),
)
INDEXES = (
    Index(("customer", "at")),
    Index(("status", "at")),
    Index(("status", "total")),
    Index(("open", "at")),
    Index(("at",)),
)
ORDERS = Collection("orders", COLUMNS, INDEXES)
TABLE = table_of(ORDERS)
STATES = ("new", "paid", "sent")
PAID = Compare("status", "eq", "paid")
ADA = Compare("customer", "eq", "ada")
NEWEST = (("at", True),)


def _index(where: Condition | None, sort: tuple[tuple[str, bool], ...] = NEWEST) -> str:
    (segment,) = statements(TABLE, Query("orders", where, sort)).segments
    found = re.search(r' INDEXED BY ("[^"]+")', segment.rows)
    return "" if found is None else found[1].strip('"').removeprefix("orders/")


@pytest.mark.parametrize(
    ("where", "sort", "index"),
    [
        (PAID, NEWEST, "status+at"),
        (PAID, (("at", False),), "status+at"),
        (PAID, (("total", True),), "status+total"),
        (All((PAID, Compare("total", "gte", 5))), NEWEST, "status+at"),
        (All((PAID, ADA)), NEWEST, "customer+at"),
        (All((ADA, All((PAID,)))), (("total", True),), "customer+at"),
        (All((ADA, PAID)), (), "customer+at"),
        (Compare("status", "in", ("new", "paid")), NEWEST, "status+at"),
        (All((Compare("open", "eq", True), Compare("status", "in", ("new", "paid")))), NEWEST, "status+at"),
        (Compare("status", "in", ("new", "paid")), (("customer", True),), ""),
        (Compare("status", "in", ("new", None)), NEWEST, ""),
        (All((ADA, Compare("status", "in", ("new", "paid")))), NEWEST, "customer+at"),
        (Some((PAID, ADA)), NEWEST, ""),
        (Not(PAID), NEWEST, ""),
        (Compare("customer", "eq", None), NEWEST, ""),
        (Compare("lines.product", "eq", "a"), NEWEST, ""),
        (None, NEWEST, ""),
    ],
)
def test_a_list_goes_by_what_narrows_it_down_and_then_by_what_gives_its_order(
    where: Condition | None, sort: tuple[tuple[str, bool], ...], index: str
) -> None:
    """A reference before a status, an index in the list's order before others; SQLite chooses where neither helps."""
    assert _index(where, sort) == index


@pytest.mark.parametrize(
    ("by", "of", "where", "index"),
    [
        ((GroupBy("status"),), ("total",), None, "status+total"),
        ((GroupBy("at"),), (), None, "customer+at"),
        ((GroupBy("at"),), (), PAID, "status+at"),
        ((), ("total",), Compare("total", "gte", 5), "status+total"),
        ((GroupBy("status"),), ("total",), ADA, "customer+at"),
        ((GroupBy("customer"),), ("total",), None, ""),
        ((GroupBy("status"),), (), Compare("id", "eq", "a"), ""),
    ],
)
def test_figures_are_taken_from_an_index_that_has_all_of_them(
    by: tuple[GroupBy, ...], of: tuple[str, ...], where: Condition | None, index: str
) -> None:
    """Groups, sums and counts need no document's text where an index holds the fields, unless another one narrows."""
    sql = aggregation(TABLE, Aggregate("orders", by, of, where, 10)).sql
    assert f'"orders/{index}"' in sql if index else "INDEXED" not in sql
    if not by:
        assert holding(TABLE, (), where) == f' INDEXED BY "orders/{index}"'


@pytest.fixture
async def stores(tmp_path: Path) -> AsyncIterator[tuple[SqliteStore, SqliteStore]]:
    """The same 300 documents with indexes and without."""
    chance = random.Random(5)
    writes = []
    for number in range(300):
        document = {
            "id": f"o{number:03}",
            "version": 1,
            "customer": chance.choice(("ada", "bo", "cy", None)),
            "status": chance.choice(STATES),
            "open": chance.random() < 0.5,
            "total": chance.randrange(1000) / 100,
            "at": f"{chance.randrange(40):02}",
            "lines": [{"product": chance.choice("abc")}],
        }
        writes.append(Insert("orders", f"o{number:03}", json.dumps(document)))
    found = []
    for name, indexes in (("with", INDEXES), ("without", ())):
        store = SqliteStore(tmp_path / f"{name}.db")
        await store.open((Collection("orders", COLUMNS, indexes),))
        await store.commit(Batch(tuple(writes)))
        found.append(store)
    yield found[0], found[1]
    for store in found:
        await store.close()


def _random_condition(chance: random.Random, depth: int = 2) -> Condition:
    simple: list[Condition] = [
        Compare("customer", "eq", chance.choice(("ada", "bo", None))),
        Compare("status", "eq", chance.choice(STATES)),
        Compare("status", "in", tuple(chance.choices(STATES, k=3))),
        Compare("customer", "in", tuple(chance.sample(("ada", "bo", "cy", None), 2))),
        Compare("open", "eq", chance.random() < 0.5),
        Compare("open", "in", (True, False)),
        Compare("total", "gte", chance.randrange(10)),
        Compare("lines.product", "eq", chance.choice("abc")),
    ]
    if depth and chance.random() < 0.7:
        parts = tuple(_random_condition(chance, depth - 1) for _ in range(chance.randint(1, 3)))
        return chance.choice((All(parts), All(parts), Some(parts), Not(parts[0])))
    return chance.choice(simple)


async def _pages(store: SqliteStore, query: Query) -> tuple[list[str], bytes]:
    """All ids, page by page, and the texts as the same pages give them."""
    ids: list[str] = []
    text, after = b"", None
    while True:
        asked = Query("orders", query.where, query.sort, query.limit, after)
        page, body = await store.query(asked), await store.query_json(asked)
        assert page.cursor == body.cursor
        ids += [record.id for record in page.records]
        text += body.body
        after = page.cursor
        if after is None:
            return ids, text


async def test_answers_do_not_depend_on_indexes(stores: tuple[SqliteStore, SqliteStore]) -> None:
    """Lists in every order, page by page and from an offset, counts and groups: the same with indexes and without."""
    seed = random.randrange(10**6)
    chance = random.Random(seed)
    sorts = (
        NEWEST,
        (("at", False),),
        (("total", True),),
        (("customer", False), ("at", True)),
        (("status", False),),
        (),
    )
    for _ in range(60):
        where = _random_condition(chance)
        query = Query("orders", where, chance.choice(sorts), chance.randint(1, 60))
        deep = Query("orders", where, query.sort, 20, offset=chance.randint(1, 30))
        groups = Aggregate("orders", (GroupBy(chance.choice(("status", "at", "customer"))),), ("total",), where, 100)
        with_, without = [
            (
                await _pages(store, query),
                await store.query_json(deep),
                await store.count("orders", where),
                await store.aggregate(groups),
            )
            for store in stores
        ]
        assert with_ == without, f"seed {seed}, {query}"
        ids = with_[0][0]
        assert len(ids) == len(set(ids)) == with_[2], f"seed {seed}, {query}"
