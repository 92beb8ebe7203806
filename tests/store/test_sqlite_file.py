"""Which files the SQLite adapter takes for its own, and how documents lie in them."""

import asyncio
import hashlib
import sqlite3
from pathlib import Path

import apsw
import pytest

from pulpo.errors import PulpoError
from pulpo.model.conditions import Compare
from pulpo.store.connect import connect
from pulpo.store.port import Batch, Query, Store
from pulpo.store.sqlite import SqliteStore
from pulpo.store.sqlite_file import APPLICATION_ID, require_sound_sqlite
from pulpo.store.sqlite_query import statements
from pulpo.testing.conformance.data import COLLECTIONS, THINGS, thing
from pulpo.testing.conformance.processes import rival


def foreign_database(path: Path, application_id: int = 0, mode: str = "delete") -> None:
    db = apsw.Connection(str(path))
    db.pragma("application_id", application_id)
    db.execute("CREATE TABLE t(x); INSERT INTO t VALUES(1)")
    db.pragma("journal_mode", mode)
    db.close()


def newer_database(path: Path) -> None:
    foreign_database(path, APPLICATION_ID)
    db = apsw.Connection(str(path))
    db.pragma("user_version", 99)
    db.close()


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(foreign_database, id="another-database"),
        pytest.param(lambda path: foreign_database(path, mode="wal"), id="another-database-in-wal"),
        pytest.param(lambda path: foreign_database(path, 4711), id="an-application-of-another-id"),
        pytest.param(newer_database, id="a-newer-pulpo"),
        pytest.param(lambda path: path.write_text("dear diary\n" * 500), id="a-text"),
        pytest.param(lambda path: path.write_bytes(b"x"), id="one-byte"),
    ],
)
async def test_a_file_that_is_not_ours_is_refused_untouched(tmp_path: Path, make) -> None:
    """PULPO506, and its bytes are as before."""
    path = tmp_path / "data.db"
    make(path)
    before = hashlib.sha256(path.read_bytes()).digest()
    with pytest.raises(PulpoError, match="PULPO506"):
        await SqliteStore(path).open(COLLECTIONS)
    assert hashlib.sha256(path.read_bytes()).digest() == before


async def test_a_folder_is_no_database(tmp_path: Path) -> None:
    """PULPO506 for a folder in the file's place, PULPO507 where the folder cannot be made."""
    with pytest.raises(PulpoError, match="PULPO506"):
        await SqliteStore(tmp_path).open(COLLECTIONS)
    (tmp_path / "file").write_text("")
    with pytest.raises(PulpoError, match="PULPO507"):
        await SqliteStore(tmp_path / "file" / "data.db").open(COLLECTIONS)


async def test_an_empty_file_becomes_ours(tmp_path: Path) -> None:
    """It is marked, in WAL mode, and every commit waits for the disk."""
    path = tmp_path / "data.db"
    path.write_bytes(b"")
    store = SqliteStore(path)
    await store.open(COLLECTIONS)
    db = store._writer.db
    assert [db.pragma(name) for name in ("application_id", "journal_mode", "synchronous")] == [APPLICATION_ID, "wal", 2]
    await store.close()
    await SqliteStore(path).open(())


@pytest.mark.parametrize(("version", "sound"), [("3.51.2", False), ("3.9.0", False), ("3.51.3", True), ("4.0.0", True)])
def test_an_old_sqlite_is_refused(version: str, sound: bool) -> None:
    """Anything before 3.51.3 can lose a write-ahead log."""
    if sound:
        require_sound_sqlite(version)
    else:
        with pytest.raises(PulpoError, match=r"PULPO507  SQLite 3\.51\.3"):
            require_sound_sqlite(version)


async def test_processes_that_create_one_file_at_once_agree(tmp_path: Path) -> None:
    """All of them find or make the same tables, and can write."""
    url = f"sqlite:///{tmp_path}/data.db"
    processes = await asyncio.gather(*(rival(url, "claim", f"p{n}", "3") for n in range(4)))
    answers = await asyncio.gather(*(process.communicate(b"\n") for process in processes))
    assert sum(int(answer[0]) for answer in answers) == 3


async def test_documents_are_readable_with_plain_sql(tmp_path: Path) -> None:
    """Scalar fields are columns; money also as minor units, an integer."""
    store = SqliteStore(tmp_path / "data.db")
    await store.open(COLLECTIONS)
    await store.commit(Batch((thing("a", name="x", stock=3, active=True, price=19.99),)))
    await store.close()
    db = sqlite3.connect(tmp_path / "data.db")
    row = db.execute("SELECT id, version, name, stock, active, price, price_minor FROM things").fetchone()
    db.close()
    assert row == ("a", 1, "x", 3, 1, 19.99, 1999)


