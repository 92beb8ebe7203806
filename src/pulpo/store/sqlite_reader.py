"""Reads: in the event loop on a kept connection, and in a thread where one turns out to be long.

A prepared get takes a microsecond or two, a thread's hop fifty: so every read begins in the loop. One that is not done
within a few milliseconds is stopped and begun again in a thread. There are a few of these, and each read has a time
limit from the moment it was asked for: one that finds all threads busy waits no longer than that either.
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
from pulpo.store.port import QUERY_TIMEOUT, too_long
from pulpo.store.sqlite_file import PATIENCE, connect

T = TypeVar("T")
BUDGET = 0.005  # seconds that a read may hold the loop
STEPS = 1_000  # of SQLite's virtual machine, between two looks at the clock
LONG = 4
"""Long reads at once, each with a connection and a thread of its own."""
LONG_STEPS = 20_000  # each look takes the interpreter's lock


class _Deadline:
    """When a long read has to be done; at once, when nobody waits for it any more."""

    __slots__ = ("until",)

    def __init__(self, until: float) -> None:
        self.until = until

    def passed(self) -> bool:
        return time.perf_counter() > self.until


class Reader:
    """A connection that only reads for the loop, and a few for long reads, opened when they are needed.

    Args:
        timeout: Seconds that a read may take, waiting for its turn included.
    """

    def __init__(self, path: Path, timeout: float = QUERY_TIMEOUT) -> None:
        self.db = connect(path, cache_kib=16_384, reads_only=True)
        self._path, self._timeout = path, timeout
        self._until = math.inf
        self.db.set_progress_handler(self._too_long, STEPS)
        self.free: list[apsw.Connection] = []
        """Connections for long reads that none uses now."""
        self._threads = ThreadPoolExecutor(LONG, thread_name_prefix="pulpo-read")

    def _too_long(self) -> bool:
        return time.perf_counter() > self._until

    async def read(self, work: Callable[[apsw.Connection], T]) -> T:
        """What `work` reads with a connection. It may be called twice, and may leave a transaction open if it fails.

        Raises:
            PulpoError: PULPO507, the file cannot be read; PULPO512, it took too long.
        """
        try:
            try:
                self._until = time.perf_counter() + BUDGET
                return work(self.db)
            except (apsw.InterruptError, apsw.BusyError):
                deadline = _Deadline(self._until - BUDGET + self._timeout)
                self._until = math.inf
                _end(self.db)
                return await self._read_beside(work, deadline)
            finally:
                self._until = math.inf
        except (apsw.ConnectionClosedError, apsw.IOError, apsw.CorruptError, apsw.CantOpenError) as error:
            raise PulpoError("PULPO507", f"the database could not be read: {error}") from error

    async def _read_beside(self, work: Callable[[apsw.Connection], T], deadline: _Deadline) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._read_long, work, deadline)
        except asyncio.CancelledError:
            deadline.until = -math.inf  # the thread is free for others
            raise

    def _read_long(self, work: Callable[[apsw.Connection], T], deadline: _Deadline) -> T:
        if deadline.passed():
            raise too_long(self._timeout)
        # No two threads take the same: taking from a list is one step of the interpreter.
        try:
            db = self.free.pop()
        except IndexError:
            db = connect(self._path, cache_kib=4_096, reads_only=True, patience=PATIENCE)
        db.set_progress_handler(deadline.passed, LONG_STEPS)
        try:
            return work(db)
        except apsw.InterruptError:
            raise too_long(self._timeout) from None
        finally:
            db.set_progress_handler(None)
            _end(db)
            self.free.append(db)

    async def close(self) -> None:
        """Wait for long reads and close all connections."""
        await asyncio.to_thread(self._threads.shutdown)
        self.db.close()
        for db in self.free:
            db.close()


def _end(db: apsw.Connection) -> None:
    """End a transaction that a read has left open: it would go on seeing an old state."""
    if db.in_transaction:
        db.execute("ROLLBACK")
