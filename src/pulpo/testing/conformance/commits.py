"""One way to write: versions, all or nothing, refusals, groups."""

from __future__ import annotations

import asyncio
import json

import pytest

from pulpo.model.conditions import Compare
from pulpo.store.port import (
    Batch,
    Delete,
    DuplicateId,
    GuardFailed,
    Insert,
    Require,
    StaleVersion,
    Store,
    UniqueTaken,
    Update,
    Write,
    WriteFailed,
)
from pulpo.testing.conformance.data import NOTES, THINGS, Opener, keep, read, replaced, text, thing


class Commits:
    """What `commit` promises."""

    async def test_each_write_answers_its_new_version(self, store: Store) -> None:
        """Insert 1, replace and update one more, require the version itself, delete 0."""
        assert await store.commit(Batch((thing("a"), thing("b")))) == (1, 1)
        writes = (replaced("a", 1), Update(THINGS, "a", set={"name": "x"}), Require(THINGS, "b", 1))
        assert await store.commit(Batch(writes)) == (2, 3, 1)
        assert await store.commit(Batch((Delete(THINGS, "a", 3), Delete(THINGS, "b")))) == (0, 0)
        assert await store.commit(Batch(())) == ()

    async def test_a_document_reads_as_it_was_written(self, store: Store) -> None:
        """Its text, id and version, one by one, many at once and as bytes; what is not there is left out."""
        await keep(store, thing("a", name="é\u0000\U0001d11e", weight=1.5), thing("b"))
        record = await store.get(THINGS, "a")
        assert record is not None
        assert (record.id, record.version) == ("a", 1)
        assert json.loads(record.json) == {"id": "a", "version": 1, "name": "é\u0000\U0001d11e", "weight": 1.5}
        assert await store.get_json(THINGS, "a") == (record.json.encode(), 1)
        found = await store.get_many(THINGS, ("b", "nothing", "a"))
        assert {one.id for one in found} == {"a", "b"}
        assert record in found
        each = await store.get_each({THINGS: ("a", "b", "nothing"), NOTES: ("a",)})
        assert (set(each[THINGS]), each[NOTES]) == (set(found), ())
        assert await store.get_each({}) == {}
        assert await store.get_many(THINGS, ()) == ()
        assert await store.get(THINGS, "nothing") is None
        assert await store.get_json(THINGS, "nothing") is None

    async def test_collections_do_not_share_ids(self, store: Store) -> None:
        """The same id in two collections names two documents, also within one batch."""
        await store.commit(Batch((thing("a", name="thing"), Insert(NOTES, "a", text("a", text="note")))))
        note = await store.get(NOTES, "a")
        assert note is not None
        assert json.loads(note.json)["text"] == "note"
        assert (await read(store, "a"))["name"] == "thing"

    @pytest.mark.parametrize(
        ("write", "error", "missing"),
        [
            pytest.param(thing("a"), DuplicateId, False, id="insert-of-an-id-that-is-there"),
            pytest.param(replaced("a", 2), StaleVersion, False, id="replace-at-another-version"),
            pytest.param(replaced("nothing", 1), StaleVersion, True, id="replace-of-nothing"),
            pytest.param(Delete(THINGS, "a", 7), StaleVersion, False, id="delete-at-another-version"),
            pytest.param(Delete(THINGS, "nothing"), StaleVersion, True, id="delete-of-nothing"),
            pytest.param(Require(THINGS, "a", 2), StaleVersion, False, id="require-of-another-version"),
            pytest.param(Require(THINGS, "nothing", 1), StaleVersion, True, id="require-of-nothing"),
            pytest.param(Update(THINGS, "nothing", set={"name": "x"}), GuardFailed, True, id="update-of-nothing"),
            pytest.param(
                Update(THINGS, "a", version=2, set={"name": "x"}), StaleVersion, False, id="update-at-version"
            ),
            pytest.param(
                Update(THINGS, "a", where=Compare("stock", "gt", 5), set={"name": "x"}),
                GuardFailed,
                False,
                id="update-whose-guard-does-not-hold",
            ),
            pytest.param(thing("c", sku="s"), UniqueTaken, False, id="insert-of-a-taken-value"),
        ],
    )
    async def test_a_refused_write_leaves_nothing_of_its_batch(
        self, store: Store, write: Write, error: type[WriteFailed], missing: bool
    ) -> None:
        """The first reason why, with the write's place; neither writes before it nor after it, nor events, remain."""
        await keep(store, thing("a", sku="s", stock=5))
        newest = await store.last_event()
        with pytest.raises(error) as failure:
            await store.commit(Batch((thing("before"), write, thing("after")), ({"type": "x"},)))
        assert type(failure.value) is error
        assert failure.value.index == 1
        assert failure.value.missing is missing
        assert await read(store, "a") == {"id": "a", "version": 1, "sku": "s", "stock": 5}
        assert await store.count(THINGS) == 1
        assert await store.events(newest) == ()

    async def test_a_failing_batch_does_not_disturb_its_group(self, store: Store) -> None:
        """Of batches that are committed at the same time each fails alone, and the others are there."""
        await keep(store, thing("counter", stock=0), thing("taken", sku="s"))

        def batch(number: int) -> Batch:
            writes: list[Write] = [thing(f"n{number}"), Update(THINGS, "counter", add={"stock": 1})]
            if number % 4 == 1:
                writes.append(thing(f"m{number}", sku="s"))
            if number % 4 == 2:
                writes.append(Require(THINGS, "taken", 9))
            if number % 4 == 3:
                writes.append(Update(THINGS, "counter", where=Compare("stock", "lt", 0)))
            return Batch(tuple(writes), ({"type": "n", "number": number},))

        newest = await store.last_event()
        results = await asyncio.gather(*(store.commit(batch(n)) for n in range(40)), return_exceptions=True)
        landed = [n for n, result in enumerate(results) if isinstance(result, tuple)]
        assert landed == list(range(0, 40, 4))
        assert {type(result) for result in results} == {tuple, UniqueTaken, StaleVersion, GuardFailed}
        assert {record.id for record in await store.get_many(THINGS, tuple(f"n{n}" for n in range(40)))} == {
            f"n{n}" for n in landed
        }
        assert (await read(store, "counter"))["stock"] == len(landed)
        assert [event.data["number"] for event in await store.events(newest)] == landed

    async def test_batches_are_applied_in_the_order_submitted(self, store: Store) -> None:
        """One after another: versions rise in order and the last set stays."""
        await keep(store, thing("a"))
        updates = (store.commit(Batch((Update(THINGS, "a", set={"name": str(n)}),))) for n in range(50))
        assert await asyncio.gather(*updates) == [(n + 2,) for n in range(50)]
        assert (await read(store, "a"))["name"] == "49"

    async def test_writes_of_a_batch_see_each_other(self, store: Store) -> None:
        """A document can be inserted, changed and freed of its unique value within one batch."""
        await keep(store, thing("old", sku="s"))
        writes = (
            Delete(THINGS, "old"),
            thing("new", sku="s", stock=1),
            Update(THINGS, "new", where=Compare("stock", "eq", 1), add={"stock": 4}),
            Require(THINGS, "new", 2),
        )
        assert await store.commit(Batch(writes)) == (0, 1, 2, 2)
        assert (await read(store, "new"))["stock"] == 5

    async def test_another_connection_sees_what_a_commit_wrote(self, store: Store, opened: Opener, url: str) -> None:
        """As soon as the commit has returned, and the other way round."""
        other = await opened(url)
        for number in range(10):
            await keep(store, thing(f"a{number}"))
            assert await other.get(THINGS, f"a{number}") is not None
            await other.commit(Batch((Update(THINGS, f"a{number}", set={"name": "x"}),)))
            assert (await read(store, f"a{number}"))["name"] == "x"

    async def test_a_cancelled_caller_does_not_lose_its_batch(self, store: Store) -> None:
        """A batch that was handed over is applied, and its neighbours get their answers."""
        tasks = [asyncio.create_task(store.commit(Batch((thing(f"a{n}"),)))) for n in range(9)]
        await asyncio.sleep(0)
        for task in tasks[::3]:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [isinstance(result, asyncio.CancelledError) for result in results] == [n % 3 == 0 for n in range(9)]
        await keep(store, thing("last"))
        assert await store.count(THINGS) == 10

    async def test_close_waits_for_what_was_handed_over(self, store: Store, opened: Opener, url: str) -> None:
        """Commits under way when the store is closed are durable and answered; closing again does nothing."""
        tasks = [asyncio.create_task(store.commit(Batch((thing(f"a{n}"),)))) for n in range(20)]
        await asyncio.sleep(0)
        await store.close()
        assert [await task for task in tasks] == [(1,)] * 20
        await store.close()
        assert await (await opened(url)).count(THINGS) == 20
