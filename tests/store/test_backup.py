"""Backups: one state of a database in a file, restored whole or not at all."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import stat
from pathlib import Path

import pytest

from pulpo.errors import PulpoError
from pulpo.store import archive
from pulpo.store.archive import Archive
from pulpo.store.connect import connect
from pulpo.store.port import Batch, Insert, Record, Store, Update
from pulpo.store.transfer import transfer
from pulpo.testing.conformance.data import COLLECTIONS, NOTES, THINGS, text, thing
from pulpo.testing.conformance.upkeep import record
from tests.store.test_transfer import DiedError, dies_after, documents, fill, some, source, target

GZIP = b"\x1f\x8b\x08"


@pytest.fixture
def here(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/here.db"


@pytest.fixture
def there(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/there.db"


async def backed_up(url: str, file: Path) -> Archive:
    """A backup of a database, verified."""
    async with source(url) as origin:
        written = await archive.write(origin, file, version="1")
    found = Archive(file)
    assert found.verify() == written.sums
    return found


class Trade:
    """Moves stock from things to what was sold, a piece in each commit, without end."""

    GOODS, PIECES = 1500, 5

    def __init__(self, store: Store) -> None:
        self._store = store
        self.moves = 0
        self._moved = asyncio.Condition()

    async def open(self) -> None:
        goods = (thing(f"t{n:04}", stock=self.PIECES, name="x" * 400) for n in range(self.GOODS))
        await self._store.commit(Batch((*goods, Insert(NOTES, "sold", text("sold", stock=0)))))

    async def go_on(self) -> None:
        while True:
            taken = Update(THINGS, f"t{self.moves * 7919 % self.GOODS:04}", add={"stock": -1})
            await self._store.commit(Batch((taken, Update(NOTES, "sold", add={"stock": 1}))))
            async with self._moved:
                self.moves += 1
                self._moved.notify_all()

    async def more(self, count: int) -> None:
        """Wait for so many moves from now on."""
        goal = self.moves + count
        async with asyncio.timeout(30), self._moved:
            await self._moved.wait_for(lambda: self.moves >= goal)


async def test_a_backup_holds_everything(here: str, there: str, tmp_path: Path) -> None:
    """What is restored from it is what was there; only its owner may read it; it is whole or not there."""
    await fill(here, *some(1200), old=Record("o", 3, '{"id":"o",\n"version":3,"collection":"x","a":1.50}'))
    file = tmp_path / "b.backup"
    old_mask = os.umask(0)
    try:
        found = await backed_up(here, file)
    finally:
        os.umask(old_mask)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    done = await transfer(found, target(there))
    assert (done.state, done.sums) == ("filled", found.verify())
    before, after = await documents(here), await documents(there)
    assert after[THINGS] == before[THINGS]
    assert json.loads(after["old"][0].json) == json.loads(before["old"][0].json)
    assert (await transfer(found, target(there))).state == "already"


async def test_a_restore_that_died_goes_on(
    here: str, there: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the same backup; another one is refused."""
    await fill(here, *some(1200))
    one = await backed_up(here, tmp_path / "one")
    await fill(here, record("later"))
    two = await backed_up(here, tmp_path / "two")
    with monkeypatch.context() as patched:
        dies_after(3, patched)
        with pytest.raises(DiedError):
            await transfer(one, target(there))
    with pytest.raises(PulpoError, match="PULPO515"):
        await transfer(two, target(there))
    assert (await transfer(one, target(there))).state == "resumed"
    assert len((await documents(there))[THINGS]) == 1200


async def test_a_file_that_is_there_is_kept(here: str, tmp_path: Path) -> None:
    """PULPO518, unless it may be replaced."""
    await fill(here, *some(3))
    file = tmp_path / "b"
    file.write_text("mine")
    async with source(here) as origin:
        with pytest.raises(PulpoError, match="PULPO518"):
            await archive.write(origin, file, version="1")
        assert file.read_text() == "mine"
        await archive.write(origin, file, version="1", force=True)
    assert Archive(file).verify()[THINGS].count == 3
    async with source(here) as origin:
        with pytest.raises(PulpoError, match=r"PULPO518.*cannot be written"):
            await archive.write(origin, tmp_path / "no" / "folder", version="1")


