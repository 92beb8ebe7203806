"""What generated Prefect flows call: Prefect schedules and shows, Pulpo's journal decides and remembers.

A flow opens a run, each task runs one step of it through the journal, and closing it settles the rest: a gate that
stops, a failure that is undone. Nothing else of the runtime imports Prefect, so a project without it need not have it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import sysconfig
import traceback
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from prefect.artifacts import acreate_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.context import AsyncClientContext, FlowRunContext, SyncClientContext
from prefect.settings import (
    PREFECT_API_AUTH_STRING,
    PREFECT_API_URL,
    PREFECT_SERVER_ANALYTICS_ENABLED,
    temporary_settings,
)

from pulpo import settings as configuration
from pulpo.errors import PulpoError
from pulpo.runtime import shapes
from pulpo.runtime.context import Caller
from pulpo.runtime.prefect.api import RUN_TAG, PrefectApi
from pulpo.runtime.prefect.futures import submitting
from pulpo.runtime.prefect.place import Place, place
from pulpo.runtime.target import load_application
from pulpo.settings import Settings, find_root
from pulpo.spec import Json

if TYPE_CHECKING:
    from prefect import Flow, Task
    from prefect.client.orchestration import PrefectClient
    from prefect.client.schemas.objects import State, TaskRun

    from pulpo.runtime.application import Application
    from pulpo.runtime.engine import Attached, Engine, Settled

__all__ = ["CALLER", "STEP", "FlowRun", "delays", "may_retry", "open_run", "resident", "run_script", "submitting"]

log = logging.getLogger("pulpo.prefect")

_LONGEST_DELAY = 60.0
CALLER = Caller("prefect", "admin")
"""Who begins the runs that are begun at the Prefect server, by its page, its command line or a schedule of its own."""
_LIBRARIES = tuple({f"{sysconfig.get_path(name)}/" for name in ("stdlib", "platstdlib", "purelib", "platlib")})
_QUIET = frozenset({"completed", "stopped", "waiting"})


async def may_retry(task: Task[..., Any], task_run: TaskRun, state: State[Any]) -> bool:  # noqa: ARG001 - Prefect's form
    """Whether Prefect tries a step again: not where Pulpo has spoken, whose journal counts its own attempts.

    What is left (Prefect's own timeout, a lost connection) joins the step where it is.
    """
    return not isinstance(await state.aresult(raise_on_failure=False), PulpoError)


def delays(retries: int) -> list[float]:
    """Seconds before each retry: 1, 2, 4, … up to a minute."""
    return [min(_LONGEST_DELAY, 2.0**count) for count in range(min(retries, 50))]


STEP: dict[str, Any] = {
    "cache_policy": NO_CACHE,
    "retry_condition_fn": may_retry,
    "retry_delay_seconds": delays,
    "retry_jitter_factor": 0.5,
}
"""Options of every task: the journal keeps results, so Prefect caches none and decides little."""


@dataclass(slots=True, eq=False)
class FlowRun:
    """A run that this process works on, as the generated code sees it.

    Attributes:
        id: The run's id: Prefect's for its flow run, unless another was given.
        result: Once the run is closed, its document in the journal: `state`, `output`, `error`, `steps`, …
    """

    id: str
    result: Json = None
    _engine: Engine | None = None
    _attached: Attached | Settled | None = None
    _root: Path = field(default_factory=Path)
    _working: set[asyncio.Task[Any]] = field(default_factory=set)
    _answers: list[PulpoError] = field(default_factory=list)

    async def step(self, operation: str) -> Json:
        """Run one operation of the flow through the journal: a step with a result is not run again.

        Returns:
            The operation's output as JSON.
        Raises:
            PulpoError: What it failed with; PULPO413, the run is ending (a gate stopped it, another step failed).
        """
        work = asyncio.current_task()
        assert work is not None
        assert self._attached is not None
        self._working.add(work)
        try:
            return await self._attached.step(operation)
        except PulpoError as error:
            self._answers.append(error)
            raise
        finally:
            self._working.discard(work)

    async def close(self, error: BaseException | None = None) -> None:
        """Settle the run: what works comes to its end, and what must be undone is.

        After a step that failed the journal lets nothing new start; beside one that waits, other branches go on. A
        bug in an overridden flow cancels the run. What Prefect did not manage (a server that does not answer, a
        timeout of its own) says nothing of the run: what is left of it is done by the plan. Where the process is told
        to end the run is let go of, and goes on elsewhere.

        Raises:
            PulpoError: What the run failed with.
        """
        assert self._engine is not None
        assert self._attached is not None
        if error is not None and not isinstance(error, Exception):
            await self._attached.let_go()
            return
        bug = self._attached.planned and error not in self._answers and _of_the_flow(error, self._root)
        if error is not None and bug:
            with suppress(PulpoError):  # past its end or its pivot: then it ends as the journal says
                await self._engine.cancel(self.id, reason=f"{type(error).__name__} in the flow")
        while self._working:
            await asyncio.wait(self._working)
        self.result = await self._attached.finish()
        if self.result["state"] not in _QUIET and (failure := self.result["error"]):
            raise PulpoError(
                failure["code"], failure["detail"], hint=failure.get("hint"), status=failure.get("status")
            ) from error


@asynccontextmanager
async def open_run(
    flow: str,
    data: Mapping[str, Json],
    *,
    root: Path | None = None,
    run_id: str | None = None,
    caller: Caller | None = None,
) -> AsyncIterator[FlowRun]:
    """A run of a flow for as long as the block lasts, worked on by this process.

    A run that a gate stopped, or that waits, ends the block quietly; a failure goes on to the caller once settled.

    Args:
        flow: The flow's name.
        data: Its input.
        root: The project's folder; by default the one around the working directory.
        run_id: The run's id; by default the one that Prefect's flow run was made for, else that flow run's own. An
            unfinished run of this id goes on, and one that has ended is not begun again.
        caller: Who asks; by default `prefect` for a flow run of a deployment, else whoever calls this.

    Raises:
        PulpoError: PULPO104 no project there, PULPO802 not compiled, PULPO602 the input is invalid, PULPO406 a live run
            for the same value exists, PULPO404 the run that the flow run was made for is none of this flow.
    """
    application = load_application((root or find_root(Path.cwd())).resolve())
    async with _started(application):
        prefect, meant = _prefect_run()
        if run_id is None and meant is not None and meant != prefect:
            await application.engine.load(meant)  # a tag names it: it is not begun under whatever name that is
        attached = await application.engine.attach(
            flow, data, run_id=run_id or meant, caller=caller or _caller(), prefect=prefect
        )
        run = FlowRun(attached.id, _engine=application.engine, _attached=attached, _root=application.root)
        try:
            yield run
        except BaseException as error:
            await run.close(error)  # raises what the run failed with, if it did
            if not isinstance(error, Exception) or run.result["state"] not in _QUIET:
                raise
            if _of_the_flow(error, application.root):
                log.exception("run %s is %s all the same", run.id, run.result["state"])
            elif not isinstance(error, PulpoError):
                log.warning("run %s went on without Prefect: %s: %s", run.id, type(error).__name__, error)
        else:
            await run.close()
        finally:
            if prefect is not None and run.result is not None:
                await _show(run.result, application.settings, place(application.settings, application.root))


def run_script(flow: Flow[..., Coroutine[Any, Any, Json]], root: Path) -> None:
    """Run a flow as a script: its input is the first argument, as JSON; the run's document is printed.

    Prefect's server is the one of `PREFECT_API_URL`; else the project's own where that is running; else one that
    Prefect starts for as long as it lasts.
    """
    try:
        given = json.loads(sys.argv[1]) if len(sys.argv) > 1 else {}
    except ValueError:
        sys.exit(f"usage: python {sys.argv[0]} '{{\"FIELD\": …}}'    the flow's input, as a JSON object")
    try:  # before Prefect, which would show where in its code the input was refused
        where = place(configuration.load(root), root)
        application = load_application(root)
        if (plan := application.plans.get(flow.name)) is not None:  # one that was overridden may have another name
            shapes.asked(shapes.flow_input(plan, application.spec), shapes.text_of(given))
    except PulpoError as error:
        sys.exit(str(error))
    os.environ.setdefault("DO_NOT_TRACK", "1")  # for a server that Prefect may start; this process is past its import
    ours: dict[Any, Any] = {PREFECT_SERVER_ANALYTICS_ENABLED: False}
    if not PREFECT_API_URL.value() and asyncio.run(_answers(where)):
        ours |= {PREFECT_API_URL: where.url, PREFECT_API_AUTH_STRING: where.auth}
    with temporary_settings(ours):
        try:
            result = asyncio.run(flow(given))
        except PulpoError as error:
            sys.exit(str(error))
    sys.stdout.write(json.dumps(result, indent=2, default=str) + "\n")


async def _answers(where: Place) -> bool:
    if where.own and not where.auth:
        return False  # it was never started
    api = PrefectApi(where)
    try:
        return await api.healthy()
    finally:
        await api.close()


def _of_the_flow(error: Exception | None, root: Path) -> bool:
    """Whether an error was raised by code of the flow's own, or by a library that this called: not by Prefect or Pulpo.

    A flow as it was generated has no code of its own to fail; one that was overridden does.
    """
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__ if error else None)]
    for frame in reversed(frames):
        file = frame.f_code.co_filename
        if str(frame.f_globals.get("__name__", "")).partition(".")[0] in {"prefect", "pulpo"}:
            return False
        if not file.startswith(_LIBRARIES):
            return not _generated(Path(file), root)
    return False


def _generated(file: Path, root: Path) -> bool:
    """Whether a file is as Pulpo generated it."""
    try:
        name = file.resolve().relative_to(root / "generated")
    except ValueError:
        return False
    return not (root / "overrides" / name).exists()


@dataclass(slots=True)
class _Uses:
    """How many open runs use an application that this module started."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    count: int = 0


_USES: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Path, _Uses]] = WeakKeyDictionary()


