"""A span for every request, around the edge: the same on the short way and on FastAPI's."""

from __future__ import annotations

import time
from typing import Any

from opentelemetry import context, trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pulpo.runtime.http import problems
from pulpo.runtime.http.limits import ALWAYS
from pulpo.runtime.telemetry import TRACE
from pulpo.runtime.tracing import Tracing, extracted, ids_of

_METHODS = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"})
_PORTS = {"http": 80, "https": 443}


class Traced:
    """The edge inside a SERVER span, by OpenTelemetry's conventions for HTTP.

    Probes (`/livez`, `/readyz`, `/metrics`) have none, and neither has a request that somebody else's instrumentation
    has given a span already: one request, one span.

    Args:
        app: What is behind it.
        tracing: Where spans and measures go.
    """

    def __init__(self, app: ASGIApp, tracing: Tracing) -> None:
        self._app, self._tracing = app, tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["path"] in ALWAYS or _is_traced():
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        known = _about(scope, headers)
        within = extracted(headers)
        method = known["http.request.method"] if known["http.request.method"] != "_OTHER" else "HTTP"
        span = self._tracing.tracer.start_span(method, within, SpanKind.SERVER, known)
        token = context.attach(trace.set_span_in_context(span, within))
        scope[TRACE] = ids_of(span)
        status, began = 0, time.perf_counter()

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        except BaseException as error:
            span.set_attribute("error.type", type(error).__qualname__)  # the answer broke off, or nobody waits for it
            raise
        finally:
            context.detach(token)
            self._end(span, scope, known, method, status, time.perf_counter() - began)

    def _end(self, span: Span, scope: Scope, known: dict[str, Any], method: str, status: int, seconds: float) -> None:
        found: dict[str, Any] = {}
        route = getattr(scope.get("route"), "path", None)
        if route is not None:
            found["http.route"] = route
            span.update_name(f"{method} {route}")
        if status:
            found["http.response.status_code"] = status
        if status >= 500:
            found["error.type"] = str(status)
        if status >= 500 or not status:
            span.set_status(Status(StatusCode.ERROR))
        span.set_attributes({**found, "pulpo.request_id": scope.get(problems.REQUEST_ID, "")})
        span.end()
        measured = {name: known[name] for name in ("http.request.method", "url.scheme", "network.protocol.version")}
        self._tracing.requests.record(seconds, {**measured, **found})


def _is_traced() -> bool:
    current = trace.get_current_span()
    return getattr(current, "kind", None) is SpanKind.SERVER and current.is_recording()


def _about(scope: Scope, headers: dict[str, str]) -> dict[str, Any]:
    """What is known of a request when it comes in. Its query is left out: filters may hold what is private."""
    method, scheme = scope["method"], scope.get("scheme", "http")
    known: dict[str, Any] = {
        "http.request.method": method if method in _METHODS else "_OTHER",
        "url.scheme": scheme,
        "url.path": scope["path"],
        "network.protocol.version": scope.get("http_version", "1.1"),
    }
    if method not in _METHODS:
        known["http.request.method_original"] = method
    host, _, port = headers.get("host", "").rpartition(":")
    if host and port.isdigit():
        known["server.address"], known["server.port"] = host.strip("[]"), int(port)
    elif "host" in headers:
        known["server.address"], known["server.port"] = headers["host"].strip("[]"), _PORTS.get(scheme, 80)
    if (client := scope.get("client")) is not None:
        known["client.address"] = client[0]
    if "user-agent" in headers:
        known["user_agent.original"] = headers["user-agent"]
    return known
