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
from pulpo.store.port import Query
from pulpo.testing.conformance.data import COLLECTIONS, THINGS, keep, thing


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
