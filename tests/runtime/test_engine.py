"""What a run promises: order, parallel branches, gates, waiting, undoing, cancel, retry."""

from __future__ import annotations

import asyncio

import pytest

from pulpo import NotReady, PulpoError, Refused
from tests.runtime.lab import LOCAL, Box, Lab, Made, states


def box(label: str = "box", count: int = 0) -> Box:
    return Box(id=label, label=label, count=count)


async def test_steps_run_in_the_order_of_the_plan_and_side_by_side_where_it_allows(lab: Lab) -> None:
    """Two steps without an edge are inside their bodies at the same time; the third begins after both."""
    both = asyncio.Barrier(2)

    async def meet(data, ctx):
        async with asyncio.timeout(5):
            await both.wait()

    lab.step("lab.one.left", meet)
    lab.step("lab.one.right", meet)
    lab.step("lab.two.last", after=["lab.one"])
    app = await lab.start()
    run = await lab.run(app)
    assert run["state"] == "completed"
    assert lab.calls[-1] == "lab.two.last"
    assert run["output"] == {"lab.two.last": {"ok": True, "made": None}}


async def test_an_output_is_wired_to_the_step_that_takes_it(lab: Lab) -> None:
    """The undoing gets its step's input, and its output's fields by name."""
    seen = {}

    async def make(data, ctx):
        return Made(made="thing")

    async def unmake(data, ctx):
        seen.update(data.model_dump())

    async def refuse(data, ctx):
        raise Refused("no_luck", "not today")

    lab.step("lab.one.make", make, undo=unmake)
    lab.step("lab.two.refuse", refuse, after=["lab.one"])
    run = await lab.run(await lab.start(), box="b7")
    assert run["state"] == "compensated"
    assert seen == {"box": "b7", "made": "thing"}
    assert run["error"]["code"] == "no_luck"
    assert lab.keys["lab.one.make"] == lab.keys["lab.one.make_undone"]


async def test_what_was_done_is_undone_in_reverse_order(lab: Lab) -> None:
    """A failure after three steps undoes the third, the second, the first; the one that said already is left alone."""

    async def already(data, ctx):
        ctx.already()

    async def refuse(data, ctx):
        raise Refused("no_luck", "not today")

    lab.step("lab.a.one", undo=True)
    lab.step("lab.b.two", already, undo=True, after=["lab.a"])
    lab.step("lab.c.three", undo=True, after=["lab.b"])
    lab.step("lab.d.four", refuse, after=["lab.c"])
    run = await lab.run(await lab.start())
    assert run["state"] == "compensated"
    assert lab.calls[-2:] == ["lab.c.three_undone", "lab.a.one_undone"]
    assert "lab.b.two_undone" not in lab.calls


async def test_a_refusal_with_nothing_to_undo_fails_and_resumes_in_place(lab: Lab) -> None:
    """Retrying runs the refused step under a new key and repeats no completed one."""
    luck = [False]

    async def maybe(data, ctx):
        if not luck[0]:
            raise Refused("no_luck", "not today")

    lab.step("lab.a.one")
    lab.step("lab.b.two", maybe, after=["lab.a"])
    app = await lab.start()
    run = await lab.run(app)
    assert run["state"] == "failed"
    luck[0] = True
    again = await app.engine.retry(run["id"])
    assert again["id"] == run["id"]
    done = await app.engine.finished(run["id"], 5)
    assert done["state"] == "completed"
    assert lab.calls == ["lab.a.one", "lab.b.two", "lab.b.two"]
    assert len(set(lab.keys["lab.b.two"])) == 2


async def test_an_unexpected_error_is_tried_again_under_the_same_key(lab: Lab) -> None:
    """Two attempts that raise and a third that does not: completed, attempts counted, one key."""
    tries = []

    async def flaky(data, ctx):
        tries.append(ctx.run.attempt)
        if len(tries) < 3:
            raise ConnectionError("down")

    lab.step("lab.a.one", flaky, retries=3)
    run = await lab.run(await lab.start())
    assert run["state"] == "completed"
    assert tries == [1, 2, 3]
    assert run["steps"][0]["attempts"] == 3
    assert len(set(lab.keys["lab.a.one"])) == 1


async def test_a_step_in_doubt_is_undone_too(lab: Lab) -> None:
    """A step that is not atomic and raises may have happened: its undoing runs, without an output."""
    seen = {}

    async def crash(data, ctx):
        raise ConnectionError("perhaps")

    async def settle(data, ctx):
        seen.update(data.model_dump())

    lab.step("lab.a.one", crash, undo=settle)
    run = await lab.run(await lab.start())
    assert run["state"] == "compensated"
    assert seen == {"box": "box", "made": None} or seen["made"] is None


