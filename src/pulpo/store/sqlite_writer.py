"""The one writer: statements run in the event loop, each COMMIT in a thread, and what gathers meanwhile goes together.

A group is what was queued when the last commit ended; nothing ever waits for company. Only COMMIT waits for the disk,
so only COMMIT is worth a thread: handing every statement over would cost more than running it.
"""

from __future__ import annotations

import asyncio
import errno
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from queue import SimpleQueue
from typing import Any, NoReturn, TypeAlias

import apsw

from pulpo.errors import PulpoError
from pulpo.store.port import Batch, Commits, NoRoom, Write
from pulpo.store.sqlite_file import PATIENCE, patiently
from pulpo.store.sqlite_schema import Table
from pulpo.store.sqlite_writes import ANSWERING, CHANGING, Statement, encode_events, refused, statement, violated

_Job: TypeAlias = tuple[Callable[[], object], Callable[[BaseException | None], None]]
"""What the thread is to do, and what the loop does then, with the error if there was one."""

GROUP = 256  # batches that share a commit, so that the loop is never held for long

TOGETHER = 16  # batches whose events share a row, so that one can be read without many others

_EVENTS = "INSERT INTO _events(count,data) VALUES(?,?)"
_PRUNE = """DELETE FROM _events WHERE seq <= (SELECT max(seq) FROM _events) - ?
 AND seq < (SELECT min(seq) FROM _events) + 2048"""
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_DOOMED = (
    apsw.FullError,
    apsw.IOError,
    apsw.BusyError,
    apsw.LockedError,
    apsw.NoMemError,
    apsw.CorruptError,
    apsw.NotADBError,
    apsw.ReadOnlyError,
    apsw.CantOpenError,
    apsw.InterruptError,
)
"""Errors of the whole transaction rather than of one batch."""


class _Entry:
    """A queued batch, its future and, once it was run, what came of it."""

    __slots__ = ("alone", "error", "events", "future", "statements", "versions", "writes")

    def __init__(
        self, batch: Batch, statements: list[Statement], events: str | None, future: asyncio.Future[tuple[int, ...]]
    ) -> None:
        self.writes: tuple[Write, ...] = batch.writes
        self.statements = statements
        self.events = (len(batch.events), events) if events is not None else None
        self.future = future
        self.alone = False
        self.versions: tuple[int, ...] = ()
        self.error: Exception | None = None


