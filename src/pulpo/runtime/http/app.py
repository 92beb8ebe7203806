"""The ASGI application: the project's routes, Pulpo's own, and what holds for every request."""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI

from pulpo.errors import PulpoError
from pulpo.runtime.application import Application
from pulpo.runtime.http import problems, runs, system
from pulpo.runtime.http.metrics import Metrics
from pulpo.runtime.http.middleware import Edge

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

    metrics = Metrics()
    app = FastAPI(
        title=application.spec.name, lifespan=lifespan, openapi_url=None, docs_url=None, redoc_url=None,
        redirect_slashes=False,
    )  # fmt: skip
    app.state.application = application
    app.state.closing = asyncio.Event()
    app.state.failure = None
    app.state.paths = _paths(application)
    app.add_middleware(Edge, settings=application.settings, metrics=metrics)
    problems.install(app)
    pulpo = (runs.flows_router(application), runs.runs_router(application), system.router(application, metrics))
    for router in (*_own(application), *routers, *pulpo):
        app.include_router(router)
    return app


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
