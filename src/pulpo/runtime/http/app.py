"""The ASGI application: the project's routes, Pulpo's own, and what holds for every request."""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from functools import partial

from fastapi import APIRouter, FastAPI
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.types import ASGIApp

from pulpo.errors import PulpoError
from pulpo.runtime import telemetry
from pulpo.runtime.application import Application
from pulpo.runtime.bodies import beside
from pulpo.runtime.http import problems, runs, system
from pulpo.runtime.http.custom import router_of
from pulpo.runtime.http.dispatch import Dispatcher
from pulpo.runtime.http.limits import Admission, Exports
from pulpo.runtime.http.metrics import Metrics
from pulpo.runtime.http.middleware import Edge, to_logging
from pulpo.settings import Settings

log = logging.getLogger("pulpo.http")


def create_app(application: Application, routers: Iterable[APIRouter] = ()) -> FastAPI:
    """The API of an application.

    It starts and stops the application with itself. Where the project has a `routes.py` with a `router`, its routes
    come first; they find the application as `request.app.state.application`.

    Args:
        application: What is served.
        routers: The generated routes of models and operations.
    Raises:
        PulpoError: PULPO705, the mode is `production`, whose access rules this version does not have; PULPO105,
            telemetry is asked for and cannot be had.
    """
    if application.settings.project.mode != "dev":
        raise PulpoError(
            "PULPO705",
            "production mode needs authentication, which this version does not have",
            hint='set mode = "dev" in [project]; it serves this machine only',
        )

    telemetry.begin(application.settings)

    api = application.settings.api
    metrics = Metrics(Admission(api.concurrency, api.queue))

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.closing.clear()
        try:
            await application.start(execute=application.settings.engine.in_api)
        except PulpoError as error:
            app.state.failure = error  # for whoever serves: the reason, in a form for people
            raise
        metrics.watch()
        try:
            yield
        finally:
            metrics.unwatch()
            app.state.closing.set()
            await application.stop()

    own = _own(application)
    pulpo = (runs.flows_router(application), runs.runs_router(application), system.router(application, metrics, own))
    ordered = (*own, *routers, *pulpo)
    app = _Api(
        title=application.spec.name, lifespan=lifespan, openapi_url=None, docs_url=None, redoc_url=None,
        redirect_slashes=False, telemetry={"tracing": False, "metrics": False, "logs": False},  # ours: see `_edge`
    )  # fmt: skip
    app.state.metrics = metrics
    app.state.exports = Exports(api.exports)
    app.state.edge = partial(_edge, app, ordered, metrics)
    app.state.access = to_logging
    app.state.application = application
    app.state.closing = asyncio.Event()
    app.state.failure = None
    app.state.paths = _paths(application)
    app.state.operations = tuple(operation.path for operation in application.spec.operations)
    app.state.beside = {path: method for model in application.spec.models for path, method in beside(model).items()}
    problems.install(app)
    for router in ordered:
        app.include_router(router)
    return app


class _Api(FastAPI):
    """FastAPI behind our own edge, which answers in place of Starlette's when something breaks."""

    def build_middleware_stack(self) -> ASGIApp:
        """The edge, then the short way to plain routes, then FastAPI's way. Called once, at the first request."""
        stack = super().build_middleware_stack()
        inner = stack.app if isinstance(stack, ServerErrorMiddleware) else stack
        outer: ASGIApp = self.state.edge(inner)
        return outer


def _edge(app: FastAPI, routers: tuple[APIRouter, ...], metrics: Metrics, rest: ASGIApp) -> ASGIApp:
    settings: Settings = app.state.application.settings
    noted = app.state.access if settings.api.access_log else None
    edge = Edge(Dispatcher(app, routers, rest), settings, metrics, noted)
    if telemetry.active is None:
        return edge
    from pulpo.runtime.http.tracing import Traced  # noqa: PLC0415 - only where telemetry is on

    return Traced(edge, telemetry.active)


def _paths(application: Application) -> tuple[str, ...]:
    """The first segments that are served, for hints."""
    models = (model.path for model in application.spec.models if model.api)
    return (*models, "/operations", "/flows", "/runs", "/events", "/meta", "/livez", "/readyz", "/metrics")


def _own(application: Application) -> tuple[APIRouter, ...]:
    """The router in the project's `routes.py`, if there is one. The project's root is on `sys.path`."""
    if not (application.root / "routes.py").is_file():
        return ()
    return (router_of(importlib.import_module("routes")),)
