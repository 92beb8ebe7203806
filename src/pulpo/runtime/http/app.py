"""The ASGI application: the project's routes, Pulpo's own, and what holds for every request."""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from functools import partial

from fastapi import APIRouter, FastAPI
from fastapi.telemetry import TelemetryConfig
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.types import ASGIApp

from pulpo.errors import PulpoError
from pulpo.runtime.application import Application
from pulpo.runtime.http import problems, runs, system
from pulpo.runtime.http.dispatch import Dispatcher
from pulpo.runtime.http.limits import Admission
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
        PulpoError: PULPO705, the mode is `production`, whose access rules this version does not have.
    """
    if application.settings.project.mode != "dev":
        raise PulpoError(
            "PULPO705",
            "production mode needs authentication, which this version does not have",
            hint='set mode = "dev" in [project]; it serves this machine only',
        )

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.closing.clear()
        try:
            await application.start(execute=application.settings.engine.in_api)
        except PulpoError as error:
            app.state.failure = error  # for whoever serves: the reason, in a form for people
            raise
        try:
            yield
        finally:
            app.state.closing.set()
            await application.stop()

    api = application.settings.api
    metrics = Metrics(Admission(api.concurrency, api.queue))
    pulpo = (runs.flows_router(application), runs.runs_router(application), system.router(application, metrics))
    ordered = (*_own(application), *routers, *pulpo)
    app = _Api(
        title=application.spec.name, lifespan=lifespan, openapi_url=None, docs_url=None, redoc_url=None,
        redirect_slashes=False, telemetry=_telemetry(),
    )  # fmt: skip
    app.state.metrics = metrics
    app.state.edge = partial(_edge, app, ordered, metrics)
    app.state.access = to_logging
    app.state.application = application
    app.state.closing = asyncio.Event()
    app.state.failure = None
    app.state.paths = _paths(application)
    problems.install(app)
    for router in ordered:
        app.include_router(router)
    return app


def _telemetry() -> TelemetryConfig | None:
    """FastAPI's own where the process has OpenTelemetry's SDK; else none, so that no request has to ask for it."""
    if "opentelemetry.sdk" in sys.modules or any(name.startswith("OTEL_") for name in os.environ):
        return None
    return {"tracing": False, "metrics": False, "logs": False}


class _Api(FastAPI):
    """FastAPI behind our own edge, which answers in place of Starlette's when something breaks."""

    def build_middleware_stack(self) -> ASGIApp:
        """The edge, then the short way to plain routes, then FastAPI's way. Called once, at the first request."""
        stack = super().build_middleware_stack()
        inner = stack.app if isinstance(stack, ServerErrorMiddleware) else stack
        outer: ASGIApp = self.state.edge(inner)
        return outer


def _edge(app: FastAPI, routers: tuple[APIRouter, ...], metrics: Metrics, rest: ASGIApp) -> Edge:
    settings: Settings = app.state.application.settings
    noted = app.state.access if settings.api.access_log else None
    return Edge(Dispatcher(app, routers, rest), settings, metrics, noted)


def _paths(application: Application) -> tuple[str, ...]:
    """The first segments that are served, for hints."""
    models = (model.path for model in application.spec.models if model.api)
    return (*models, "/operations", "/flows", "/runs", "/events", "/meta", "/livez", "/readyz", "/metrics")


def _own(application: Application) -> tuple[APIRouter, ...]:
    """The router in the project's `routes.py`, if there is one. The project's root is on `sys.path`."""
    if not (application.root / "routes.py").is_file():
        return ()
    router = getattr(importlib.import_module("routes"), "router", None)
    if not isinstance(router, APIRouter):
        raise PulpoError("PULPO101", "routes.py has no `router` that is a fastapi.APIRouter")
    return (router,)
