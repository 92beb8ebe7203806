"""The few requests to a Prefect server that Pulpo makes without Prefect: deployments, flow runs and their states."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx

from pulpo.errors import PulpoError
from pulpo.model.model import now
from pulpo.runtime.prefect.place import Place
from pulpo.spec import Json

POOL_TYPE = "pulpo"
RUN_TAG = "pulpo-run:"
"""Before a run's id in a tag of the flow run that carries it out."""
_PAGE = 200
_PATIENCE = 20.0
_PAUSES = (0.05, 0.2, 0.5)
"""Seconds before a request is made again that the server was too busy for."""


@dataclass(frozen=True, slots=True)
class FlowRun:
    """A flow run as Prefect has it. `state` is its type, `since` when it began, `due` when it is to be carried out.

    `deployment` and `flow` are ids of Prefect's; `data` is all that was answered.
    """

    id: str
    state: str
    since: datetime
    due: datetime | None
    deployment: str | None
    tags: tuple[str, ...] = ()
    flow: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @staticmethod
    def of(data: Mapping[str, Any]) -> FlowRun:
        """What the API answered."""
        state = data["state"] or {}
        due = (state.get("state_details") or {}).get("scheduled_time")
        return FlowRun(
            id=data["id"],
            state=data["state_type"] or "",
            since=datetime.fromisoformat(state.get("timestamp") or data["created"]),
            due=datetime.fromisoformat(due) if due else None,
            deployment=data["deployment_id"],
            tags=tuple(data["tags"]),
            flow=data["flow_id"],
            data=data,
        )

    @property
    def run(self) -> str:
        """The id of the run that it carries out: its own, unless a tag names another."""
        return next((tag.removeprefix(RUN_TAG) for tag in self.tags if tag.startswith(RUN_TAG)), self.id)