async def test_an_atomic_step_that_raises_left_nothing_and_is_not_undone(lab: Lab) -> None:
    """What it had gathered is not written, and its undoing does not run."""

    async def half(data, ctx):
        ctx.store.insert(box())
        raise RuntimeError("half-way")

    lab.step("lab.a.one", half, undo=True, atomic=True)
    app = await lab.start()
    run = await lab.run(app)
    assert run["state"] == "failed"
    assert await app.store.get("boxes", "box") is None
    assert lab.calls == ["lab.a.one"]


async def test_a_timeout_fails_the_step(lab: Lab) -> None:
    """A body that takes longer than its timeout is stopped: PULPO402."""

    async def forever(data, ctx):
        await asyncio.Event().wait()

    lab.step("lab.a.one", forever, timeout=0.05, retries=0)
    run = await lab.run(await lab.start())
    assert run["state"] == "failed"
    assert run["error"]["code"] == "PULPO402"


async def test_a_gate_that_is_false_stops_the_flow_and_undoes(lab: Lab) -> None:
    """What runs beside the gate finishes, nothing after it starts, and the run is stopped, not failed."""

    async def no(data, ctx):
        return Made(ok=False)

    lab.step("lab.a.gate", no, gate="ok")
    lab.step("lab.a.beside")
    lab.step("lab.b.later", after=["lab.a"])
    run = await lab.run(await lab.start())
    assert run["state"] == "stopped"
    assert states(run) == {"gate": "completed", "beside": "completed", "later": "skipped"}


async def test_a_step_that_is_not_ready_waits_and_holds_no_worker(lab: Lab) -> None:
    """The run waits without a worker; woken by a person it goes on at once."""
    ready = [False]

    async def not_yet(data, ctx):
        if not ready[0]:
            raise NotReady("payment_required", "not paid")

    lab.step("lab.a.one", not_yet)
    app = await lab.start()
    begun = await app.engine.start_run("work", {}, caller=LOCAL)
    await app.engine.drivers[begun["id"]].done
    waiting = await app.engine.run(begun["id"])
    assert waiting["state"] == "waiting"
    assert waiting["worker"] is None
    ready[0] = True
    await app.engine.wake(begun["id"])
    done = await app.engine.finished(begun["id"], 5)
    assert done["state"] == "completed"


async def test_waiting_has_a_limit(lab: Lab) -> None:
    """Past its wait limit the step fails with what it waited for."""

    async def never(data, ctx):
        raise NotReady("payment_required", "not paid")

    lab.step("lab.a.one", never, wait=0)
    run = await lab.run(await lab.start())
    assert run["state"] == "failed"
    assert run["error"]["code"] == "payment_required"


async def test_a_cancel_undoes_what_was_done(lab: Lab) -> None:
    """A run cancelled while a step is at work lets it end, starts nothing new and undoes."""
    inside, go = asyncio.Event(), asyncio.Event()

    async def slow(data, ctx):
        inside.set()
        await go.wait()

    lab.step("lab.a.one", slow, undo=True)
    lab.step("lab.b.two", after=["lab.a"])
    app = await lab.start()
    begun = await app.engine.start_run("work", {}, caller=LOCAL)
    await inside.wait()
    await app.engine.cancel(begun["id"], reason="changed their mind")
    go.set()
    done = await app.engine.finished(begun["id"], 5)
    assert done["state"] == "cancelled"
    assert lab.calls == ["lab.a.one", "lab.a.one_undone"]


async def test_an_atomic_sibling_is_cancelled_when_a_step_fails(lab: Lab) -> None:
    """It can be run again, so nobody waits for it."""
    inside = asyncio.Event()

    async def slow(data, ctx):
        inside.set()
        await asyncio.Event().wait()

    async def fail(data, ctx):
        await inside.wait()
        raise Refused("no_luck", "not today")

    lab.step("lab.a.slow", slow, atomic=True, timeout=20, models_out=[])
    lab.step("lab.a.fail", fail)
    run = await lab.run(await lab.start())
    assert run["state"] == "failed"
    assert states(run)["slow"] == "cancelled"


async def test_after_the_pivot_a_failure_goes_forward_only(lab: Lab) -> None:
    """Nothing is undone; the run is an incident, and a retry goes on from the failed step."""
    broken = [True]

    async def notify(data, ctx):
        if broken[0]:
            raise Refused("no_luck", "not today")

    lab.step("lab.a.reserve", undo=True)
    lab.step("lab.b.ship", after=["lab.a"], pivot=True, undo=True)
    lab.step("lab.c.notify", notify, after=["lab.b"])
    app = await lab.start()
    run = await lab.run(app)
    assert run["state"] == "failed"
    assert run["incident"]
    with pytest.raises(PulpoError, match="PULPO407"):
        await app.engine.cancel(run["id"])
    broken[0] = False
    await app.engine.retry(run["id"])
    assert (await app.engine.finished(run["id"], 5))["state"] == "completed"
    assert lab.calls == ["lab.a.reserve", "lab.b.ship", "lab.c.notify", "lab.c.notify"]


