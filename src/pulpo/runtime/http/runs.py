"""Flows and runs over HTTP: start, look, watch, cancel, retry, wake."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeVar

import pydantic_core
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, ValidationError

from pulpo.errors import NotFound, PulpoError
from pulpo.model.conditions import All, Compare, Condition
from pulpo.runtime import shapes
from pulpo.runtime.application import Application
from pulpo.runtime.http import requests, streams
from pulpo.runtime.http.resources import JSON, known
from pulpo.runtime.listing import RUN_FIELDS, TOUCHED, Listing, parse
from pulpo.runtime.tables import RUNS
from pulpo.spec import Json

B = TypeVar("B", bound=BaseModel)


class Cancelling(BaseModel):
    """The body of a cancel."""

    model_config = ConfigDict(extra="forbid")
    reason: str = ""


class Retrying(BaseModel):
    """The body of a retry: with another input, or with the same."""

    model_config = ConfigDict(extra="forbid")
    input: dict[str, Any] | None = None


class Waking(BaseModel):
    """The body of a wake: nothing."""

    model_config = ConfigDict(extra="forbid")


def flows_router(application: Application) -> APIRouter:
    """The routes under `/flows`."""
    routes = APIRouter()
    plans = application.plans
    flows = frozenset(plans)

    @routes.get("/flows")
    async def list_flows(request: Request) -> Response:
        requests.no_parameters(request)
        return _json([plan.as_json() for plan in plans.values()])

    @routes.get("/flows/{name}")
    async def get_flow(request: Request, name: str) -> Response:
        requests.no_parameters(request)
        return _json(plans[known(flows, name, "flow")].as_json())

    @routes.post("/flows/{name}/runs")
    async def start_run(request: Request, name: str) -> Response:
        requests.no_parameters(request)
        run = await application.engine.start_run(
            known(flows, name, "flow"),
            await requests.json_body(request),
            caller=requests.caller(request),
            key=requests.idempotency_key(request),
        )
        return _accepted(run)

    return routes


def runs_router(application: Application) -> APIRouter:
    """The routes under `/runs`."""
    routes = APIRouter()

    @routes.get("/runs")
    async def list_runs(request: Request) -> Response:
        asked = request.query_params.multi_items()
        given = [pair for pair in asked if pair != ("sort", "-created_at") and pair[0] != "touched"]
        listing = _listing(given, application.settings.api.page_limit)
        touched = [pair for pair in asked if pair[0] == "touched"]
        listing = replace(listing, given=(*listing.given, *touched))  # the next page is of the same
        where = await _touched(application, [value for _, value in touched], listing.where)
        page = await application.engine.runs(where=where, limit=listing.limit, after=listing.cursor)
        headers = {}
        if listing.count:
            headers["X-Total-Count"] = str(await application.store.count(RUNS, where))
        if page.cursor is not None:
            headers["Link"] = f'</runs?{listing.next_query(page.cursor)}>; rel="next"'
        body = "[" + ",".join(record.json for record in page.records) + "]"
        return Response(body, headers=headers, media_type=JSON)

    @routes.get("/runs/{id}")
    async def get_run(request: Request, id: str) -> Response:
        requests.no_parameters(request)
        return _json(await application.engine.run(id))

    @routes.get("/runs/{id}/events")
    async def run_events(request: Request, id: str) -> Response:
        return await streams.of_run(application, request, id)

    @routes.post("/runs/{id}/cancel")
    async def cancel_run(request: Request, id: str) -> Response:
        body = await _body(request, Cancelling)
        return _accepted(await application.engine.cancel(id, reason=body.reason))

    @routes.post("/runs/{id}/retry")
    async def retry_run(request: Request, id: str) -> Response:
        body = await _body(request, Retrying)
        return _accepted(await application.engine.retry(id, raw=body.input))

    @routes.post("/runs/{id}/wake")
    async def wake_run(request: Request, id: str) -> Response:
        await _body(request, Waking)
        return _accepted(await application.engine.wake(id))

    return routes


def _listing(given: list[tuple[str, str]], page_limit: int) -> Listing:
    try:
        return parse(given, RUN_FIELDS, page_limit=page_limit, sort=None)
    except PulpoError as error:
        if error.hint is not None and error.hint.startswith("known are: "):
            error.hint += ", touched"
        raise


async def _touched(application: Application, named: list[str], where: Condition | None) -> Condition | None:
    """With `touched=Order/order_1` (or its key): only runs that wrote to that document; given twice, to one of them.

    Raises:
        PulpoError: PULPO603, there are more than `TOUCHED`.
    """
    if not named:
        return where
    if len(named) > TOUCHED:
        raise PulpoError("PULPO603", f'"touched" is given at most {TOUCHED} times')
    places = [await _by_id(application, name) for name in named]
    runs = Compare("id", "in", tuple([id for name in places for id in await application.engine.touching(name)]))
    return runs if where is None else All((where, runs))


async def _by_id(application: Application, name: str) -> str:
    """`Order/order_1` for `Order/ORD-1`: steps are found by ids, also those of documents that are gone."""
    model, _, given = name.partition("/")
    for each in application.spec.models:
        if each.name == model and each.key is not None:
            try:
                return f"{model}/{await application.references.id_of(each, given)}"
            except NotFound:
                return name
    return name


async def _body(request: Request, cls: type[B]) -> B:
    requests.no_parameters(request)
    try:
        return shapes.received(cls, await requests.json_body(request))
    except ValidationError as error:
        raise shapes.invalid(error) from None


def _json(value: Json, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(pydantic_core.to_json(value), status, headers, JSON)


def _accepted(run: Json) -> Response:
    return _json(run, 202, {"Location": f"/runs/{run['id']}"})
