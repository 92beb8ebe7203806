"""What the tools of `pulpo db` stand on: snapshots, and databases filled with documents written elsewhere."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from pulpo.errors import PulpoError
from pulpo.model.conditions import Compare
from pulpo.store import places
from pulpo.store.connect import connect
from pulpo.store.port import Batch, Collection, Column, Delete, Index, Insert, Query, Record, Store, UniqueTaken
from pulpo.store.upkeep import Change, Loader, Snapshot
from pulpo.testing.conformance.data import COLLECTIONS, NOTES, THINGS, Opener, keep, read, replaced, text, thing

HERE = Path.cwd()


@asynccontextmanager
async def looking(url: str) -> AsyncIterator[Snapshot]:
    """A snapshot of a database that is there."""
    snapshot = places.snapshot(url, HERE)
    assert await snapshot.open()
    yield snapshot
    await snapshot.close()


@asynccontextmanager
async def filling(url: str, collections: tuple[Collection, ...] = COLLECTIONS) -> AsyncIterator[Loader]:
    """A loader on a database."""
    loader = places.loader(url, HERE)
    await loader.open(collections)
    yield loader
    await loader.close()


async def declared(url: str, *collections: Collection) -> None:
    """Open a database once with these collections."""
    store = connect(url, HERE)
    await store.open(collections)
    await store.close()


def record(id: str, version: int = 1, **fields: object) -> Record:
    """A thing as a record."""
    return Record(id, version, text(id, version, **fields))


class Upkeep:
    """What `Snapshot` and `Loader` promise."""

    async def test_looking_makes_no_database(self, url: str) -> None:
        """There is nothing, and there still is nothing afterwards."""
        for _ in range(2):
            snapshot = places.snapshot(url, HERE)
            assert not await snapshot.open()
            await snapshot.close()

    async def test_a_snapshot_stays_as_it_was(self, store: Store, url: str) -> None:
        """Inserts, changes and deletes of others are not seen, in no collection; the next snapshot sees them."""
        await keep(store, thing("a", name="x"), thing("b"), Insert(NOTES, "n", text("n", text="old")))
        async with looking(url) as snapshot:
            before = await snapshot.scan(THINGS)
            await store.commit(Batch((thing("c"), replaced("a", 1, name="y"), Delete(THINGS, "b"))))
            await store.commit(Batch((Insert(NOTES, "m", text("m")),)))
            assert await snapshot.scan(THINGS) == before == (record("a", name="x"), record("b"))
            assert [one.id for one in await snapshot.scan(NOTES)] == ["n"]
            counts = await snapshot.counts()
            assert (counts[THINGS], counts[NOTES]) == (2, 1)
        async with looking(url) as snapshot:
            assert await snapshot.scan(THINGS) == (record("a", 2, name="y"), record("c"))
            counts = await snapshot.counts()
            assert (counts[THINGS], counts[NOTES]) == (2, 2)

    async def test_a_scan_goes_by_id(self, store: Store, url: str) -> None:
        """By code points, from after an id, so many, and fewer where they are long, but never none before the end."""
        ids = ["10", "2", "A", "a", "a.b", "a_b", "ab", "\u00e9", "\u4e2d", "\U0001f419"]
        await keep(store, *(thing(id, name="x" * 100) for id in reversed(ids)))
        async with looking(url) as snapshot:
            assert [one.id for one in await snapshot.scan(THINGS)] == ids
            for limit, size in ((3, 10**6), (100, 1), (100, 250)):
                found: list[str] = []
                after = None
                while page := await snapshot.scan(THINGS, after, limit, size):
                    assert len(page) <= limit
                    assert size > 1 or len(page) == 1
                    found += [one.id for one in page]
                    after = page[-1].id
                assert found == ids
            assert await snapshot.scan("nothing") == ()

    async def test_a_scan_gives_texts_as_they_were_written(self, store: Store, url: str) -> None:
        """To the last digit and escape."""
        written = '{"id": "a",  "version":1,"price":19.90,"name":"\\u00e9\\u0000/\\/","weight":1e2,"x":[ 1.0, -0.0]}'
        await keep(store, Insert(THINGS, "a", written))
        async with looking(url) as snapshot:
            assert await snapshot.scan(THINGS) == (Record("a", 1, written),)

    async def test_values_are_tallied(self, store: Store, url: str) -> None:
        """How many documents have each value; those without one are left out."""
        await keep(store, *(thing(f"t{n}", shelf="ab"[n % 2], place=n) for n in range(5)), thing("none"))
        async with looking(url) as snapshot:
            assert await snapshot.tally(THINGS, "shelf") == {"a": 3, "b": 2}
            assert await snapshot.tally("nothing", "shelf") == {}

    async def test_facts_are_told(self, store: Store, url: str) -> None:
        """A size in bytes, and of how many commits events are kept."""
        for number in range(3):
            await store.commit(Batch((thing(f"a{number}"),), ({"type": "t"}, {"type": "u"})))
        await store.commit(Batch((thing("b"),)))
        async with looking(url) as snapshot:
            facts = await snapshot.facts()
        assert facts.size > 0
        assert facts.events == 3

    async def test_loaded_documents_are_like_any_other(self, opened: Opener, url: str) -> None:
        """At their own version, found by their columns, held by unique indexes, and told by no event."""
        async with filling(url) as loader:
            await loader.load(
                THINGS,
                (
                    record("a", 7, sku="s", price=19.90, parts=[{"code": "x", "cost": 0.1}]),
                    record("b", 2, stock=None, made_at="2025-10-30T09:15:00.123Z"),
                ),
            )
            await loader.load(THINGS, ())
        store = await opened(url)
        assert await store.get(THINGS, "a") == record("a", 7, sku="s", price=19.90, parts=[{"code": "x", "cost": 0.1}])
        assert await store.events(None) == ()
        assert await store.count(THINGS, Compare("price", "eq", "19.9")) == 1
        assert await store.count(THINGS, Compare("parts.cost", "eq", "0.10")) == 1
        assert await store.count(THINGS, Compare("made_at", "lt", "2025-10-30T09:15:00.124Z")) == 1
        with pytest.raises(UniqueTaken):
            await keep(store, thing("c", sku="s"))
        assert await store.commit(Batch((replaced("a", 7, name="x"),))) == (8,)
        page = await store.query(Query(THINGS, sort=(("version", True),)))
        assert [(one.id, one.version) for one in page.records] == [("a", 8), ("b", 2)]

    async def test_loading_replaces_what_is_there(self, store: Store, url: str) -> None:
        """The whole document, at a higher version or a lower one; the rest stays."""
        await store.commit(Batch((thing("a", name="x", sku="s"), thing("b"))))
        await store.commit(Batch((replaced("a", 1, name="y", sku="s"),)))
        async with filling(url) as loader:
            await loader.load(THINGS, (record("a", 1, stock=3), record("c", 9, sku="s")))
            await loader.load(THINGS, (record("c", 9, sku="t"), record("d", sku="u")))
            await loader.load(THINGS, (record("c", 9, sku="u"), record("d", 2, sku="t")))
        assert await read(store, "a") == {"id": "a", "version": 1, "stock": 3}
        assert await store.count(THINGS, Compare("name", "eq", "y")) == 0
        assert await store.count(THINGS, Compare("sku", "in", ("s", "t", "u"))) == 2
        assert await store.count(THINGS) == 4

    async def test_a_load_is_all_or_nothing(self, store: Store, url: str) -> None:
        """PULPO504 names place and fields of the document that breaks a unique index; none of the others is there."""
        await keep(store, thing("a", shelf="x", place=1))
        async with filling(url) as loader:
            with pytest.raises(UniqueTaken) as failure:
                await loader.load(THINGS, (record("b"), record("c", shelf="x", place=1), record("d")))
            assert (failure.value.index, failure.value.fields) == (1, ("shelf", "place"))
            await loader.load(THINGS, (record("e"),))
        assert await store.count(THINGS) == 2

    async def test_many_documents_are_loaded_at_once(self, store: Store, url: str) -> None:
        """Two thousand, and a text of a megabyte."""
        async with filling(url) as loader:
            await loader.load(THINGS, tuple(record(f"m{n:05}", n + 1, stock=n) for n in range(2000)))
            await loader.load(THINGS, (record("z", name="x" * 1_000_000),))
            assert await loader.last_id(THINGS) == "z"
        assert await store.count(THINGS, Compare("stock", "gte", 1000)) == 1000
        async with looking(url) as snapshot:
            assert (await snapshot.counts())[THINGS] == 2001

    async def test_the_last_id_is_known(self, url: str) -> None:
        """The greatest by code points; None for what is empty or not there."""
        async with filling(url) as loader:
            assert await loader.last_id(THINGS) is None
            assert await loader.last_id("nothing") is None
            await loader.load(THINGS, tuple(record(id) for id in ("b", "\u00e9", "Z", "a")))
            assert await loader.last_id(THINGS) == "\u00e9"

    async def test_a_cleared_collection_is_empty(self, store: Store, url: str) -> None:
        """It can be filled again and goes on as before; one that nobody declares is gone."""
        await keep(store, thing("a", sku="s"), Insert(NOTES, "n", text("n")))
        async with filling(url, (*COLLECTIONS, Collection("old"))) as loader:
            await loader.load("old", (record("o"),))
        newest = await store.last_event()
        async with filling(url) as loader:
            await loader.clear(THINGS)
            await loader.clear("old")
            await loader.clear("nothing")
            await loader.load(THINGS, (record("b", sku="s"),))
        async with looking(url) as snapshot:
            counts = await snapshot.counts()
        assert "old" not in counts
        assert (counts[THINGS], counts[NOTES]) == (1, 1)
        assert await store.events(newest) == ()
        with pytest.raises(UniqueTaken):
            await keep(store, thing("c", sku="s"))

    async def test_forgotten_events_expire_their_cursors(self, opened: Opener, url: str) -> None:
        """Every cursor given before, the newest too; what comes then is told, under cursors that work."""
        store = await opened(url)
        for number in range(5):
            await store.commit(Batch((thing(f"a{number}"),), ({"type": "t", "number": number},)))
        first, *_, last = [event.cursor for event in await store.events(None)]
        await store.close()
        async with filling(url) as loader:
            await loader.forget_events()
        store = await opened(url)
        for cursor in (first, last):
            with pytest.raises(PulpoError, match="PULPO509"):
                await store.events(cursor)
        newest = await store.last_event()
        assert await store.events(newest) == await store.events(None) == ()
        for number in range(10):
            await store.commit(Batch((thing(f"b{number}"),), ({"type": "t", "number": number},)))
        assert [event.data["number"] for event in await store.events(newest)] == list(range(10))
        for cursor in (first, last):
            with pytest.raises(PulpoError, match="PULPO509"):
                await store.events(cursor)

    async def test_what_a_start_would_change_is_told(self, url: str) -> None:
        """New collections, columns and indexes, a rename, and what nothing declares any more; nothing is changed."""
        sku, size = Column("sku", "text"), Column("size", "integer")
        old = Collection("goods", (sku, size, Column("price", "money"), Column("made_by", "text")), (Index(("size",)),))
        await declared(url, old, Collection("left"), Collection("empty"))
        async with filling(url, (old, Collection("left"))) as loader:
            await loader.load("left", (record("l"),))
            await loader.load("goods", (record("g", price=1, made_by="me"),))
        new = (
            Collection(
                "goods",
                (
                    sku,
                    Column("size", "text"),
                    Column("weight", "number"),
                    Column("maker", "text", renamed_from="made_by"),
                ),
                (Index(("sku",), unique=True),),
            ),
            Collection("more"),
        )
        for _ in range(2):
            async with looking(url) as snapshot:
                assert await snapshot.pending((old, Collection("left"), Collection("empty"))) == ()
                found = await snapshot.pending(new)
            assert Change("rename", "goods", "field maker, renamed from made_by", "maker", "made_by") in found
            told = {(one.effect, one.collection) for one in found}
            assert told == {
                ("additive", "goods"), ("rename", "goods"), ("loss", "goods"), ("additive", "more"), ("loss", "left"),
            }  # fmt: skip
            texts = [one.what for one in found]
            for part in ("weight", "sku (unique)", "price", "maker"):
                assert any(part in each for each in texts), part
        await declared(url, *new)
        async with looking(url) as snapshot:
            left = await snapshot.pending(new)
            (goods,) = await snapshot.scan("goods")
        assert [(one.effect, one.collection) for one in left] == [("loss", "left")]
        assert json.loads(goods.json) == {"id": "g", "version": 2, "price": 1, "maker": "me"}
