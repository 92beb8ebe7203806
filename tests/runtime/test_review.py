"""Runs at their worst moments: every one comes to an end, and nobody does what is no longer theirs to do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import psutil
import pydantic_core
import pytest

from pulpo import NotReady, PulpoError, Refused
from pulpo.runtime import unwind
from pulpo.runtime.application import Application
from pulpo.runtime.deadlines import Deadlines, Expired
from pulpo.runtime.tables import KEYS, PLANS, RUNS, STEPS, WORKERS
from pulpo.runtime.workers import gone
from pulpo.store.port import Batch, Delete, Insert, NoRoom, Query, Update
from pulpo.testing.project import CrashAt
from tests.runtime.lab import LOCAL, Box, Lab, Made, states

Commit = Callable[[Batch], Awaitable[tuple[int, ...]]]


def around(app: Application, wrap: Callable[[Commit, Batch], Awaitable[tuple[int, ...]]]) -> Callable[[], None]:
    """Put `wrap(commit, batch)` in place of the store's commit; what it returns takes it away again."""
    real = app.store.commit

    async def commit(batch: Batch) -> tuple[int, ...]:
        return await wrap(real, batch)

    app.store.commit = commit  # type: ignore[method-assign]

    def restore() -> None:
        app.store.commit = real  # type: ignore[method-assign]

    return restore


def no_room() -> NoRoom:
    return NoRoom("PULPO505", "there is no room left")


def inserts(batch: Batch, collection: str, part: str = "") -> bool:
    """Whether a batch adds a document whose id has this part."""
    return any(isinstance(w, Insert) and w.collection == collection and part in w.id for w in batch.writes)


async def begin(app: Application, **given: Any) -> str:
    run = await app.engine.start_run("work", given, caller=LOCAL)
    return str(run["id"])


# cancel


async def test_a_cancel_during_the_last_step_comes_too_late_and_the_run_ends(lab: Lab) -> None:
    """The step that cannot be cut short completes the run, which does not hang between cancelling and completed."""
    inside, go = asyncio.Event(), asyncio.Event()

    async def slow(data, ctx):
        inside.set()
        await go.wait()

    lab.step("lab.a.one", slow)
    app = await lab.start()
    run = await begin(app)
    await inside.wait()
    await app.engine.cancel(run)
    go.set()
    assert (await app.engine.finished(run, 5))["state"] == "completed"


async def test_a_direct_call_that_is_cancelled_in_its_body_still_answers(lab: Lab) -> None:
    """It cannot be cut short, so its caller gets its output."""
    inside, go = asyncio.Event(), asyncio.Event()

    async def slow(data, ctx):
        inside.set()
        await go.wait()
        return Made(made="thing")

    lab.step("lab.a.one", slow)
    app = await lab.start()
    call = asyncio.create_task(app.call("lab.a.one", {}, caller=LOCAL))
    await inside.wait()
    (record,) = (await app.engine.runs()).records
    await app.engine.cancel(record.id)
    go.set()
    async with asyncio.timeout(5):
        assert "thing" in (await call).output


async def test_an_operation_that_cancels_the_runs_of_its_own_value_does_not_wait_for_itself(lab: Lab) -> None:
    """`ctx.cancel_runs` means the other runs; the one it is part of goes on."""

    async def clear(data, ctx):
        await ctx.cancel_runs(data.box)

    lab.one_per = "box"
    lab.step("lab.a.one", clear, timeout=3, retries=0)
    lab.step("lab.b.two", after=["lab.a"])
    assert (await lab.run(await lab.start(), box="b1"))["state"] == "completed"


# what a body may do


async def test_a_body_that_raises_a_cancellation_of_its_own_fails(lab: Lab) -> None:
    """Something inside that was cancelled is an error like any other: the run ends, and so does a direct call."""

    async def inner(data, ctx):
        task = asyncio.ensure_future(asyncio.Event().wait())
        task.cancel()
        await task

    lab.step("lab.a.one", inner)
    lab.step("lab.b.two", inner, atomic=True)
    app = await lab.start()
    run = await lab.run(app)
    assert run["state"] == "failed"
    assert run["error"]["code"] == "PULPO401"
    with pytest.raises(PulpoError, match="PULPO401"):
        await app.call("lab.b.two", {}, caller=LOCAL)


