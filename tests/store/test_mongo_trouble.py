"""What the MongoDB adapter does when things break between it and the server: once, exactly, or an honest error.

The module is long because its tests share one server that fails on command.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from pulpo.errors import PulpoError
from pulpo.model.conditions import Compare
from pulpo.services import mongod
from pulpo.store import mongo_calls, mongo_upkeep
from pulpo.store.mongo import MongoStore
from pulpo.store.mongo_upkeep import MongoSnapshot
from pulpo.store.port import Aggregate, Batch, GroupBy, Query, Unreachable, Update
from pulpo.testing.conformance.data import COLLECTIONS, THINGS, keep, read, replaced, thing

Fail = Callable[..., Any]
Opened = Callable[..., Any]


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that can be told to fail."""
    server = mongod.start(tmp_path_factory.mktemp("faulty"), parameters={"enableTestCommands": "1"})
    try:
        mongod.initiate((server.port,))
        yield mongod.address((server.port,), "faulty")
    finally:
        server.stop()


@pytest.fixture
def fail(faulty: str) -> Iterator[Fail]:
    """Has the server fail a command: so often, in this way."""
    with MongoClient(faulty) as client:

        def failing(command: str, times: int | str, **how: Any) -> None:
            mode = times if isinstance(times, str) else {"times": times}
            data = {"failCommands": [command], "appName": "pulpo/faulty", **how}
            client.admin.command("configureFailPoint", "failCommand", mode=mode, data=data)

        yield failing
        client.admin.command("configureFailPoint", "failCommand", mode="off")
        client.drop_database("faulty")


@pytest.fixture
async def opened() -> AsyncIterator[Opened]:
    """Opens stores; all are closed after the test."""
    stores: list[MongoStore] = []

    async def one(url: str, **options: Any) -> MongoStore:
        stores.append(MongoStore(url, **options))
        await stores[-1].open(COLLECTIONS)
        return stores[-1]

    yield one
    for store in stores:
        await store.close()


LOST = {"code": 64, "codeName": "WriteConcernFailed", "errmsg": "not in time", "errInfo": {"wtimeout": True}}


@pytest.mark.parametrize(
    ("command", "times", "how"),
    [
        pytest.param("commitTransaction", 3, {"writeConcernError": LOST}, id="committed-and-the-answer-lost"),
        pytest.param("commitTransaction", 3, {"closeConnection": True}, id="commit-did-not-arrive"),
        pytest.param(
            "commitTransaction", 1, {"errorCode": 251, "errorLabels": ["TransientTransactionError"]}, id="gone"
        ),
        pytest.param("commitTransaction", 4, {"errorCode": 10107}, id="no-primary-at-commit"),
        pytest.param("update", 5, {"errorCode": 112, "errorLabels": ["TransientTransactionError"]}, id="conflicts"),
        pytest.param("update", 2, {"closeConnection": True}, id="connection-lost-on-the-way"),
        pytest.param("insert", 2, {"errorCode": 189}, id="stepped-down"),
        pytest.param("find", 2, {"closeConnection": True}, id="connection-lost-while-reading"),
    ],
)
async def test_what_breaks_is_done_once(
    faulty: str, fail: Fail, opened: Opened, command: str, times: int, how: dict[str, Any]
) -> None:
    """Each of a group's batches lands exactly once, with its event, whatever the server did to the transaction."""
    store = await opened(faulty)
    await keep(store, thing("a", stock=0))
    start = await store.last_event()
    fail(command, times, **how)
    batches = (
        Batch((Update(THINGS, "a", add={"stock": 1}), thing(f"b{n}")), ({"type": "t", "number": n},)) for n in range(8)
    )
    assert await asyncio.gather(*map(store.commit, batches)) == [(n + 2, 1) for n in range(8)]
    assert (await read(store, "a"))["stock"] == 8
    assert [event.data["number"] for event in await store.events(start)] == list(range(8))


async def test_an_outcome_that_nobody_knows_is_called_that(faulty: str, fail: Fail, opened: Opened) -> None:
    """Not a failure: what was written is there, and whoever repeats it is stopped by its version."""
    store = await opened(faulty, patience=0.5)
    await keep(store, thing("a"))
    fail("commitTransaction", "alwaysOn", writeConcernError=LOST)
    with pytest.raises(PulpoError, match=r"PULPO507.*outcome is unknown"):
        await store.commit(Batch((replaced("a", 1, name="x"),)))
    fail("commitTransaction", "off")
    assert (await read(store, "a"))["name"] == "x"
    with pytest.raises(PulpoError, match="PULPO502"):
        await store.commit(Batch((replaced("a", 1, name="y"),)))


