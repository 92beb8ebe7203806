"""Reads: in the event loop on a kept connection, and in a thread where one turns out to be long.

A prepared get takes a microsecond or two, a thread's hop fifty: so every read begins in the loop. One that is not done
within a few milliseconds is stopped and begun again in the thread.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import apsw

from pulpo.errors import PulpoError
from pulpo.store.sqlite_file import PATIENCE, connect

T = TypeVar("T")
BUDGET = 0.005  # seconds that a read may hold the loop
STEPS = 1_000  # of SQLite's virtual machine, between two looks at the clock


class Reader:
    """Two connections that only read: one for the loop, one for long reads."""

    def __init__(self, path: Path) -> None:
        self.db = connect(path, cache_kib=16_384, reads_only=True)
        self._until = math.inf
        self.db.set_progress_handler(self._too_long, STEPS)
        self._long = connect(path, cache_kib=4_096, reads_only=True, patience=PATIENCE)
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="pulpo-read")

    def _too_long(self) -> bool:
        return time.perf_counter() > self._until

    async def read(self, work: Callable[[apsw.Connection], T]) -> T:
        """What `work` reads with a connection. It may be called twice, and may leave a transaction open if it fails."""
        try:
            try:
                self._until = time.perf_counter() + BUDGET
                return work(self.db)
            except (apsw.InterruptError, apsw.BusyError):
                self._until = math.inf
                _end(self.db)
                return await asyncio.get_running_loop().run_in_executor(self._threads, self._read_long, work)
            finally:
                self._until = math.inf
        except (apsw.ConnectionClosedError, apsw.IOError, apsw.CorruptError, apsw.CantOpenError) as error:
            raise PulpoError("PULPO507", f"the database could not be read: {error}") from error

    def _read_long(self, work: Callable[[apsw.Connection], T]) -> T:
        try:
            return work(self._long)
        finally:
            _end(self._long)

    async def close(self) -> None:
        """Wait for long reads and close both connections."""
        await asyncio.to_thread(self._threads.shutdown)
        self.db.close()
        self._long.close()


def _end(db: apsw.Connection) -> None:
    """End a transaction that a read has left open: it would go on seeing an old state."""
    if db.in_transaction:
        db.execute("ROLLBACK")
