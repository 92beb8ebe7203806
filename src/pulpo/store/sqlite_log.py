"""Copies what SQLite's log holds back into the file, beside the commits instead of inside one of them.

SQLite lets the commit that makes the log too long copy it, which takes tens of milliseconds: every few hundred commits
everybody waited that long. Copying takes no lock that a commit needs, so a thread with a connection of its own does it.
Only where the log still grows, since under steady load it never is copied to its very end, a commit copies the rest,
which is short; the next one begins the log anew.
"""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import apsw

from pulpo.store.sqlite_file import LOG_PAGES, connect

MOST = 4 * LOG_PAGES
"""Pages of the log from which on a commit copies what is left."""
log = logging.getLogger("pulpo.store")


class LogCopies:
    """Keeps the log of a database short.

    Args:
        db: The connection that commits. It no longer copies by itself, but for what is said above.
        path: The database.
    """

    def __init__(self, db: apsw.Connection, path: Path) -> None:
        self._db = connect(path, cache_kib=256)
        self._asked = 0  # how long the log was when it was last to be copied
        self._due = threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._serve, name="pulpo-log", daemon=True)
        self._thread.start()
        db.set_wal_hook(self._grown)

    def close(self) -> None:
        """End the thread and its connection."""
        self._closed = True
        self._due.set()
        self._thread.join()
        self._db.close()

    def _grown(self, db: apsw.Connection, name: str, pages: int) -> int:
        """What SQLite calls behind each commit, in its thread."""
        if pages < self._asked:
            self._asked = 0  # the log began anew
        if pages >= MOST:
            self._copy(db, name)
        elif pages - self._asked >= LOG_PAGES:
            self._asked = pages
            self._due.set()
        return apsw.SQLITE_OK

    def _serve(self) -> None:
        while self._due.wait() and not self._closed:
            self._due.clear()
            self._copy(self._db, "main")

    def _copy(self, db: apsw.Connection, name: str) -> None:
        """Copy as far as nobody reads older pages. What is committed is safe in the log, whether this works or not."""
        try:
            db.wal_checkpoint(name, apsw.SQLITE_CHECKPOINT_PASSIVE)
        except apsw.Error as error:
            log.warning("the database's log could not be copied back: %s", error)
