"""What holds for every request: who may ask, how much, under which id it is known, and which headers go out."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from functools import lru_cache

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pulpo.errors import PulpoError
from pulpo.model.ids import ulid
from pulpo.runtime import telemetry
from pulpo.runtime.http import problems
from pulpo.runtime.http.guard import Guard
from pulpo.runtime.http.limits import ALWAYS, STREAM, Admission
from pulpo.runtime.http.metrics import Metrics
from pulpo.settings import Settings

HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
"""On every answer; one that a handler sets itself stands."""

_OURS = frozenset(name for name, _ in HEADERS)
_ID = re.compile(rb"[A-Za-z0-9_.:-]{1,128}")
_TRACE = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")
_STREAM = (b"content-type", b"text/event-stream; charset=utf-8")

access = logging.getLogger("pulpo.access")
log = logging.getLogger("pulpo.http")


class Edge:
    """The outermost layer of the API, in plain ASGI: a few dictionary look-ups a request.

    Args:
        app: What is behind it.
        settings: Who may ask, how long a body may be, how many requests are in work.
        metrics: Where requests are counted.
        noted: Told the facts of every answered request; None to keep no access log.
    """

    def __init__(self, app: ASGIApp, settings: Settings, metrics: Metrics, noted: Noted | None) -> None:
        self._app = app
        self._limit = settings.api.body_limit
        self._metrics = metrics
        self._noted = noted
        self._admission = metrics.admission
        self._allowed = lru_cache(maxsize=256)(_Verdict(Guard.of(settings)).refusal)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; web sockets are not served, whatever server offers one."""
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        else:
            await receive()
            await send({"type": "websocket.close", "code": 1008})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        headers: dict[bytes, bytes] = dict(scope["headers"])
        scope[problems.HEADERS] = headers
        given = headers.get(b"x-request-id")
        request_id = given if given is not None and _ID.fullmatch(given) else ulid().encode()
        scope[problems.REQUEST_ID] = request_id.decode()
        answer = _Answer(send, request_id)
        try:
            refusal = self._refusal(scope, headers)
            if refusal is None and scope["path"] not in ALWAYS:
                refusal = await self._place(answer)
            if refusal is not None:
                await problems.response(refusal, request_id.decode())(scope, receive, answer.send)
            elif b"content-length" in headers or b"transfer-encoding" in headers:
                await self._app(scope, self._limited(scope, receive), answer.send)
            else:
                await self._app(scope, receive, answer.send)
        except ClientDisconnect:
            log.debug("the client went away before its body was complete")
        except Exception as error:
            if telemetry.active is not None:
                telemetry.active.failed(error)
            log.exception("%s %s broke", scope["method"], scope["path"], extra={"request_id": request_id.decode()})
            if answer.status:
                raise  # the answer is on its way: only breaking it off tells the client
            await problems.answer(problems.broken(), request_id.decode())(scope, receive, answer.send)
        finally:
            answer.over()
            status, seconds = answer.status or 499, time.perf_counter() - started
            self._metrics.request(scope, status, seconds)
            if self._noted is not None:
                self._note(self._noted, scope, headers, answer, status, seconds)

    def _stranger(self, scope: Scope, headers: dict[bytes, bytes]) -> PulpoError | None:
        client = scope.get("client")
        return self._allowed(
            client[0] if client else None,
            headers.get(b"host"),
            headers.get(b"origin"),
            headers.get(b"sec-fetch-site"),
        )

    async def _place(self, answer: _Answer) -> PulpoError | None:
        """Take a place in the server, now or when one is free, or say why not."""
        try:
            place = self._admission.enter()
        except PulpoError as error:
            return error
        if place is not None:
            await self._admission.wait(place)
        answer.admission = self._admission
        return None

    def _refusal(self, scope: Scope, headers: dict[bytes, bytes]) -> PulpoError | None:
        refusal = self._stranger(scope, headers)
        if refusal is not None:
            return refusal
        if len(headers) != len(scope["headers"]) and [name for name, _ in scope["headers"]].count(b"host") > 1:
            return PulpoError("PULPO613", "a request names one host", headers={"Connection": "close"})
        coding = headers.get(b"transfer-encoding")
        if coding is not None and coding.lower() != b"chunked":
            return PulpoError("PULPO613", "a body comes as it is or in chunks", headers={"Connection": "close"})
        length = headers.get(b"content-length")
        if length is not None and length.isdigit() and int(length) > self._limit:
            return self._too_large()
        return None

    def _limited(self, scope: Scope, receive: Receive) -> Receive:
        """The same body, broken off where it is longer than the limit, whatever its headers said, or late."""
        left = self._limit

        async def limited() -> Message:
            nonlocal left
            message = await receive()
            if problems.REFUSED in scope:
                raise scope[problems.REFUSED]
            left -= len(message.get("body", b""))
            if left < 0:
                raise self._too_large()
            return message

        return limited

    def _too_large(self) -> PulpoError:
        return PulpoError("PULPO607", f"a body has at most {self._limit} bytes", headers={"Connection": "close"})

    def _note(
        self, noted: Noted, scope: Scope, headers: dict[bytes, bytes], answer: _Answer, status: int, seconds: float
    ) -> None:
        client, trace = scope.get("client"), headers.get(b"traceparent")
        facts = {
            "method": scope["method"],
            "path": scope["path"],
            "status": status,
            "bytes": answer.size,
            "ms": round(seconds * 1000, 2),
            "client": client[0] if client else None,
            "request_id": scope[problems.REQUEST_ID],
        }
        if (span := scope.get(telemetry.TRACE)) is not None:
            facts.update(span)
        elif trace is not None and (traced := _TRACE.fullmatch(trace)) is not None:
            facts["trace_id"] = traced[1].decode()
        noted(facts)


