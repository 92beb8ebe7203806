"""What the MongoDB adapter asks its server for together."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable

import pytest
from pymongo import MongoClient

from pulpo.model.conditions import Compare
from pulpo.store.mongo import MongoStore
from pulpo.store.mongo_query import find
from pulpo.store.port import Batch, DuplicateId, GuardFailed, Query, StaleVersion, UniqueTaken, Update
from pulpo.testing.conformance.data import COLLECTIONS, THINGS, keep, replaced, thing


@pytest.fixture
def url(mongodb_url: Callable[[], str]) -> str:
    return mongodb_url()


@pytest.fixture
async def store(url: str) -> AsyncIterator[MongoStore]:
    store = MongoStore(url)
    await store.open(COLLECTIONS)
    yield store
    await store.close()


async def test_documents_wanted_at_the_same_time_are_one_command(store: MongoStore, url: str) -> None:
    """One by one or several, by whoever asks; each gets its own, and no document twice."""
    await keep(store, *(thing(f"t{number}") for number in range(10)))
    with MongoClient(url) as client:
        database = client.get_default_database()
        database.command({"profile": 2})
        pairs = [(f"t{number}", f"t{number + 1}", f"t{number}", "nothing") for number in range(9)]
        several, one = await asyncio.gather(
            asyncio.gather(*(store.get_many(THINGS, pair) for pair in pairs)), store.get(THINGS, "t9")
        )
        database.command({"profile": 0})
        asked = database["system.profile"].count_documents({"op": "query", "command.find": THINGS})
    assert [sorted(record.id for record in found) for found in several] == [sorted(set(pair[:2])) for pair in pairs]
    assert one is not None
    assert one.id == "t9"
    assert asked == 1


async def test_what_has_an_entry_is_looked_up(store: MongoStore) -> None:
    """A list that is indexed is not read through, and the index gives the documents in the order of their ids."""
    await keep(store, *(thing(f"a{n}", tags=["x", f"t{n}"]) for n in range(50)))
    wanted = find(store._tables[THINGS], Query(THINGS, Compare("tags", "eq", "x"), (("id", True),)))
    explained = await store._collection(THINGS).find(wanted.filter, sort=wanted.sort).explain()
    plan = json.dumps(explained["queryPlanner"]["winningPlan"])
    assert "IXSCAN" in plan
    assert '"indexName": "tags"' in plan
    assert "SORT" not in plan


async def test_a_page_larger_than_an_answer_of_the_server(store: MongoStore) -> None:
    """MongoDB's answers hold 16 MB; the page is whole all the same, and its cursor goes on."""
    for number in range(6):
        await keep(store, thing(f"t{number}", name="x" * 4_000_000))
    page = await store.query(Query(THINGS, limit=5))
    assert [record.id for record in page.records] == [f"t{number}" for number in range(5)]
    ready = await store.query_json(Query(THINGS, limit=5))
    assert [one["id"] for one in json.loads(ready.body)] == [record.id for record in page.records]
    rest = await store.query(Query(THINGS, limit=5, after=page.cursor))
    assert [record.id for record in rest.records] == ["t5"]


async def test_refusals_share_a_transaction_and_keep_their_reasons(store: MongoStore) -> None:
    """Who comes too late for a hot document costs no transaction of its own, whatever it would have written before."""
    await keep(store, thing("hot", stock=5), thing("other", sku="taken"))
    before = sum(store.commits.sizes)

    def take(number: int) -> Batch:
        update = Update(THINGS, "hot", where=Compare("stock", "gt", 0), add={"stock": -1})
        return Batch((thing(f"t{number}", sku=f"s{number}"), update))

    answers = await asyncio.gather(*(store.commit(take(number)) for number in range(20)), return_exceptions=True)
    assert answers[:5] == [(1, number) for number in range(2, 7)]
    assert all(isinstance(answer, GuardFailed) and answer.index == 1 for answer in answers[5:])
    assert sum(store.commits.sizes) == before + 1
    late = Update(THINGS, "hot", where=Compare("stock", "gt", 0), add={"stock": -1})
    batches = (
        Batch((thing("u1", sku="taken"), late)),
        Batch((thing("other", sku="new"), late)),
        Batch((replaced("other", 7), late)),
        Batch((thing("u2", sku="twice"), late)),
        Batch((thing("u3", sku="twice"), late)),
        Batch((thing("u4", sku="fresh"), late)),
    )
    refused = await asyncio.gather(*(store.commit(batch) for batch in batches), return_exceptions=True)
    expected = [UniqueTaken, DuplicateId, StaleVersion, GuardFailed, GuardFailed, GuardFailed]
    assert [(type(one), getattr(one, "index", None)) for one in refused] == [
        (kind, int(kind is GuardFailed)) for kind in expected
    ]
