"""What holds for every request: who may ask, how much, under which id it is known, and which headers go out."""

from __future__ import annotations

import logging
import re
import time
from functools import lru_cache

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from ulid import ULID

from pulpo.errors import PulpoError
from pulpo.runtime.http import problems
from pulpo.runtime.http.guard import Guard
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

access = logging.getLogger("pulpo.access")
log = logging.getLogger("pulpo.http")


class Edge:
    """The outermost layer of the API, in plain ASGI: a few dictionary look-ups a request."""

    def __init__(self, app: ASGIApp, settings: Settings, metrics: Metrics) -> None:
        self._app = app
        self._limit = settings.api.body_limit
        self._metrics = metrics
        self._allowed = lru_cache(maxsize=256)(_Admission(Guard.of(settings)).refusal)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "websocket":  # of a project's own routes
            await self._web_socket(scope, receive, send)
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        headers: dict[bytes, bytes] = dict(scope["headers"])
        given = headers.get(b"x-request-id", b"")
        request_id = given if _ID.fullmatch(given) else str(ULID()).encode()
        scope[problems.REQUEST_ID] = request_id.decode()
        answer = _Answer(send, request_id)
        try:
            refusal = self._refusal(scope, headers)
            if refusal is not None:
                await problems.answer(refusal, request_id.decode())(scope, receive, answer.send)
            else:
                await self._app(scope, self._limited(receive), answer.send)
        except Exception:
            log.exception("%s %s broke", scope["method"], scope["path"], extra={"request_id": request_id.decode()})
            if answer.status:
                raise  # the answer is on its way: only breaking it off tells the client
            await problems.answer(problems.broken(), request_id.decode())(scope, receive, answer.send)
        finally:
            self._note(scope, answer, request_id, time.perf_counter() - started)

    async def _web_socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pages of other sites may open one anywhere, so who asks is looked at here too."""
        if self._stranger(scope, dict(scope["headers"])) is None:
            await self._app(scope, receive, send)
            return
        await receive()
        await send({"type": "websocket.close", "code": 1008})

    def _stranger(self, scope: Scope, headers: dict[bytes, bytes]) -> PulpoError | None:
        client = scope.get("client")
        return self._allowed(
            client[0] if client else None,
            headers.get(b"host"),
            headers.get(b"origin"),
            headers.get(b"sec-fetch-site"),
        )

    def _refusal(self, scope: Scope, headers: dict[bytes, bytes]) -> PulpoError | None:
        refusal = self._stranger(scope, headers)
        if refusal is not None:
            return refusal
        length = headers.get(b"content-length")
        if length is not None and length.isdigit() and int(length) > self._limit:
            return self._too_large()
        return None

    def _limited(self, receive: Receive) -> Receive:
        """The same body, broken off as soon as it is longer than the limit, whatever its headers said."""
        left = self._limit

        async def limited() -> Message:
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:
                raise self._too_large()
            return message

        return limited

    def _too_large(self) -> PulpoError:
        return PulpoError("PULPO607", f"a body has at most {self._limit} bytes", headers={"Connection": "close"})

    def _note(self, scope: Scope, answer: _Answer, request_id: bytes, seconds: float) -> None:
        self._metrics.request(scope["method"], answer.status or 499, seconds)
        if access.isEnabledFor(logging.INFO):
            client = scope.get("client")
            facts = {
                "method": scope["method"],
                "path": scope["path"],
                "status": answer.status or 499,
                "bytes": answer.size,
                "ms": round(seconds * 1000, 2),
                "client": client[0] if client else None,
                "request_id": request_id.decode(),
            }
            access.info("request", extra={"facts": facts})


class _Admission:
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
    """The way out: headers are added, status and size noted."""

    __slots__ = ("_request_id", "_send", "size", "status")

    def __init__(self, send: Send, request_id: bytes) -> None:
        self._send, self._request_id = send, request_id
        self.status = self.size = 0

    async def send(self, message: Message) -> None:
        """Pass a message on."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = message.setdefault("headers", [])
            own = {name for name, _ in headers if name in _OURS}
            headers.append((b"x-request-id", self._request_id))
            headers.extend(pair for pair in HEADERS if pair[0] not in own)
        else:
            self.size += len(message.get("body", b""))
        await self._send(message)
