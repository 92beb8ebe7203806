"""Addresses about the application itself: what it is, whether it lives, what it counts, what happens in it."""

from __future__ import annotations

import asyncio
from functools import cache

import pydantic_core
from fastapi import APIRouter, Request, Response

from pulpo.errors import PulpoError
from pulpo.runtime.application import Application
from pulpo.runtime.http import custom, metrics, requests, streams
from pulpo.runtime.http.openapi import openapi
from pulpo.runtime.http.resources import JSON
from pulpo.runtime.listing import RUN_STATES
from pulpo.runtime.metadata import metadata
from pulpo.runtime.tables import RUNS
from pulpo.spec import Json
from pulpo.store.port import Aggregate, GroupBy

_PATIENCE = 2.0
"""Seconds that the store may take to answer a question of readiness."""


def router(application: Application, counted: metrics.Metrics, own: tuple[APIRouter, ...] = ()) -> APIRouter:
    """`/meta`, `/openapi.json`, `/events`, `/livez`, `/readyz`, `/metrics`."""
    routes = APIRouter()
    described = (application.spec, application.plans, application.settings)

    @cache  # made when somebody asks: starting does not wait for it
    def about() -> dict[str, Json]:
        return metadata(*described)

    @cache
    def document() -> bytes:
        routes = custom.described(*own) if own else {}
        return pydantic_core.to_json(custom.merged(openapi(*described), routes))

    @routes.get("/meta")
    async def meta(request: Request) -> Response:
        return Response(pydantic_core.to_json({**about(), "caller": _caller(request)}), media_type=JSON)

    @routes.get("/openapi.json")
    async def openapi_document() -> Response:
        return Response(document(), media_type=JSON)

    @routes.get("/events")
    async def events(request: Request) -> Response:
        return await streams.of_everything(application, request)

    @routes.get("/livez")
    async def livez() -> Response:
        return Response(b'{"status":"ok"}', media_type=JSON)

    @routes.get("/readyz")
    async def readyz(request: Request) -> Response:
        down = await _down(application)
        if request.app.state.closing.is_set():
            down.append("server")
        body = {"status": "ok" if not down else "down", "down": down}
        return Response(pydantic_core.to_json(body), 503 if down else 200, media_type=JSON)

    @routes.get("/metrics")
    async def metrics_text() -> Response:
        return Response(await _counted(application, counted), media_type=metrics.MEDIA_TYPE)

    return routes


def _caller(request: Request) -> dict[str, str]:
    caller = requests.caller(request)
    return {"principal": caller.principal, "role": caller.role}


async def _counted(application: Application, counted: metrics.Metrics) -> str:
    runs = dict.fromkeys(RUN_STATES, 0)
    for group in await application.store.aggregate(Aggregate(RUNS, by=(GroupBy("state"),))):
        runs[group.key[0]] = group.count
    commits = getattr(application.store, "commits", None)  # an adapter may have none to count
    return counted.text(runs, application.engine.counts, commits)


async def _down(application: Application) -> list[str]:
    """What does not work: the store, this process's worker."""
    down = []
    try:
        async with asyncio.timeout(_PATIENCE):
            await application.store.last_event()
    except (PulpoError, TimeoutError):
        down.append("store")
    if not application.engine.worker.alive:
        down.append("worker")
    return down