async def test_work_that_takes_no_notice_of_its_deadline_leaves_its_task_as_it_was() -> None:
    """What it gives counts, and nothing in the task looks cancelled afterwards."""

    async def stubborn() -> int:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return 7
        return 0

    deadlines = Deadlines()
    assert await deadlines.within(0.01, stubborn()) == 7
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    with pytest.raises(Expired):
        await deadlines.within(0.01, asyncio.Event().wait())
    assert task.cancelling() == 0


async def test_a_timeout_inside_a_commit_loses_neither_the_commit_nor_the_step(lab: Lab) -> None:
    """The commit lands; the next attempt sees it and ends under the same token."""
    tries = []

    async def hold(commit: Commit, batch: Batch) -> tuple[int, ...]:
        landed = await commit(batch)
        if inserts(batch, "boxes"):
            await asyncio.sleep(0.2)  # the disk is slow: longer than the step may take
        return landed

    async def add(data, ctx):
        tries.append(await ctx.store.count(Box))
        if tries[-1] == 0:
            ctx.store.insert(Box(label="first"))
            await ctx.commit()

    lab.step("lab.a.one", add, models_out=[Box], timeout=0.1, retries=2)
    app = await lab.start()
    around(app, hold)
    run = await lab.run(app)
    assert run["state"] == "completed"
    assert tries == [0, 1]
    assert run["token"] == 1


async def test_a_stale_copy_is_not_written_over_what_is_pending(lab: Lab) -> None:
    """Patching the copy that was read before the first patch would lose that one: it is refused."""

    async def twice(data, ctx):
        box = await ctx.store.get(Box, "b1")
        ctx.store.patch(box, count=5)
        ctx.store.patch(box, label="other")

    async def right(data, ctx):
        box = await ctx.store.get(Box, "b1")
        box = ctx.store.patch(box, count=5)
        ctx.store.patch(box, label="other")

    lab.step("lab.a.wrong", twice, atomic=True)
    lab.step("lab.b.right", right, atomic=True)
    app = await lab.start()
    ctx = app.context(LOCAL)
    ctx.store.insert(Box(id="b1", label="one"))
    await ctx.commit()
    with pytest.raises(PulpoError, match="PULPO502"):
        await app.call("lab.a.wrong", {}, caller=LOCAL)
    await app.call("lab.b.right", {}, caller=LOCAL)
    found = await app.context(LOCAL).store.get(Box, "b1")
    assert (found.count, found.label, found.version) == (5, "other", 2)


# undoing


async def test_a_step_that_never_began_is_not_undone(lab: Lab) -> None:
    """Its intent was recorded with its forerunner's result, which landed after another step had failed."""
    landing, failed = asyncio.Event(), asyncio.Event()

    async def hold(commit: Commit, batch: Batch) -> tuple[int, ...]:
        if inserts(batch, STEPS, "later"):  # the failure is recorded while this is on its way
            landing.set()
            await failed.wait()
        if any("fail" in w.id for w in batch.writes) and landing.is_set():
            landed = await commit(batch)
            failed.set()
            return landed
        return await commit(batch)

    async def fail_late(data, ctx):
        await landing.wait()
        raise Refused("no_luck", "not today")

    lab.step("lab.a.first", undo=True)
    lab.step("lab.b.later", undo=True, after=["lab.a"])
    lab.step("lab.c.fail", fail_late)
    app = await lab.start()
    around(app, hold)
    run = await lab.run(app)
    assert run["state"] == "compensated"
    assert lab.calls.count("lab.a.first_undone") == 1
    assert "lab.b.later" not in lab.calls
    assert "lab.b.later_undone" not in lab.calls