async def test_what_stays_broken_is_given_up(faulty: str, fail: Fail, opened: Opened) -> None:
    """PULPO507 when patience ends, nothing is left of it, and what comes later works."""
    store = await opened(faulty, patience=0.5)
    fail("insert", "alwaysOn", errorCode=112, errorLabels=["TransientTransactionError"])
    results = await asyncio.gather(*(store.commit(Batch((thing(f"a{n}"),))) for n in range(3)), return_exceptions=True)
    assert all(isinstance(result, Unreachable) and result.headers == {"Retry-After": "1"} for result in results)
    assert all("nothing of this was kept" in str(result) for result in results)
    fail("insert", "off")
    assert await store.count(THINGS) == 0
    await keep(store, thing("a0"))


async def test_reads_are_tried_again(faulty: str, fail: Fail, opened: Opened) -> None:
    """A connection that breaks under a read is not noticed."""
    store = await opened(faulty)
    await keep(store, thing("a", name="x"))
    fail("find", 1, closeConnection=True)
    assert (await read(store, "a"))["name"] == "x"
    fail("find", 1, closeConnection=True)
    assert len((await store.query(Query(THINGS))).records) == 1
    fail("aggregate", 1, closeConnection=True)
    assert await store.count(THINGS, Compare("name", "eq", "x")) == 1


async def test_a_snapshot_from_before_a_collection_is_taken_again(faulty: str, fail: Fail, opened: Opened) -> None:
    """MongoDB may choose a moment before an index that was just made: another is taken, and what broke is told."""
    store = await opened(faulty)
    await keep(store, thing("a"))
    snapshot = MongoSnapshot(faulty)
    try:
        fail("find", 3, errorCode=246, namespace=f"faulty.{THINGS}")
        assert await snapshot.open()
        assert [record.id for record in await snapshot.scan(THINGS)] == ["a"]
        fail("find", 1, errorCode=246)
        with pytest.raises(PulpoError, match=r"PULPO507.*made or dropped while") as told:
            await snapshot.scan(THINGS)
        assert "try again" in (told.value.hint or "")
        fail("find", 1, errorCode=239)
        with pytest.raises(PulpoError, match=r"PULPO507.*five minutes"):
            await snapshot.scan(THINGS)
    finally:
        await snapshot.close()


