"""Workers: a lease per process, and who takes over the runs of one that died.

A worker renews its lease. On the same machine a dead process is noticed at once, by its id and start time; elsewhere,
when somebody who looks has seen its lease unchanged for as long as one lasts. That is measured by the clock of who
looks, which only has to run as fast as others do: what time it is on other machines is of no account. Its runs are
given free with a raised token, and enter again by the door that new runs use.

Leases stay unchanged also while the database takes no writes, those of the living as well. So only who has renewed its
own in time for as long as a lease lasts judges others by theirs: had they lived, they could have renewed them too.
"""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import uuid
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pydantic_core

from pulpo.errors import PulpoError
from pulpo.model.conditions import All, Compare
from pulpo.model.model import new_id, now, timestamp
from pulpo.runtime import keys, schedules
from pulpo.runtime.held import key_writes
from pulpo.runtime.journal import Run, clock
from pulpo.runtime.tables import RUNS, WORKERS
from pulpo.spec import Json
from pulpo.store.port import Batch, Delete, Insert, Query, Record, Update, Write, WriteFailed

if TYPE_CHECKING:
    from pulpo.runtime.engine import Engine

log = logging.getLogger("pulpo.engine")

LOOK = 0.25
"""Seconds between two looks for runs that nobody holds."""
TICK = 0.5
"""Seconds between two looks for schedules that are due."""
RIGHT = 30.0
"""Seconds between two looks for schedules that a wrong clock moved on."""
SWEEP = 600.0
"""Seconds between two sweeps of old idempotency keys."""


