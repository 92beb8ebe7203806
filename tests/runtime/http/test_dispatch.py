"""The short way to plain routes: the same answers as through FastAPI, only where nothing else may want the request."""

from __future__ import annotations

import re
from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from pulpo.runtime.http import dispatch

JSON = {"Content-Type": "application/json"}
PRODUCT = b'{"sku":"A","name":"a","price":1}'
ASKED: list[tuple[str, str, bytes, dict[str, str]]] = [
    ("POST", "/products", b'{"id":"prod_1","sku":"A","name":"a","price":1.5,"inventory":3}', JSON),
    ("POST", "/products", b'{"id":"prod_1","sku":"B","name":"b","price":1}', JSON),
    ("POST", "/products", b'{"sku":"C","price":-1,"colour":"red"}', JSON),
    ("POST", "/products", b"{", JSON),
    ("POST", "/products", PRODUCT, {"Content-Type": "text/plain"}),
    ("POST", "/products", b" " * 2_000_000, JSON),
    ("POST", "/products?x=1", PRODUCT, JSON),
    ("GET", "/products/prod_1", b"", {}),
    ("GET", "/products/A", b"", {"X-Request-ID": "mine"}),
    ("GET", "/products/none", b"", {}),
    ("GET", "/products/a%2Fb", b"", {}),
    ("GET", "/products/%E2%82%AC%0A", b"", {}),
    ("GET", "/products/", b"", {}),
    ("GET", "/products//prod_1", b"", {}),
    ("GET", "/products?limit=1&count=true", b"", {}),
    ("GET", "/products?limit=x", b"", {}),
    ("GET", "/products?sku=A&sku=B&sort=-price", b"", {}),
    ("HEAD", "/products", b"", {}),
    ("OPTIONS", "/products", b"", {}),
    ("POST", "/products/prod_1", b"{}", JSON),
    ("PATCH", "/products/prod_1", b'{"inventory":4}', {"Content-Type": "application/merge-patch+json"}),
    ("PUT", "/products/prod_1", PRODUCT, {**JSON, "If-Match": '"1"'}),
    ("PUT", "/products/prod_1", PRODUCT, {**JSON, "If-Match": '"2"'}),
    ("DELETE", "/products/prod_1", b"", {}),
    ("DELETE", "/products/prod_1", b"", {}),
    ("POST", "/operations/shop/payments/pay", b"{}", JSON),
    ("POST", "/operations/shop/payments/none", b"{}", JSON),
    ("GET", "/flows", b"", {}),
    ("GET", "/runs/none", b"", {}),
    ("GET", "/runs?state=lost", b"", {}),
    ("GET", "/runs/none/events", b"", {}),
    ("GET", "/livez", b"", {}),
    ("GET", "/hello", b"", {}),
    ("POST", "/wishes", b'{"text":3}', JSON),
    ("GET", "/nowhere", b"", {}),
    ("GET", "/products", b"", {"Host": "evil.example"}),
]
"""Requests that are sent in this order to an empty shop."""
_VARIES = re.compile(rb"[0-9A-HJKMNP-TV-Z]{26}|\d{4}-\d\d-\d\dT[0-9:.]+Z")


def own(number: int, value: Any) -> Any:
    """A value without what no two requests share: ids and times that were made for it."""
    return _VARIES.sub(b"*", value if isinstance(value, bytes) else str(value).encode()) if number >= 0 else value


async def answers(app: FastAPI) -> list[tuple[Any, ...]]:
    """What an application says to every request, headers in order, byte for byte but for fresh ids and times."""
    found = []
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost:8000") as client,
    ):
        for number, (method, path, body, headers) in enumerate(ASKED):
            answer = await client.request(method, path, content=body, headers=headers)
            sent = [(name, own(number, value)) for name, value in answer.headers.raw if name != b"content-length"]
            found.append((method, path, answer.status_code, sent, own(number, answer.content)))
    return found


