"""Documents carried from one database to another: all of them, once, and checked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from pulpo.errors import PulpoError
from pulpo.model.conditions import Compare
from pulpo.store import places
from pulpo.store.connect import connect
from pulpo.store.port import Batch, Collection, Delete, Insert, Record, UniqueTaken, Update
from pulpo.store.transfer import Progress, SnapshotSource, Target, Transferred, sums_of, transfer, unfinished
from pulpo.store.upkeep import Loader
from pulpo.testing.conformance.data import COLLECTIONS, THINGS, replaced, text, thing
from pulpo.testing.conformance.upkeep import filling, looking, record

LEASES = Collection("_workers")


@pytest.fixture(params=["sqlite to sqlite", "sqlite to mongodb", "mongodb to sqlite"])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str]:
    """The addresses of two databases that are not there yet."""
    first, _, second = request.param.partition(" to ")

    def address(kind: str, name: str) -> str:
        if kind == "sqlite":
            return f"sqlite:///{tmp_path}/{name}.db"
        return str(request.getfixturevalue("mongodb_url")())

    return address(first, "here"), address(second, "there")


@pytest.fixture
def here(pair: tuple[str, str]) -> str:
    return pair[0]


@pytest.fixture
def there(pair: tuple[str, str]) -> str:
    return pair[1]


def some(count: int, first: int = 0) -> tuple[Record, ...]:
    return tuple(
        record(f"t{n:05}", n % 7 + 1, sku=f"s{n}", price=n / 4, name="x" * (n % 50))
        for n in range(first, first + count)
    )


async def fill(url: str, *records: Record, **more: Record) -> None:
    """Give a database things, and records of other collections."""
    async with filling(url, (*COLLECTIONS, LEASES, *(Collection(name) for name in more))) as loader:
        await loader.load(THINGS, records)
        for name, one in more.items():
            await loader.load(name, (one,))


@asynccontextmanager
async def source(url: str) -> AsyncIterator[SnapshotSource]:
    async with looking(url) as snapshot:
        yield SnapshotSource(snapshot, places.shown(url, Path("/")), await snapshot.counts())


def target(url: str) -> Target:
    return Target(url, Path("/"), COLLECTIONS)


async def carry(here: str, there: str, *, force: bool = False, tell: Any = lambda _: None) -> Transferred:
    async with source(here) as origin:
        return await transfer(origin, target(there), force=force, tell=tell)


async def documents(url: str) -> dict[str, list[Record]]:
    """All that is carried over, and all texts as they are."""
    async with source(url) as found:
        return {
            name: [one async for batch in found.batches(name) for one in batch]
            for name, count in found.counts.items()
            if count
        }


class DiedError(Exception):
    """The copying process is gone."""


Load = Callable[[str, tuple[Record, ...]], Awaitable[None]]


def loads_by(load: Callable[[Load, str, tuple[Record, ...]], Awaitable[None]], patch: pytest.MonkeyPatch) -> None:
    """Have every loader load by this, which is given the loader's own way."""
    loader = places.loader

    def made(url: str, root: Path) -> Loader:
        one = loader(url, root)
        own = one.load
        patch.setattr(one, "load", lambda collection, records: load(own, collection, records))
        return one

    patch.setattr(places, "loader", made)


def dies_after(number: int, patch: pytest.MonkeyPatch) -> None:
    """Let the process die instead of its n-th load."""
    left = number

    async def counted(load: Load, collection: str, records: tuple[Record, ...]) -> None:
        nonlocal left
        left -= 1
        if not left:
            raise DiedError
        await load(collection, records)

    loads_by(counted, patch)


