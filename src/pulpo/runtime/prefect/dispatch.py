"""How runs come to Prefect: a run that is due and that nobody holds is given to it, once.

The journal is the list of what is to be done, and this passes it on: new runs, those whose wait is over, those of a
worker that died, those that somebody cancels or goes on with. Whoever passes a run on first moves its `wake_at` into
the future, at a version, so that one process does it; if nobody has taken the run up by then it is passed on again. A
run has one flow run in Prefect, made under the run's id as its key, and scheduled anew each time.
"""

from __future__ import annotations

import asyncio
import logging
from copy import copy
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pydantic_core

from pulpo import names
from pulpo.errors import PulpoError
from pulpo.model.model import now, timestamp
from pulpo.runtime.journal import Run
from pulpo.runtime.prefect.api import FlowRun, PrefectApi
from pulpo.runtime.prefect.place import Place
from pulpo.spec import FlowPlan, Json
from pulpo.store.port import Batch, StaleVersion

if TYPE_CHECKING:
    from pulpo.runtime.engine import Engine

log = logging.getLogger("pulpo.prefect")

AGAIN = 15.0
"""Seconds after which a run is looked at again that was passed on and that no worker holds."""
FRESH = 10.0
"""Seconds that a worker has between taking a flow run up and holding the run in the journal."""
CANCELLED = "cancelled in Prefect"
"""Why a run was cancelled that somebody cancelled there."""
_REST = 2.0
"""Seconds without attempts where the server did not answer."""


class Dispatch:
    """Passes runs on to a Prefect server."""

    def __init__(self, engine: Engine, where: Place) -> None:
        self._engine = engine
        self._settings = engine.application.settings
        self.api = PrefectApi(where)
        self.where = where
        self._deployments: dict[str, str] = {}
        self._rests_until = 0.0

    def sends(self, run: Run) -> bool:
        """Whether Prefect carries this run out."""
        return run.kind == "flow" and self.sends_flow(run.name)

    def sends_flow(self, flow: str) -> bool:
        """Whether Prefect carries out the runs of this flow."""
        return self._settings.engine.of(flow) == "prefect"

    async def submit(self, run: Run) -> None:
        """Pass a run on that is due; what does not succeed is tried again later."""
        loop = asyncio.get_running_loop()
        if loop.time() < self._rests_until:
            return
        claimed = copy(run)
        claimed.wake_at = timestamp(now() + timedelta(seconds=AGAIN))
        try:
            await self._engine.store.commit(Batch((claimed.replace(),)))
        except StaleVersion:
            return
        try:
            await self._pass_on(claimed, let_go=_let_go(run))
        except PulpoError as error:
            log.warning("run %s is not passed on yet: %s", run.id, error.detail)
            if error.code == "PULPO414":
                await self._engine.worker.not_taken(run.id, error.detail, pause=AGAIN)
                return
            self._rests_until = loop.time() + _REST
            claimed.wake_at = timestamp(now() + timedelta(seconds=_REST))
            try:
                await self._engine.store.commit(Batch((claimed.replace(),)))
            except StaleVersion:
                log.debug("run %s moved on meanwhile", run.id)

    async def _pass_on(self, run: Run, *, let_go: bool) -> None:
        found = await self.api.flow_run(run.prefect) if run.prefect is not None else None
        if found is None or found.deployment is None:
            # Never passed on; or begun by hand, where no worker would look for it; or Prefect has lost its database.
            key = run.id if run.prefect is None else f"{run.id}/{run.prefect}"
            found = await self._create(run, key)
        moment = now()
        if found.state == "SCHEDULED" and found.due is not None and found.due <= moment:
            return
        if found.state in ("CANCELLING", "CANCELLED") and not run.cancel_requested:
            await self._engine.cancel(run.id, reason=CANCELLED)
            return
        fresh = (moment - found.since).total_seconds() < FRESH
        if found.state in ("PENDING", "RUNNING") and fresh and not let_go:
            return  # a worker is about to hold it
        # Workers take what is due longest: it keeps its place in the line, before what came later and still waits.
        due = datetime.fromisoformat(run.created_at)
        await self.api.set_state(found.id, "SCHEDULED", message=f"the run is {run.state}", due=due)

    async def _create(self, run: Run, key: str) -> FlowRun:
        data = pydantic_core.from_json(run.input or "{}")
        for _ in range(2):
            deployment = self._deployments.get(run.name) or await self._deployment(run.name)
            found = await self.api.create_run(deployment, run.id, data, key=key)
            if found is not None:
                return found
            del self._deployments[run.name]  # somebody removed it
        raise PulpoError("PULPO706", f"the Prefect server does not keep the deployment of {run.name}")

    async def _deployment(self, flow: str) -> str:
        if flow not in self._engine.application.plans:
            raise PulpoError("PULPO414", f"there is no flow {flow} any more")
        name = names.slug(self._settings.project.name)
        found = await self.api.deployment(flow, name)
        if found is None:
            await self.register((flow,))
        else:
            self._deployments[flow] = found
        return self._deployments[flow]

    async def register(self, flows: tuple[str, ...] = ()) -> dict[str, str]:
        """See that Prefect has the work pool and a deployment per flow (by default each that it runs): their names.

        Raises:
            PulpoError: PULPO706, the server does not answer, or refuses.
        """
        plans = self._engine.application.plans
        wanted = flows or tuple(name for name, plan in plans.items() if plan.steps and self.sends_flow(name))
        name = names.slug(self._settings.project.name)
        await self.api.pool(self.where.pool, limit=self._settings.prefect.limit)
        for flow in wanted:
            plan = plans.get(flow)
            if plan is None:
                continue
            self._deployments[flow] = await self.api.deploy(
                flow,
                name,
                entrypoint=names.flow_entrypoint(flow),
                description=plan.description,
                schema=self._schema(plan),
                queue=self._settings.prefect.queues.get(flow),
            )
        return {flow: f"{flow}/{name}" for flow in wanted}

    def _schema(self, plan: FlowPlan) -> Json:
        """The form that Prefect's page shows for a run's parameters."""
        data = self._engine.input_of(plan.flow).model_json_schema()
        definitions = data.pop("$defs", {})
        data["title"] = "data"
        schema: dict[str, Json] = {"type": "object", "title": "Parameters", "properties": {"data": data}}
        schema["required"] = ["data"]
        return {**schema, "definitions": definitions}


def _let_go(run: Run) -> bool:
    """Whether a worker held this run until now: it drained, or died. Its flow run is over, whatever Prefect says."""
    if run.state not in ("running", "compensating") or run.wake_at is None:
        return False
    # Whoever lets go has it looked at now; whoever passed it on, later.
    return datetime.fromisoformat(run.wake_at) - datetime.fromisoformat(run.updated_at) < timedelta(seconds=1)
