"""The database is away for a while: no work is lost or done twice, and nothing is called a failure that is none."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pydantic_core
import pytest

from pulpo import PulpoError
from pulpo.model.model import now, timestamp
from pulpo.runtime.application import Application
from pulpo.runtime.tables import RUNS, STEPS, WORKERS
from pulpo.store.port import Batch, Insert, Replace, Unreachable, Update
from tests.runtime.lab import LOCAL, Box, Lab, states
from tests.runtime.test_review import Commit, around, begin

UNKNOWN = "the outcome is unknown"


def ends_step(batch: Batch, name: str) -> bool:
    """Whether a batch holds a step's result."""
    return any(
        isinstance(w, Replace | Insert) and w.collection == STEPS and name in w.id and '"state":"completed"' in w.json
        for w in batch.writes
    )


def away_once(app: Application, wanted: Callable[[Batch], bool], *, landed: bool) -> list[Batch]:
    """Have the first batch that is wanted meet a database that goes away, after it was kept or before."""
    met: list[Batch] = []

    async def hold(commit: Commit, batch: Batch) -> tuple[int, ...]:
        if met or not wanted(batch):
            return await commit(batch)
        met.append(batch)
        if landed:
            await commit(batch)
        raise Unreachable(UNKNOWN)

    around(app, hold)
    return met


@pytest.mark.parametrize("atomic", [False, True])
@pytest.mark.parametrize("landed", [False, True])
async def test_a_result_that_nobody_can_vouch_for_is_looked_up(lab: Lab, *, landed: bool, atomic: bool) -> None:
    """The flow completes, nothing is undone; the step runs again only where its result was not kept."""
    lab.step("lab.a.one", undo=True)
    lab.step("lab.b.two", after=["lab.a"], undo=True, atomic=atomic)
    lab.step("lab.c.three", after=["lab.b"])
    app = await lab.start(lease=1)
    met = away_once(app, lambda batch: ends_step(batch, "lab.b.two"), landed=landed)
    done = await app.engine.finished(await begin(app), 20)
    assert met
    assert states(done) == {"one": "completed", "two": "completed", "three": "completed"}
    assert lab.calls.count("lab.b.two") == (1 if landed else 2)
    assert lab.calls.count("lab.a.one") == lab.calls.count("lab.c.three") == 1


async def test_an_undoing_that_nobody_can_vouch_for_is_looked_up(lab: Lab) -> None:
    """It was kept, so it does not run again, and the run is compensated."""

    async def fail(data, ctx):
        raise PulpoError("no_luck", "not today", status=409)

    lab.step("lab.a.one", undo=True)
    lab.step("lab.b.two", fail, after=["lab.a"])
    app = await lab.start(lease=1)
    met = away_once(app, lambda batch: ends_step(batch, "~lab.a.one"), landed=True)
    done = await app.engine.finished(await begin(app), 20)
    assert met
    assert done["state"] == "compensated"
    assert lab.calls.count("lab.a.one_undone") == 1


