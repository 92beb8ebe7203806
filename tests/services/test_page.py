"""The page on :3000, before an API that these tests play."""

import asyncio
import json
from contextlib import asynccontextmanager

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from pulpo.runtime.page.app import create_page
from pulpo.settings import Settings

RUN = {
    "id": "run_1",
    "name": "order_to_cash",
    "kind": "flow",
    "state": "failed",
    "started_at": "2025-10-30T12:00:00.000000Z",
    "finished_at": "2025-10-30T12:00:02.500000Z",
    "error": {"code": "declined", "detail": "the card <b>was</b> declined", "hint": None, "step": "charge"},
}
STEP = {
    "kind": "step",
    "state": "completed",
    "attempts": 1,
    "error": None,
    "started_at": "2025-10-30T12:00:01.000000Z",
    "finished_at": "2025-10-30T12:00:02.500000Z",
}
META = {
    "name": "shop",
    "models": [
        {"title": "Product", "path": "/products", "actions": ["list", "get"], "description": "What is <sold>"},
        {"title": "Secret", "path": "/secrets", "actions": ["get"], "description": ""},
    ],
    "operations": [
        {"title": "Charge", "group": "payments.processing", "path": "/operations/payments/processing/charge",
         "description": "Takes the money."}
    ],
    "flows": [
        {"name": "order_to_cash", "title": "Order to cash",
         "plan": {"steps": [1, 2, 3], "critical_path": [1, 2], "description": "all of it"}}
    ],
}  # fmt: skip


async def echo(request: Request) -> Response:
    body = await request.body()
    return JSONResponse(
        {
            "method": request.method,
            "path": request.scope["raw_path"].decode(),
            "query": request.url.query,
            "host": request.headers["host"],
            "origin": request.headers.get("origin"),
            "body": body.decode(),
        },
        201,
        {"ETag": '"7"', "Link": "</next>; rel=next"},
    )


async def run_document(request: Request) -> Response:
    if request.path_params["id"] != "run_1":
        return JSONResponse({"code": "PULPO404"}, 404)
    return JSONResponse({**RUN, "steps": [{**STEP, "operation": "a.b"}, {**STEP, "operation": "a.c"}]})


def api_app(released: asyncio.Event | None = None) -> Starlette:
    async def events(_request: Request) -> Response:
        async def lines():
            yield b"id: 1\ndata: {}\n\n"
            assert released is not None
            await released.wait()
            yield b"id: 2\ndata: {}\n\n"

        return StreamingResponse(lines(), media_type="text/event-stream")

    return Starlette(
        routes=[
            Route("/meta", lambda _: JSONResponse(META)),
            Route("/runs", lambda _: JSONResponse([RUN])),
            Route("/runs/{id}", run_document),
            Route("/products", lambda _: JSONResponse([], headers={"X-Total-Count": "42"})),
            Route("/events", events),
            Route("/{path:path}", echo, methods=["GET", "POST", "PUT", "DELETE"]),
        ]
    )


@asynccontextmanager
async def page(api, client="127.0.0.1"):
    """A client of the page whose API is the given ASGI application (None: nothing listens)."""
    settings = Settings.model_validate({"project": {"name": "shop"}})
    transport = httpx.ASGITransport(api) if api else None
    app = create_page(settings, "http://127.0.0.1:1", transport)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app, client=(client, 5)), base_url="http://localhost:3000"
    ) as browser:
        yield browser


async def test_the_overview_names_everything_there_is():
    """Models with counts and links, operations, flows, the latest runs with state and reason; text is escaped."""
    async with page(api_app()) as browser:
        answer = await browser.get("/")
    assert answer.status_code == 200
    for text in (
        "Product", ">42<", 'href="/api/products"', "What is &lt;sold&gt;", "payments.processing", "Takes the money.",
        "Order to cash", "3 steps, at least 2 one after another", 'href="/runs/run_1"', "failed", "2.50 s",
        "&lt;b&gt;was&lt;/b&gt; declined",
    ):  # fmt: skip
        assert text in answer.text
    assert 'href="/api/secrets"' not in answer.text