@asynccontextmanager
async def _started(application: Application) -> AsyncIterator[None]:
    """The application open while at least one run of this event loop uses it."""
    uses = _USES.setdefault(asyncio.get_running_loop(), {}).setdefault(application.root, _Uses())
    async with uses.lock:
        if uses.count == 0:
            await application.start(execute=False)
        uses.count += 1
    try:
        yield
    finally:
        async with uses.lock:
            uses.count -= 1
            if uses.count == 0:
                await application.stop()


@asynccontextmanager
async def resident(application: Application) -> AsyncIterator[PrefectClient]:
    """The application open and at work for as long as the block lasts; the runs of this event loop use it.

    It passes runs on that are due, gives free those of workers that died, and hears of cancels. The flow runs within it
    share Prefect's client, which is given here: one of their own each would cost them more than their requests do.
    """
    uses = _USES.setdefault(asyncio.get_running_loop(), {}).setdefault(application.root, _Uses())
    async with AsyncClientContext.get_or_create() as context:
        with SyncClientContext.get_or_create():
            await application.start(execute=True)
            uses.count += 1
            try:
                yield context.client
            finally:
                uses.count -= 1
                await application.stop()


def _prefect_run() -> tuple[str | None, str | None]:
    """The Prefect flow run that this is called in, if it is, and the id of the run that it carries out."""
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        return None, None
    id = str(context.flow_run.id)
    tags = (tag.removeprefix(RUN_TAG) for tag in context.flow_run.tags if tag.startswith(RUN_TAG))
    return id, next(tags, id)


