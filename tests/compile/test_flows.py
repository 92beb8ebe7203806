"""Generated flows at work on the real engine: Prefect's tasks are called as plain functions, which need no server."""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
from prefect import Task
from prefect.client.base import PrefectHttpxAsyncClient

from pulpo.errors import PulpoError
from pulpo.runtime.calls import call
from pulpo.runtime.context import Caller
from pulpo.runtime.flows import STEP, FlowRun, _said, delays, may_retry, open_run
from pulpo.runtime.prefect.place import Place
from pulpo.settings import Settings
from tests.compile.projects import compile_project, write

Flow = Callable[[dict[str, Any]], Coroutine[Any, Any, Any]]

MODELS = '''
    from pulpo import Model, datamodel


    @datamodel
    class Trip(Model):
        """A trip."""

        log: list[str] = []
'''
OPERATIONS = '''
    import asyncio
    from pathlib import Path

    from models.trip import Trip
    from pulpo import Context, NotReady, Ref, Refused, operation
    from pydantic import BaseModel


    class In(BaseModel):
        trip_id: Ref[Trip]
        mode: str = ""


    class Checked(BaseModel):
        valid: bool


    async def note(data: In, ctx: Context, what: str) -> None:
        trip = await ctx.store.get(Trip, data.trip_id)
        ctx.store.patch(trip, log=[*trip.log, what])


    @operation(name="trips.desk.check", models_in=[Trip], gate="valid")
    async def check(data: In, ctx: Context) -> Checked:
        """Check."""
        return Checked(valid=data.mode != "invalid")


    @operation(name="trips.seat.hold", models_in=[Trip], models_out=[Trip], after=["trips.desk"],
               compensate="trips.seat.free", atomic=True)
    async def hold(data: In, ctx: Context) -> dict[str, str]:
        """Hold a seat."""
        await note(data, ctx, "hold")
        return {"seat": "12A"}


    @operation(name="trips.seat.free", models_in=[Trip], models_out=[Trip], atomic=True)
    async def free(data: In, ctx: Context) -> None:
        """Free the seat."""
        await note(data, ctx, "free")


    @operation(name="trips.pay.charge", models_in=[Trip], after=["trips.seat.hold"])
    async def charge(data: In, ctx: Context) -> dict[str, str]:
        """Charge."""
        if data.mode == "declined":
            raise Refused("declined", "no money", status=402)
        if data.mode == "wait" and not Path("go").exists():
            raise NotReady("later", "not yet")
        return {}


    @operation(name="trips.mail.write", models_in=[Trip], after=["trips.seat.hold"])
    async def write(data: In, ctx: Context) -> dict[str, str]:
        """Write."""
        await asyncio.sleep(0.05)
        return {}


    @operation(name="trips.post.send", models_in=[Trip], after=["trips.mail.write"])
    async def send(data: In, ctx: Context) -> dict[str, str]:
        """Send."""
        return {}
'''
ONE_MORE = OPERATIONS.replace(
    'after=["trips.seat.hold"])\n    async def write', 'after=["trips.map"])\n    async def write'
)
ONE_MORE += '''

    @operation(name="trips.map.draw", models_in=[Trip], after=["trips.pay"])
    async def draw(data: In, ctx: Context) -> dict[str, str]:
        """Draw."""
        return {}
'''


@pytest.fixture
def flow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The module of the flow `trips`, its tasks as the functions that they wrap."""
    write(tmp_path, {"models/trip.py": MODELS, "operations/trips.py": OPERATIONS, "pulpo.toml": "[project]\n"})
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    try:
        yield compiled(tmp_path)
    finally:
        forget()


def compiled(root: Path) -> ModuleType:
    forget()
    compile_project(root)
    importlib.invalidate_caches()
    module = importlib.import_module("generated.flows.trips")
    for name, value in list(vars(module).items()):
        if isinstance(value, Task):
            setattr(module, name, value.fn)
    return module


def forget() -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] in {"generated", "models", "operations"}]:
        del sys.modules[name]


async def trip(module: ModuleType) -> str:
    """A stored trip's id."""
    application = importlib.import_module("generated.application").application
    model = importlib.import_module("models.trip").Trip
    await application.start(execute=False)
    try:
        context = application.context(Caller())
        id = str(context.store.insert(model()).id)
        await context.commit()
    finally:
        await application.stop()
    return id


async def log(id: str) -> list[str]:
    application = importlib.import_module("generated.application").application
    model = importlib.import_module("models.trip").Trip
    await application.start(execute=False)
    try:
        return list((await application.context(Caller()).store.get(model, id)).log)
    finally:
        await application.stop()


