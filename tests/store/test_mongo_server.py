"""Which servers and addresses the MongoDB adapter takes, and that nothing in a document is an instruction to it."""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import AsyncMongoClient, MongoClient
from pymongo.errors import WriteError

from pulpo.errors import PulpoError
from pulpo.model.conditions import Compare
from pulpo.services import mongod
from pulpo.store.connect import connect
from pulpo.store.mongo import MongoStore
from pulpo.store.mongo_query import find
from pulpo.store.mongo_table import table_of
from pulpo.store.port import Batch, Collection, Column, Insert, Query, Update
from pulpo.testing.conformance.data import COLLECTIONS, THINGS, keep, read, thing


@pytest.fixture
async def store(mongodb_url: Callable[[], str]) -> AsyncIterator[MongoStore]:
    store = MongoStore(mongodb_url())
    await store.open(COLLECTIONS)
    yield store
    await store.close()


@pytest.fixture
def secured(tmp_path: Path) -> Iterator[int]:
    """A server that lets nobody in without a password."""
    server = mongod.start(tmp_path, keyfile=mongod.make_keyfile(tmp_path / "keyfile"))
    try:
        mongod.initiate((server.port,))
        mongod.create_user(server.port, "root", "s3cret/@:", roles=("root",))
        yield server.port
    finally:
        server.stop()


async def refusal(url: str) -> PulpoError:
    """What opening a database at this address is refused with."""
    with pytest.raises(PulpoError) as refused:
        await MongoStore(url).open(COLLECTIONS)
    return refused.value


async def test_a_standalone_server_is_refused_with_what_mends_it(tmp_path: Path) -> None:
    """PULPO511; so is one that waits for its set to be made, and once that has happened it is taken."""
    server = mongod.start(tmp_path, replica_set=None)
    try:
        error = await refusal(f"mongodb://127.0.0.1:{server.port}/shop")
        assert error.code == "PULPO511"
        assert "--replSet" in str(error.hint)
        assert f"mongosh --host 127.0.0.1:{server.port} --eval 'rs.initiate()'" in str(error.hint)
    finally:
        server.stop()
    server = mongod.start(tmp_path, replica_set="rs0")
    try:
        url = f"mongodb://127.0.0.1:{server.port}/shop?replicaSet=rs0&serverSelectionTimeoutMS=500"
        error = await refusal(url)
        assert (error.code, error.hint) == (
            "PULPO511",
            f"run: mongosh --host 127.0.0.1:{server.port} --eval 'rs.initiate()'",
        )
        mongod.initiate((server.port,), replica_set="rs0")
        store = MongoStore(url)
        await store.open(COLLECTIONS)
        await store.close()
    finally:
        server.stop()


async def test_a_password_is_asked_for_and_never_told(secured: int) -> None:
    """With it everything works, an application's own user included; without it PULPO507 says what to look at."""
    root = mongod.address((secured,), "shop", user="root", password="s3cret/@:")
    with MongoClient(root) as client:
        roles = [{"role": "readWrite", "db": "shop"}]
        client["shop"].command("createUser", "app", pwd="app-s3cret", roles=roles)
    url = mongod.address((secured,), "shop", user="app", password="app-s3cret").replace("=admin", "=shop")
    store = MongoStore(url)
    await store.open(COLLECTIONS)
    await keep(store, thing("a", stock=1))
    await store.commit(Batch((Update(THINGS, "a", add={"stock": 1}),), ({"type": "t"},)))
    assert len(await store.events(None)) == 1
    await store._writer._lanes[0].transactions.end_abandoned()  # allowed for transactions of its own
    await store.close()
    wrong = await refusal(url.replace("app-s3cret", "wr0ng"))
    nobody = await refusal(f"mongodb://127.0.0.1:{secured}/shop?replicaSet=pulpo")
    for error in (wrong, nobody):
        assert error.code == "PULPO507"
        assert "authSource" in str(error.hint)
        assert "wr0ng" not in f"{error}{error.__cause__}"


async def test_a_server_that_is_not_there_is_said_to_be(tmp_path: Path) -> None:
    """PULPO507 with the address, after as long as the address says, and without its password."""
    port = mongod.free_port()
    url = f"mongodb://someone:s3cret@127.0.0.1:{port}/shop?serverSelectionTimeoutMS=200&replicaSet=rs0"
    error = await refusal(url)
    assert error.code == "PULPO507"
    assert str(port) in str(error)
    assert "s3cret" not in f"{error}{error.__cause__}"