Noted = Callable[[dict[str, object]], None]


def to_logging(facts: dict[str, object]) -> None:
    """Write a request to the access log, as a record with `facts`."""
    if access.isEnabledFor(logging.INFO):
        access.info("request", extra={"facts": facts})


class _Verdict:
    """The guard's verdict as a value, so that it can be remembered: a client asks with the same headers again."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    def refusal(
        self, peer: str | None, host: bytes | None, origin: bytes | None, site: bytes | None
    ) -> PulpoError | None:
        """Why a request is refused, or None."""
        given = {b"host": host, b"origin": origin, b"sec-fetch-site": site}
        try:
            self._guard.check(peer, {name: value for name, value in given.items() if value is not None})
        except PulpoError as error:
            return error
        return None


class _Answer:
    """The way out: headers are added, status and size noted, the place in the server given back."""

    __slots__ = ("_request_id", "_send", "_stream", "admission", "size", "status")

    def __init__(self, send: Send, request_id: bytes) -> None:
        self._send, self._request_id = send, request_id
        self.admission: Admission | None = None
        self._stream: Admission | None = None
        self.status = self.size = 0

    async def send(self, message: Message) -> None:
        """Pass a message on."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = message.setdefault("headers", [])
            if (_STREAM in headers or STREAM in message) and self.admission is not None:
                self._stream = self.admission  # it stays open, and takes no place from those who want an answer
                self._stream.streams += 1
                self.leave()
            own = [name for name, _ in headers if name in _OURS]
            headers.append((b"x-request-id", self._request_id))
            headers.extend([pair for pair in HEADERS if pair[0] not in own] if own else HEADERS)
        else:
            self.size += len(message.get("body", b""))
        await self._send(message)

    def leave(self) -> None:
        """Give the place back, once."""
        if self.admission is not None:
            self.admission.leave()
            self.admission = None

    def over(self) -> None:
        """Nothing more is sent."""
        self.leave()
        if self._stream is not None:
            self._stream.streams -= 1
