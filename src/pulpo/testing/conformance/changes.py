"""Updates in place, uniqueness and races of one process."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from pulpo.model.conditions import All, Compare, Condition, Not, Some
from pulpo.store.port import Batch, GuardFailed, Replace, Require, StaleVersion, Store, UniqueTaken, Update
from pulpo.testing.conformance.data import THINGS, Opener, keep, read, replaced, text, thing


class Changes:
    """What guards, versions and unique indexes promise to those who write at once."""

    async def test_an_update_changes_only_what_it_names(self, store: Store) -> None:
        """Every JSON value can be set, integers added to, null and missing count as 0, the rest stays."""
        await keep(store, thing("a", name="n", stock=None, price=19.99, maker={"city": "Ulm"}, updated_at="before"))
        values = {
            "flag": True,
            "no": False,
            "nothing": None,
            "count": 3,
            "huge": 2**70,
            "share": 0.1,
            "word": 'a"\\\u0000é',
            "list": [1, {"b": None}],
            "map": {"c": [True]},
        }
        update = Update(THINGS, "a", set=values, add={"stock": 2, "fresh": -1}, at="2025-10-30T09:15:00.123Z")
        assert await store.commit(Batch((update,))) == (2,)
        assert await read(store, "a") == {
            "id": "a",
            "version": 2,
            "name": "n",
            "stock": 2,
            "price": 19.99,
            "maker": {"city": "Ulm"},
            "updated_at": "2025-10-30T09:15:00.123Z",
            "fresh": -1,
            **values,
        }

    async def test_an_update_keeps_the_text_of_numbers(self, store: Store) -> None:
        """An amount is the same digits before and after: 19.99 does not become 19.989999999999998."""
        await keep(store, thing("a", price=19.99, parts=[{"code": "x", "cost": 0.07}], weight=1e-7))
        for _ in range(3):
            await store.commit(Batch((Update(THINGS, "a", add={"stock": 1}),)))
        record = await store.get(THINGS, "a")
        assert record is not None
        kept = json.loads(record.json, parse_float=str)
        assert (kept["price"], kept["parts"][0]["cost"]) == ("19.99", "0.07")
        assert float(kept["weight"]) == 1e-7

    @pytest.mark.parametrize(
        ("guard", "holds"),
        [
            (Compare("price", "gte", Decimal("19.99")), True),
            (Compare("price", "lt", Decimal("19.99")), False),
            (Compare("made_at", "lt", datetime(2025, 1, 2, tzinfo=UTC)), True),
            (Compare("maker.city", "eq", "Ulm"), True),
            (Compare("parts.code", "eq", "y"), True),
            (Not(Compare("parts.code", "eq", "y")), False),
            (All((Compare("stock", "gte", 2), Some((Compare("name", "eq", None), Compare("stock", "eq", 0))))), True),
            (Compare("version", "eq", 1), True),
        ],
    )
    async def test_guards_are_conditions_like_any(self, store: Store, guard: Condition, holds: bool) -> None:
        """An update is applied exactly where its guard holds."""
        parts = [{"code": "x"}, {"code": "y"}]
        moment = "2025-01-01T00:00:00.000Z"
        await keep(store, thing("a", price=19.99, stock=2, made_at=moment, maker={"city": "Ulm"}, parts=parts))
        commit = store.commit(Batch((Update(THINGS, "a", where=guard, add={"stock": 1}),)))
        if holds:
            assert await commit == (2,)
        else:
            with pytest.raises(GuardFailed, match="PULPO503"):
                await commit
        assert (await read(store, "a"))["stock"] == (3 if holds else 2)

    async def test_guarded_updates_never_oversell(self, store: Store, opened: Opener, url: str) -> None:
        """Of 60 takers of 2 pieces at two connections exactly as many win as 25 pieces allow."""
        await keep(store, thing("a", stock=25))
        other = await opened(url)
        take = Batch((Update(THINGS, "a", where=Compare("stock", "gte", 2), add={"stock": -2}),))
        results = await asyncio.gather(*((store, other)[n % 2].commit(take) for n in range(60)), return_exceptions=True)
        assert sorted(result[0] for result in results if isinstance(result, tuple)) == list(range(2, 14))
        assert sum(isinstance(result, GuardFailed) for result in results) == 48
        assert (await read(store, "a"))["stock"] == 1

    async def test_of_two_replaces_from_one_version_one_lands(self, store: Store, opened: Opener, url: str) -> None:
        """The other is refused as stale, wherever it comes from."""
        await keep(store, thing("a"))
        other = await opened(url)
        for version in range(1, 6):
            results = await asyncio.gather(
                store.commit(Batch((replaced("a", version, name="one"),))),
                other.commit(Batch((replaced("a", version, name="two"),))),
                return_exceptions=True,
            )
            assert sorted(type(result).__name__ for result in results) == ["StaleVersion", "tuple"]
            winner = "one" if isinstance(results[0], tuple) else "two"
            assert await read(store, "a") == {"id": "a", "version": version + 1, "name": winner}

    async def test_a_stale_fence_lands_nothing(self, store: Store) -> None:
        """Once a fence's value has changed, a batch that is guarded by the old one leaves nothing at all."""
        await keep(store, thing("fence", name="token-1"))
        guarded = Update(THINGS, "fence", where=Compare("name", "eq", "token-1"))
        assert await store.commit(Batch((guarded, thing("a")))) == (2, 1)
        await store.commit(Batch((Update(THINGS, "fence", set={"name": "token-2"}),)))
        with pytest.raises(GuardFailed):
            await store.commit(Batch((thing("b"), guarded), ({"type": "late"},)))
        assert await read(store, "b") is None

    async def test_require_prevents_write_skew(self, store: Store, opened: Opener, url: str) -> None:
        """Two that each read both documents and change one of them: only one lands, if they require what they read."""
        other = await opened(url)
        for number in range(10):
            left, right = f"left{number}", f"right{number}"
            await keep(store, thing(left, active=True), thing(right, active=True))
            results = await asyncio.gather(
                store.commit(Batch((Require(THINGS, right, 1), replaced(left, 1, active=False)))),
                other.commit(Batch((Require(THINGS, left, 1), replaced(right, 1, active=False)))),
                return_exceptions=True,
            )
            assert sorted(type(result).__name__ for result in results) == ["StaleVersion", "tuple"]
            assert [(await read(store, id))["active"] for id in (left, right)].count(True) == 1

    async def test_a_unique_value_has_one_owner(self, store: Store, opened: Opener, url: str) -> None:
        """Of 30 inserts at two connections one wins; the others name the field."""
        other = await opened(url)
        results = await asyncio.gather(
            *((store, other)[n % 2].commit(Batch((thing(f"a{n}", sku="s"),))) for n in range(30)),
            return_exceptions=True,
        )
        refused = [result for result in results if isinstance(result, UniqueTaken)]
        assert len(refused) == 29
        assert {error.fields for error in refused} == {("sku",)}
        assert await store.count(THINGS, Compare("sku", "eq", "s")) == 1

    async def test_a_unique_value_can_be_taken_by_change_and_freed(self, store: Store) -> None:
        """Update and replace are held to it as well; a deleted document's value is free again."""
        await keep(store, thing("a", sku="s"), thing("b", sku="t"))
        for write in (Update(THINGS, "b", set={"sku": "s"}), replaced("b", 1, sku="s")):
            with pytest.raises(UniqueTaken):
                await store.commit(Batch((write,)))
        await store.commit(Batch((Update(THINGS, "a", set={"sku": None}), Update(THINGS, "b", set={"sku": "s"}))))
        assert (await read(store, "b"))["sku"] == "s"

    async def test_a_value_is_taken_until_the_write_that_frees_it(self, store: Store) -> None:
        """Also where the document that has it was required before."""
        await keep(store, thing("a", sku="x"), thing("b", sku="y"))
        writes = (Require(THINGS, "a", 1), replaced("b", 1, sku="x"), replaced("a", 1, sku="z"))
        with pytest.raises(UniqueTaken) as failure:
            await store.commit(Batch(writes))
        assert failure.value.index == 1
        await store.commit(Batch((Require(THINGS, "a", 1), replaced("a", 1, sku="z"), replaced("b", 1, sku="x"))))
        assert [(await read(store, id))["sku"] for id in ("a", "b")] == ["z", "x"]

    async def test_several_fields_are_unique_together(self, store: Store) -> None:
        """Only where all are the same; a document where one is null or missing is not held to it."""
        places = {"a": ("A", 1), "b": ("A", 2), "c": ("B", 1)}
        await keep(store, *(thing(id, shelf=shelf, place=place) for id, (shelf, place) in places.items()))
        with pytest.raises(UniqueTaken) as failure:
            await store.commit(Batch((thing("d", shelf="A", place=1),)))
        assert failure.value.fields == ("shelf", "place")
        await keep(store, thing("e", shelf="A", place=None), thing("f", shelf="A"), thing("g"), thing("h", sku=None))

    async def test_a_replace_gives_the_whole_document(self, store: Store) -> None:
        """Fields that the new text does not have are gone, and the version in it is the document's."""
        await keep(store, thing("a", name="x", stock=3))
        await store.commit(Batch((Replace(THINGS, "a", 1, text("a", 2, name="y")),)))
        assert await store.get_json(THINGS, "a") == (text("a", 2, name="y").encode(), 2)
        with pytest.raises(StaleVersion, match="PULPO502"):
            await store.commit(Batch((Replace(THINGS, "a", 1, text("a", 2)),)))
