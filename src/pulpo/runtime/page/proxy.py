"""The API under `/api`: requests and answers pass through as they are, streams of events too."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from pulpo.errors import PulpoError

PREFIX = "/api"

_BETWEEN_NEIGHBOURS = frozenset(
    {b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"te", b"trailer",
     b"transfer-encoding", b"upgrade"}
)  # fmt: skip


class Proxy:
    """Hands requests on to the API, with their Host and Origin: the API judges them as if it were asked itself."""

    def __init__(self, client: httpx.AsyncClient, api: str) -> None:
        self._client = client
        self._api = httpx.URL(api)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on."""
        request = Request(scope, receive)
        try:
            upstream = await self._client.send(self._onward(request), stream=True)
        except ClientDisconnect:
            return
        except httpx.TransportError:
            await unreachable(str(self._api))(scope, receive, send)
            return
        answer = StreamingResponse(_body(upstream), upstream.status_code)
        # The server that sends the answer dates it.
        answer.raw_headers = [pair for pair in _passing(upstream.headers.raw) if pair[0] != b"date"]
        await answer(scope, receive, send)

    def _onward(self, request: Request) -> httpx.Request:
        path: bytes = request.scope.get("raw_path") or request.url.path.encode()
        target = path[len(PREFIX) :] or b"/"
        query: bytes = request.scope["query_string"]
        has_body = "content-length" in request.headers or "transfer-encoding" in request.headers
        return httpx.Request(
            request.method,
            self._api.copy_with(raw_path=target + b"?" + query if query else target),
            headers=_passing(request.headers.raw),
            content=request.stream() if has_body else None,
        )


def unreachable(api: str) -> Response:
    """The answer while the API does not answer."""
    error = PulpoError(
        "PULPO803", f"the API at {api} does not answer", hint="`pulpo status` and `pulpo logs api` say more"
    )
    return JSONResponse(error.as_problem(), error.status, {"Retry-After": "1"}, "application/problem+json")


async def _body(upstream: httpx.Response) -> AsyncIterator[bytes]:
    try:
        async for chunk in upstream.aiter_raw():
            yield chunk
    finally:
        await upstream.aclose()


def _passing(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """All headers but those between two neighbours, names in lower case."""
    return [(name.lower(), value) for name, value in headers if name.lower() not in _BETWEEN_NEIGHBOURS]