class Worker:
    """This process among those that share the database."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.id = new_id("worker")
        self._settings = engine.application.settings.engine
        self._execute = False
        self.accepting = True
        self._wanted = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._started = begun(os.getpid())
        self._renewed = self._steady = 0.0  # by the loop's clock: last renewed; renewed in time ever since
        self._seen: dict[str, tuple[int, float]] = {}  # of other workers: their leases' version, since when it is that
        self._passing: asyncio.Task[None] | None = None  # what passes runs on to Prefect
        self._left = False  # whether the last look may have left runs for want of room

    async def start(self, *, execute: bool) -> None:
        """Take a lease; with `execute` look for runs that nobody holds, those of dead workers first."""
        self._execute = execute
        await self._register(self.id)
        loop = asyncio.get_running_loop()
        self._renewed = self._steady = loop.time()
        self._tasks = [loop.create_task(self._heartbeat())]
        if execute:
            await self.recover()
            self._tasks.append(loop.create_task(self._look()))

    async def quiet(self) -> None:
        """Take on nothing more."""
        self._execute = self.accepting = False
        for task in self._tasks[1:]:
            task.cancel()
        if self._passing is not None:
            self._passing.cancel()

    async def stop(self) -> None:
        """Give the lease back."""
        for task in self._tasks:
            task.cancel()
        passing = [self._passing] if self._passing is not None else []
        for task in passing:
            task.cancel()
        await asyncio.gather(*self._tasks, *passing, return_exceptions=True)
        try:
            await self.engine.store.commit(Batch((Delete(WORKERS, self.id),)))
        except PulpoError as error:
            log.warning("the lease is left to run out: %s", error.detail)

    def takes(self, held: int) -> bool:
        """Whether a new run may begin here, now."""
        return self._execute and held < self._settings.concurrency

    def kick(self) -> None:
        """Look for runs now."""
        self._wanted.set()

    def freed(self) -> None:
        """There is room for another run: look now if some were left for want of it, else when it is time anyway."""
        if self._left:
            self.kick()

    @property
    def alive(self) -> bool:
        """Whether the worker's own tasks go on."""
        return all(not task.done() for task in self._tasks)

    async def _register(self, id: str) -> None:
        row = {
            "id": id,
            "version": 1,
            "host": host(),
            "pid": os.getpid(),
            "started": self._started,
            "lease": self._settings.lease,
            "lease_until": self._lease(),
        }
        await self.engine.store.commit(Batch((Insert(WORKERS, id, pydantic_core.to_json(row).decode()),)))

    def _lease(self) -> str:
        return timestamp(now() + timedelta(seconds=self._settings.lease))

    async def _heartbeat(self) -> None:
        pause = self._settings.lease / 3
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(pause)
            while True:
                began = loop.time()
                try:
                    if not await self._renew():
                        await self._expelled()
                except PulpoError as error:
                    log.warning("the lease could not be renewed: %s", error.detail)
                    break
                late = not self._in_time()
                self._renewed = loop.time()
                if late:
                    self._steady = self._renewed
                if not self._execute:
                    await self._free_left()
                if self._renewed - began < pause:
                    break  # else it lasts from when it was sent, which was long ago: again, at once

    async def _free_left(self) -> None:
        """Give free the runs that this process no longer holds, where nothing else here looks for them."""
        try:
            await self._free(self.id)
        except PulpoError as error:
            log.warning("runs could not be given free: %s", error.detail)

    def _in_time(self) -> bool:
        """Whether this worker's own lease has been renewed as it should be."""
        return asyncio.get_running_loop().time() - self._renewed < self._settings.lease * 2 / 3

    def _look_at(self, leases: tuple[Record, ...]) -> None:
        """Note since when each lease is as it is."""
        moment = asyncio.get_running_loop().time()
        known, self._seen = self._seen, {}
        for record in leases:
            version, since = known.get(record.id, (0, moment))
            self._seen[record.id] = (record.version, since if version == record.version else moment)

    def _passed(self, lease: Record) -> bool:
        """Whether a lease has not been renewed for as long as it lasts, by this process' own clock."""
        seconds = asyncio.get_running_loop().time() - self._seen[lease.id][1]
        return seconds > pydantic_core.from_json(lease.json).get("lease", self._settings.lease) and self._judges()

    def _judges(self) -> bool:
        """Whether others may be taken for dead because their lease has passed."""
        return self._in_time() and asyncio.get_running_loop().time() - self._steady >= self._settings.lease

    async def _renew(self) -> bool:
        try:
            await self.engine.store.commit(Batch((Update(WORKERS, self.id, set={"lease_until": self._lease()}),)))
        except WriteFailed:
            return False
        return True

    async def _expelled(self) -> None:
        """Others took this worker for dead (it was paused): whatever it held is theirs."""
        log.warning("worker %s was taken for dead; it lets go of its runs", self.id)
        for driver in list(self.engine.drivers.values()):
            driver.lose()
        id = new_id("worker")
        await self._register(id)
        self.id = id

    async def _look(self) -> None:
        loop = asyncio.get_running_loop()
        recovered = swept = ticked = righted = loop.time()
        while True:
            try:
                await self._take_free_runs()
                if loop.time() - recovered > min(1.0, self._settings.lease / 3):
                    await self.recover()
                    recovered = loop.time()
                if loop.time() - ticked > TICK:
                    ticked = loop.time()
                    await schedules.tick(self.engine)
                if loop.time() - righted > RIGHT:
                    righted = loop.time()
                    await schedules.set_right(self.engine)
                if loop.time() - swept > SWEEP:
                    await keys.sweep(self.engine.store)
                    swept = loop.time()
            except PulpoError as error:
                log.warning("looking for runs: %s", error.detail)
            except Exception:
                log.exception("looking for runs")
            try:
                async with asyncio.timeout(LOOK):
                    await self._wanted.wait()
            except TimeoutError:
                continue
            self._wanted.clear()

    async def _take_free_runs(self) -> None:
        room = self._settings.concurrency - len(self.engine.drivers)
        self._left = room <= 0
        if self._left:
            return
        query = Query(RUNS, Compare("wake_at", "lte", clock()), (("wake_at", False),), limit=min(room, 100))
        page = await self.engine.store.query(query)
        self._left = page.cursor is not None
        elsewhere: list[Run] = []
        for record in page.records:
            run = Run.load(record)
            driver = self.engine.drivers.get(run.id)
            if driver is not None and run.cancel_requested:
                await driver.cancel()
            elif driver is None and run.worker is None:
                if self.engine.dispatch is not None and self.engine.dispatch.sends(run):
                    elsewhere.append(run)
                else:
                    await self._claim(record)
        if elsewhere and (self._passing is None or self._passing.done()):
            self._passing = asyncio.get_running_loop().create_task(self._pass_on(elsewhere))

    async def _pass_on(self, runs: list[Run]) -> None:
        """Give runs to Prefect, whose server may take its time: what else there is to look for does not wait."""
        assert self.engine.dispatch is not None
        for run in runs:
            try:
                await self.engine.dispatch.submit(run)
            except PulpoError as error:
                log.warning("run %s is not passed on yet: %s", run.id, error.detail)
            except Exception:
                log.exception("run %s is not passed on", run.id)

    async def _claim(self, record: Record) -> None:
        try:
            await self.engine.claim(record)
        except PulpoError:
            raise
        except Exception:
            log.exception("run %s cannot be taken on", record.id)  # those behind it can

    async def recover(self) -> None:
        """Give free the runs of workers that are gone, and of this one those that nothing here holds."""
        page = await self.engine.store.query(Query(WORKERS, limit=500))
        self._look_at(page.records)
        for record in page.records:
            row: dict[str, Json] = pydantic_core.from_json(record.json)
            if row["id"] == self.id:
                continue
            if gone(row, passed=self._passed(record)):
                await self._free(row["id"])
                try:
                    await self.engine.store.commit(Batch((Delete(WORKERS, record.id, record.version),)))
                except WriteFailed:
                    log.debug("worker %s is looked after by another", record.id)
        await self._free_abandoned(tuple(record.id for record in page.records))
        await self._free(self.id)

    async def _free_abandoned(self, known: tuple[str, ...]) -> None:
        """Give free the runs whose worker has no lease at all: cut off while it stopped, or under a new id."""
        # Asked every second or so: above "" and in the index's order, so that runs that have ended are not looked at.
        where = All((Compare("worker", "gt", ""), Compare("worker", "nin", known)))
        query = Query(RUNS, where, (("worker", False),), limit=100)
        for record in (await self.engine.store.query(query)).records:
            worker = Run.load(record).worker
            if worker is not None and await self.engine.store.get(WORKERS, worker) is None:
                await self._free_run(record)

    async def _free(self, worker: str) -> None:
        after = None
        while True:
            page = await self.engine.store.query(Query(RUNS, Compare("worker", "eq", worker), limit=100, after=after))
            for record in page.records:
                if not self.engine.holds(record.id):
                    await self._free_run(record)
            after = page.cursor
            if after is None:
                return

    async def not_taken(self, id: str, why: str, *, pause: float) -> None:
        """Count that a run which nobody holds could not be taken on; it is looked at again after so many seconds.

        Like one that kills its workers it fails when that has happened `engine.recoveries` times.
        """
        record = await self.engine.store.get(RUNS, id)
        if record is not None and Run.load(record).worker is None:
            await self._free_run(record, why=why, pause=pause)

    async def _free_run(self, record: Record, *, why: str = "", pause: float = 0.0) -> None:
        run = Run.load(record)
        if run.ended:
            return
        steps = await self.engine.steps_of(run.id)
        run.token += 1
        run.recoveries += 1
        run.worker, run.wake_at = None, timestamp(now() + timedelta(seconds=pause))
        unfinished = [step for step in steps.values() if step.finished_at is None]
        more: tuple[Write, ...] = ()
        if run.recoveries > self._settings.recoveries:
            run.incident = f"it was taken over {run.recoveries} times: something in it kills its worker"
            if why:
                run.incident = f"it could not be taken on {run.recoveries} times: {why}"
            code = "PULPO414" if why else "PULPO401"
            run.error = {"code": code, "detail": run.incident, "hint": None, "status": 500, "step": None}
            run.end("failed")
            for step in unfinished:
                step.state, step.doubt, step.error, step.finished_at = "failed", True, run.error, clock()
            more = key_writes(run, None)
        writes: list[Write] = [run.replace()]
        for step in unfinished:
            step.token = run.token
            writes.append(step.replace())
        try:
            await self.engine.store.commit(Batch((*writes, *more), (run.event(),)))
        except WriteFailed as error:
            if error.index < len(writes):
                log.debug("run %s moved on meanwhile", run.id)
            else:  # the client's key has expired
                await self.engine.store.commit(Batch(tuple(writes), (run.event(),)))


BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
PROCESSES = Path("/proc/self/ns/pid")
"""The namespace of process ids that this process sees."""


def host() -> str:
    """Where a process id means something: this machine since it was started, and of its containers this one.

    Containers may share the machine's name and its start, and not see each other's processes.
    """
    try:
        return f"{platform.node()}/{BOOT_ID.read_text(encoding='ascii').strip()}/{PROCESSES.readlink()}"
    except OSError:
        return f"{platform.node()}/{uuid.getnode()}"


def gone(row: dict[str, Json], *, passed: bool) -> bool:
    """Whether a worker is dead (seen at once on its own machine) or, with `passed`, has not renewed its lease."""
    if passed:
        return True
    if row["host"] != host():
        return False
    try:
        return bool(abs(begun(row["pid"]) - row["started"]) > 1.0)
    except psutil.NoSuchProcess:
        return True
    except psutil.Error:
        return False


def begun(pid: int) -> float:
    """When a process began: on Linux in seconds since the machine's start, which nobody sets as they set a clock.

    Raises:
        psutil.NoSuchProcess: There is none with this id.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return psutil.Process(pid).create_time()
    return int(stat.rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
