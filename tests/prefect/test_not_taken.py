"""Runs that a Prefect engine cannot take on fail, by a count, instead of going round for ever, and hold nothing up."""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from pulpo.errors import PulpoError
from pulpo.model.model import now
from pulpo.runtime.application import Application
from pulpo.runtime.context import Caller
from pulpo.runtime.journal import Run
from pulpo.runtime.prefect.api import FlowRun, PrefectApi
from pulpo.runtime.prefect.place import Place
from pulpo.runtime.prefect.worker import PrefectWorker
from pulpo.store.port import Batch
from tests.compile.projects import compile_project, write
from tests.prefect.trips import FLOWS, MODELS, OPERATIONS

SETTINGS = """
    [project]
    name = "travel"
    [engine]
    kind = "prefect"
    recoveries = 2
    [engine.flows]
    tours = "embedded"
    [prefect]
    port = 1
"""


def forget() -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] in {"generated", "models", "operations"}]:
        del sys.modules[name]


@pytest.fixture
def application(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Application]:
    sources = {"models/trip.py": MODELS, "operations/trips.py": OPERATIONS, "flows.py": FLOWS, "pulpo.toml": SETTINGS}
    write(tmp_path, sources)
    forget()
    compile_project(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    yield importlib.import_module("generated.application").application
    forget()


async def queued(application: Application, flow: str = "trips", **changes: Any) -> Run:
    """A run that waits for a worker."""
    context = application.context(Caller())
    trip = context.store.insert(importlib.import_module("models.trip").Trip())
    await context.commit()
    plan, text, live = await application.engine.prepare(flow, {"trip_id": str(trip.id)})
    run = application.engine.queued(plan, text, live, Caller())
    for name, value in changes.items():
        setattr(run, name, value)
    await application.store.commit(Batch((run.insert(),)))
    return run


async def test_a_run_of_a_flow_that_is_gone_fails(application: Application) -> None:
    """Nobody can carry it out: after as many looks as a run has recoveries it ends, and says why; others go on."""
    await application.start(execute=False)
    try:
        engine = application.engine
        run = await queued(application, name="cruises")
        assert engine.dispatch is not None
        for looks in range(3):
            found = await engine.load(run.id)
            assert (found.state, found.recoveries) == ("queued", looks)
            await engine.dispatch.submit(found)
        ended = await engine.run(run.id)
    finally:
        await application.stop()
    assert (ended["state"], ended["error"]["code"]) == ("failed", "PULPO414")
    assert ended["incident"] == "it could not be taken on 3 times: there is no flow cruises any more"


def told() -> tuple[PrefectApi, list[str]]:
    """A Prefect server that takes every state, and the types of those that it was told."""
    said: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        said.append(json.loads(request.content)["state"]["type"])
        return httpx.Response(200, json={"status": "ACCEPT"})

    api = PrefectApi(Place("http://127.0.0.1:1/api", "", "travel", own=True), transport=httpx.MockTransport(answer))
    return api, said


async def test_a_run_that_is_never_begun_fails(application: Application) -> None:
    """Its flow run fails in Prefect before the run is held here, each time: in the end the run has failed as well."""
    api, said = told()
    await application.start(execute=False)
    try:
        run = await queued(application)
        found = FlowRun("a", "PENDING", now(), None, "d", (f"pulpo-run:{run.id}",))
        worker = PrefectWorker(application)
        await worker._agree(found, "FAILED", api, why="")  # what passes is not counted
        for _ in range(3):
            await worker._agree(found, "FAILED", api, why="no module")
        ended = await application.engine.run(run.id)
    finally:
        await application.stop()
        await api.close()
    assert (ended["state"], ended["recoveries"]) == ("failed", 3)
    assert said == ["SCHEDULED", "SCHEDULED", "SCHEDULED"]  # then it is failed in Prefect already


async def test_a_flow_run_of_another_flow_says_nothing_of_a_run(application: Application) -> None:
    """It names the run in its tag, and fails: neither is the run's failure counted, nor does it follow the run."""

    def answer(request: httpx.Request) -> httpx.Response:
        pytest.fail(f"{request.method} {request.url}")

    api = PrefectApi(Place("http://127.0.0.1:1/api", "", "travel", own=True), transport=httpx.MockTransport(answer))
    await application.start(execute=False)
    try:
        run, flow = await queued(application), uuid4()
        worker = PrefectWorker(application)
        worker._names[flow] = "tours"
        found = FlowRun("a", "PENDING", now(), None, "d", (f"pulpo-run:{run.id}",), str(flow))
        for _ in range(3):
            await worker._agree(found, "FAILED", api, why="there is no such run of tours")
        after = await application.engine.load(run.id)
    finally:
        await application.stop()
        await api.close()
    assert (after.state, after.recoveries) == ("queued", 0)


async def test_a_flow_run_that_no_run_is_begun_for_fails(application: Application) -> None:
    """Begun in Prefect, and its flow cannot be loaded: it is taken up again some times, and then has failed."""
    api, said = told()
    await application.start(execute=False)
    try:
        worker = PrefectWorker(application)
        found = FlowRun("a", "PENDING", now(), None, "d")
        await worker._agree(found, "FAILED", api, why="PULPO602")  # Prefect has the error
        for _ in range(3):
            await worker._agree(found, None, api, why="no module")
    finally:
        await application.stop()
        await api.close()
    assert said == ["SCHEDULED", "SCHEDULED", "FAILED"]


async def test_nothing_waits_for_a_slow_prefect_server(application: Application) -> None:
    """While it does not answer, runs of other flows are taken up: they are looked for beside it."""
    asked, forever = asyncio.Event(), asyncio.Event()

    async def answer(_: httpx.Request) -> httpx.Response:
        asked.set()
        await forever.wait()
        return httpx.Response(500)

    await application.start(execute=True)
    try:
        engine = application.engine
        assert engine.dispatch is not None
        await engine.dispatch.api.close()
        engine.dispatch.api = PrefectApi(engine.dispatch.where, transport=httpx.MockTransport(answer))
        held = await queued(application)
        async with asyncio.timeout(10):
            await asked.wait()
        run = await queued(application, "tours")
        assert (await engine.finished(run.id, timeout=10))["state"] == "completed"
        assert (await engine.load(held.id)).state == "queued"
    finally:
        await application.stop()


async def test_a_worker_without_its_flows_ends(application: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not look healthy and fail every run: its process ends, with what is missing."""
    worker, told = PrefectWorker(application), asyncio.Event()
    (application.root / "generated/flows/trips.py").unlink()
    importlib.invalidate_caches()

    async def register() -> dict[str, str]:
        return {"trips": "trips/travel"}

    await application.start(execute=False)
    try:
        dispatch = application.engine.dispatch
        assert dispatch is not None
        monkeypatch.setattr(dispatch, "register", register)
        with pytest.raises(PulpoError, match="PULPO802") as caught:
            await worker._until(told, worker._register(dispatch, None))
    finally:
        await application.stop()
    assert "generated/flows/trips.py" in caught.value.detail