def states(document: Any) -> dict[str, str]:
    return {step["operation"]: step["state"] for step in document["steps"]}


async def test_a_flow_runs_its_steps_through_the_journal(flow: ModuleType) -> None:
    """Every step has a row, each is done, and the run's document is what the flow returns."""
    id = await trip(flow)
    document = await flow.trips_flow.fn({"trip_id": id})
    assert document["state"] == "completed"
    assert set(states(document).values()) == {"completed"}
    assert len(document["steps"]) == 5
    assert await log(id) == ["hold"]


async def test_a_gate_ends_the_flow_quietly(flow: ModuleType) -> None:
    """A gate that says no is no error: the run is stopped, what follows is skipped."""
    id = await trip(flow)
    document = await flow.trips_flow.fn({"trip_id": id, "mode": "invalid"})
    assert document["state"] == "stopped"
    assert states(document)["trips.seat.hold"] == "skipped"
    assert await log(id) == []


async def test_a_failure_is_undone_and_then_raised(flow: ModuleType) -> None:
    """The caller gets the refusal itself, when what was done before it has been undone."""
    id = await trip(flow)
    with pytest.raises(PulpoError, match="no money") as caught:
        await flow.trips_flow.fn({"trip_id": id, "mode": "declined"})
    assert (caught.value.code, caught.value.status) == ("declined", 402)
    assert await log(id) == ["hold", "free"]


async def test_beside_a_step_that_waits_other_branches_go_on(flow: ModuleType) -> None:
    """The flow ends with a waiting run; what does not need the waiting step is done."""
    id = await trip(flow)
    async with asyncio.timeout(20):
        document = await flow.trips_flow.fn({"trip_id": id, "mode": "wait"})
    assert document["state"] == "waiting"
    assert states(document)["trips.pay.charge"] == "waiting"
    assert states(document)["trips.post.send"] == "completed"
    assert await log(id) == ["hold"]


async def test_a_step_that_comes_late_is_not_begun(flow: ModuleType) -> None:
    """Where the run was let go of to wait, another worker may hold it: a branch still under way does nothing."""
    id = await trip(flow)
    async with open_run("trips", {"trip_id": id, "mode": "wait"}, root=flow.ROOT) as run:
        pass
    attempts = {step["operation"]: step["attempts"] for step in run.result["steps"]}
    assert (run.result["state"], attempts["trips.pay.charge"]) == ("waiting", 1)
    with pytest.raises(PulpoError, match="not held here"):
        await run.step("trips.pay.charge")


async def test_an_error_of_the_flow_itself_cancels_the_run(flow: ModuleType) -> None:
    """A bug in an overridden flow undoes what was done, and is raised as it is."""
    id = await trip(flow)
    runs = []

    async def overridden() -> None:
        async with open_run("trips", {"trip_id": id}, root=flow.ROOT) as run:
            runs.append(run)
            await run.step("trips.desk.check")
            await run.step("trips.seat.hold")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await overridden()
    assert runs[0].result["state"] == "cancelled"
    assert await log(id) == ["hold", "free"]


async def test_what_prefect_does_not_manage_cancels_nothing(flow: ModuleType) -> None:
    """Its server answers a task with 500: the rest is done by the plan, and the flow ends as the run did."""
    id = await trip(flow)

    async def of_a_server_in_trouble(run: FlowRun) -> None:
        request = httpx.Request("POST", "http://127.0.0.1/api/v2/concurrency_limits/increment-with-lease")
        client = PrefectHttpxAsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(500)))
        async with client:
            await client.send(request)

    flow.charge = of_a_server_in_trouble
    document = await flow.trips_flow.fn({"trip_id": id})
    assert document["state"] == "completed"
    assert set(states(document).values()) == {"completed"}
    assert await log(id) == ["hold"]


async def test_whoever_is_told_to_end_lets_go_of_the_run(flow: ModuleType) -> None:
    """A flow that is cancelled with its process undoes nothing: the run is free, and goes on in another."""
    id = await trip(flow)
    runs = []

    async def ended() -> None:
        async with open_run("trips", {"trip_id": id}, root=flow.ROOT) as run:
            runs.append(run.id)
            await run.step("trips.desk.check")
            await run.step("trips.seat.hold")
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await ended()
    application = importlib.import_module("generated.application").application
    await application.start(execute=False)
    try:
        run = await application.engine.load(runs[0])
        assert (run.state, run.worker, run.cancel_requested) == ("running", None, False)
        attached = await application.engine.attach("trips", {}, run_id=run.id)
        assert (await attached.finish())["state"] == "completed"
    finally:
        await application.stop()
    assert await log(id) == ["hold"]


