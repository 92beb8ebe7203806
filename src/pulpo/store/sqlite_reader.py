"""Reads: in the event loop on a kept connection, and in a thread where one turns out to be long.

A prepared get takes a microsecond or two, a thread's hop fifty: so every read begins in the loop. A read that runs past
a budget of SQLite's own steps (a few milliseconds) is stopped and begun again in the thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import apsw

from pulpo.errors import PulpoError
from pulpo.store.sqlite_file import PATIENCE, connect

T = TypeVar("T")
STEPS = 10_000  # virtual machine steps between two looks at the budget


class Reader:
    """Two connections that only read: one for the loop, one for long reads."""

    def __init__(self, path: Path) -> None:
        self.db = connect(path, cache_kib=16_384, reads_only=True)
        self._looks = 0
        self.db.set_progress_handler(self._too_long, STEPS)
        self._long = connect(path, cache_kib=4_096, reads_only=True, patience=PATIENCE)
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="pulpo-read")

    def _too_long(self) -> bool:
        # SQLite counts steps across the runs of a prepared statement, so the first look may come early.
        self._looks += 1
        return self._looks > 1

    async def read(self, work: Callable[[apsw.Connection], T]) -> T:
        """What `work` reads with a connection, all from one state if it opens a transaction; it may be called twice."""
        self._looks = 0
        try:
            return work(self.db)
        except (apsw.InterruptError, apsw.BusyError):
            return await asyncio.get_running_loop().run_in_executor(self._threads, work, self._long)
        except (apsw.ConnectionClosedError, apsw.IOError, apsw.CorruptError, apsw.CantOpenError) as error:
            raise PulpoError("PULPO507", f"the database could not be read: {error}") from error

    async def close(self) -> None:
        """Wait for long reads and close both connections."""
        await asyncio.to_thread(self._threads.shutdown)
        self.db.close()
        self._long.close()