async def test_a_page_runs_no_script_and_loads_nothing_from_elsewhere():
    """The policy forbids scripts, frames and strangers' resources, and the page needs none of them."""
    async with page(api_app()) as browser:
        for path in ("/", "/runs/run_1", "/nothing"):
            answer = await browser.get(path)
            assert answer.headers["content-security-policy"].startswith("default-src 'none'; style-src 'self'")
            assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert "<script" not in answer.text
            assert "style=" not in answer.text
            assert '<html lang="en">' in answer.text
        assert (await browser.get("/style.css")).headers["content-type"].startswith("text/css")


async def test_a_runs_page_shows_its_steps():
    """Start after the run's start and duration of each, and the wall time against one by one."""
    async with page(api_app()) as browser:
        answer = await browser.get("/runs/run_1")
    assert "It took 2.50 s; its steps one by one: 3.00 s" in answer.text
    assert answer.text.count("1.00 s") == 2
    assert "a.b" in answer.text


async def test_what_is_not_there_is_a_page_that_says_so():
    """An unknown run and an unknown address: 404."""
    async with page(api_app()) as browser:
        for path in ("/runs/none", "/nothing"):
            answer = await browser.get(path)
            assert answer.status_code == 404
            assert "Not found" in answer.text


async def test_watching_is_asked_for():
    """A page renews itself only where the reader wants it."""
    async with page(api_app()) as browser:
        assert "http-equiv" not in (await browser.get("/")).text
        assert '<meta http-equiv="refresh" content="2">' in (await browser.get("/?watch")).text


async def test_a_silent_api_is_told_in_words():
    """Nothing listens: the page says what to do (503), /api answers with a problem, /livez is fine."""
    async with page(None) as browser:
        answer = await browser.get("/")
        assert answer.status_code == 503
        assert "pulpo logs api" in answer.text
        through = await browser.get("/api/products")
        assert through.status_code == 503
        assert through.json()["code"] == "PULPO803"
        assert (await browser.get("/livez")).status_code == 200


async def test_requests_pass_through_as_they_are():
    """Method, encoded path, query, host, origin and body reach the API; status and headers come back."""
    async with page(api_app()) as browser:
        answer = await browser.post(
            "/api/orders/a%2Fb?sort=-x&q=%20", content=b'{"a": 1}', headers={"Origin": "http://localhost:3000"}
        )
    assert answer.status_code == 201
    assert answer.headers["etag"] == '"7"'
    assert answer.headers["link"] == "</next>; rel=next"
    assert answer.json() == {
        "method": "POST",
        "path": "/orders/a%2Fb",
        "query": "sort=-x&q=%20",
        "host": "localhost:3000",
        "origin": "http://localhost:3000",
        "body": json.dumps({"a": 1}),
    }


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example:3000"},
        {"Origin": "http://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
@pytest.mark.parametrize("path", ["/", "/api/products", "/runs/run_1"])
async def test_strangers_are_refused(headers, path):
    """Another host name (DNS rebinding), another site's page: 403 with PULPO606, and the API is not asked."""
    async with page(PlainTextResponse("asked")) as browser:
        answer = await browser.get(path, headers=headers)
    assert answer.status_code == 403
    assert answer.json()["code"] == "PULPO606"


async def test_other_machines_are_refused():
    """Whatever it calls itself, a peer that is not this machine gets nothing."""
    async with page(api_app(), client="192.0.2.7") as browser:
        assert (await browser.get("/")).status_code == 403


async def test_a_link_from_another_site_leads_to_the_page_and_not_to_the_api():
    """A navigation is let in to be read; the API still sees, and refuses, what comes from another site."""
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    seen = []

    async def judge(scope, receive, send):
        seen.append(dict(scope["headers"]))
        await api_app()(scope, receive, send)

    async with page(judge) as browser:
        assert (await browser.get("/", headers=link)).status_code == 200
        seen.clear()
        await browser.get("/api/products", headers=link)
        assert seen[0][b"sec-fetch-site"] == b"cross-site"
        assert (await browser.post("/", headers=link)).status_code == 403