async def test_a_snapshot_that_never_fits_is_given_up(
    faulty: str, fail: Fail, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where collections keep changing, who wants to read hears of it."""
    await opened(faulty)
    monkeypatch.setattr(mongo_upkeep, "PATIENCE", 0.3)
    snapshot = MongoSnapshot(faulty)
    fail("find", "alwaysOn", errorCode=246, namespace=f"faulty.{THINGS}")
    try:
        with pytest.raises(PulpoError, match=r"PULPO507.*made or dropped while"):
            await snapshot.open()
    finally:
        await snapshot.close()


async def test_a_cursor_of_another_database_has_expired(faulty: str, opened: Opened, fail: Fail) -> None:
    """PULPO509 for a time that this database has not come to, and for one before it was made."""
    del fail
    store = await opened(faulty)
    now = int((await store.last_event())[:8], 16)
    for moment in (now + 3600, now - 3600):
        with pytest.raises(PulpoError, match="PULPO509"):
            await store.events(f"{moment:08x}00000001-0")


async def test_followers_do_not_notice_a_broken_stream(faulty: str, fail: Fail, opened: Opened) -> None:
    """Every event arrives once and in order while the stream's commands fail."""
    store = await opened(faulty)
    found: list[int] = []
    done = asyncio.Event()

    async def follow(after: str) -> None:
        async for event in store.follow(after):
            found.append(event.data["number"])
            if len(found) == 30:
                done.set()

    task = asyncio.create_task(follow(await store.last_event()))
    for number in range(30):
        if number % 10 == 5:
            fail("getMore", 2, closeConnection=True)
        await store.commit(Batch((thing(f"a{number}"),), ({"type": "t", "number": number},)))
    async with asyncio.timeout(20):
        await done.wait()
    assert found == list(range(30))
    task.cancel()


async def test_a_look_at_the_events_comes_to_their_end(faulty: str, fail: Fail, opened: Opened) -> None:
    """Also where the connection breaks on the way, once and again."""
    store = await opened(faulty)
    start = await store.last_event()
    for number in range(110):  # more than come with the stream's first answer
        await store.commit(Batch((thing(f"a{number}"),), ({"type": "t", "number": number},)))
    for times in (1, 2):
        fail("getMore", times, closeConnection=True)
        found = await store.events(start)
        fail("getMore", "off")
        assert [event.data["number"] for event in found] == list(range(110))


HOLDER = """
import sys
from pymongo import MongoClient
client = MongoClient(sys.argv[1], appName="pulpo/faulty")
session = client.start_session()
session.start_transaction()
client.get_default_database()["things"].update_one({"_id": "a"}, {"$inc": {"held": 1}}, session=session)
print("held", flush=True)
sys.stdin.read()
"""


async def test_a_killed_process_keeps_nobody_from_its_documents(faulty: str, opened: Opened, fail: Fail) -> None:
    """Its transaction is ended by whoever wants to write them, long before the server would."""
    del fail  # drops the database
    store = await opened(faulty)
    await keep(store, thing("a", stock=0))
    pipe = asyncio.subprocess.PIPE
    holder = await asyncio.create_subprocess_exec(sys.executable, "-c", HOLDER, faulty, stdin=pipe, stdout=pipe)
    assert holder.stdout is not None
    assert await holder.stdout.readline() == b"held\n"
    holder.kill()
    await holder.wait()
    began = time.monotonic()
    assert await store.commit(Batch((Update(THINGS, "a", add={"stock": 1}),))) == (2,)
    assert time.monotonic() - began < 4


class Members:
    """A replica set of three."""

    def __init__(self, folder: Path) -> None:
        self.servers = [mongod.start(folder / f"member{n}", oplog_mb=200) for n in range(3)]
        self.ports = tuple(server.port for server in self.servers)
        mongod.initiate(self.ports)
        self.url = mongod.address(self.ports, "failover")

    def kill_primary(self) -> int:
        """SIGKILL; which one it was."""
        with MongoClient(self.url) as client:
            primary = client.admin.command("hello")["primary"]
        place = self.ports.index(int(primary.rpartition(":")[2]))
        self.servers[place].process.send_signal(signal.SIGKILL)
        self.servers[place].process.wait()
        return place

    def restart(self, place: int) -> None:
        """Have a killed member come back."""
        self.servers[place] = mongod.start(self.servers[place].folder, port=self.ports[place], oplog_mb=200)

    def stop(self) -> None:
        """All of them; asked to end, one whose peers are gone waits for them first."""
        for server in self.servers:
            server.stop(patience=0.0)


@contextmanager
def replica_set(folder: Path) -> Iterator[Members]:
    members = Members(folder)
    try:
        yield members
    finally:
        members.stop()


class Awaited(list[int]):
    """A list whose length can be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self._grown = asyncio.Event()

    def append(self, number: int) -> None:
        super().append(number)
        self._grown.set()

    async def reaches(self, length: int, patience: float) -> None:
        async with asyncio.timeout(patience):
            while len(self) < length:
                self._grown.clear()
                await self._grown.wait()


async def test_nothing_acknowledged_is_lost_with_a_primary(tmp_path: Path, opened: Opened) -> None:
    """Primaries are killed one after another under load: each acknowledged batch is there once, its event too."""
    with replica_set(tmp_path) as members:
        store = await opened(members.url)
        follower = await opened(members.url)
        await keep(store, thing("counter", stock=0))
        acknowledged, told = Awaited(), Awaited()
        longest = 0.0
        stop = asyncio.Event()

        async def follow(after: str) -> None:
            async for event in follower.follow(after):
                told.append(event.data["number"])

        async def write(lane: int) -> None:
            nonlocal longest
            number = lane
            while not stop.is_set():
                began = time.monotonic()
                writes = (Update(THINGS, "counter", add={"stock": 1}), thing(f"n{number}"))
                await store.commit(Batch(writes, ({"type": "t", "number": number},)))
                assert await store.get(THINGS, f"n{number}") is not None, "a new primary did not know it"
                longest = max(longest, time.monotonic() - began)
                acknowledged.append(number)
                number += 8

        start = await store.last_event()
        following = asyncio.create_task(follow(start))
        writers = [asyncio.create_task(write(lane)) for lane in range(8)]
        for _ in range(2):
            await acknowledged.reaches(len(acknowledged) + 200, 30)
            killed = await asyncio.to_thread(members.kill_primary)
            await acknowledged.reaches(len(acknowledged) + 50, 30)
            await asyncio.to_thread(members.restart, killed)
        stop.set()
        await asyncio.gather(*writers)
        assert longest < 15
        assert (await read(store, "counter"))["stock"] == len(acknowledged)
        there = await store.get_many(THINGS, tuple(f"n{number}" for number in acknowledged))
        assert len(there) == len(acknowledged)
        assert await store.count(THINGS) == len(acknowledged) + 1
        await told.reaches(len(acknowledged), 20)
        assert sorted(told) == sorted(acknowledged)
        assert [event.data["number"] for event in await store.events(start, limit=1_000_000)] == told
        following.cancel()


@pytest.mark.parametrize(
    ("batch", "code"),
    [
        pytest.param(Batch((Update(THINGS, "a", where=Compare("stock", "gt", 0), add={"stock": -1}),)), "PULPO503"),
        pytest.param(Batch((thing("a"),)), "PULPO501"),
    ],
)
async def test_a_refusal_waits_until_a_majority_follows(
    tmp_path: Path, opened: Opened, batch: Batch, code: str
) -> None:
    """A primary that nobody follows any more may have been deposed: what it says of a document is no reason yet."""
    with replica_set(tmp_path) as members:
        store = await opened(members.url)
        await keep(store, thing("a", stock=0))
        with MongoClient(members.url) as client:
            primary = int(client.admin.command("hello")["primary"].rpartition(":")[2])
        others = [server.process for server in members.servers if server.port != primary]
        for process in others:
            process.suspend()
        try:
            task = asyncio.create_task(store.commit(batch))
            done, _ = await asyncio.wait([task], timeout=1.5)
            assert not done
        finally:
            for process in others:
                process.resume()
        with pytest.raises(PulpoError, match=code):
            await task


async def test_a_commit_whose_majority_is_gone_is_not_waited_for_endlessly(tmp_path: Path, opened: Opened) -> None:
    """Nobody can tell whether it will stand: PULPO507 after the patience says so, and when to come back."""
    with replica_set(tmp_path) as members:
        store = await opened(members.url, patience=1.0)
        await keep(store, thing("a", stock=0))
        with MongoClient(members.url) as client:
            primary = int(client.admin.command("hello")["primary"].rpartition(":")[2])
        others = [server.process for server in members.servers if server.port != primary]
        for process in others:
            process.suspend()
        try:
            async with asyncio.timeout(30):
                with pytest.raises(Unreachable, match=r"the outcome is unknown|nothing of this was kept"):
                    await store.commit(Batch((Update(THINGS, "a", add={"stock": 1}),)))
        finally:
            for process in others:
                process.resume()


async def test_a_group_that_finds_nobody_is_given_up_together(faulty: str, fail: Fail, opened: Opened) -> None:
    """Not one by one, each after the patience of its own; PULPO507 says when to come back."""
    store = await opened(faulty, patience=1.0)
    await keep(store, thing("first"))
    fail("insert", "alwaysOn", closeConnection=True)
    began = time.monotonic()
    results = await asyncio.gather(*(store.commit(Batch((thing(f"a{n}"),))) for n in range(8)), return_exceptions=True)
    took = time.monotonic() - began
    fail("insert", "off")
    assert {getattr(result, "code", None) for result in results} == {"PULPO507"}
    assert all(isinstance(result, PulpoError) and result.headers == {"Retry-After": "1"} for result in results)
    assert took < 6
    assert await store.count(THINGS) == 1


async def test_a_store_is_opened_across_a_failover(faulty: str, fail: Fail, opened: Opened) -> None:
    """What is lost on the way is done again."""
    fail("createIndexes", 2, errorCode=10107)
    store = await opened(faulty)
    await keep(store, thing("a"))
    fail("find", 4, closeConnection=True)
    again = await opened(faulty)
    assert (await read(again, "a"))["version"] == 1


async def test_events_are_read_across_a_failover(faulty: str, fail: Fail, opened: Opened) -> None:
    """A look at the log's bounds is repeated, and who follows from an older cursor waits for the server."""
    store = await opened(faulty)
    start = await store.last_event()
    await store.commit(Batch((thing("a"),), ({"type": "t", "number": 1},)))
    fail("find", 1, closeConnection=True)
    assert [event.data["number"] for event in await store.events(start)] == [1]
    fail("find", 6, closeConnection=True)
    async with asyncio.timeout(20):
        async for event in store.follow(start):
            assert event.data["number"] == 1
            break


async def test_who_stops_waiting_does_not_disturb_the_driver(faulty: str, fail: Fail, opened: Opened) -> None:
    """A read whose caller is cancelled goes to its end: the driver would break other calls while it has no primary."""
    store = await opened(faulty)
    await keep(store, thing("a"))
    reads: list[Callable[[], Any]] = [
        lambda: store.query(Query(THINGS, limit=1)),
        lambda: store.count(THINGS),
        lambda: store.get_many(THINGS, ("a", "b")),
        lambda: store.aggregate(Aggregate(THINGS, by=(GroupBy("name"),))),
        lambda: store.events(None),
        store.last_event,
    ]
    for command in ("find", "aggregate"):
        fail(command, "alwaysOn", blockConnection=True, blockTimeMS=500)
        for each in reads:
            left = mongo_calls.left()
            try:
                async with asyncio.timeout(0.1):
                    await each()
            except TimeoutError:
                assert mongo_calls.left() == left + 1
        fail(command, "off")
    async with asyncio.timeout(10):
        while mongo_calls.left():
            await read(store, "a")
