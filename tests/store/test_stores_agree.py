"""Whatever is committed, in whatever groups: both stores answer the same, and hold the same texts afterwards."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pulpo.model.conditions import Compare
from pulpo.store.connect import connect
from pulpo.store.port import (
    Batch,
    Delete,
    DuplicateId,
    Insert,
    Query,
    Replace,
    Require,
    Store,
    UniqueTaken,
    Update,
    Write,
    WriteFailed,
)
from pulpo.testing.conformance.data import COLLECTIONS, NOTES, THINGS, text

IDS = st.sampled_from(["a", "b", "c"])
SKUS = st.sampled_from([None, "s", "t"])
VERSIONS = st.integers(1, 3)
FIELDS = st.fixed_dictionaries(
    {"sku": SKUS},
    optional={"stock": st.integers(0, 3), "price": st.sampled_from([0.1, 20.00, 19.99]), "note": st.text("ab\n")},
)
WHERE = st.none() | st.builds(Compare, st.just("stock"), st.sampled_from(["gte", "lt", "eq"]), st.integers(0, 3))


@st.composite
def writes(draw: st.DrawFn) -> Write:
    """Any write, to few documents of which few have the same unique value."""
    collection, id = draw(st.sampled_from([THINGS, THINGS, THINGS, NOTES])), draw(IDS)
    match draw(st.sampled_from(["insert", "insert", "replace", "update", "update", "delete", "require"])):
        case "insert":
            return Insert(collection, id, text(id, **draw(FIELDS)))
        case "replace":
            version = draw(VERSIONS)
            return Replace(collection, id, version, text(id, version + 1, **draw(FIELDS)))
        case "update":
            where = draw(WHERE) if collection == THINGS else None
            set_ = draw(st.fixed_dictionaries({}, optional={"sku": SKUS, "note": st.none() | st.text("cd")}))
            add = draw(st.fixed_dictionaries({}, optional={"stock": st.integers(-2, 2)}))
            return Update(
                collection, id, where, add, set_, draw(st.none() | st.just("now")), draw(st.none() | VERSIONS)
            )
        case "delete":
            return Delete(collection, id, draw(st.none() | VERSIONS))
    return Require(collection, id, draw(VERSIONS))


BATCHES = st.lists(st.lists(writes(), min_size=1, max_size=4).map(tuple), min_size=1, max_size=6)


@pytest.fixture
async def both(tmp_path: Path, mongodb_url: Callable[[], str]) -> AsyncIterator[tuple[Store, Store]]:
    stores = connect(f"sqlite:///{tmp_path}/agree.db", tmp_path), connect(mongodb_url(), tmp_path)
    for store in stores:
        await store.open(COLLECTIONS)
    yield stores
    for store in stores:
        await store.close()


def told(result: object) -> Any:
    """A commit's outcome, without its wording."""
    if isinstance(result, DuplicateId | UniqueTaken):  # an insert may be both, and stores look in another order
        return "taken", result.index
    if isinstance(result, WriteFailed):
        return type(result).__name__, result.index, result.missing
    return result


async def outcome(store: Store, groups: list[list[tuple[Write, ...]]]) -> Any:
    """What every commit answers, what is there at the end, and what was told."""
    for collection in (THINGS, NOTES):
        there = await store.query(Query(collection, limit=100))
        await store.commit(Batch(tuple(Delete(collection, record.id) for record in there.records)))
    start = await store.last_event()
    answers = []
    for number, group in enumerate(groups):
        batches = [Batch(batch, ({"type": "t", "number": [number, n]},)) for n, batch in enumerate(group)]
        results = await asyncio.gather(*(store.commit(batch) for batch in batches), return_exceptions=True)
        answers.append([told(result) for result in results])
    records = [(await store.query(Query(collection, limit=100))).records for collection in (THINGS, NOTES)]
    return answers, records, [event.data["number"] for event in await store.events(start)]


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(groups=st.lists(BATCHES, min_size=1, max_size=3))
async def test_both_stores_do_the_same(both: tuple[Store, Store], groups: list[list[tuple[Write, ...]]]) -> None:
    """Versions, the first reason and its place, the documents to the letter, and the events in order."""
    sqlite, mongo = [await outcome(store, groups) for store in both]
    assert json.dumps(mongo[0]) == json.dumps(sqlite[0])
    assert mongo == sqlite