async def test_a_failed_undoing_is_an_incident_and_the_rest_is_undone(lab: Lab) -> None:
    """The run ends failed with an incident that names what could not be undone."""

    async def stuck(data, ctx):
        raise Refused("label_used", "the parcel is gone")

    async def fail(data, ctx):
        raise Refused("no_luck", "not today")

    lab.step("lab.a.one", undo=True)
    lab.step("lab.b.two", undo=stuck, after=["lab.a"])
    lab.step("lab.c.three", fail, after=["lab.b"])
    run = await lab.run(await lab.start())
    assert run["state"] == "failed"
    assert "lab.b.two_undone" in run["incident"]
    assert lab.calls[-1] == "lab.a.one_undone"


async def test_retrying_an_undone_run_is_a_new_run_that_names_the_old(lab: Lab) -> None:
    """New keys; the old run is final and says by which it was retried."""
    luck = [False]

    async def maybe(data, ctx):
        if not luck[0]:
            raise Refused("no_luck", "not today")

    lab.step("lab.a.one", undo=True)
    lab.step("lab.b.two", maybe, after=["lab.a"])
    app = await lab.start()
    run = await lab.run(app)
    assert run["state"] == "compensated"
    luck[0] = True
    new = await app.engine.retry(run["id"])
    assert new["id"] != run["id"]
    assert new["retry_of"] == run["id"]
    assert (await app.engine.finished(new["id"], 5))["state"] == "completed"
    assert (await app.engine.run(run["id"]))["retried_by"] == new["id"]
    with pytest.raises(PulpoError, match="PULPO407"):
        await app.engine.retry(run["id"])


async def test_one_per_value_refuses_a_second_live_run(lab: Lab) -> None:
    """PULPO406 names the live one; once it has ended another may begin."""
    go = asyncio.Event()

    async def slow(data, ctx):
        await go.wait()

    lab.one_per = "box"
    lab.step("lab.a.one", slow)
    app = await lab.start()
    first = await app.engine.start_run("work", {"box": "b1"}, caller=LOCAL)
    with pytest.raises(PulpoError, match=first["id"]) as refused:
        await app.engine.start_run("work", {"box": "b1"}, caller=LOCAL)
    assert refused.value.code == "PULPO406"
    other = await app.engine.start_run("work", {"box": "b2"}, caller=LOCAL)
    go.set()
    await app.engine.finished(first["id"], 5)
    await app.engine.finished(other["id"], 5)
    assert (await lab.run(app, box="b1"))["state"] == "completed"


async def test_an_atomic_step_runs_again_when_what_it_read_has_changed(lab: Lab) -> None:
    """Twenty runs that each add one to a document they read: none is lost."""

    async def add(data, ctx):
        found = await ctx.store.get(Box, "box")
        await asyncio.sleep(0)
        ctx.store.patch(found, count=found.count + 1)

    lab.step("lab.a.add", add, atomic=True)
    app = await lab.start()
    ctx = app.context(LOCAL)
    ctx.store.insert(box())
    await ctx.commit()
    runs = await asyncio.gather(*(lab.run(app) for _ in range(20)))
    assert {run["state"] for run in runs} == {"completed"}
    assert '"count":20' in (await app.store.get("boxes", "box")).json


async def test_an_operation_that_touches_what_it_does_not_declare_is_refused(lab: Lab) -> None:
    """PULPO405 names the model and the option to add it to."""

    async def sneak(data, ctx):
        ctx.store.insert(box())

    lab.step("lab.a.one", sneak)
    app = await lab.start()
    with pytest.raises(PulpoError, match="models_add") as refused:
        await app.call("lab.a.one", {}, caller=LOCAL)
    assert refused.value.code == "PULPO405"


async def test_a_stopping_application_lets_go_and_another_goes_on(lab: Lab) -> None:
    """The unfinished run is taken on by the next application, and no completed step runs twice."""
    inside, go = asyncio.Event(), asyncio.Event()

    async def slow(data, ctx):
        inside.set()
        await go.wait()

    lab.step("lab.a.one")
    lab.step("lab.b.two", slow, after=["lab.a"])
    first = await lab.start()
    begun = await first.engine.start_run("work", {}, caller=LOCAL)
    await inside.wait()
    await first.stop(0.05)
    go.set()
    second = await lab.start()
    done = await second.engine.finished(begun["id"], 10)
    assert done["state"] == "completed"
    assert lab.calls == ["lab.a.one", "lab.b.two", "lab.b.two"]
    assert len(set(lab.keys["lab.b.two"])) == 1


async def test_bad_flow_input_is_refused_before_anything_is_journaled(lab: Lab) -> None:
    """An unknown field and a wrong type are told with pointers; no run is left behind."""
    lab.step("lab.a.one")
    app = await lab.start()
    with pytest.raises(PulpoError) as refused:
        await app.engine.start_run("work", {"amount": "many", "colour": "red"}, caller=LOCAL)
    assert refused.value.code == "PULPO602"
    assert {error.pointer for error in refused.value.errors} == {"/amount", "/colour"}
    assert not (await app.engine.runs()).records