@pytest.mark.parametrize(
    "url",
    [
        "mongodb://localhost:27017",
        "mongodb://localhost:27017/",
        "mongodb://localhost:27017/a.b",
        "mongodb://localhost:27017/a$b",
        "mongodb://us:er:s3cret@localhost:27017/shop",
        "mongodb://user:s3cret/@localhost:27017/shop",
        "mongodb://user:s3cret@localhost:port/shop",
        "mongodb://user:s3cret@localhost:99999/shop",
        "mongodb://user:s3cret@[::1/shop",
        "mongodb://user:s3cret@localhost/shop?tls=true&tlsCAFile=/nowhere/ca.pem",
        "mongodb://user:s3cret@localhost/shop?w=1",
        "mongodb://user:s3cret@localhost/shop?readPreference=secondary",
        "mongodb://user:s3cret@localhost/shop?journal=false",
        "mongodb://user:s3cret@localhost/shop?keep_events=0",
        "mongodb://user:s3cret@localhost/shop?maxPoolSize=s3cret",
    ],
)
def test_an_address_that_makes_no_sense_is_refused(url: str, tmp_path: Path) -> None:
    """PULPO105 before anything is connected; the password is not repeated."""
    with pytest.raises(PulpoError, match="PULPO105") as refused:
        connect(url, tmp_path)
    assert "s3cret" not in f"{refused.value}{refused.value.__cause__}"


async def test_another_programs_database_is_left_alone(mongodb_url: Callable[[], str]) -> None:
    """PULPO506, and not a byte of it is changed."""
    url = mongodb_url()
    with MongoClient(url) as client:
        database = client[MongoStore(url).address.database]
        database["theirs"].insert_one({"_id": 1})
        assert (await refusal(url)).code == "PULPO506"
        assert database.list_collection_names() == ["theirs"]


async def test_several_processes_open_an_empty_database_at_once(mongodb_url: Callable[[], str]) -> None:
    """Each takes part in making it, none trips over another."""
    url = mongodb_url()
    code = (
        "import asyncio, sys\n"
        "from pulpo.store.mongo import MongoStore\n"
        "from pulpo.testing.conformance.data import COLLECTIONS, keep, thing\n"
        "async def main():\n"
        "    store = MongoStore(sys.argv[1])\n"
        "    await store.open(COLLECTIONS)\n"
        "    await keep(store, thing(sys.argv[2], sku=sys.argv[2]))\n"
        "    await store.close()\n"
        "asyncio.run(main())\n"
    )
    start = asyncio.create_subprocess_exec
    processes = [await start(sys.executable, "-c", code, url, f"p{n}") for n in range(4)]
    async with asyncio.timeout(60):
        assert [await process.wait() for process in processes] == [0] * 4
    store = MongoStore(url)
    await store.open(COLLECTIONS)
    assert await store.count(THINGS) == 4
    await store.close()


# What a document may say

ODD: dict[str, Any] = {
    "$where": "sleep(1000)",
    "$set": {"version": 99},
    "a.b": {"c.d": {"$gt": ""}},
    "": {"": None},
    "nul\0": "nul\0",
    "_id": "other",
    "_json": "{}",
    "__proto__": {"$ne": None},
    "$ref": "things",
    "$id": 1,
}


async def test_keys_of_every_kind_stay_text(store: MongoStore) -> None:
    """What would be an operator or a path to MongoDB is read as it was written, and no name in the database."""
    await keep(store, thing("a", name="x", **ODD))
    await store.commit(Batch((Update(THINGS, "a", set={"$inc": {"stock": 1}, "x.y": "$name", "name": "$sku"}),)))
    expected = {"id": "a", "version": 2, **ODD, "name": "$sku", "$inc": {"stock": 1}, "x.y": "$name"}
    assert await read(store, "a") == expected
    found: Any = await store._collections[THINGS].find_one({})
    assert set(found) == {"_id", "version", "_layout", "_json", "name", "tags", "parts"}


@pytest.mark.parametrize("value", [{"$gt": ""}, {"$ne": None}, ["a"], {"$regex": ".*"}, {"$where": "1"}])
@pytest.mark.parametrize("word", ["eq", "ne", "gt", "in", "nin", "contains", "startswith"])
async def test_values_are_never_operators(store: MongoStore, word: Any, value: Any) -> None:
    """PULPO603 in filters and guards, and nothing is touched."""
    await keep(store, thing("a", name="x"))
    condition = Compare("name", word, (value,) if word in ("in", "nin") else value)
    for refused in (
        store.query(Query(THINGS, condition)),
        store.count(THINGS, condition),
        store.commit(Batch((Update(THINGS, "a", where=condition, set={"name": "y"}),))),
    ):
        with pytest.raises(PulpoError, match="PULPO603"):
            await refused
    assert (await read(store, "a"))["name"] == "x"