async def test_a_step_that_cannot_read_goes_on_later(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """What its body asked of a database that is away is no failure of the step, however often that happens."""
    failures = 0

    async def look(data, ctx):
        await ctx.store.find(Box)

    lab.step("lab.a.one", look, models_in=[Box], undo=True)
    app = await lab.start()
    real = app.store.query

    async def query(wanted: Any) -> Any:
        nonlocal failures
        if wanted.collection == "boxes" and failures < 3:
            failures += 1
            raise Unreachable("nobody is there")
        return await real(wanted)

    monkeypatch.setattr(app.store, "query", query)
    done = await app.engine.finished(await begin(app), 20)
    assert (done["state"], failures) == ("completed", 3)


@pytest.mark.parametrize("landed", [False, True])
async def test_a_call_in_doubt_is_told_so_and_its_key_tells_more(lab: Lab, *, landed: bool) -> None:
    """No failure is recorded; the same key replays what was kept, or does it."""
    lab.step("lab.a.one", atomic=True)
    app = await lab.start()
    away_once(app, lambda batch: ends_step(batch, "lab.a.one"), landed=landed)
    with pytest.raises(PulpoError, match=UNKNOWN) as told:
        await app.call("lab.a.one", {}, caller=LOCAL, key="k")
    assert (told.value.code, told.value.headers) == ("PULPO507", {"Retry-After": "1"})
    again = await app.call("lab.a.one", {}, caller=LOCAL, key="k")
    assert again.replayed is landed
    records = (await app.engine.runs()).records
    assert [pydantic_core.from_json(record.json)["state"] for record in records] == ["completed"]
    assert records[0].id == again.run


async def test_a_call_whose_beginning_is_in_doubt_goes_on_elsewhere(lab: Lab) -> None:
    """A process that runs no flows gives the run free that it does not know it has; its key is answered then."""
    lab.step("lab.a.one")
    api = await lab.start(execute=False, lease=0.6)
    worker = await lab.start(lease=60)
    away_once(api, lambda batch: any(isinstance(w, Insert) and w.collection == RUNS for w in batch.writes), landed=True)
    with pytest.raises(PulpoError, match=UNKNOWN):
        await api.call("lab.a.one", {}, caller=LOCAL, key="k")
    (record,) = (await api.engine.runs()).records
    assert (await worker.engine.finished(record.id, 10))["state"] == "completed"
    assert (await api.call("lab.a.one", {}, caller=LOCAL, key="k")).replayed
    assert lab.calls == ["lab.a.one"]


async def test_a_lease_that_passed_while_nobody_could_renew_is_no_death(lab: Lab) -> None:
    """A worker far away keeps its run while the database is away for longer than a lease, and loses it when silent."""
    inside, go = asyncio.Event(), asyncio.Event()

    async def slow(data, ctx):
        inside.set()
        await go.wait()

    lab.step("lab.a.one", slow)
    far = await lab.start(lease=0.9)
    run = await begin(far)
    await inside.wait()
    near = await lab.start(lease=0.9)
    gone_at = asyncio.get_running_loop().time()
    back, renewed = asyncio.Event(), asyncio.Event()

    async def hold(commit: Commit, batch: Batch) -> tuple[int, ...]:
        await back.wait()
        return await commit(batch)

    async def hold_and_tell(commit: Commit, batch: Batch) -> tuple[int, ...]:
        landed = await hold(commit, batch)
        if any(isinstance(w, Update) and w.collection == WORKERS for w in batch.writes):
            renewed.set()
        return landed

    around(far, hold)
    around(near, hold_and_tell)
    await _elsewhere(near, far.engine.worker.id)
    await asyncio.sleep(2.0)  # longer than two leases
    back.set()
    async with asyncio.timeout(5):
        await renewed.wait()
    await asyncio.sleep(0.5)  # several looks for the dead
    found = await near.engine.load(run)
    assert (found.worker, found.recoveries) == (far.engine.worker.id, 0)
    assert asyncio.get_running_loop().time() - gone_at < 5
    go.set()
    assert (await near.engine.finished(run, 10))["state"] == "completed"
    assert lab.calls == ["lab.a.one"]


@pytest.mark.parametrize("ahead", [-5, 3600])
async def test_a_worker_that_stays_silent_loses_its_runs(lab: Lab, ahead: int) -> None:
    """Others have renewed their leases all the time; what its clock says is of no account."""
    inside = asyncio.Event()

    async def hang_once(data, ctx):
        if not inside.is_set():
            inside.set()
            await asyncio.Event().wait()

    lab.step("lab.a.one", hang_once)
    far = await lab.start(lease=0.9)
    run = await begin(far)
    await inside.wait()
    near = await lab.start(lease=0.9)

    async def never(_: Commit, __: Batch) -> tuple[int, ...]:
        raise Unreachable("cut off")

    restore = around(far, never)
    await _elsewhere(near, far.engine.worker.id, ahead)
    done = await near.engine.finished(run, 10)
    assert (done["state"], done["recoveries"]) == ("completed", 1)
    restore()


async def test_a_worker_whose_clock_is_slow_keeps_its_runs(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the clocks of others its lease has passed whenever it renews it."""
    inside, go = asyncio.Event(), asyncio.Event()

    async def slow(data, ctx):
        inside.set()
        await go.wait()

    lab.step("lab.a.one", slow)
    far = await lab.start(lease=0.9)
    run = await begin(far)
    await inside.wait()
    monkeypatch.setattr(far.engine.worker, "_lease", lambda: timestamp(now() - timedelta(hours=1)))
    near = await lab.start(lease=0.9)
    await _elsewhere(near, far.engine.worker.id, -3600)
    await asyncio.sleep(2.5)  # near has judged for longer than a lease
    assert near.engine.worker._judges()
    go.set()
    done = await near.engine.finished(run, 10)
    assert (done["state"], done["recoveries"]) == ("completed", 0)
    assert lab.calls == ["lab.a.one"]


async def _elsewhere(app: Application, worker: str, ahead: float = -5) -> None:
    """Have a worker's row say that it is on another machine, with a lease until so many seconds from now."""
    until = timestamp(now() + timedelta(seconds=ahead))
    record = await app.store.get(WORKERS, worker)
    assert record is not None
    row = {
        **pydantic_core.from_json(record.json),
        "host": "far/away",
        "lease_until": until,
        "version": record.version + 1,
    }
    text = pydantic_core.to_json(row).decode()
    await type(app.store).commit(app.store, Batch((Replace(WORKERS, worker, record.version, text),)))  # type: ignore[arg-type]


async def test_a_body_is_not_begun_again_for_a_run_of_others(lab: Lab) -> None:
    """What it had read has changed, by the very worker that took its run over: it lets go instead of trying again."""
    inside, go, calls = asyncio.Event(), asyncio.Event(), []

    async def slow(data, ctx):
        box = await ctx.store.get(Box, "box_1")
        calls.append(ctx.run.id)
        if len(calls) == 1:
            inside.set()
            await go.wait()
        ctx.store.patch(box, count=box.count + 1)

    lab.step("lab.a.one", slow, models_in=[Box], models_out=[Box])
    first = await lab.start(lease=60)
    context = first.context(LOCAL)
    context.store.insert(Box(id="box_1", label="x"))
    await context.commit()
    run = await begin(first)
    await inside.wait()
    second = await lab.start(lease=60)
    await second.engine.worker._free(first.engine.worker.id)  # as when the first one's lease has passed
    assert (await second.engine.finished(run, 10))["state"] == "completed"
    held = first.engine.drivers[run]
    go.set()
    async with asyncio.timeout(5):
        await held.done
    assert len(calls) == 2
    found = await second.store.get("boxes", "box_1")
    assert found is not None
    assert pydantic_core.from_json(found.json)["count"] == 1