async def test_a_backup_of_a_busy_database_is_one_state(here: str, there: str, tmp_path: Path) -> None:
    """Money that is moved between two collections in single commits is never there twice, nor missing."""
    store = connect(here, Path("/"))
    await store.open(COLLECTIONS)
    trade = Trade(store)
    await trade.open()
    trading = asyncio.create_task(trade.go_on())
    sold: list[int] = []
    for number in range(4):
        begun = trade.moves
        await trade.more(20)
        async with source(here) as origin:
            await trade.more(20)  # what comes after the snapshot was taken is not in it
            await archive.write(origin, tmp_path / f"b{number}", version="1")
        found = Archive(tmp_path / f"b{number}")
        found.verify()
        await transfer(found, target(there), force=True)
        kept = await documents(there)
        (note,) = kept[NOTES]
        sold.append(json.loads(note.json)["stock"])
        left = sum(json.loads(one.json)["stock"] for one in kept[THINGS])
        assert left + sold[-1] == trade.GOODS * trade.PIECES
        assert begun <= sold[-1] <= trade.moves - 20
    trading.cancel()
    await asyncio.gather(trading, return_exceptions=True)
    await store.close()
    assert sold == sorted(set(sold))


class TestDamage:
    @pytest.fixture
    def file(self, here: str, tmp_path: Path) -> Path:
        """A sound backup."""

        async def make() -> None:
            await fill(here, *some(700), more=record("m", name="secret"))
            await backed_up(here, tmp_path / "b")

        asyncio.run(make())
        return tmp_path / "b"

    @staticmethod
    def refused(file: Path) -> str:
        with pytest.raises(PulpoError, match="PULPO518") as failure:
            Archive(file).verify()
        return failure.value.detail

    def test_every_cut_is_noticed(self, file: Path) -> None:
        """Wherever the file ends too early, between two of its parts as well."""
        whole = file.read_bytes()
        ends = [place for place in range(len(whole)) if whole[place : place + 3] == GZIP]
        assert len(ends) >= 4
        for end in {*ends, *range(0, len(whole), max(1, len(whole) // 40)), len(whole) - 1}:
            file.write_bytes(whole[:end])
            self.refused(file)
        file.write_bytes(whole)
        Archive(file).verify()

    def test_every_changed_byte_is_noticed(self, file: Path) -> None:
        """But for those of a part's head that mean nothing (its time, its system)."""
        whole = file.read_bytes()
        heads = [place for place in range(len(whole)) if whole[place : place + 3] == GZIP]
        free = {head + offset for head in heads for offset in range(4, 10)}
        for place in range(0, len(whole), max(1, len(whole) // 150)):
            if place in free:
                continue
            file.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
            self.refused(file)

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            (b'"name":"secret"', b'"name":"public"'),
            (b'{"collection": "more"}', b'{"collection": "most"}'),
            (b'"t00003"', b'"t00004"'),
            (b'"things": 700', b'"things": 699'),
        ],
    )
    def test_a_change_by_hand_is_noticed(self, file: Path, old: bytes, new: bytes) -> None:
        """Also where the file was packed anew, so that every part of it is sound."""
        lines = gzip.decompress(file.read_bytes())
        assert old in lines
        file.write_bytes(gzip.compress(lines.replace(old, new, 1)))
        assert "damaged" in self.refused(file)

    def test_what_is_no_backup_is_said(self, file: Path, tmp_path: Path) -> None:
        """Another file, another packed file, a folder, nothing, and what a newer Pulpo wrote."""
        lines = gzip.decompress(file.read_bytes()).replace(b'"format": 1', b'"format": 2')
        cases: dict[str, bytes] = {
            "text": b"hello",
            "empty": b"",
            "packed": gzip.compress(b"hello"),
            "list": gzip.compress(b"[1]\n"),
            "json": gzip.compress(b'{"a": 1}\n'),
            "newer": gzip.compress(lines),
        }
        for name, data in cases.items():
            (tmp_path / name).write_bytes(data)
            told = self.refused(tmp_path / name)
            assert ("newer" in told) == (name == "newer")
        (tmp_path / "folder").mkdir()
        assert "cannot be read" in self.refused(tmp_path / "folder")
        assert "cannot be read" in self.refused(tmp_path / "nothing")