async def carry_and_die(here: str, there: str, loads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy that dies instead of its n-th load."""
    with monkeypatch.context() as patched:
        dies_after(loads, patched)
        with pytest.raises(DiedError):
            await carry(here, there)


async def test_everything_is_carried_over(here: str, there: str) -> None:
    """Texts, ids and versions of every collection, those of no model too; not the leases; counts and sums agree."""
    await fill(here, *some(1300), old_things=record("o", 4), _runs=record("r"), _workers=record("w"))
    seen: list[Progress] = []
    done = await carry(here, there, tell=seen.append)
    assert (done.state, done.written, done.documents) == ("filled", 1302, 1302)
    assert await documents(there) == await documents(here)
    async with looking(there) as snapshot:
        counts = await snapshot.counts()
        assert await unfinished(snapshot) is None
        assert done.sums == await sums_of(SnapshotSource(snapshot, "", counts))
    assert counts.get("_workers", 0) == 0
    assert [(one.work, one.done) for one in seen if one.collection == THINGS] == [
        (work, number) for work in ("copying", "verifying") for number in (502, 1002, 1302)
    ]
    assert all(one.total == 1302 for one in seen)


async def test_a_filled_database_is_like_any_other(here: str, there: str) -> None:
    """Columns, unique indexes and versions hold, and a client's old event cursor is expired."""
    store = connect(here, Path("/"))
    await store.open(COLLECTIONS)
    await store.commit(Batch((thing("a", sku="s", price=1.5),), ({"type": "t"},)))
    cursor = await store.last_event()
    await store.close()
    await carry(here, there)
    store = connect(there, Path("/"))
    await store.open(COLLECTIONS)
    assert await store.count(THINGS, Compare("price", "eq", "1.50")) == 1
    with pytest.raises(UniqueTaken):
        await store.commit(Batch((thing("b", sku="s"),)))
    assert await store.commit(Batch((replaced("a", 1),), ({"type": "t"},))) == (2,)
    with pytest.raises(PulpoError, match=r"PULPO509|PULPO603"):  # of another kind of database it is no cursor at all
        await store.events(cursor)
    await store.close()


@pytest.mark.parametrize("loads", [1, 2, 3, 5, 6])
async def test_an_interrupted_copy_goes_on(here: str, there: str, monkeypatch: pytest.MonkeyPatch, loads: int) -> None:
    """Wherever it died; only the rest is written, and another run finds all of it there."""
    await fill(here, *some(1700), more=record("m"))
    await carry_and_die(here, there, loads, monkeypatch)
    done = await carry(here, there)
    already = max(0, loads - 2)  # the first load tells of the copy itself
    assert done.state == ("filled" if loads == 1 else "resumed")
    assert done.written <= 1701 - 500 * max(0, already - 1)
    assert await documents(there) == await documents(here)
    again = await carry(here, there)
    assert (again.state, again.written) == ("already", 0)
    assert {name: each for name, each in again.sums.items() if each.count} == {
        name: each for name, each in done.sums.items() if each.count
    }


async def test_a_source_that_changed_in_between_is_carried_anew(
    here: str, there: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is there already is from an older state: changed, deleted, its unique value another's now."""
    await fill(here, *some(1200), more=record("m"))
    await carry_and_die(here, there, 5, monkeypatch)
    store = connect(here, Path("/"))
    await store.open(COLLECTIONS)
    await store.commit(
        Batch(
            (
                Update(THINGS, "t00001", set={"name": "changed", "sku": "free"}),
                Delete(THINGS, "t00002"),
                Insert(THINGS, "t99999", text("t99999", sku="s1")),
                Insert(THINGS, "a", text("a")),
            )
        )
    )
    await store.close()
    done = await carry(here, there)
    assert done.state == "resumed"
    assert await documents(there) == await documents(here)


async def test_documents_that_are_there_are_left_alone(here: str, there: str, tmp_path: Path) -> None:
    """PULPO515 names them, also for a part of another copy and for a copy that lived on; --force takes them away."""
    await fill(here, *some(3))
    await fill(there, record("mine"), left=record("l"))
    before = await documents(there)
    with pytest.raises(PulpoError, match=r"PULPO515.*1 in left, 1 in things"):
        await carry(here, there)
    assert await documents(there) == before
    assert (await carry(here, there, force=True)).state == "filled"
    assert await documents(there) == await documents(here)
    await fill(there, record("later"))
    with pytest.raises(PulpoError, match=r"PULPO515.*have gone apart"):
        await carry(here, there)
    third = f"sqlite:///{tmp_path}/third.db"
    await fill(third, *some(2))
    with pytest.raises(PulpoError, match=r"PULPO515.*holds documents"):
        await carry(third, there)


async def test_a_part_of_another_copy_is_not_taken_for_its_own(
    here: str, there: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PULPO515 says whose it is; --force begins anew."""
    await fill(here, *some(900))
    third = f"sqlite:///{tmp_path}/third.db"
    await fill(third, *some(5))
    await carry_and_die(here, there, 3, monkeypatch)
    with pytest.raises(PulpoError, match=f"PULPO515.*a part of a copy from {places.shown(here, Path('/'))}"):
        await carry(third, there)
    await carry(third, there, force=True)
    assert await documents(there) == await documents(third)


async def test_a_database_that_was_only_opened_counts_as_empty(here: str, there: str) -> None:
    """Its plans are those of the source afterwards."""
    await fill(here, *some(3), _plans=record("p1"))
    await fill(there, _plans=record("p2"), _workers=record("w"))
    await carry(here, there)
    assert [one.id for one in (await documents(there))["_plans"]] == ["p1"]


async def test_a_difference_is_found(here: str, there: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """PULPO517 names the collection; the copy counts as unfinished."""
    await fill(here, *some(10))

    async def forgets(load: Load, collection: str, records: tuple[Record, ...]) -> None:
        await load(collection, records[1:] if collection == THINGS else records)

    loads_by(forgets, monkeypatch)
    with pytest.raises(PulpoError, match=r"PULPO517.*things has 10 documents .* and 9 "):
        await carry(here, there)
    async with looking(there) as snapshot:
        assert await unfinished(snapshot) == places.shown(here, Path("/"))


async def test_a_unique_value_that_two_documents_have_is_named(here: str, there: str) -> None:
    """PULPO504 where the target's declaration is stricter than the source was."""
    async with filling(here, (Collection(THINGS),)) as loader:
        await loader.load(THINGS, (record("a", sku="s"), record("b", sku="s")))
    with pytest.raises(UniqueTaken, match="sku"):
        await carry(here, there)
