"""What survives when the work on a run is dropped at a fault point: nothing is lost, nothing completed repeats."""

from __future__ import annotations

import asyncio

import pytest

from pulpo import Refused
from pulpo.runtime.tables import RUNS
from pulpo.store.port import Batch, Insert, NoRoom, StaleVersion
from pulpo.testing.project import CrashAt
from tests.runtime.lab import LOCAL, Box, Lab


@pytest.mark.parametrize("point", ["before_body", "after_body", "after_result", "after_commit"])
async def test_a_dropped_run_resumes_where_it_was(lab: Lab, point: str) -> None:
    """The run completes; steps that had a result ran once; the dropped one kept its key."""

    async def two_commits(data, ctx):
        ctx.store.insert(Box(label=f"{len(lab.calls)}"))
        await ctx.commit()

    lab.step("lab.a.one")
    lab.step("lab.b.two", two_commits, after=["lab.a"], models_add=[Box])
    lab.step("lab.c.three", after=["lab.b"])
    app = await lab.start(lease=1)
    crash = CrashAt(app)(point, "lab.b.two")
    begun = await app.engine.start_run("work", {}, caller=LOCAL)
    async with asyncio.timeout(5):
        await crash.reached.wait()
    done = await app.engine.finished(begun["id"], 10)
    assert done["state"] == "completed"
    assert lab.calls.count("lab.a.one") == 1
    assert lab.calls.count("lab.c.three") == 1
    assert lab.calls.count("lab.b.two") == {"before_body": 1, "after_result": 1}.get(point, 2)
    assert len(set(lab.keys["lab.b.two"])) == 1
    assert done["token"] == 2


@pytest.mark.parametrize("point", ["before_compensation", "inside_compensation"])
async def test_undoing_goes_on_after_it_was_dropped(lab: Lab, point: str) -> None:
    """Every undoing has happened in the end, and the run is compensated."""

    async def fail(data, ctx):
        raise Refused("no_luck", "not today")

    lab.step("lab.a.one", undo=True)
    lab.step("lab.b.two", undo=True, after=["lab.a"])
    lab.step("lab.c.three", fail, after=["lab.b"])
    app = await lab.start(lease=1)
    crash = CrashAt(app)(point)
    begun = await app.engine.start_run("work", {}, caller=LOCAL)
    async with asyncio.timeout(5):
        await crash.reached.wait()
    done = await app.engine.finished(begun["id"], 10)
    assert done["state"] == "compensated"
    undone = [name for name in lab.calls if name.endswith("_undone")]
    assert undone[-1] == "lab.a.one_undone"
    assert set(undone) == {"lab.a.one_undone", "lab.b.two_undone"}


async def test_a_paused_worker_can_land_nothing_after_its_run_was_taken(lab: Lab) -> None:
    """The second worker completes the run; the first one's late result is refused, and it lets go."""
    inside, go, calls = asyncio.Event(), asyncio.Event(), []

    async def slow(data, ctx):
        calls.append(ctx.run.id)
        if len(calls) == 1:
            inside.set()
            await go.wait()
        ctx.store.insert(Box(label=f"by call {len(calls)}"))

    lab.step("lab.a.one", slow, models_add=[Box])
    first = await lab.start(lease=60)
    begun = await first.engine.start_run("work", {}, caller=LOCAL)
    await inside.wait()
    second = await lab.start(lease=60)
    await second.engine.worker._free(first.engine.worker.id)  # as when the first one's lease has passed
    done = await second.engine.finished(begun["id"], 10)
    assert done["state"] == "completed"
    held = first.engine.drivers[begun["id"]]
    go.set()
    async with asyncio.timeout(5):
        await held.done
    assert await second.store.count("boxes") == 1
    assert (await second.engine.run(begun["id"]))["version"] == done["version"]


async def test_a_run_that_kills_its_workers_ends_as_failed_and_visible(lab: Lab) -> None:
    """Past the number of recoveries it is an incident, and other runs go on."""
    lab.step("lab.a.one")
    app = await lab.start(lease=1, recoveries=0)
    crash = CrashAt(app)("before_body")
    begun = await app.engine.start_run("work", {}, caller=LOCAL)
    async with asyncio.timeout(5):
        await crash.reached.wait()
    done = await app.engine.finished(begun["id"], 10)
    assert done["state"] == "failed"
    assert done["incident"]
    assert (await lab.run(app))["state"] == "completed"


async def test_a_direct_call_that_is_dropped_is_resumed_and_answers_its_key(lab: Lab) -> None:
    """The run of a call that is not atomic is visible, completes, and its key then replays the answer."""
    lab.step("lab.a.one")
    app = await lab.start(lease=1)
    crash = CrashAt(app)("before_body")
    call = asyncio.create_task(app.call("lab.a.one", {}, caller=LOCAL, key="k-1"))
    async with asyncio.timeout(5):
        await crash.reached.wait()
    await asyncio.wait([call])
    assert call.exception() is not None
    (record,) = (await app.engine.runs()).records
    await app.engine.finished(record.id, 10)
    again = await app.call("lab.a.one", {}, caller=LOCAL, key="k-1")
    assert again.replayed
    assert again.run == record.id
    assert lab.calls == ["lab.a.one"]


async def test_a_run_that_just_begins_is_not_taken_for_one_left_behind(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the commit of a run and its driver's start the worker looks for lost runs: it leaves this one alone."""
    lab.step("lab.work")
    app = await lab.start()
    commit = app.store.commit
    looked: list[str] = []

    async def commit_and_look(batch: Batch) -> tuple[int, ...]:
        versions = await commit(batch)
        begun = [write.id for write in batch.writes if isinstance(write, Insert) and write.collection == RUNS]
        if begun:
            looked.extend(begun)
            await app.engine.worker.recover()
        return versions

    monkeypatch.setattr(app.store, "commit", commit_and_look)
    called = await app.call("lab.work", {}, caller=LOCAL)
    flow = await lab.run(app)
    assert {called.run, flow["id"]} <= set(looked)
    for id in (called.run, flow["id"]):
        run = await app.engine.run(id)
        assert (run["state"], run["token"], run["recoveries"]) == ("completed", 1, 0)
    assert lab.calls == ["lab.work", "lab.work"]


async def test_a_step_that_cannot_be_recorded_is_tried_again(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store has no room when a step is about to begin: that fails nothing, the step begins when there is room."""
    lab.step("lab.one.first")
    lab.step("lab.two.last", after=["lab.one"])
    app = await lab.start()
    commit = app.store.commit
    refused: list[str] = []

    async def commit_if_there_is_room(batch: Batch) -> tuple[int, ...]:
        about = [write.id for write in batch.writes if "lab.two.last" in write.id]
        if len(batch.writes) > 1 and about and "lab.one.first" in batch.writes[0].id:
            # the result goes without its neighbour's intent, as where that does not hold
            raise StaleVersion("PULPO502", "not now", 1)
        if about and not refused:
            refused.extend(about)
            raise NoRoom("PULPO505", "there is no room")
        return await commit(batch)

    monkeypatch.setattr(app.store, "commit", commit_if_there_is_room)
    run = await lab.run(app)
    assert refused
    assert run["state"] == "completed"
    assert [step["attempts"] for step in run["steps"]] == [1, 1]