class Writer:
    """Commits batches in the order in which they were submitted.

    Args:
        db: A connection that nobody else uses; it is the writer's to close.
        tables: By collection.
        keep_events: How many rows of events are kept; each has those of at most `TOGETHER` batches.
        told: Called in the loop after a commit that held events.
        patience: Seconds that another process' lock is waited for.
    """

    def __init__(
        self,
        db: apsw.Connection,
        tables: Mapping[str, Table],
        *,
        keep_events: int,
        told: Callable[[], None],
        patience: float = PATIENCE,
    ) -> None:
        self.db = db
        self._tables = tables
        self._told = told
        self._patience = patience
        self._keep = keep_events
        self._prune_every = max(1, min(512, keep_events // 4))
        self._unpruned = 0
        self._loop = asyncio.get_running_loop()
        self._queue: deque[_Entry] = deque()
        self._group: list[_Entry] = []
        self._running = False
        self._closed = False
        self._began = 0.0
        self.commits = Commits()
        self._idle = asyncio.Event()
        self._idle.set()
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name="pulpo-commit", daemon=True)
        self._thread.start()

    def submit(self, batch: Batch) -> asyncio.Future[tuple[int, ...]]:
        """Queue a batch. It is applied even if nobody waits for the future any more."""
        if self._closed:
            raise PulpoError("PULPO507", "the store is closed")
        statements = [statement(self._tables, write) for write in batch.writes]
        future = self._loop.create_future()
        self._queue.append(_Entry(batch, statements, encode_events(batch), future))
        if not self._running:
            self._running = True
            self._idle.clear()
            self._loop.call_soon(self._begin)
        return future

    async def close(self) -> None:
        """Commit what is queued, then end the thread and close the connection."""
        self._closed = True
        await self._idle.wait()
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)
        self.db.close()

    def _serve(self) -> None:
        """The thread: one job at a time, the outcome back to the loop."""
        while (job := self._jobs.get()) is not None:
            work, then = job
            failure: BaseException | None = None
            try:
                work()
            except BaseException as error:  # noqa: BLE001 - it is raised where it is awaited
                failure = error
            try:
                self._loop.call_soon_threadsafe(then, failure)
            except RuntimeError:  # the loop was closed without closing the store: nobody is left to tell
                return

    def _begin(self) -> None:
        try:
            self.db.execute("BEGIN IMMEDIATE")
        except (apsw.BusyError, apsw.LockedError):
            waiting = len(self._queue)
            self._jobs.put((self._begin_patiently, lambda failure: self._begun(waiting, failure)))
        except Exception as error:  # noqa: BLE001 - told to the callers
            self._begun(len(self._queue), error)
        else:
            self._run_group()

    def _begin_patiently(self) -> None:
        patiently(lambda: self.db.execute("BEGIN IMMEDIATE"), self._patience)

    def _begun(self, waiting: int, failure: BaseException | None) -> None:
        if failure is None:
            self._run_group()
            return
        for _ in range(waiting):
            _settle(self._queue.popleft(), problem(self.db, failure))
        self._next()

    def _take(self) -> list[_Entry]:
        queue = self._queue
        group = [queue.popleft()]
        if not group[0].alone:
            while queue and len(group) < GROUP and not queue[0].alone:
                group.append(queue.popleft())
        return group

    def _run_group(self) -> None:
        self._group = group = self._take()
        try:
            for entry in group:
                self._run(entry)
            self._tell(group)
            if self._unpruned >= self._prune_every:
                self._unpruned = 0
                self.db.execute(_PRUNE, (self._keep,))
            if all(entry.error is not None for entry in group):
                self.db.execute("ROLLBACK")  # nothing to make durable
                self._committed(None)
                return
        except Exception as error:  # noqa: BLE001 - told to the callers
            self._committed(error)
            return
        self._began = time.perf_counter()
        self._jobs.put((self._commit, self._committed))

    def _commit(self) -> None:
        self.db.execute("COMMIT")
        self.commits.add(len(self._group), time.perf_counter() - self._began)

    def _run(self, entry: _Entry) -> None:
        """Run a batch's statements, in a savepoint where more than one could be left behind."""
        db = self.db
        execute = db.execute
        several = len(entry.statements) > 1
        index = 0
        try:
            if several:
                execute("SAVEPOINT batch")
            versions: list[Any] = []
            for index, (sql, args, answer, version) in enumerate(entry.statements):
                result = execute(sql, args)
                versions.append(result.get if answer == ANSWERING else version)
                if versions[-1] is None or (answer == CHANGING and not db.changes()):
                    self._refuse(entry, index)
            if several:
                execute("RELEASE batch")
            entry.versions = tuple(versions)
        except _DOOMED:
            raise
        except Exception as error:
            if not db.in_transaction:
                raise
            if several:
                execute("ROLLBACK TO batch")
                execute("RELEASE batch")
            entry.error = self._named(error, entry, index)

    def _tell(self, group: list[_Entry]) -> None:
        """Write the events of what held, those of several batches to a row."""
        held = [entry.events for entry in group if entry.error is None and entry.events is not None]
        for first in range(0, len(held), TOGETHER):
            row = held[first : first + TOGETHER]
            self.db.execute(_EVENTS, (sum(count for count, _ in row), f"[{','.join(text for _, text in row)}]"))
            self._unpruned += 1

    def _refuse(self, entry: _Entry, index: int) -> NoReturn:
        write = entry.writes[index]
        raise refused(self.db, self._tables[write.collection], write, index)

    def _named(self, error: Exception, entry: _Entry, index: int) -> Exception:
        if isinstance(error, apsw.ConstraintError):
            write = entry.writes[index]
            return violated(error, self._tables[write.collection], write, index) or error
        return error

    def _committed(self, failure: BaseException | None) -> None:
        group, self._group = self._group, []
        if failure is not None:
            raised = problem(self.db, failure)
            if self.db.in_transaction:
                self.db.execute("ROLLBACK")
            if len(group) > 1:
                # What does not fit together may fit one by one.
                for entry in reversed(group):
                    entry.alone, entry.error = True, None
                    self._queue.appendleft(entry)
            else:
                _settle(group[0], raised)
        else:
            told = False
            for entry in group:
                _settle(entry, entry.error)
                told = told or (entry.error is None and entry.events is not None)
            if told:
                self._told()
        self._next()

    def _next(self) -> None:
        if self._queue:
            # Callbacks of those just told run first: what they write next joins this group.
            self._loop.call_soon(self._begin)
        else:
            self._running = False
            self._idle.set()


def problem(db: apsw.Connection, failure: BaseException) -> BaseException:
    """What to raise for what went wrong while a transaction was written."""
    if isinstance(failure, apsw.FullError) or (isinstance(failure, apsw.IOError) and db.system_errno in _NO_ROOM):
        return NoRoom(
            "PULPO505",
            "there is no room left to write; nothing of this was kept",
            hint="free space on the disk; no restart is needed",
        )
    if isinstance(failure, apsw.Error):
        return PulpoError("PULPO507", f"the database could not be written: {failure}")
    return failure


def _settle(entry: _Entry, error: BaseException | None) -> None:
    if entry.future.done():  # its caller was cancelled
        return
    if error is not None:
        entry.future.set_exception(error)
    else:
        entry.future.set_result(entry.versions)
