"""The short way to a handler: plain routes are found in two dictionaries and called without FastAPI's machinery.

A route is plain when nothing but its path decides what its function is called with: it takes the request and at most
one text out of the path's end, has no dependencies, and returns a `Response` by itself. Generated routes are. All else
(other paths and methods, routes with dependencies, bodies or parameters that FastAPI reads, an application with
middleware, a path that an earlier route may want) goes through FastAPI, with the same answers.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

Endpoint = Callable[..., Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Plain:
    """A plain route: its function and the names of its arguments, None where it does not take one."""

    route: APIRoute
    endpoint: Endpoint
    request: str | None
    last: str | None

    def arguments(self, request: Request, last: str) -> dict[str, Any]:
        """What the function is called with."""
        found: dict[str, Any] = {}
        if self.request is not None:
            found[self.request] = request
        if self.last is not None:
            found[self.last] = last
        return found


class Dispatcher:
    """Calls plain routes itself and hands everything else to `rest`.

    Args:
        app: Whose exception handlers answer errors, and whose middleware would have to be passed.
        routers: What the application includes, in order.
        rest: FastAPI's own way.
    """

    def __init__(self, app: FastAPI, routers: Sequence[APIRouter], rest: ASGIApp) -> None:
        self._app, self._rest = app, rest
        self._routes, self._templates = table(routers) if _ours_alone(app, routers) else ({}, {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        plain = self._plain(scope) if scope["type"] == "http" else None
        if plain is None:
            await self._rest(scope, receive, send)
            return
        last = scope["path"].rpartition("/")[2]
        scope["path_params"] = {plain.last: last} if plain.last is not None else {}
        scope["endpoint"], scope["route"] = plain.endpoint, plain.route
        request = Asked(scope, receive, send)
        try:
            response = await plain.endpoint(**plain.arguments(request, last))
        except Exception as error:  # noqa: BLE001 - raised again if no handler answers it
            response = await self._answer(request, error)
        if type(response).__call__ is Response.__call__ and response.background is None:
            await send({"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers})
            await send({"type": "http.response.body", "body": response.body})
        else:
            await response(scope, receive, send)

    def _plain(self, scope: Scope) -> Plain | None:
        if scope.get("root_path"):
            return None
        method, path = scope["method"], scope["path"]
        found = self._routes.get((method, path))
        if found is None:
            head, _, last = path.rpartition("/")
            if last:
                return self._templates.get((method, head))
        return found

    async def _answer(self, request: Request, error: Exception) -> Response:
        """What the application's handler says to an error, chosen as Starlette chooses it."""
        handlers = self._app.exception_handlers
        handler = handlers.get(error.status_code) if isinstance(error, HTTPException) else None
        if handler is None:
            kinds = (cls for cls in type(error).__mro__ if cls is not Exception)
            handler = next((handlers[cls] for cls in kinds if cls in handlers), None)
        if handler is None:
            raise error
        if inspect.iscoroutinefunction(handler):
            return typing.cast("Response", await handler(request, error))
        return typing.cast("Response", await run_in_threadpool(handler, request, error))


class Asked(Request):
    """Starlette's request, whose body is gathered without a generator."""

    async def body(self) -> bytes:
        """The whole body."""
        if hasattr(self, "_body") or self._stream_consumed:
            return await super().body()
        parts: list[bytes] = []
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self._is_disconnected = True
                raise ClientDisconnect
            parts.append(message.get("body", b""))
            more = message.get("more_body", False)
        self._stream_consumed = True
        self._body = parts[0] if len(parts) == 1 else b"".join(parts)
        return self._body


Table = tuple[dict[tuple[str, str], Plain], dict[tuple[str, str], Plain]]


def table(routers: Sequence[APIRouter]) -> Table:
    """Plain routes by method and path, and by method and path up to the last segment; of two that fit, the first."""
    routes: dict[tuple[str, str], Plain] = {}
    templates: dict[tuple[str, str], Plain] = {}
    before: list[BaseRoute] = []
    for router in routers:
        for route in router.routes:
            for method, plain in _plain_routes(router, route):
                if plain.last is None:
                    if not any(_may_want(other, method, plain.route.path) for other in before):
                        routes[method, plain.route.path] = plain
                elif not any(
                    _may_want(other, method, plain.route.path) and (method, getattr(other, "path", "")) not in routes
                    for other in before
                ):
                    templates[method, plain.route.path.rpartition("/")[0]] = plain
            before.append(route)
    return routes, templates


def _ours_alone(app: FastAPI, routers: Sequence[APIRouter]) -> bool:
    """Whether requests get from the edge to these routers and to nothing else first."""
    included = [getattr(route, "original_router", None) for route in app.router.routes[: len(routers)]]
    same = all(one is other for one, other in zip(included, routers, strict=False)) and len(included) == len(routers)
    return same and not app.user_middleware and not app.router.dependencies and not app.debug


def _plain_routes(router: APIRouter, route: BaseRoute) -> Iterator[tuple[str, Plain]]:
    if type(route) is not APIRoute or router.dependencies or route.dependencies:
        return
    last = _last(route)
    if last is None or not inspect.iscoroutinefunction(route.endpoint) or not _returns_response(route.endpoint):
        return
    if not _takes_only(route.dependant, last):
        return
    plain = Plain(route, route.endpoint, route.dependant.request_param_name, last or None)
    for method in route.methods or ():
        if method != "HEAD":
            yield method, plain


def _last(route: APIRoute) -> str | None:
    """The parameter that is the path's last segment; empty without one, None where the path has others."""
    head, _, last = route.path.rpartition("/")
    if "{" in head:
        return None
    if "{" not in last:
        return ""
    name = last.removeprefix("{").removesuffix("}")
    return name if last == f"{{{name}}}" and name.isidentifier() else None


def _takes_only(dependant: Dependant, last: str) -> bool:
    """Whether a function takes the request, the last segment as it stands, and nothing else."""
    read = (dependant.query_params, dependant.header_params, dependant.cookie_params, dependant.body_params)
    special = (
        dependant.websocket_param_name,
        dependant.http_connection_param_name,
        dependant.response_param_name,
        dependant.background_tasks_param_name,
        dependant.security_scopes_param_name,
    )
    if any(read) or any(special) or dependant.dependencies:
        return False
    if len(dependant.path_params) != (1 if last else 0):
        return False
    return all(
        param.name == param.alias == last and param.field_info.annotation is str and not param.field_info.metadata
        for param in dependant.path_params
    )


def _returns_response(endpoint: Callable[..., Any]) -> bool:
    try:
        returned = typing.get_type_hints(endpoint).get("return")
    except NameError:  # an annotation that only a type checker can follow
        return False
    return isinstance(returned, type) and issubclass(returned, Response)


def _may_want(other: BaseRoute, method: str, path: str) -> bool:
    """Whether an earlier route could be the one for a request with this method to an address of this form."""
    if not isinstance(other, APIRoute):
        return True
    if method not in (other.methods or ()):
        return False
    theirs, ours = other.path.split("/"), path.split("/")
    if any(":path}" in segment for segment in theirs):
        return True
    return len(theirs) == len(ours) and all(
        one == two or "{" in one or "{" in two for one, two in zip(theirs, ours, strict=True)
    )
