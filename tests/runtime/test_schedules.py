"""Schedules of the embedded engine: when they are due, and that a tick begins one run however many processes look."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from pulpo import PulpoError
from pulpo.model.model import now, timestamp
from pulpo.runtime import schedules
from pulpo.runtime.application import Application
from pulpo.runtime.schedules import Schedule
from pulpo.runtime.tables import RUNS, SCHEDULES
from pulpo.store.port import Batch, Query, Unreachable, Update
from tests.runtime.lab import Lab

AT = datetime(2026, 3, 28, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("schedule", "following"),
    [
        (Schedule("s", "lab", cron="30 2 * * *"), "2026-03-29T02:30:00.000Z"),
        # Madrid's clocks go from 02:00 to 03:00 that night.
        (Schedule("s", "lab", cron="30 3 * * *", timezone="Europe/Madrid"), "2026-03-29T01:30:00.000Z"),
        (Schedule("s", "lab", every=600, created_at="2026-03-28T11:55:00.000Z"), "2026-03-28T12:05:00.000Z"),
        (Schedule("s", "lab", every=600, created_at="2026-03-28T12:00:00.000Z"), "2026-03-28T12:10:00.000Z"),
    ],
)
def test_when_it_is_due(schedule: Schedule, following: str) -> None:
    """Cron by the clock of its zone, an interval in step with its beginning; always after the moment asked for."""
    assert timestamp(schedule.after(AT)) == following


@pytest.mark.parametrize(
    "schedule",
    [
        Schedule("s", "lab", cron="every day"),
        Schedule("s", "lab", cron="0 0 31 2 *"),
        Schedule("s", "lab", cron="0 0 * * *", timezone="Mars/Olympus"),
    ],
)
def test_what_never_comes_is_refused(schedule: Schedule) -> None:
    """PULPO804: no cron expression, no such day, no such zone."""
    with pytest.raises(PulpoError) as refused:
        schedule.after(AT)
    assert refused.value.code == "PULPO804"


async def due(app: Application, name: str) -> None:
    """Make a schedule's time come."""
    change = Update(SCHEDULES, name, set={"next_at": timestamp(now())})
    await app.engine.store.commit(Batch((change,)))


async def begun(app: Application) -> list[str]:
    return [record.id for record in (await app.engine.store.query(Query(RUNS, limit=100))).records]


async def test_a_tick_begins_one_run(lab: Lab) -> None:
    """Ten that look at once: one run, which is carried out, and the schedule is due again later."""
    lab.step("lab.one.step")
    app = await lab.start()
    flow = next(iter(app.plans))
    made = await schedules.put(app.engine, "often", flow, {"box": "box"}, every=3600)
    assert made.next_at > timestamp(now())
    await due(app, "often")
    await asyncio.gather(*(schedules.tick(app.engine) for _ in range(10)))
    (run,) = await begun(app)
    ended = await app.engine.finished(run, 10)
    assert (ended["state"], ended["caller"]["principal"]) == ("completed", "schedule")
    (after,) = await schedules.listing(app.engine)
    assert (after.last_run, after.problem) == (run, None)
    assert after.next_at > timestamp(now())
    await schedules.tick(app.engine)
    assert await begun(app) == [run]


async def test_a_tick_that_cannot_begin_a_run_is_passed_over(lab: Lab) -> None:
    """Its input is not valid any more: the schedule says so and goes on."""
    lab.step("lab.one.step")
    app = await lab.start()
    flow = next(iter(app.plans))
    await schedules.put(app.engine, "often", flow, {"box": "box"}, every=3600)
    await app.engine.store.commit(Batch((Update(SCHEDULES, "often", set={"input": {"amount": "many"}}),)))
    await due(app, "often")
    await schedules.tick(app.engine)
    (after,) = await schedules.listing(app.engine)
    assert await begun(app) == []
    assert after.problem is not None
    assert after.next_at > timestamp(now())


async def test_a_tick_waits_for_a_database_that_is_away(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """What passes is no reason to leave a tick out: the next look begins its run."""
    lab.step("lab.one.step")
    app = await lab.start()
    flow = next(iter(app.plans))
    await schedules.put(app.engine, "nightly", flow, {"box": "box"}, every=3600)
    await due(app, "nightly")
    with monkeypatch.context() as away:

        async def prepare(*_: object) -> None:
            raise Unreachable("away")

        away.setattr(app.engine, "prepare", prepare)
        await schedules.tick(app.engine)
    (after,) = await schedules.listing(app.engine)
    assert (after.last_at, after.problem) == (None, None)
    await schedules.tick(app.engine)
    assert len(await begun(app)) == 1


async def test_a_clock_that_was_ahead_does_not_stop_a_schedule(lab: Lab) -> None:
    """Set back, what it moved on a day too far is due by today's time again; a few seconds are another machine's."""
    lab.step("lab.one.step")
    app = await lab.start()
    flow = next(iter(app.plans))
    for name, ahead in (("far", timedelta(days=1)), ("near", timedelta(seconds=20))):
        await schedules.put(app.engine, name, flow, {"box": "box"}, every=600)
        moved = {"last_at": timestamp(now() + ahead), "next_at": timestamp(now() + ahead + timedelta(seconds=600))}
        await app.engine.store.commit(Batch((Update(SCHEDULES, name, set=moved),)))
    near = (await schedules.listing(app.engine))[1]
    await schedules.set_right(app.engine)
    far, after = await schedules.listing(app.engine)
    assert after == near
    assert far.next_at <= timestamp(now() + timedelta(seconds=600))
    assert far.last_at is not None
    assert far.last_at <= timestamp(now())
    assert await begun(app) == []


async def test_a_schedule_is_replaced_and_forgotten(lab: Lab) -> None:
    """By its name; one that is not there is PULPO404."""
    lab.step("lab.one.step")
    app = await lab.start()
    flow = next(iter(app.plans))
    for every in (60, 120):
        await schedules.put(app.engine, "often", flow, {}, every=every)
    assert [each.every for each in await schedules.listing(app.engine)] == [120]
    await schedules.remove(app.engine, "often")
    assert await schedules.listing(app.engine) == []
    with pytest.raises(PulpoError, match="schedule"):
        await schedules.remove(app.engine, "often")
