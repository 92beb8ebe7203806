"""The page's ASGI application: who may ask, the pages, and the API under `/api`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pulpo.errors import PulpoError
from pulpo.runtime.http.guard import Guard
from pulpo.runtime.page.proxy import PREFIX, Proxy
from pulpo.runtime.page.views import Views
from pulpo.settings import Settings

_POLICY = (
    b"default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = (
    (b"content-security-policy", _POLICY),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)
_TIMEOUT = httpx.Timeout(None, connect=5.0)  # a stream of events is quiet for as long as nothing happens
_LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=20)


def create_page(settings: Settings, api: str, transport: httpx.AsyncBaseTransport | None = None) -> ASGIApp:
    """The application that serves a project's page.

    Args:
        settings: The project's.
        api: The address of its API, such as `http://127.0.0.1:8000`.
        transport: Another way to the API than the network, for tests.
    """
    client = httpx.AsyncClient(timeout=_TIMEOUT, limits=_LIMITS, transport=transport, trust_env=False)
    views, proxy = Views(client, api, settings.project.name), Proxy(client, api)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with client:
            yield

    app = Starlette(
        routes=[
            Route("/", views.overview),
            Route("/runs/{id}", views.run),
            Route("/style.css", views.style),
            Route("/livez", _livez),
            Route("/{path:path}", views.missing),
        ],
        lifespan=lifespan,
    )
    return _Door(app, proxy, Guard.of(settings))


async def _livez(_request: Request) -> Response:
    return JSONResponse({"status": "ok"})


class _Door:
    """The outermost layer: refuses strangers, parts the API's requests from the pages', adds the pages' headers."""

    def __init__(self, pages: ASGIApp, proxy: Proxy, guard: Guard) -> None:
        self._pages, self._proxy, self._guard = pages, proxy, guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._pages(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *_HEADERS]
            await send(message)

        try:
            self._guard.check((scope["client"] or (None,))[0], self._identity(scope))
        except PulpoError as error:
            answer = JSONResponse(error.as_problem(), error.status, media_type="application/problem+json")
            await answer(scope, receive, send_with_headers)
            return
        if scope["path"] == PREFIX or scope["path"].startswith(PREFIX + "/"):
            await self._proxy(scope, receive, send)
        else:
            await self._pages(scope, receive, send_with_headers)

    def _identity(self, scope: Scope) -> dict[bytes, bytes]:
        """The headers that say who asks. A link on another site may lead to a page: it is only read."""
        headers: dict[bytes, bytes] = dict(scope["headers"])
        if scope["method"] in {"GET", "HEAD"} and headers.get(b"sec-fetch-mode") == b"navigate":
            headers.pop(b"sec-fetch-site", None)
        return headers