async def test_a_run_keeps_the_plan_it_began_with(flow: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that waited while the flow got a step, and another order, ends by its own plan; a new one has the step."""
    id = await trip(flow)
    waiting = await flow.trips_flow.fn({"trip_id": id, "mode": "wait"})
    assert waiting["state"] == "waiting"
    write(flow.ROOT, {"operations/trips.py": ONE_MORE})
    flow = compiled(flow.ROOT)
    assert "trips.map.draw" in (flow.ROOT / "generated/flows/trips.py").read_text()
    (flow.ROOT / "go").touch()
    with monkeypatch.context() as patched:
        patched.setattr("pulpo.runtime.flows._prefect_run", lambda: (None, waiting["id"]))
        async with asyncio.timeout(20):
            document = await flow.trips_flow.fn({"trip_id": id, "mode": "wait"})
    assert (document["id"], document["state"]) == (waiting["id"], "completed")
    assert set(states(document)) == set(states(waiting))
    assert await log(id) == ["hold"]
    assert states(await flow.trips_flow.fn({"trip_id": await trip(flow)}))["trips.map.draw"] == "completed"


async def test_a_step_that_the_plan_has_not_is_refused(flow: ModuleType) -> None:
    """An overridden flow that starts one gets an error with a code, and the run goes on by its plan."""
    id = await trip(flow)
    async with open_run("trips", {"trip_id": id}, root=flow.ROOT) as run:
        with pytest.raises(PulpoError, match="PULPO414"):
            await run.step("trips.moon.land")
    assert run.result["state"] == "completed"


async def test_a_flow_run_is_for_a_run_of_its_flow(flow: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tag by which a flow run names its run may be anybody's: a run of nothing, or of another flow, is refused."""
    id = await trip(flow)
    application = importlib.import_module("generated.application").application
    await application.start(execute=True)
    try:
        made = await call(application, application.operation("trips.desk.check"), {"trip_id": id}, Caller(), None)
    finally:
        await application.stop()
    for named in ("run_of_nobody", made.run):
        monkeypatch.setattr("pulpo.runtime.flows._prefect_run", lambda named=named: ("a-flow-run", named))
        with pytest.raises(PulpoError, match="PULPO404"):
            await flow.trips_flow.fn({"trip_id": id})
    assert await log(id) == []


async def test_flows_side_by_side_share_one_open_application(flow: ModuleType) -> None:
    """Two runs in one process open the store once, and the first to end does not close it under the other."""
    ids = [await trip(flow), await trip(flow)]
    documents = await asyncio.gather(*(flow.trips_flow.fn({"trip_id": id}) for id in ids))
    assert [document["state"] for document in documents] == ["completed", "completed"]
    assert [await log(id) for id in ids] == [["hold"], ["hold"]]


async def test_a_wrong_input_is_refused_before_anything_runs(flow: ModuleType) -> None:
    """What the flow does not take is named."""
    with pytest.raises(PulpoError, match="PULPO602"):
        await flow.trips_flow.fn({"trip_di": "x"})


async def test_prefect_never_repeats_what_pulpo_has_answered() -> None:
    """Refusals and failures are final, Pulpo counts its own attempts; a lost connection is tried again."""
    from prefect.states import Failed

    task: Any = None
    assert not await may_retry(task, task, Failed(data=PulpoError("PULPO401", "it raised")))
    assert await may_retry(task, task, Failed(data=TimeoutError()))
    assert delays(8) == [1, 2, 4, 8, 16, 32, 60, 60]
    assert STEP["retry_condition_fn"] is may_retry


async def test_a_run_s_page_is_named_where_it_can_be_reached() -> None:
    """On the project's own server, which is on this machine; on another one the address would be the reader's own."""
    run: Any = {"id": "run_1", "name": "trips", "state": "failed", "error": {"detail": "no money"}}
    settings = Settings.model_validate({"project": {"name": "travel"}, "ui": {"port": 4321}})
    own, other = (Place("http://127.0.0.1:1/api", "", "travel", own=own) for own in (True, False))
    link = "[run_1](http://127.0.0.1:4321/runs/run_1)"
    assert _said(run, settings, own) == f"{link} of trips is **failed**: no money"
    assert _said(run, settings, other) == "run_1 of trips is **failed**: no money"
