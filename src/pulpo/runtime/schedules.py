"""Schedules: runs of a flow that begin by the clock, by either engine.

A schedule is a document of the journal. Every process that runs flows looks at those that are due; the commit that
begins the run moves the schedule on, at a version, so that a tick begins one run at most, however many processes there
are. Ticks that passed while nothing ran are made up for by one run.
"""

from __future__ import annotations

import logging
import zoneinfo
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pydantic_core

from pulpo.errors import NotFound, PulpoError
from pulpo.model.conditions import Compare
from pulpo.model.model import now, timestamp
from pulpo.runtime.context import Caller
from pulpo.runtime.journal import clock
from pulpo.runtime.tables import SCHEDULES
from pulpo.spec import Json
from pulpo.store.port import (
    Batch,
    Delete,
    Insert,
    Query,
    Record,
    Replace,
    StaleVersion,
    UniqueTaken,
    Write,
    WriteFailed,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pulpo.runtime.engine import Engine

log = logging.getLogger("pulpo.engine")

CALLER = Caller("schedule", "admin")
_PASSING = frozenset({503, 507})
"""Statuses of errors after which the same tick is tried again: the database is away, too slow or full."""
_SHORTEST = 1.0
_SKEW = 60.0
"""Seconds that the clocks of two machines may differ: a tick so far ahead is another machine's, and right."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """When runs of a flow begin: at the times of `cron` in `timezone`, or `every` so many seconds.

    `last_run` is the run that the last tick began, `problem` why it began none.
    """

    id: str
    flow: str
    cron: str | None = None
    every: float | None = None
    timezone: str = "UTC"
    input: Json = field(default_factory=dict)
    next_at: str = ""
    last_at: str | None = None
    last_run: str | None = None
    problem: str | None = None
    version: int = 1
    created_at: str = field(default_factory=clock)

    def after(self, moment: datetime) -> datetime:
        """The first time of the schedule after a moment.

        Raises:
            PulpoError: PULPO804, it says no time that can be understood, or none that ever comes.
        """
        if self.every is not None:
            began = datetime.fromisoformat(self.created_at)
            return began + timedelta(seconds=((moment - began) // timedelta(seconds=self.every) + 1) * self.every)
        from cronsim import CronSim, CronSimError  # noqa: PLC0415 - only where there is such a schedule

        try:
            zone = zoneinfo.ZoneInfo(self.timezone)
            return next(CronSim(self.cron or "", moment.astimezone(zone)))
        except CronSimError as error:
            raise PulpoError(
                "PULPO804", f"{self.cron!r} is no cron expression: {error}", hint='for example "0 3 * * 1-5"'
            ) from None
        except StopIteration:
            raise PulpoError("PULPO804", f"{self.cron!r} names no time in the next fifty years") from None
        except (zoneinfo.ZoneInfoNotFoundError, ValueError):
            raise PulpoError(
                "PULPO804", f"{self.timezone!r} is no time zone", hint="for example Europe/Madrid"
            ) from None

    def as_json(self) -> dict[str, Json]:
        """The document."""
        return asdict(self)

    @staticmethod
    def load(record: Record) -> Schedule:
        """A schedule as the store has it."""
        data: dict[str, Any] = pydantic_core.from_json(record.json)
        known = {spec.name for spec in fields(Schedule)}
        found = {name: value for name, value in data.items() if name in known}
        return Schedule(**{**found, "version": record.version})


async def put(
    engine: Engine,
    name: str,
    flow: str,
    raw: bytes | str | Mapping[str, Json],
    *,
    cron: str | None = None,
    every: float | None = None,
    timezone: str = "UTC",
) -> Schedule:
    """Keep a schedule, in the place of one of the same name.

    Raises:
        NotFound: PULPO404, no such flow. PulpoError: PULPO602 the input, PULPO804 the times.
    """
    if (cron is None) == (every is None):
        raise PulpoError("PULPO804", "a schedule has either --cron or --every")
    if every is not None and every < _SHORTEST:
        raise PulpoError("PULPO804", f"--every is at least {_SHORTEST:g} s")
    _, text, _ = await engine.prepare(flow, raw)
    made = Schedule(name, flow, cron, every, timezone, pydantic_core.from_json(text))
    made = replace(made, next_at=timestamp(made.after(now())))
    for _ in range(5):
        before = await engine.store.get(SCHEDULES, name)
        write: Write = (
            Insert(SCHEDULES, name, _text(made))
            if before is None
            else Replace(SCHEDULES, name, before.version, _text(replace(made, version=before.version + 1)))
        )
        try:
            await engine.store.commit(Batch((write,)))
        except WriteFailed:
            continue
        return made
    raise PulpoError("PULPO408", f"schedule {name} kept changing", hint="try again")


async def remove(engine: Engine, name: str) -> None:
    """Forget a schedule; runs that it began go on. Raises NotFound."""
    if await engine.store.get(SCHEDULES, name) is None:
        raise NotFound("schedule", name)
    await engine.store.commit(Batch((Delete(SCHEDULES, name),)))


async def listing(engine: Engine) -> list[Schedule]:
    """All schedules, at most 500, by name."""
    page = await engine.store.query(Query(SCHEDULES, None, (("id", False),), 500, None))
    return [Schedule.load(record) for record in page.records]


async def tick(engine: Engine) -> None:
    """Begin the runs that are due."""
    due = Query(SCHEDULES, Compare("next_at", "lte", clock()), (("next_at", False),), limit=50)
    for record in (await engine.store.query(due)).records:
        schedule = Schedule.load(record)
        try:
            await _begin(engine, schedule)
        except PulpoError as error:
            log.warning("schedule %s began no run: %s", schedule.id, error.detail)
            if error.status not in _PASSING:
                await _move_on(engine, schedule, problem=error.detail)


async def set_right(engine: Engine) -> None:
    """Work out anew when schedules are due whose last tick is yet to come: a clock was ahead, and has been set back."""
    latest = timestamp(now() + timedelta(seconds=_SKEW))
    for schedule in await listing(engine):
        if schedule.last_at is not None and schedule.last_at > latest:
            log.warning("schedule %s was moved on by a clock that was ahead", schedule.id)
            await _move_on(engine, schedule, problem=schedule.problem)


async def _begin(engine: Engine, schedule: Schedule) -> None:
    plan, text, live = await engine.prepare(schedule.flow, schedule.input)
    run = engine.queued(plan, text, live, CALLER)
    moved = _moved(schedule, run=run.id)
    write = Replace(SCHEDULES, schedule.id, schedule.version, _text(moved))
    try:
        await engine.store.commit(Batch((write, run.insert()), (run.event(),)))
    except StaleVersion:
        return  # another process was first
    except UniqueTaken as taken:
        raise await engine.live_run(schedule.flow, plan, live) from taken
    engine.worker.kick()


async def _move_on(engine: Engine, schedule: Schedule, *, problem: str | None) -> None:
    moved = _moved(schedule, problem=problem)
    try:
        await engine.store.commit(Batch((Replace(SCHEDULES, schedule.id, schedule.version, _text(moved)),)))
    except WriteFailed:
        log.debug("schedule %s moved on meanwhile", schedule.id)


def _moved(schedule: Schedule, *, run: str | None = None, problem: str | None = None) -> Schedule:
    moment = now()
    try:
        following = timestamp(schedule.after(moment))
    except PulpoError as error:  # its last time has passed
        following, problem = "9999", problem or error.detail
    return replace(
        schedule,
        version=schedule.version + 1,
        last_at=timestamp(moment),
        last_run=run or schedule.last_run,
        problem=problem,
        next_at=following,
    )


def _text(schedule: Schedule) -> str:
    return pydantic_core.to_json(schedule.as_json()).decode()
