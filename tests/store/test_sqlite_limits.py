"""The SQLite adapter where something is short: room, the lock, time, sense."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import apsw
import pytest

from pulpo.errors import PulpoError
from pulpo.model.conditions import Compare
from pulpo.store import sqlite_reader
from pulpo.store.port import Batch, Insert, NoRoom, Query, Update
from pulpo.store.sqlite import SqliteStore
from pulpo.store.sqlite_file import make_ours
from pulpo.store.sqlite_reader import Reader
from pulpo.testing.conformance.data import COLLECTIONS, THINGS, keep, thing

_COUNTED = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n != {}) SELECT max(n) FROM c"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(tmp_path / "data.db", patience=0.3, keep_events=40)
    await store.open(COLLECTIONS)
    yield store
    await store.close()


class TestRoom:
    async def test_a_full_database_keeps_what_it_acknowledged(self, store: SqliteStore) -> None:
        """PULPO505 for what does not fit, all of it; reads go on; with room again commits work without a reopening."""
        db = store._writer.db
        db.pragma("max_page_count", db.pragma("page_count") + 20)
        kept: list[str] = []

        async def fill() -> None:
            for number in range(100):
                await keep(store, thing(f"a{number}", name="x" * 3000), thing(f"b{number}", name="x" * 3000))
                kept.extend((f"a{number}", f"b{number}"))

        with pytest.raises(NoRoom, match="PULPO505"):
            await fill()
        assert kept
        page = await store.query(Query(THINGS, limit=1000))
        assert sorted(record.id for record in page.records) == sorted(kept)
        with pytest.raises(NoRoom):
            await keep(store, thing("large", name="x" * 30_000))
        db.pragma("max_page_count", 100_000)
        await keep(store, thing("large", name="x" * 30_000))

    async def test_a_small_batch_lands_beside_one_that_does_not_fit(self, store: SqliteStore) -> None:
        """A group that meets a full disk is tried batch by batch: only the large one is refused."""
        db = store._writer.db
        db.pragma("max_page_count", db.pragma("page_count") + 8)
        batches = [Batch((thing(f"s{n}"),), ({"type": "s", "n": n},)) for n in range(6)]
        batches.insert(3, Batch((thing("large", name="x" * 100_000),)))
        results = await asyncio.gather(*(store.commit(batch) for batch in batches), return_exceptions=True)
        assert [type(result) for result in results] == [tuple] * 3 + [NoRoom] + [tuple] * 3
        assert await store.count(THINGS) == 6
        assert [event.data["n"] for event in await store.events(None)] == list(range(6))

    def test_a_full_disk_is_survived(self, tmp_path: Path) -> None:
        """The write that fails may be the log's, at COMMIT: nothing acknowledged is lost, nothing refused is there."""
        script = Path(__file__).with_name("full_disk.py")
        done = subprocess.run(
            [sys.executable, script, tmp_path / "data.db"], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.stdout == "refused, kept, recovered\n", done.stderr


class TestLock:
    async def test_waiting_for_another_process_does_not_block_the_loop(
        self, store: SqliteStore, tmp_path: Path
    ) -> None:
        """Reads are answered while a commit waits for the lock; it lands when the lock is free."""
        other = apsw.Connection(str(tmp_path / "data.db"))
        other.execute("BEGIN IMMEDIATE")
        waiting = [asyncio.create_task(store.commit(Batch((thing(f"a{n}"),)))) for n in range(3)]
        for _ in range(20):
            started = asyncio.get_running_loop().time()
            await asyncio.sleep(0)
            assert await store.get(THINGS, "a0") is None
            assert asyncio.get_running_loop().time() - started < 0.1
        assert not any(task.done() for task in waiting)
        other.execute("ROLLBACK")
        assert await asyncio.gather(*waiting) == [(1,)] * 3
        other.close()

    async def test_the_wait_is_bounded(self, store: SqliteStore, tmp_path: Path) -> None:
        """PULPO507 for those that waited; afterwards commits work again."""
        other = apsw.Connection(str(tmp_path / "data.db"))
        other.execute("BEGIN IMMEDIATE")
        results = await asyncio.gather(
            *(store.commit(Batch((thing(f"a{n}"),))) for n in range(3)), return_exceptions=True
        )
        assert [getattr(result, "code", None) for result in results] == ["PULPO507"] * 3
        other.execute("ROLLBACK")
        other.close()
        await keep(store, thing("a0"))
        assert await store.count(THINGS) == 1


def _endless(db: apsw.Connection) -> object:
    return db.execute(_COUNTED.format(-1)).get


def _some_milliseconds(db: apsw.Connection) -> object:
    return db.execute(_COUNTED.format(300_000)).get


class TestReads:
    async def test_a_long_read_is_finished_in_a_thread(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """It answers the same as one that fits the loop's budget, and the loop's connection stays usable."""
        monkeypatch.setattr(sqlite_reader, "STEPS", 100)
        monkeypatch.setattr(sqlite_reader, "BUDGET", 0.0)
        store = SqliteStore(tmp_path / "data.db")
        await store.open(COLLECTIONS)
        await keep(store, *(thing(f"a{n:04}", name=f"n{n}") for n in range(2000)))
        asked: list[str] = []
        condition = Compare("name", "contains", "99")
        assert await store.count(THINGS, condition) == 38
        for db in store._reader.free:
            db.exec_trace = lambda cursor, sql, args: asked.append(sql) or True
        page = await store.query(Query(THINGS, condition, limit=100))
        assert len(page.records) == 38
        body = await store.query_json(Query(THINGS, (condition), limit=10))
        again = await store.query_json(Query(THINGS, condition, limit=100, after=body.cursor))
        assert body.body.count(b'"id"') + again.body.count(b'"id"') == 38
        assert len(asked) >= 3
        for number in range(100):  # a statement kept for long is looked at in any of its runs, its COMMIT too
            await store.query_json(Query(THINGS, limit=1, offset=number % 3))
            await keep(store, thing(f"b{number}"))
            assert await store.get(THINGS, f"b{number}") is not None
        assert await store.get(THINGS, "a0001") is not None
        await store.close()

    async def test_long_reads_do_not_wait_for_each_other(self, tmp_path: Path) -> None:
        """One that never ends lets another one by, and ends at its limit."""
        path = tmp_path / "data.db"
        make_ours(path)
        reader = Reader(path, timeout=3.0)
        endless = asyncio.create_task(reader.read(_endless))
        assert await reader.read(_some_milliseconds) == 300_000
        assert not endless.done()
        with pytest.raises(PulpoError, match="PULPO512"):
            await endless
        await reader.close()

    async def test_reads_that_wait_for_a_thread_are_given_up_too(self, tmp_path: Path) -> None:
        """However many there are, each has the same limit from when it was asked; those that nobody waits for end."""
        path = tmp_path / "data.db"
        make_ours(path)
        reader = Reader(path, timeout=0.3)
        asked = await asyncio.gather(*(reader.read(_endless) for _ in range(20)), return_exceptions=True)
        assert [getattr(each, "code", each) for each in asked] == ["PULPO512"] * 20
        await reader.close()

        reader = Reader(path, timeout=3600.0)
        left = [asyncio.create_task(reader.read(_endless)) for _ in range(8)]
        await asyncio.wait(left, timeout=0.1)
        for task in left:
            task.cancel()
        await asyncio.wait(left)
        assert await reader.read(_some_milliseconds) == 300_000
        await reader.close()

    async def test_events_are_pruned_as_they_come(self, store: SqliteStore) -> None:
        """Little more than the newest are kept."""
        for number in range(200):
            await store.commit(Batch((), ({"type": "t", "number": number},)))
        kept = [event.data["number"] for event in await store.events(None)]
        assert kept[-40:] == list(range(160, 200))
        assert len(kept) <= 50


class TestSense:
    async def test_a_text_that_is_no_json_fails_alone(self, store: SqliteStore) -> None:
        """A programming error reaches its own caller and nobody else in the group."""
        batches = [Batch((thing("a"),)), Batch((thing("b"), Insert(THINGS, "c", "{"))), Batch((thing("d"),))]
        results = await asyncio.gather(*(store.commit(batch) for batch in batches), return_exceptions=True)
        assert isinstance(results[1], apsw.SQLError)
        assert [results[0], results[2]] == [(1,), (1,)]
        page = await store.query(Query(THINGS))
        assert [record.id for record in page.records] == ["a", "d"]

    async def test_an_update_cannot_set_what_is_the_stores(self, store: SqliteStore) -> None:
        """Neither id nor version, nor a value that JSON has not."""
        await keep(store, thing("a"))
        for values, text in (({"id": "b"}, "neither"), ({"version": 7}, "neither"), ({"weight": float("nan")}, "JSON")):
            with pytest.raises(ValueError, match=text):
                await store.commit(Batch((Update(THINGS, "a", set=values),)))

    async def test_an_undeclared_collection_is_named(self, store: SqliteStore) -> None:
        """KeyError with its name."""
        with pytest.raises(KeyError, match="nothing"):
            await store.get("nothing", "a")

    async def test_events_that_cannot_be_told_fail_before_anything_is_written(self, store: SqliteStore) -> None:
        """The batch is refused where it is handed over."""
        with pytest.raises(ValueError, match="serialize"):
            await store.commit(Batch((thing("a"),), ({"type": object()},)))
        with pytest.raises(PulpoError, match="PULPO603"):
            await store.commit(Batch((thing("a"), thing("b")), ())) and await store.count(THINGS, Compare("x", "eq", 1))