async def test_an_undoing_that_is_no_longer_there_is_an_incident(lab: Lab) -> None:
    """The code has changed since the run began: the run ends failed and says what could not be undone."""

    async def fail(data, ctx):
        raise Refused("no_luck", "not today")

    lab.step("lab.a.one", undo=True)
    lab.step("lab.b.two", fail, after=["lab.a"])
    app = await lab.start(lease=60)
    crash = CrashAt(app)("before_compensation")
    run = await begin(app)
    async with asyncio.timeout(5):
        await crash.reached.wait()
    app.operations.pop("lab.a.one_undone")
    done = await app.engine.finished(run, 10)
    assert done["state"] == "failed"
    assert "lab.a.one" in done["incident"]


async def test_an_undoing_waits_out_a_full_disk(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """No room is no verdict: the undoing is tried again until there is some, and the run is compensated."""
    full, refused = [True], asyncio.Event()

    async def hold(commit: Commit, batch: Batch) -> tuple[int, ...]:
        if full[0] and inserts(batch, "boxes", "undone"):
            refused.set()
            raise no_room()
        return await commit(batch)

    async def undo(data, ctx):
        ctx.store.insert(Box(id="undone", label="undone"))

    async def fail(data, ctx):
        raise Refused("no_luck", "not today")

    lab.step("lab.a.one", undo=undo)
    lab.step("lab.b.two", fail, after=["lab.a"])
    app = await lab.start()
    around(app, hold)
    monkeypatch.setattr(unwind, "RETRIES", 0)
    run = await begin(app)
    async with asyncio.timeout(5):
        await refused.wait()
    for _ in range(20):  # what the refusal leads to has happened
        await asyncio.sleep(0)
    full[0] = False
    done = await app.engine.finished(run, 10)
    assert done["state"] == "compensated"


# taking over


async def test_a_run_whose_undoing_was_cut_off_by_a_stop_goes_on_elsewhere(lab: Lab) -> None:
    """The stopping application lets go of it; the next one undoes the rest."""
    inside, go = asyncio.Event(), asyncio.Event()

    async def undo(data, ctx):
        inside.set()
        await go.wait()

    async def fail(data, ctx):
        raise Refused("no_luck", "not today")

    lab.step("lab.a.one", undo=undo)
    lab.step("lab.b.two", fail, after=["lab.a"])
    first = await lab.start()
    run = await begin(first)
    await inside.wait()
    await first.stop(0.05)
    go.set()
    second = await lab.start()
    done = await second.engine.finished(run, 5)
    assert done["state"] == "compensated"
    assert done["recoveries"] == 0


async def test_a_run_of_a_worker_that_nobody_knows_is_taken_over(lab: Lab) -> None:
    """Its body outlasts the stop, so the lease is gone while the run still names its worker."""
    inside, go = asyncio.Event(), asyncio.Event()

    async def stubborn(data, ctx):
        if len(lab.calls) > 1:
            return
        inside.set()
        while not go.is_set():
            try:
                await go.wait()
            except asyncio.CancelledError:
                continue

    lab.step("lab.a.one", stubborn)
    first = await lab.start()
    run = await begin(first)
    await inside.wait()
    await first.stop(0.05)
    second = await lab.start(lease=1)
    done = await second.engine.finished(run, 5)
    go.set()
    assert done["state"] == "completed"


async def test_a_run_that_just_began_is_not_taken_for_a_lost_one(lab: Lab) -> None:
    """A look for lost runs between the commit that begins one and its driver leaves it alone."""
    lab.step("lab.a.one")
    app = await lab.start()

    async def look(commit: Commit, batch: Batch) -> tuple[int, ...]:
        landed = await commit(batch)
        if inserts(batch, RUNS):
            await app.engine.worker.recover()
        return landed

    restore = around(app, look)
    run = await lab.run(app)
    restore()
    assert run["state"] == "completed"
    assert run["token"] == 1


async def test_a_worker_is_not_dead_because_the_clock_was_set(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process' start time moves with the wall clock; a live one stays alive."""
    app = await lab.start()
    (record,) = (await app.store.query(Query(WORKERS))).records
    row = pydantic_core.from_json(record.json)
    assert not gone(row, passed=False)
    real = psutil.Process.create_time
    monkeypatch.setattr(psutil.Process, "create_time", lambda self: real(self) + 3600)
    assert not gone(row, passed=False)
    assert gone({**row, "started": row["started"] - 10}, passed=False)
    assert gone(row, passed=True)


async def test_a_worker_that_was_taken_for_dead_registers_when_it_can(lab: Lab) -> None:
    """A full disk at that moment does not end its heartbeat."""
    lab.step("lab.a.one")
    app = await lab.start(lease=0.3)
    refused, registered = asyncio.Event(), asyncio.Event()

    async def hold(commit: Commit, batch: Batch) -> tuple[int, ...]:
        if inserts(batch, WORKERS) and not refused.is_set():
            refused.set()
            raise no_room()
        landed = await commit(batch)
        if inserts(batch, WORKERS):
            registered.set()
        return landed

    around(app, hold)
    await app.store.commit(Batch((Delete(WORKERS, app.engine.worker.id),)))
    async with asyncio.timeout(5):
        await registered.wait()
    assert refused.is_set()
    assert app.engine.worker.alive


async def test_a_paused_worker_begins_no_step_of_a_run_that_has_ended(lab: Lab) -> None:
    """It was about to record the next step when its run was taken over and cancelled: that step never runs."""
    both = asyncio.Barrier(2)
    paused, go = asyncio.Event(), asyncio.Event()

    async def meet(data, ctx):
        ctx.store.insert(Box(label=ctx.run.operation))
        await both.wait()

    async def pause(commit: Commit, batch: Batch) -> tuple[int, ...]:
        if inserts(batch, STEPS, "later"):
            paused.set()
            await go.wait()
        return await commit(batch)

    lab.step("lab.a.left", meet, models_add=[Box])
    lab.step("lab.a.right", meet, models_add=[Box])
    lab.step("lab.b.later", after=["lab.a"])
    first = await lab.start(lease=60)
    around(first, pause)
    run = await begin(first)
    async with asyncio.timeout(5):
        await paused.wait()
    second = await lab.start(lease=60)
    await second.engine.worker._free(first.engine.worker.id)  # as when the first one's lease has passed
    held = first.engine.drivers[run]
    await second.engine.cancel(run)
    assert (await second.engine.finished(run, 5))["state"] == "cancelled"
    go.set()
    async with asyncio.timeout(5):
        await held.done
    assert "lab.b.later" not in lab.calls
    assert states(await second.engine.run(run))["later"] == "skipped"


async def test_a_run_that_ends_as_poison_leaves_nothing_open(lab: Lab) -> None:
    """Its step is in doubt and not running, its client's key is free, and a retry begins to count anew."""
    lab.step("lab.a.one")
    app = await lab.start(lease=1, recoveries=0)
    crash = CrashAt(app)("before_body")
    call = asyncio.create_task(app.call("lab.a.one", {}, caller=LOCAL, key="k-1"))
    async with asyncio.timeout(5):
        await crash.reached.wait()
    await asyncio.wait([call])
    assert call.exception() is not None
    (record,) = (await app.engine.runs()).records
    done = await app.engine.finished(record.id, 10)
    assert (done["state"], states(done)) == ("failed", {"one": "failed"})
    retried = await app.engine.retry(record.id)
    done = await app.engine.finished(retried["id"], 10)
    assert (done["state"], done["recoveries"]) == ("completed", 0)
    await app.call("lab.a.one", {}, caller=LOCAL, key="k-1")


async def test_a_run_that_cannot_be_read_blocks_nobody(lab: Lab) -> None:
    """A plan that makes no sense is an incident of its run, and the runs behind it go on."""
    lab.step("lab.a.one")
    asking = await lab.start(execute=False)
    broken = await begin(asking)
    good = await begin(asking)
    run = await asking.engine.run(broken)
    await asking.store.commit(
        Batch(
            (
                Insert(PLANS, "broken", '{"id":"broken","version":1,"plan":{"steps":7}}'),
                Update(RUNS, broken, set={"plan": "broken"}),
            )
        )
    )
    app = await lab.start()
    assert (await app.engine.finished(good, 5))["state"] == "completed"
    record = await app.store.get(RUNS, run["id"])
    assert record is not None
    assert '"state":"failed"' in record.json
    assert '"incident":"' in record.json


async def test_a_step_whose_operation_is_gone_is_an_incident_and_undoes_nothing(lab: Lab) -> None:
    """A person puts the operation back and goes on from there."""
    inside, go = asyncio.Event(), asyncio.Event()

    async def slow(data, ctx):
        inside.set()
        await go.wait()

    lab.step("lab.a.one", slow, undo=True)
    lab.step("lab.b.two", after=["lab.a"])
    app = await lab.start()
    run = await begin(app)
    await inside.wait()
    missing = app.operations.pop("lab.b.two")
    go.set()
    done = await app.engine.finished(run, 5)
    assert done["state"] == "failed"
    assert "lab.b.two" in done["incident"]
    assert "lab.a.one_undone" not in lab.calls
    app.operations["lab.b.two"] = missing
    await app.engine.retry(run)
    assert (await app.engine.finished(run, 5))["state"] == "completed"
    assert lab.calls == ["lab.a.one", "lab.b.two"]


async def test_a_stop_keeps_the_result_of_the_last_step(lab: Lab) -> None:
    """A direct call that ends while the application stops is answered, not left to the next one."""
    inside, go = asyncio.Event(), asyncio.Event()

    async def slow(data, ctx):
        inside.set()
        await go.wait()
        return Made(made="thing")

    lab.step("lab.a.one", slow)
    app = await lab.start()
    call = asyncio.create_task(app.call("lab.a.one", {}, caller=LOCAL))
    await inside.wait()
    stopping = asyncio.create_task(app.stop(5))
    await asyncio.sleep(0)
    assert next(iter(app.engine.drivers.values())).draining
    go.set()
    assert "thing" in (await call).output
    await stopping


# no room


async def test_no_body_runs_before_its_intent_is_recorded(lab: Lab) -> None:
    """With the disk full the step does not begin; with room again it runs once."""
    refused, full = asyncio.Event(), [True]
    both = asyncio.Barrier(2)

    async def meet(data, ctx):
        ctx.store.insert(Box(label=ctx.run.operation))
        await both.wait()

    async def hold(commit: Commit, batch: Batch) -> tuple[int, ...]:
        if full[0] and inserts(batch, STEPS, "later"):
            refused.set()
            raise no_room()
        return await commit(batch)

    async def later(data, ctx):
        assert not full[0]

    lab.step("lab.a.left", meet, models_add=[Box])
    lab.step("lab.a.right", meet, models_add=[Box])
    lab.step("lab.b.later", later, after=["lab.a"], retries=0)
    app = await lab.start()
    around(app, hold)
    run = await begin(app)
    async with asyncio.timeout(5):
        await refused.wait()
    for _ in range(20):
        await asyncio.sleep(0)
    assert "lab.b.later" not in lab.calls
    full[0] = False
    done = await app.engine.finished(run, 10)
    assert (done["state"], done["token"]) == ("completed", 1)
    assert lab.calls.count("lab.b.later") == 1


# keys and retries


async def test_a_run_ends_though_its_clients_key_has_expired(lab: Lab) -> None:
    """The row was taken away meanwhile: there is nobody to answer, and the run completes."""

    async def expire(data, ctx):
        page = await lab.apps[0].store.query(Query(KEYS))
        await lab.apps[0].store.commit(Batch(tuple(Delete(KEYS, record.id) for record in page.records)))

    async def refuse(data, ctx):
        await expire(data, ctx)
        raise Refused("no_luck", "not today")

    lab.step("lab.a.one", expire)
    lab.step("lab.b.two", refuse)
    app = await lab.start()
    async with asyncio.timeout(5):
        await app.call("lab.a.one", {}, caller=LOCAL, key="k-1")
        with pytest.raises(PulpoError, match="no_luck"):
            await app.call("lab.b.two", {}, caller=LOCAL, key="k-1")


async def test_not_ready_is_never_a_stored_answer(lab: Lab) -> None:
    """Even after a commit of its own: the same key asks again."""
    ready = [False]

    async def claim_first(data, ctx):
        if not ready[0]:
            ctx.store.insert(Box(label="claimed"))
            await ctx.commit()
            raise NotReady("payment_required", "not paid")

    lab.step("lab.a.one", claim_first, models_add=[Box])
    app = await lab.start()
    with pytest.raises(PulpoError, match="payment_required"):
        await app.call("lab.a.one", {}, caller=LOCAL, key="k-1")
    ready[0] = True
    assert not (await app.call("lab.a.one", {}, caller=LOCAL, key="k-1")).replayed


async def test_twins_with_one_key_begin_one_run_of_one_value(lab: Lab) -> None:
    """Both get that run: the second is no rival for the value, it is the same request."""
    go = asyncio.Event()

    async def slow(data, ctx):
        await go.wait()

    lab.one_per = "box"
    lab.step("lab.a.one", slow)
    app = await lab.start()
    first, second = await asyncio.gather(
        *(app.engine.start_run("work", {"box": "b1"}, caller=LOCAL, key="k-1") for _ in range(2))
    )
    assert first["id"] == second["id"]
    go.set()
    await app.engine.finished(first["id"], 5)


async def test_of_two_retries_at_once_one_begins_a_run(lab: Lab) -> None:
    """The other is told that the run was retried already."""

    async def fail(data, ctx):
        raise Refused("no_luck", "not today")

    lab.step("lab.a.one", undo=True)
    lab.step("lab.b.two", fail, after=["lab.a"])
    app = await lab.start()
    run = await lab.run(app)
    found = await asyncio.gather(*(app.engine.retry(run["id"]) for _ in range(2)), return_exceptions=True)
    begun = [each for each in found if isinstance(each, dict)]
    assert len(begun) == 1
    assert (await app.engine.run(run["id"]))["retried_by"] == begun[0]["id"]
    (other,) = [each for each in found if isinstance(each, PulpoError)]
    assert other.status == 409
    await app.engine.finished(begun[0]["id"], 5)


async def test_a_run_retried_in_place_takes_its_value_again(lab: Lab) -> None:
    """Also where the value came from a default: a second live run for it is refused."""
    luck, go = [False], asyncio.Event()

    async def maybe(data, ctx):
        if not luck[0]:
            raise Refused("no_luck", "not today")
        await go.wait()

    lab.one_per = "box"
    lab.step("lab.a.one", maybe)
    app = await lab.start()
    run = await lab.run(app)
    luck[0] = True
    again = await app.engine.retry(run["id"])
    assert again["live"] == "box"
    with pytest.raises(PulpoError, match="PULPO406"):
        await app.engine.start_run("work", {}, caller=LOCAL)
    go.set()
    assert (await app.engine.finished(run["id"], 5))["state"] == "completed"


async def test_a_direct_call_in_doubt_is_retried_under_its_own_key(lab: Lab) -> None:
    """Perhaps it happened: the outside world sees the same key again. A definite refusal gets a new one."""
    broken: list[Exception] = [ConnectionError("perhaps")]

    async def flaky(data, ctx):
        if broken:
            raise broken.pop()

    lab.step("lab.a.one", flaky, retries=0)
    app = await lab.start()
    for error, keys in ((ConnectionError("perhaps"), 1), (Refused("no_luck", "not today"), 2)):
        lab.keys.clear()
        broken[:] = [error]
        with pytest.raises(PulpoError):
            await app.call("lab.a.one", {}, caller=LOCAL)
        (record,) = (await app.engine.runs(limit=1)).records
        retried = await app.engine.retry(record.id)
        done = await app.engine.finished(retried["id"], 5)
        assert done["state"] == "completed"
        assert len(lab.keys["lab.a.one"]) == 2
        assert len(set(lab.keys["lab.a.one"])) == keys