class PrefectApi:
    """A Prefect server's API. Everything raises PulpoError PULPO706 where it does not answer, or answers no."""

    def __init__(self, where: Place, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.where = where
        credentials = tuple(where.auth.split(":", 1)) if ":" in where.auth else None
        self._client = httpx.AsyncClient(
            base_url=where.url,
            auth=httpx.BasicAuth(*credentials) if credentials else None,
            timeout=_PATIENCE,
            trust_env=not where.own,
            transport=transport,
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def healthy(self) -> bool:
        """Whether the server answers."""
        try:
            return (await self._client.get("/health", timeout=2.0)).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    async def pool(self, name: str, *, limit: int | None) -> None:
        """See that there is a work pool, and that it has this limit of flow runs at once; None leaves what it has."""
        answer = await self._send("GET", f"/work_pools/{name}", accept=(httpx.codes.NOT_FOUND,))
        if answer.status_code == httpx.codes.NOT_FOUND:
            body = {"name": name, "type": POOL_TYPE, "concurrency_limit": limit}
            answer = await self._send("POST", "/work_pools/", body, accept=(httpx.codes.CONFLICT,))
            if answer.status_code != httpx.codes.CONFLICT:
                return
            answer = await self._send("GET", f"/work_pools/{name}")  # another worker was first
        if limit is not None and answer.json()["concurrency_limit"] != limit:
            await self._send("PATCH", f"/work_pools/{name}", {"concurrency_limit": limit})

    async def deploy(
        self, flow: str, name: str, *, entrypoint: str, description: str, schema: Json, queue: str | None = None
    ) -> str:
        """A deployment of a flow, made or brought up to date: its id.

        What people set of one that is there (its schedules, its tags, without `queue` its queue) stays.
        """
        where = {"work_pool_name": self.where.pool, **({"work_queue_name": queue} if queue else {})}
        body = {
            "entrypoint": entrypoint,
            "description": description or None,
            "parameter_openapi_schema": schema,
            "enforce_parameter_schema": False,
        }
        answer = await self._send("GET", f"/deployments/name/{flow}/{name}", accept=(httpx.codes.NOT_FOUND,))
        if answer.status_code == httpx.codes.NOT_FOUND:
            found = (await self._send("POST", "/flows/", {"name": flow})).json()
            made = {"name": name, "flow_id": found["id"], "tags": ["pulpo"], **body, **where}
            return str((await self._send("POST", "/deployments/", made)).json()["id"])
        there = answer.json()
        changes = {key: value for key, value in body.items() if there[key] != value}
        if any(there[key] != value for key, value in where.items()):
            changes |= where  # a pool without a queue means its default one
        if changes:
            await self._send("PATCH", f"/deployments/{there['id']}", changes)
        return str(there["id"])

    async def deployment(self, flow: str, name: str) -> str | None:
        """A deployment's id, or None where there is none."""
        answer = await self._send("GET", f"/deployments/name/{flow}/{name}", accept=(httpx.codes.NOT_FOUND,))
        return None if answer.status_code == httpx.codes.NOT_FOUND else str(answer.json()["id"])

    async def create_run(self, deployment: str, run: str, data: Json, *, key: str) -> FlowRun | None:
        """A flow run of a deployment, or the one that this key made; None where there is no such deployment."""
        body = {"name": run, "idempotency_key": key, "parameters": {"data": data}, "tags": [f"{RUN_TAG}{run}"]}
        path = f"/deployments/{deployment}/create_flow_run"
        answer = await self._send("POST", path, body, accept=(httpx.codes.NOT_FOUND,))
        return None if answer.status_code == httpx.codes.NOT_FOUND else FlowRun.of(answer.json())

    async def flow_run(self, id: str) -> FlowRun | None:
        """A flow run, or None where there is none."""
        answer = await self._send("GET", f"/flow_runs/{id}", accept=(httpx.codes.NOT_FOUND,))
        return None if answer.status_code == httpx.codes.NOT_FOUND else FlowRun.of(answer.json())

    async def flow_runs(self, pool: str, *states: str, ended_after: datetime | None = None) -> list[FlowRun]:
        """The flow runs of a pool in states of these types; those that ended after a moment."""
        which: dict[str, Json] = {"state": {"type": {"any_": list(states)}}}
        if ended_after is not None:
            which["end_time"] = {"after_": ended_after.isoformat()}
        body = {"work_pools": {"name": {"any_": [pool]}}, "flow_runs": which, "limit": _PAGE, "sort": "ID_DESC"}
        found: list[FlowRun] = []
        while True:
            page = (await self._send("POST", "/flow_runs/filter", {**body, "offset": len(found)})).json()
            found.extend(FlowRun.of(each) for each in page)
            if len(page) < _PAGE:
                return found

    async def set_state(
        self, id: str, kind: str, *, name: str = "", message: str = "", due: datetime | None = None, force: bool = True
    ) -> bool:
        """Put a flow run into a state, whatever it is in with `force`; whether it is in it now."""
        state: dict[str, Json] = {"type": kind, "name": name or kind.title(), "message": message or None}
        if due is not None:
            state["state_details"] = {"scheduled_time": due.isoformat()}
        answer = await self._send("POST", f"/flow_runs/{id}/set_state", {"state": state, "force": force})
        return bool(answer.json()["status"] == "ACCEPT")

    async def scheduled(self, pool: str, *, limit: int) -> list[FlowRun]:
        """The flow runs of a pool that are due, the most urgent first."""
        path = f"/work_pools/{pool}/get_scheduled_flow_runs"
        body = {"limit": limit, "scheduled_before": now().isoformat()}
        found = (await self._send("POST", path, body)).json()
        return [FlowRun.of(each["flow_run"]) for each in found]

    async def heartbeat(self, pool: str, worker: str, *, seconds: int) -> None:
        """Tell that a worker lives, as it does every so many seconds."""
        body = {"name": worker, "heartbeat_interval_seconds": seconds}
        await self._send("POST", f"/work_pools/{pool}/workers/heartbeat", body)

    async def artifact(self, flow_run: str, *, kind: str, data: str, description: str) -> None:
        """Something for people to see beside a flow run."""
        body = {"type": kind, "data": data, "description": description, "flow_run_id": flow_run}
        await self._send("POST", "/artifacts/", body)

    async def _send(
        self, method: str, path: str, body: Mapping[str, Json] | None = None, *, accept: tuple[int, ...] = ()
    ) -> httpx.Response:
        try:
            for pause in (*_PAUSES, None):
                answer = await self._client.request(method, path, json=body)
                if pause is None or answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                    break
                await asyncio.sleep(pause)  # its database was busy, and nothing was changed
        except httpx.HTTPError as error:
            raise PulpoError(
                "PULPO706",
                f"the Prefect server at {self.where.url} cannot be reached: {error or type(error).__name__}",
                hint="`pulpo up` starts the project's own; else look at prefect.url",
            ) from None
        if answer.is_success or answer.status_code in accept:
            return answer
        hint = "look at prefect.auth (PULPO_PREFECT_AUTH)" if answer.status_code == httpx.codes.UNAUTHORIZED else None
        raise PulpoError("PULPO706", f"the Prefect server answered {answer.status_code} to {method} {path}", hint=hint)