@pytest.mark.parametrize(
    "text", ["$where", "$gt", "{'$gt': ''}", ".*", "^", "a.b", "\0", "\\", "[", "(?i)X", "$", "x{2}"]
)
async def test_texts_mean_themselves(store: MongoStore, text: str) -> None:
    """As ids, as values, as parts of texts: only what has exactly these characters is found."""
    await keep(store, thing(text, name=f"-{text}-"), thing("other", name="xX"))
    record = await store.get(THINGS, text)
    assert record is not None
    assert record.id == text
    for condition in (
        Compare("name", "contains", text),
        Compare("name", "startswith", f"-{text}"),
        Compare("name", "eq", f"-{text}-"),
        Compare("id", "eq", text),
    ):
        page = await store.query(Query(THINGS, condition))
        assert [found.id for found in page.records] == [text], condition


async def test_a_cursor_carries_no_operator(store: MongoStore) -> None:
    """One made up with the right mark but an object for a value is refused as any other."""
    await keep(store, *(thing(f"a{n}", name="n") for n in range(3)))
    query = Query(THINGS, sort=(("name", False),), limit=1)
    wanted = find(table_of(COLLECTIONS[0]), query)
    for values in ([{"$gt": ""}, "a"], ["n", {"$ne": ""}], ["n"], ["n", "a", "b"], [1, "a"], ["n", None, None]):
        held = json.dumps([wanted.mark, *values]).encode()
        cursor = base64.urlsafe_b64encode(held).decode().rstrip("=")
        with pytest.raises(PulpoError, match="PULPO603"):
            await store.query(Query(THINGS, sort=query.sort, limit=1, after=cursor))


@pytest.mark.parametrize("path", ["$where", "_id", "_json", "a.$b", "a..b", "nul\0", ""])
async def test_names_that_mongodb_does_not_take_are_refused(mongodb_url: Callable[[], str], path: str) -> None:
    """PULPO102 for a declared column of such a name."""
    with pytest.raises(PulpoError, match="PULPO102"):
        await MongoStore(mongodb_url()).open((Collection("things", (Column(path, "text"),)),))


async def test_what_others_write_by_hand_has_to_fit(store: MongoStore) -> None:
    """The validator takes no document whose fields are of another kind than declared."""
    client: AsyncMongoClient[Any] = AsyncMongoClient(f"mongodb://{store.address.hosts}", replicaSet="pulpo")
    things = client[store.address.database]["things"]
    good = {"_id": "x", "version": 1, "_json": '{"id":"x","version":1}', "_layout": "by hand"}
    for bad in ({"stock": "five"}, {"version": 0}, {"price": 19.99}, {"made_at": "now"}, {"tags": "one"}, {"_json": 5}):
        with pytest.raises(WriteError, match="failed validation"):
            await things.insert_one({**good, **bad})
    await things.insert_one(good)
    await client.close()


async def test_a_document_too_large_is_an_error_of_its_own(store: MongoStore) -> None:
    """PULPO505, nothing of its batch stays, and its neighbours get through."""
    large = Insert(THINGS, "large", json.dumps({"id": "large", "version": 1, "note": "x" * 17_000_000}))
    results = await asyncio.gather(
        store.commit(Batch((thing("a"),))),
        store.commit(Batch((thing("b"), large))),
        store.commit(Batch((thing("c"),))),
        return_exceptions=True,
    )
    assert [results[0], results[2]] == [(1,), (1,)]
    assert getattr(results[1], "code", None) == "PULPO505"
    assert await store.count(THINGS) == 2


def test_the_driver_is_loaded_only_where_it_is_needed() -> None:
    """Without it Pulpo works, and an address of MongoDB is refused with what to install."""
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "import pulpo, pulpo.runtime.application\n"
        "from pulpo.errors import PulpoError\n"
        "from pulpo.store.connect import connect\n"
        "connect('sqlite:///a.db', Path('.'))\n"
        "assert not {'pymongo', 'bson'} & set(sys.modules)\n"
        "sys.modules['pymongo'] = sys.modules['bson'] = None\n"
        "try:\n"
        "    connect('mongodb://localhost/shop', Path('.'))\n"
        "except PulpoError as error:\n"
        "    print(error.code, error.hint)\n"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout == "PULPO105 pip install 'pulpo-core[mongodb]'\n"