@pytest.mark.parametrize(
    "sort",
    [(("stock", False),), (("stock", True),), (("price", True),), (("made_at", True),), (("name", False),)],
)
async def test_every_page_is_a_search_in_an_index(tmp_path: Path, sort: tuple[tuple[str, bool], ...]) -> None:
    """A late page costs what the first one does: no scan and no sort of the whole table."""
    store = SqliteStore(tmp_path / "data.db")
    await store.open(COLLECTIONS)
    await store.commit(
        Batch(tuple(thing(f"t{n}", stock=n, price=n, name=str(n), made_at=f"2025-01-0{n}") for n in range(1, 9)))
    )
    first = await store.query(Query(THINGS, sort=sort, limit=3))
    wanted = statements(store._tables[THINGS], Query(THINGS, sort=sort, limit=3, after=first.cursor))
    for segment in wanted.segments:
        sql = "EXPLAIN QUERY PLAN " + segment.rows
        details = [row[3] for row in store._reader.db.execute(sql, (*segment.args, 4, 0))]
        assert details[0].startswith("SEARCH things USING INDEX")
        if sort[0][0] != "name":  # its index has another field before the id, so that ties are sorted, and only they
            assert len(details) == 1
    await store.close()


async def test_what_has_an_entry_is_looked_up(tmp_path: Path) -> None:
    """A list that is indexed is not read through, however the documents are sorted."""
    store = SqliteStore(tmp_path / "data.db")
    await store.open(COLLECTIONS)
    for condition in (Compare("tags", "eq", "x"), Compare("tags", "in", ("x", "y"))):
        wanted = statements(store._tables[THINGS], Query(THINGS, condition, (("id", True),)))
        for segment in wanted.segments:
            sql = "EXPLAIN QUERY PLAN " + segment.rows
            details = [row[3] for row in store._reader.db.execute(sql, (*segment.args, 4, 0))]
            assert any(detail.startswith("SEARCH things/tags*") for detail in details), details
            assert not any(detail.startswith("SCAN") for detail in details), details
    await store.close()


async def test_a_closed_store_says_so(tmp_path: Path) -> None:
    """PULPO507 for reads and commits after close."""
    store = SqliteStore(tmp_path / "data.db")
    await store.open(COLLECTIONS)
    await store.close()
    for use in (store.get(THINGS, "a"), store.count(THINGS), store.events(None), store.commit(Batch((thing("a"),)))):
        with pytest.raises(PulpoError, match="PULPO507"):
            await use


class TestConnect:
    async def test_a_path_is_relative_to_the_root_or_absolute(self, tmp_path: Path) -> None:
        """`sqlite:///` and a path; folders are made when it is opened."""
        relative = connect("sqlite:///.pulpo/da%20ta.db", tmp_path)
        assert isinstance(relative, SqliteStore)
        assert relative.path == tmp_path / ".pulpo" / "da ta.db"
        absolute = connect(f"sqlite:///{tmp_path}/a.db?keep_events=7", Path("/elsewhere"))
        assert isinstance(absolute, SqliteStore)
        assert absolute.path == tmp_path / "a.db"
        await relative.open(())
        await relative.close()
        assert relative.path.is_file()

    @pytest.mark.parametrize(
        ("url", "text"),
        [
            ("mongodb://user:secret@host", "names no database"),
            ("mongodb+srv://user:secret@host", "names no database"),
            ("postgres://user:secret@host/db", "no known kind of database"),
            ("data-secret.db", "no known kind of database"),
            ("sqlite://data.db", "names no file"),
            ("sqlite:///", "names no file"),
            ("sqlite:///folder/", "names no file"),
            ("sqlite:///a.db?keep_events=0", "keep_events is a whole number"),
            ("sqlite:///a.db?colour=red", "unknown option 'colour'"),
        ],
    )
    def test_any_other_address_is_refused(self, tmp_path: Path, url: str, text: str) -> None:
        """PULPO105 with what is wrong, and no word of the address, which may hold a password."""
        with pytest.raises(PulpoError, match=text) as failure:
            connect(url, tmp_path)
        assert failure.value.code == "PULPO105"
        assert "secret" not in str(failure.value)


def test_the_adapter_has_the_ports_methods() -> None:
    """A type checker agrees that it is a store."""
    store: Store = SqliteStore(Path("unused.db"))
    assert isinstance(store, SqliteStore)
    with pytest.raises(ValueError, match="keep_events"):
        SqliteStore(Path("unused.db"), keep_events=0)
