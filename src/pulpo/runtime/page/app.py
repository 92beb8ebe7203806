"""The page's ASGI application: who may ask, the UI's files, the project's own pages, and the API under `/api`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pulpo.errors import PulpoError
from pulpo.runtime.http.guard import Guard
from pulpo.runtime.page.files import BUILT, Built, of_project
from pulpo.runtime.page.proxy import PREFIX, Proxy
from pulpo.settings import Settings

PROJECT = "/project"
"""Where the files of the project's own pages stand."""

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'{nonce}; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
_CSP = "content-security-policy"
_TIMEOUT = httpx.Timeout(None, connect=5.0)  # a stream of events is quiet for as long as nothing happens
_LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=20)


def create_page(
    settings: Settings,
    api: str,
    transport: httpx.AsyncBaseTransport | None = None,
    *,
    root: Path = Path(),
    built: Path = BUILT,
) -> ASGIApp:
    """The application that serves a project's UI.

    Args:
        settings: The project's.
        api: The address of its API, such as `http://127.0.0.1:8000`.
        transport: Another way to the API than the network, for tests.
        root: The project's root; the modules of its own pages are in its `ui/` folder.
        built: Where the built UI is.
    """
    client = httpx.AsyncClient(timeout=_TIMEOUT, limits=_LIMITS, transport=transport, trust_env=False)
    files, proxy = Built(built), Proxy(client, api)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with client:
            yield

    async def project(request: Request) -> Response:
        return of_project(root, request.path_params["path"])

    async def page(request: Request) -> Response:
        answer, nonce = files.answer(request)
        answer.headers[_CSP] = _POLICY.format(nonce=f" 'nonce-{nonce}'" if nonce else "")
        return answer

    routes = [Route("/livez", _livez), Route(PROJECT + "/{path:path}", project), Route("/{path:path}", page)]
    return _Door(Starlette(routes=routes, lifespan=lifespan), proxy, Guard.of(settings))


async def _livez(_request: Request) -> Response:
    return JSONResponse({"status": "ok"}, headers={"Cache-Control": "no-store"})


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
