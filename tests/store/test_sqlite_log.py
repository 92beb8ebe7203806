"""How long SQLite's log gets beside steady writing."""

import asyncio
import logging
from pathlib import Path
from typing import Any

import apsw
import pytest

from pulpo.store import sqlite_log
from pulpo.store.port import Batch
from pulpo.store.sqlite import SqliteStore
from pulpo.testing.conformance.data import COLLECTIONS, THINGS, thing

PAGE = 4096


@pytest.fixture
async def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """One whose log is to be copied every 50 pages, and by a commit from 200 on."""
    monkeypatch.setattr(sqlite_log, "LOG_PAGES", 50)
    monkeypatch.setattr(sqlite_log, "MOST", 200)
    store = SqliteStore(tmp_path / "data.db")
    await store.open(COLLECTIONS)
    yield store
    await store.close()


async def fill(store: SqliteStore, name: str, count: int = 150) -> list[int]:
    """Commit documents of 10 kB, one after another; how long the log's file was after each."""
    file, sizes = store.path.with_name("data.db-wal"), []
    for number in range(count):
        await store.commit(Batch((thing(f"{name}{number}", name="x" * 10_000),)))
        sizes.append(file.stat().st_size)
    return sizes


async def test_the_log_stays_short(store: SqliteStore) -> None:
    """It does not grow with what is written, 3 pages and more a commit, and all is in the database."""
    sizes = await fill(store, "a", 700)
    assert max(sizes) < 1000 * PAGE
    await store.close()
    assert not store.path.with_name("data.db-wal").exists()
    assert apsw.Connection(str(store.path)).execute(f'SELECT count(*) FROM "{THINGS}"').get == 700


async def test_a_log_that_cannot_be_copied_keeps_what_was_committed(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Commits go on, the log says why it grows, and it is copied as soon as that works."""

    class Broken:
        def wal_checkpoint(self, *_: Any) -> None:
            raise apsw.FullError("no room")

    copy = sqlite_log.LogCopies._copy
    with monkeypatch.context() as full, caplog.at_level(logging.WARNING, "pulpo.store"):
        full.setattr(sqlite_log.LogCopies, "_copy", lambda self, _, name: copy(self, Broken(), name))  # type: ignore[arg-type]
        grown = await fill(store, "a")
    assert "no room" in caplog.text
    assert max(grown) > 450 * PAGE
    assert await store.count(THINGS) == 150
    await fill(store, "b")
    await asyncio.gather(*(store.commit(Batch((thing(f"c{number}"),))) for number in range(5)))
    assert await store.count(THINGS) == 305
