"""The UI's server on :3000, before an API that these tests play."""

import asyncio
import json
import os
from contextlib import asynccontextmanager

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from pulpo.runtime.page.app import create_page
from pulpo.settings import Settings

INDEX = '<html><meta property="csp-nonce" nonce="__NONCE__"><script src="/assets/a1.js"></script></html>'


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
            Route("/products", lambda _: JSONResponse([], headers={"X-Total-Count": "42"})),
            Route("/events", events),
            Route("/{path:path}", echo, methods=["GET", "POST", "PUT", "DELETE"]),
        ]
    )


@pytest.fixture
def built(tmp_path):
    """A build with a page, a hashed script and an icon; beside it a project with a page of its own."""
    folder = tmp_path / "dist"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text(INDEX)
    (folder / "assets" / "a1.js").write_text("export const text = 'x';\n" * 200)
    (folder / "theme.js").write_text("// theme\n")
    (tmp_path / "ui" / "parts").mkdir(parents=True)
    (tmp_path / "ui" / "board.js").write_text("export default {};\n")
    (tmp_path / "ui" / "notes.txt").write_text("not for browsers")
    (tmp_path / "secret.js").write_text("secret")
    (tmp_path / "ui" / "link.js").symlink_to(tmp_path / "secret.js")
    return folder


@asynccontextmanager
async def page(api, built, client="127.0.0.1"):
    """A client of the page whose API is the given ASGI application (None: nothing listens)."""
    settings = Settings.model_validate({"project": {"name": "shop"}})
    transport = httpx.ASGITransport(api) if api else None
    app = create_page(settings, "http://127.0.0.1:1", transport, root=built.parent, built=built)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app, client=(client, 5)), base_url="http://localhost:3000"
    ) as browser:
        yield browser


@pytest.mark.parametrize("path", ["/", "/data/orders", "/operations/orders.checkout.validate_items", "/runs/a.b.js"])
async def test_every_address_of_the_ui_is_the_page(built, path):
    """Dots or not, and however deep: a reload of any page works."""
    async with page(api_app(), built) as browser:
        answer = await browser.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["cache-control"] == "no-store"


async def test_no_script_runs_that_is_not_a_file_and_no_style_without_the_nonce(built):
    """Each answer has a nonce of its own, in the policy and in the page; scripts are never let in by it."""
    nonces = set()
    async with page(api_app(), built) as browser:
        for _ in range(2):
            answer = await browser.get("/")
            policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
            assert policy["script-src"] == "'self'"
            assert policy["default-src"] == policy["frame-ancestors"] == policy["form-action"] == "'none'"
            nonce = policy["style-src"].removeprefix("'self' 'nonce-").removesuffix("'")
            assert f'nonce="{nonce}"' in answer.text
            assert "__NONCE__" not in answer.text
            nonces.add(nonce)
            assert answer.headers["x-content-type-options"] == "nosniff"
    assert len(nonces) == 2


async def test_built_files_are_kept_by_browsers(built):
    """Hashed ones for ever, the others until they change; what is missing under /assets/ is a 404 and no page."""
    async with page(api_app(), built) as browser:
        script = await browser.get("/assets/a1.js")
        assert script.headers["content-type"].startswith("text/javascript")
        assert "immutable" in script.headers["cache-control"]
        assert script.headers["content-encoding"] == "gzip"
        assert script.text.startswith("export const text")
        theme = await browser.get("/theme.js")
        assert theme.headers["cache-control"] == "no-cache"
        again = await browser.get("/theme.js", headers={"If-None-Match": theme.headers["etag"]})
        assert again.status_code == 304
        assert (await browser.get("/assets/gone.js")).status_code == 404


async def test_another_build_takes_the_place_of_the_first(built):
    """No restart is needed: the page and its files change together."""
    async with page(api_app(), built) as browser:
        assert (await browser.get("/assets/a1.js")).status_code == 200
        (built / "assets" / "b2.js").write_text("two")
        (built / "index.html").write_text(INDEX.replace("a1", "b2"))
        os.utime(built / "index.html", (1, 1))
        assert "b2.js" in (await browser.get("/")).text
        assert (await browser.get("/assets/b2.js")).text == "two"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("board.js", 200), ("gone.js", 404), ("notes.txt", 404), ("link.js", 404), ("../secret.js", 404),
        ("%2e%2e/secret.js", 404), ("parts", 404),
    ],
)  # fmt: skip
async def test_a_project_s_own_pages_come_from_its_ui_folder_alone(built, path, status):
    """Scripts and styles in `ui/`; nothing beside it, by no kind of path."""
    async with page(api_app(), built) as browser:
        answer = await browser.get(f"/project/{path}")
    assert answer.status_code == (status if not path.startswith("..") else 200)
    assert "secret" not in answer.text


async def test_a_missing_build_is_told_in_words(tmp_path):
    """503 with the command that makes it; the API is there all the same."""
    async with page(api_app(), tmp_path / "none") as browser:
        answer = await browser.get("/data/orders")
        assert answer.status_code == 503
        assert "make ui" in answer.text
        assert (await browser.get("/api/products")).status_code == 200


async def test_a_silent_api_is_told_as_a_problem(built):
    """Nothing listens: /api answers with a problem, the page and /livez are there."""
    async with page(None, built) as browser:
        through = await browser.get("/api/products")
        assert through.status_code == 503
        assert through.json()["code"] == "PULPO803"
        assert (await browser.get("/")).status_code == 200
        assert (await browser.get("/livez")).status_code == 200


async def test_requests_pass_through_as_they_are(built):
    """Method, encoded path, query, host, origin and body reach the API; status and headers come back."""
    async with page(api_app(), built) as browser:
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
async def test_strangers_are_refused(built, headers, path):
    """Another host name (DNS rebinding), another site's page: 403 with PULPO606, and the API is not asked."""
    async with page(PlainTextResponse("asked"), built) as browser:
        answer = await browser.get(path, headers=headers)
    assert answer.status_code == 403
    assert answer.json()["code"] == "PULPO606"


async def test_other_machines_are_refused(built):
    """Whatever it calls itself, a peer that is not this machine gets nothing."""
    async with page(api_app(), built, client="192.0.2.7") as browser:
        assert (await browser.get("/")).status_code == 403


async def test_a_link_from_another_site_leads_to_the_page_and_not_to_the_api(built):
    """A navigation is let in to be read; the API still sees, and refuses, what comes from another site."""
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    seen = []

    async def judge(scope, receive, send):
        seen.append(dict(scope["headers"]))
        await api_app()(scope, receive, send)

    async with page(judge, built) as browser:
        assert (await browser.get("/", headers=link)).status_code == 200
        await browser.get("/api/products", headers=link)
        assert seen[0][b"sec-fetch-site"] == b"cross-site"
        assert (await browser.post("/", headers=link)).status_code == 403
