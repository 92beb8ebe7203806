"""The database file: opened only when it is ours, and each connection set up the same way."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

import apsw

from pulpo.errors import PulpoError

APPLICATION_ID = 0x50554C50  # "PULP" in the file's header
FORMAT = 1  # the file's user_version
LOG_PAGES = 4_000
"""Pages of the log after which it is copied back: hot ones less often than by SQLite's default of 1000."""
OLDEST_SQLITE = (3, 51, 3)  # earlier ones can lose a WAL that is reset while another connection checkpoints
PATIENCE = 30.0  # seconds that a lock held by another process is waited for

_TABLES = (
    "CREATE TABLE _collections(name TEXT PRIMARY KEY NOT NULL, layout TEXT NOT NULL)",
    "CREATE TABLE _events(seq INTEGER PRIMARY KEY, count INTEGER NOT NULL, data TEXT NOT NULL)",
)


def require_sound_sqlite(version: str | None = None) -> None:
    """Refuse an SQLite library that is too old.

    Raises:
        PulpoError: PULPO507.
    """
    version = version or apsw.sqlite_lib_version()
    if tuple(int(part) for part in version.split(".")) < OLDEST_SQLITE:
        needed = ".".join(str(part) for part in OLDEST_SQLITE)
        raise PulpoError(
            "PULPO507",
            f"SQLite {needed} or newer is needed, this is {version}",
            hint="install a current apsw, which brings its own: pip install --upgrade apsw",
        )


def make_ours(path: Path) -> None:
    """Create the database if there is none, and make sure that what is there is Pulpo's.

    Raises:
        PulpoError: PULPO506, another program's file, left as it is; PULPO507, the file cannot be opened.
    """
    require_sound_sqlite()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.is_dir():
            raise _not_ours(path, "it is a folder")
        if path.exists() and path.stat().st_size:
            inspect(path)
        db = apsw.Connection(str(path))
        try:
            patiently(lambda: _claim(db, path))
            patiently(lambda: _use_wal(db))
        finally:
            db.close()
    except apsw.NotADBError:
        raise _not_ours(path, "it is not a database") from None
    except (OSError, apsw.Error) as error:
        raise PulpoError("PULPO507", f"the database {path} cannot be opened: {error}") from None


def connect(path: Path, *, cache_kib: int, reads_only: bool = False, patience: float = 0.0) -> apsw.Connection:
    """A connection to a database that `make_ours` has made: WAL, every commit durable when it returns.

    Args:
        cache_kib: Its page cache in KiB.
        reads_only: Whether it refuses to write.
        patience: Seconds that a statement blocks its thread for a lock; 0 in an event loop.
    """
    db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE, statementcachesize=400)
    db.set_busy_timeout(int(patience * 1000))
    # A misspelt column is an error, never a piece of text.
    db.config(apsw.SQLITE_DBCONFIG_DQS_DML, 0)
    db.config(apsw.SQLITE_DBCONFIG_DQS_DDL, 0)
    db.pragma("synchronous", "FULL")
    db.pragma("cache_size", -cache_kib)
    db.pragma("temp_store", "MEMORY")
    db.pragma("wal_autocheckpoint", LOG_PAGES)
    db.pragma("journal_size_limit", 67_108_864)  # bytes
    if reads_only:
        db.pragma("query_only", 1)
    return db


def patiently(work: Callable[[], object], patience: float = PATIENCE) -> None:
    """Do the work, again and again while another process holds a lock that it needs. Blocks its thread.

    Raises:
        PulpoError: PULPO507, the lock was held for `patience` seconds.
    """
    deadline = time.monotonic() + patience
    pause = 0.0005
    while True:
        try:
            work()
        except (apsw.BusyError, apsw.LockedError):
            if time.monotonic() >= deadline:
                raise PulpoError(
                    "PULPO507",
                    f"another process has held the database for {patience:g} s",
                    hint="look for a process that keeps a transaction open on the file",
                ) from None
            time.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - spreads waiters, hides nothing
            pause = min(pause * 1.5, 0.005)
        else:
            return


def inspect(path: Path) -> None:
    """Refuse what is not ours without writing a byte.

    SQLite itself looks into the file: closing a descriptor of our own would drop the locks that other connections of
    this process hold on it (POSIX).
    """
    if path.stat().st_size < 512:  # the smallest database; SQLite takes a single byte for an empty one
        raise _not_ours(path, "it is not a database")
    db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        patiently(lambda: _check(db, path))
    finally:
        db.close()


def _check(db: apsw.Connection, path: Path) -> bool:
    """Whether the file is ours already; False if it is empty. Raises PULPO506 for anything else."""
    mark = db.pragma("application_id")
    if mark == APPLICATION_ID:
        if db.pragma("user_version") > FORMAT:
            raise _not_ours(path, "a newer Pulpo wrote it", hint="upgrade pulpo-core")
        return True
    if mark or db.execute("SELECT count(*) FROM sqlite_schema").get:
        raise _not_ours(path, "it is another program's database")
    return False


def _claim(db: apsw.Connection, path: Path) -> None:
    if _check(db, path):
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        if not _check(db, path):  # another process may have been faster
            for table in _TABLES:
                db.execute(table)
            db.pragma("user_version", FORMAT)
            db.pragma("application_id", APPLICATION_ID)
        db.execute("COMMIT")
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")


def _use_wal(db: apsw.Connection) -> None:
    mode = db.pragma("journal_mode", "wal")
    if mode != "wal":
        raise PulpoError("PULPO507", f"the database cannot use a write-ahead log here (journal mode {mode})")


def _not_ours(path: Path, why: str, *, hint: str | None = None) -> PulpoError:
    hint = hint or "set database.url to another file; this one was left as it is"
    return PulpoError("PULPO506", f"{path} is not a Pulpo database: {why}", hint=hint)
