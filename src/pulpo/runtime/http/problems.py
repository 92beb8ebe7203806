"""Errors as RFC 9457 problems: whatever goes wrong, the answer has one shape."""

from __future__ import annotations

import logging

import pydantic_core
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match
from starlette.types import Scope

from pulpo.errors import FieldError, Nearest, PulpoError
from pulpo.runtime import telemetry
from pulpo.runtime.shapes import pointer

MEDIA_TYPE = "application/problem+json"
REQUEST_ID = "pulpo.request_id"
"""Where the scope keeps the request's id."""
REFUSED = "pulpo.refused"
"""Where it keeps why nothing more is read of the request's body."""

HEADERS = "pulpo.headers"
"""Where it keeps the request's headers by name; of one that was sent several times, the last."""

_CODES = {404: "PULPO604", 405: "PULPO605", 413: "PULPO607", 415: "PULPO608"}
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")

_ELSEWHERE = frozenset({"", "/docs", "/redoc", "/swagger", "/api", "/admin", "/ui"})

log = logging.getLogger("pulpo.http")


def body_of(error: PulpoError, request_id: str) -> bytes:
    """The problem's JSON text."""
    return pydantic_core.to_json({**error.as_problem(), "request_id": request_id})


def answer(error: PulpoError, request_id: str) -> Response:
    """The response for an error; one of ours is logged."""
    if error.status >= 500:
        log.error("%s %s", error.code, error.detail, extra={"request_id": request_id}, exc_info=error)
    return response(error, request_id)


def response(error: PulpoError, request_id: str) -> Response:
    """The response for an error that is nobody's fault here."""
    return Response(body_of(error, request_id), error.status, error.headers, MEDIA_TYPE)


def broken() -> PulpoError:
    """What a client hears of an unexpected exception."""
    return PulpoError("PULPO610", "something broke that should not", hint="the log has it under this request id")


def install(app: FastAPI) -> None:
    """Answer every kind of error with a problem."""

    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, PulpoError)
        if error.status >= 500 and telemetry.active is not None:
            telemetry.active.failed(error)
        return answer(error, request_id(request))

    async def plain(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return answer(_from_http(request, error), request_id(request))

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return answer(_from_fastapi(error), request_id(request))

    app.add_exception_handler(PulpoError, refused)
    app.add_exception_handler(HTTPException, plain)
    app.add_exception_handler(RequestValidationError, invalid)


def header(request: Request, name: bytes) -> str | None:
    """The value of a header, by its name in lower case."""
    headers = request.scope.get(HEADERS)
    value = (dict(request.scope["headers"]) if headers is None else headers).get(name)
    return None if value is None else str(value, "latin-1")


def request_id(request: Request) -> str:
    """The id under which the log and the client know a request."""
    return str(request.scope.get(REQUEST_ID, ""))


def _from_http(request: Request, error: HTTPException) -> PulpoError:
    if isinstance(error.__cause__, PulpoError):  # FastAPI's own, for a body that could not be read to its end
        return error.__cause__
    headers = {name: value for name, value in (error.headers or {}).items() if name.lower() != "allow"}
    if error.status_code == 404:
        detail, hint = "nothing is served at this address", _nearest(request)
    elif error.status_code == 405:
        allowed = ", ".join(_allowed(request))
        headers["Allow"] = allowed
        detail, hint = f"{request.method} is not served at this address", f"served are: {allowed}"
    else:
        detail, hint = str(error.detail), None
    code = _CODES.get(error.status_code, f"http_{error.status_code}")
    return PulpoError(code, detail, hint=hint, status=error.status_code, headers=headers)


def _from_fastapi(error: RequestValidationError) -> PulpoError:
    """For the project's own routes, whose bodies and parameters FastAPI validates."""
    found = error.errors()
    if found and found[0]["type"] == "json_invalid":
        return PulpoError("PULPO601", "the body is not valid JSON")
    if found and found[0]["loc"][:1] != ("body",):
        return PulpoError("PULPO603", f"{'.'.join(str(part) for part in found[0]['loc'])}: {found[0]['msg']}")
    errors = [FieldError(pointer(each["loc"][1:]), each["type"], each["msg"]) for each in found]
    return PulpoError("PULPO602", f"{len(errors)} invalid or missing", errors=errors)


def _allowed(request: Request) -> tuple[str, ...]:
    beside = request.app.state.beside.get(request.scope["path"])
    if beside is not None:  # `export` looks like an id to the routes of a document, and is none
        return (beside,)
    served: set[str] = set()
    for method in _METHODS:
        scope: Scope = {**request.scope, "method": method}
        if any(route.matches(scope)[0] is Match.FULL for route in _routes(request)):
            served.add(method)
    return tuple(method for method in _METHODS if method in served)


def _nearest(request: Request) -> str | None:
    """The nearest operation or collection; at the root, and where others have their pages, where these are here."""
    path = request.url.path.rstrip("/")
    if path in _ELSEWHERE:
        return "/openapi.json describes what is served; `pulpo status` says where the UI is"
    if path.startswith("/operations/"):
        return Nearest(request.app.state.operations).to(path)
    paths = request.app.state.paths
    first = "/" + request.url.path.strip("/").partition("/")[0]
    return None if first in paths else Nearest(tuple(paths)).to(first)


def _routes(request: Request) -> list[BaseRoute]:
    routes: list[BaseRoute] = request.app.router.routes
    return routes
