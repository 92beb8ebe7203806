"""A resident worker: it takes flow runs of its work pool from the Prefect server and carries them out in this process.

A worker of Prefect's own begins a Python process per flow run, which takes seconds. This one has the application loaded
and its store open. What it does for Prefect is what those do: tell that it lives, take what is due (Prefect gives each
flow run to one worker only), and say how it ended. Beyond that it keeps Prefect's states as the journal's are: a run
that waits or was given back is scheduled, one that was cancelled is cancelled.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
import platform
from collections import Counter
from collections.abc import Coroutine
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
from prefect import Flow
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas import objects
from prefect.flow_engine import run_flow_async
from prefect.states import Pending

from pulpo import names
from pulpo.errors import PulpoError
from pulpo.model.model import now
from pulpo.runtime.application import Application
from pulpo.runtime.flows import resident
from pulpo.runtime.journal import Run
from pulpo.runtime.prefect.api import FlowRun, PrefectApi
from pulpo.runtime.prefect.dispatch import AGAIN, CANCELLED, FRESH, Dispatch
from pulpo.runtime.prefect.place import FOLDER, place
from pulpo.runtime.tables import RUNS

log = logging.getLogger("pulpo.prefect")

HEARTBEAT = 10
"""Seconds between two signs of life."""
_WISHES = 2.0
"""Seconds between two looks for flow runs that somebody cancels or suspends in Prefect."""
_SHOWN = {
    "completed": ("COMPLETED", ""),
    "stopped": ("COMPLETED", "Stopped"),
    "failed": ("FAILED", ""),
    "compensated": ("FAILED", "Compensated"),
    "cancelled": ("CANCELLED", "Cancelled"),
}
"""The type and the name of Prefect's state for a run that has ended so; without a name Prefect's own stays."""
_CATCH_UP = 5.0
"""Seconds between two looks for flow runs whose worker died before it had told the journal, or Prefect."""
_HEARD = 30.0
"""For how many seconds cancelled flow runs are looked at; those of longer ago are seen when their run is due."""
_PASSING = frozenset({409, 429, 503})
"""Statuses of errors that say nothing of the next attempt."""
_REST = 2.0
"""Seconds until the next attempt where the server did not answer."""
_DRAIN, _TELL = 5.0, 2.0
"""Seconds that steps have to end when the worker is told to stop, and then those that had to be cancelled."""


class PrefectWorker:
    """Carries out the flow runs of a project's work pool, `prefect.concurrency` of them at once."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._settings = application.settings.prefect
        self._name = f"{platform.node()}-{os.getpid()}"
        self._flows: dict[str, Flow[..., Any]] = {}
        self._names: dict[UUID, str] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._carried: Counter[str] = Counter()  # flow runs of no run yet: how often each was taken up in vain
        self._at_work: set[str] = set()

    async def work(self, told: asyncio.Event, *, ready: asyncio.Event | None = None) -> None:
        """Work until `told`; then what runs comes to the end of its steps, within ten seconds.

        `ready` is set when the deployments are registered.
        """
        if not await self._server(told):
            return
        async with resident(self._application) as client:
            dispatch = self._application.engine.dispatch
            assert dispatch is not None
            await self._until(told, self._register(dispatch, ready))
            loops = [
                asyncio.create_task(self._keep(work, pause))
                for work, pause in (
                    (lambda: self._look(dispatch.api, client), self._settings.poll),
                    (lambda: dispatch.api.heartbeat(dispatch.where.pool, self._name, seconds=HEARTBEAT), HEARTBEAT),
                    (lambda: self._hear_wishes(dispatch.api), _WISHES),
                    (lambda: self._catch_up(dispatch.api), _CATCH_UP),
                )
            ]
            await told.wait()
            for task in loops:
                task.cancel()
            await asyncio.gather(*loops, return_exceptions=True)
            await self._drain()

    async def _server(self, told: asyncio.Event) -> bool:
        """Wait for the server; False where the worker is told to stop before it answers."""
        api = PrefectApi(place(self._application.settings, self._application.root))
        try:
            while not told.is_set():
                if await api.healthy():
                    return True
                with suppress(TimeoutError):
                    await asyncio.wait_for(told.wait(), _REST / 4)
        finally:
            await api.close()
        return False

    async def _until(self, told: asyncio.Event, work: Coroutine[Any, Any, None]) -> None:
        tasks = [asyncio.create_task(work), asyncio.create_task(told.wait())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if tasks[0].done():
                await tasks[0]  # raises what it failed with
        finally:
            for task in tasks:
                task.cancel()

    async def _register(self, dispatch: Dispatch, ready: asyncio.Event | None) -> None:
        while True:
            try:
                made = await dispatch.register()
            except PulpoError as error:
                log.warning("not registered yet: %s", error.detail)
                await asyncio.sleep(_REST)
            else:
                break
        for flow in made:
            self._load(flow)
        if ready is not None:
            ready.set()

    async def _keep(self, work: Any, pause: float) -> None:
        while True:
            try:
                await work()
            except PulpoError as error:
                log.warning("%s", error.detail)
                await asyncio.sleep(_REST)
            except Exception:
                log.exception("the worker goes on")
                await asyncio.sleep(_REST)
            await asyncio.sleep(pause)

    async def _drain(self) -> None:
        """Let the engine's drivers come to the end of their steps; the flows around them end with that.

        A step that takes longer is cancelled here, and its run let go of, while there is still time to tell Prefect.
        """
        if not self._tasks:
            return
        engine = self._application.engine
        await engine.worker.quiet()
        for driver in list(engine.drivers.values()):
            driver.drain()
        await asyncio.wait(self._tasks, timeout=_DRAIN)
        for driver in list(engine.drivers.values()):
            driver.abandon()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_TELL)

    # flow runs

    async def _look(self, api: PrefectApi, client: PrefectClient) -> None:
        room = self._settings.concurrency - len(self._tasks)
        if room <= 0:
            return
        for found in await api.scheduled(self._pool, limit=room):
            if found.id in self._at_work:
                continue  # somebody suspended and resumed it in Prefect: it is still under way
            # Of several workers that see it, Prefect lets one put it into this state.
            if await api.set_state(found.id, "PENDING", force=False):
                task = asyncio.create_task(self._carry_out(found, api, client))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    @property
    def _pool(self) -> str:
        dispatch = self._application.engine.dispatch
        assert dispatch is not None
        return dispatch.where.pool

    async def _carry_out(self, found: FlowRun, api: PrefectApi, client: PrefectClient) -> None:
        self._at_work.add(found.id)
        try:
            ended, why = await self._run(found, client)
            await self._agree(found, ended, api, why=why)
        except PulpoError as error:
            log.warning("the state of flow run %s stays as it is: %s", found.id, error.detail)
        finally:
            self._at_work.discard(found.id)
            self._application.engine.attached.discard(found.run)

    async def _run(self, found: FlowRun, client: PrefectClient) -> tuple[str | None, str]:
        """Carry a flow run out: the type of state that Prefect ended it in, if it did, and why it may have failed."""
        try:
            flow_run = objects.FlowRun.model_validate(found.data)
            if flow_run.flow_id not in self._names:
                self._names[flow_run.flow_id] = (await client.read_flow(flow_run.flow_id)).name
            flow = self._load(self._names[flow_run.flow_id])
            flow_run.state = Pending()
            # For a deployment's flow run Prefect would hear of suspension in a thread with a stream of events, and hold
            # this loop up until that is open, and closed. What the flow itself sees of its flow run is read again.
            flow_run.deployment_id = None
            state = await run_flow_async(flow, flow_run=flow_run, parameters=flow_run.parameters, return_type="state")
            if state is None:
                return None, ""
            failed = await state.aresult(raise_on_failure=False) if state.is_failed() or state.is_crashed() else None
            return str(state.type.value), _lasting(failed)
        except Exception as error:
            log.exception("flow run %s", found.id)
            return None, _lasting(error)
        except BaseException as stopped:  # Prefect's signals for an aborted or paused run are no exceptions
            if isinstance(stopped, asyncio.CancelledError | KeyboardInterrupt | SystemExit):
                raise
            log.info("flow run %s was stopped: %s", found.id, type(stopped).__name__)
            return None, ""

    def _load(self, flow: str) -> Flow[..., Any]:
        """The flow of this name, as it was generated."""
        if flow not in self._flows:
            path = f"generated.flows.{names.flow_module(flow)}"
            try:
                module = importlib.import_module(path)
            except ModuleNotFoundError as error:
                if error.name not in {path, "generated.flows"}:
                    raise
                raise PulpoError(
                    "PULPO802", f"{path.replace('.', '/')}.py is not there", hint="pulpo compile"
                ) from error
            loaded: Flow[..., Any] = getattr(module, names.flow_function(flow))
            if loaded.result_storage is None and not loaded.persist_result:
                # The journal keeps results; of a failure Prefect keeps the exception. Where it is told nothing, it asks
                # its server twice for each flow run.
                where = self._application.root / FOLDER / "storage"
                loaded = loaded.with_options(persist_result=False, result_storage=where)
            self._flows[flow] = loaded
        return self._flows[flow]

    async def _agree(self, found: FlowRun, ended: str | None, api: PrefectApi, *, why: str = "") -> None:
        """Put a flow run into the state that its run is in, where Prefect cannot know it; `ended` is what it knows.

        `why` says what failed, where that would happen again: a run that it kept from beginning is not tried for ever.
        """
        engine = self._application.engine
        record = await self._application.store.get(RUNS, found.run)
        if record is None:
            if ended is None:  # else it never began, and Prefect has the error
                await self._give_back(found, api, why)
            return
        run = Run.load(record)
        if why and run.worker is None and run.id not in engine.attached and self._for(found, run):
            await engine.worker.not_taken(run.id, why, pause=AGAIN)
            run = await engine.load(run.id)
        if not self._for(found, run):
            return  # its tag names a run that is not its
        if run.worker is not None:
            return  # others are at work on it, and say so
        detail = str((run.error or {}).get("detail", ""))
        if (shown := _SHOWN.get(run.state)) is not None:
            kind, name = shown
            if name or ended != kind:
                await api.set_state(found.id, kind, name=name, message=run.reason or detail)
        else:
            # Whoever passes runs on does so when it is due; this is in case nobody does.
            wake = now() if run.wake_at is None else datetime.fromisoformat(run.wake_at)
            waiting = [step.error for step in (await self._application.engine.steps_of(run.id)).values() if step.error]
            said = str(waiting[-1]["detail"]) if waiting else f"the run is {run.state}"
            await api.set_state(
                found.id,
                "SCHEDULED",
                name="Waiting" if run.state == "waiting" else "Scheduled",
                message=said,
                due=wake + timedelta(seconds=AGAIN),
            )

    async def _catch_up(self, api: PrefectApi) -> None:
        """Look after flow runs whose worker died between the journal and Prefect.

        Of a run that had ended, Prefect is told how. One that was begun in Prefect, and of which the journal has never
        heard, is taken up again; those of runs that the journal has are passed on with these.
        """
        last = now() - timedelta(seconds=FRESH)
        for state in ("RUNNING", "PENDING"):
            found = {each.run: each for each in await api.flow_runs(self._pool, state)}
            runs = {
                record.id: Run.load(record) for record in await self._application.store.get_many(RUNS, tuple(found))
            }
            for id, each in found.items():
                run = runs.get(id)
                if run is None:
                    lost = each.since <= last - timedelta(seconds=self._application.settings.engine.lease)
                    if lost and each.id not in self._at_work:
                        await api.set_state(each.id, "SCHEDULED", message="its worker died", due=now())
                elif run.finished_at is not None and datetime.fromisoformat(run.finished_at) < last:
                    await self._agree(each, None, api)

    def _for(self, found: FlowRun, run: Run) -> bool:
        """Whether a flow run is the one that carries out a run: a tag, which anybody may write, only says so."""
        flow = self._names.get(UUID(found.flow)) if found.flow is not None else None
        return run.kind == "flow" and flow in (None, run.name) and run.prefect in (None, found.id)

    async def _give_back(self, found: FlowRun, api: PrefectApi, why: str) -> None:
        """Have a flow run taken up again that no run was begun for; what keeps failing here, fails."""
        self._carried[found.id] += 1
        if why and self._carried[found.id] > self._application.settings.engine.recoveries:
            del self._carried[found.id]
            await api.set_state(found.id, "FAILED", message=why)
            return
        due = now() + timedelta(seconds=AGAIN if why else _REST)
        await api.set_state(found.id, "SCHEDULED", message=why, due=due)

    # wishes

    async def _hear_wishes(self, api: PrefectApi) -> None:
        """What somebody cancels in Prefect is cancelled, and undone, here; what is suspended there goes on."""
        engine = self._application.engine
        # One that no worker is at work on is cancelled at once as far as Prefect is concerned.
        cancelled = await api.flow_runs(self._pool, "CANCELLED", ended_after=now() - timedelta(seconds=_HEARD))
        for found in (*await api.flow_runs(self._pool, "CANCELLING", "PAUSED"), *cancelled):
            record = await self._application.store.get(RUNS, found.run)
            run = None if record is None else Run.load(record)
            if found.state == "PAUSED":
                if run is not None and run.worker is not None and self._for(found, run):
                    await api.set_state(found.id, "RUNNING", message="what waits, waits by an operation")
            elif run is None or run.ended or not self._for(found, run):
                if found.state == "CANCELLING":
                    await api.set_state(found.id, "CANCELLED")
            elif not run.cancel_requested:
                try:
                    await engine.cancel(run.id, reason=CANCELLED)
                except PulpoError as error:
                    # past its end or its point of no return: it goes on, and Prefect says so again
                    log.info("run %s is not cancelled: %s", run.id, error.detail)
                    state = "RUNNING" if run.worker is not None else "SCHEDULED"
                    await api.set_state(found.id, state, message=error.detail, due=now())


def _lasting(error: object) -> str:
    """What failed, in words, where it would fail again; "" where it may go well the next time."""
    passing = isinstance(error, httpx.HTTPError) or (isinstance(error, PulpoError) and error.status in _PASSING)
    if not isinstance(error, BaseException) or passing:
        return ""
    return error.detail if isinstance(error, PulpoError) else f"{type(error).__name__}: {error}"