def _caller() -> Caller:
    """Who begins a run: somebody at the Prefect server, or who runs this process."""
    context = FlowRunContext.get()
    from_prefect = context is not None and context.flow_run is not None and context.flow_run.deployment_id is not None
    return CALLER if from_prefect else Caller()


async def _show(run: Json, settings: Settings, server: Place) -> None:
    """Show a run's steps beside Prefect's flow run."""
    rows = [
        {
            "step": step["operation"] if step["kind"] == "step" else f"undo {step['of']}",
            "state": step["state"],
            "attempts": step.get("attempts", 0),
            "started": step.get("started_at") or "",
            "finished": step.get("finished_at") or "",
            "error": (step.get("error") or {}).get("detail", ""),
        }
        for step in run["steps"]
    ]
    text = _said(run, settings, server)
    try:
        await acreate_table_artifact(rows, description=text)
    except Exception as failed:  # noqa: BLE001 - whatever Prefect makes of it, the run is what the journal says
        log.warning("run %s is not shown in Prefect: %s", run["id"], failed)


def _said(run: Json, settings: Settings, server: Place) -> str:
    """A run in words, with the way to Pulpo's own page of it where whoever reads it is on this machine as well."""
    where = f"http://127.0.0.1:{settings.ui.port if settings.ui.enabled else settings.api.port}/runs/{run['id']}"
    name = f"[{run['id']}]({where})" if server.own else run["id"]
    error = f": {run['error']['detail']}" if run["error"] else ""
    return f"{name} of {run['name']} is **{run['state']}**{error}"