async def test_both_ways_answer_byte_for_byte_alike(
    app: FastAPI, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Documents, operations, runs, refusals, unknown addresses: status, headers in their order, and body."""
    passed: list[str] = []
    plain = dispatch.Dispatcher._plain

    def noted(self: dispatch.Dispatcher, scope: Scope) -> dispatch.Plain | None:
        found = plain(self, scope)
        if found is not None:
            passed.append(scope["path"])
        return found

    monkeypatch.setattr(dispatch.Dispatcher, "_plain", noted)
    short = await answers(app)
    assert len(passed) > 20, "generated routes no longer go the short way"

    monkeypatch.setattr(dispatch.Dispatcher, "_plain", lambda self, scope: None)
    app.state.application.store.path = tmp_path / "other.db"
    long = await answers(app)
    assert short == long
    assert {status for _, _, status, _, _ in short} >= {200, 201, 204, 400, 403, 404, 405, 409, 412, 413, 415, 422}


async def test_every_generated_route_goes_the_short_way(app: FastAPI, client: httpx.AsyncClient) -> None:
    """All of a model's actions and every operation; what FastAPI has to read or inject does not."""
    assert (await client.get("/livez")).status_code == 200
    routes, templates = found_in(app)
    assert {("GET", "/products"), ("POST", "/products"), ("GET", "/orders"), ("GET", "/runs")} <= set(routes)
    for method in ("GET", "PUT", "PATCH", "DELETE"):
        assert (method, "/products") in templates
    assert ("POST", "/operations/shop/payments/pay") in routes
    assert ("GET", "/hello") not in routes  # returns a dict
    assert ("POST", "/wishes") not in routes  # has a body that FastAPI reads


def found_in(app: FastAPI) -> dispatch.Table:
    """What the dispatcher of an application made of its routes."""
    layer: Any = app.middleware_stack
    while not isinstance(layer, dispatch.Dispatcher):
        layer = layer._app
    return layer._routes, layer._templates


async def text(request: Request) -> Response:
    return PlainTextResponse("short")


async def one(id: str) -> Response:
    return PlainTextResponse(id)


async def number(id: int) -> Response:
    return PlainTextResponse(str(id))


async def injected(request: Request, text: Annotated[str, Depends(lambda: "x")]) -> Response:
    return PlainTextResponse(text)


async def queried(request: Request, q: str = "") -> Response:
    return PlainTextResponse(q)


async def unsaid(request: Request):
    return {"not": "a response"}


def threaded(request: Request) -> Response:
    return PlainTextResponse("thread")


@pytest.mark.parametrize(
    ("path", "endpoint"),
    [
        ("/things/{id}", number),
        ("/{id}/things", one),
        ("/files/{id:path}", one),
        ("/things/x-{id}", one),
        ("/things", injected),
        ("/things", queried),
        ("/things", unsaid),
        ("/things", threaded),
    ],
)
def test_what_is_not_plain_is_left_to_fastapi(path: str, endpoint: Any) -> None:
    """A parameter that FastAPI reads or converts, a dependency, another return value, a plain function."""
    router = APIRouter()
    router.add_api_route(path, endpoint)
    assert dispatch.table([router]) == ({}, {})


def test_a_routers_dependencies_count() -> None:
    """They run before each of its routes."""
    router = APIRouter(dependencies=[Depends(lambda: None)])
    router.add_api_route("/things", text)
    assert dispatch.table([router]) == ({}, {})


def test_of_two_routes_the_first_answers() -> None:
    """An earlier route that may want an address keeps a later one from the short way; a fixed path does not."""
    converted, fixed, plain = APIRouter(), APIRouter(), APIRouter()
    converted.add_api_route("/things/{id}", number)
    fixed.add_api_route("/things/new", text)
    plain.add_api_route("/things/{id}", one)
    plain.add_api_route("/things", text)
    assert set(dispatch.table([converted, plain])[1]) == set()
    routes, templates = dispatch.table([fixed, plain])
    assert (set(routes), set(templates)) == ({("GET", "/things/new"), ("GET", "/things")}, {("GET", "/things")})
    routes, templates = dispatch.table([plain, fixed])
    assert (set(routes), set(templates)) == ({("GET", "/things")}, {("GET", "/things")})


async def test_middleware_is_never_passed_by(app: FastAPI) -> None:
    """Where the application has middleware, every request goes through it."""
    seen: list[str] = []

    class Watching:
        def __init__(self, app: ASGIApp) -> None:
            self._app = app

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            seen.append(scope["path"])
            await self._app(scope, receive, send)

    app.add_middleware(Watching)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost:8000") as client,
    ):
        assert (await client.get("/products")).status_code == 200
    assert seen == ["/products"]
    assert found_in(app) == ({}, {})


async def test_an_exception_nobody_expected_is_a_problem(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """500 with the request id on the short way too, and the server goes on."""

    async def broken(*_: object) -> None:
        raise RuntimeError("boom")

    with monkeypatch.context() as patch:
        patch.setattr("pulpo.runtime.documents.Documents.get_json", broken)
        answer = await client.get("/products/x")
    assert (answer.status_code, answer.json()["code"]) == (500, "PULPO610")
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert (await client.get("/products")).status_code == 200
