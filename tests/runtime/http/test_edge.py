"""What holds for every request: who may ask, how much, and in which shape errors come."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, WebSocket
from starlette.types import Message

from pulpo.errors import PulpoError
from pulpo.runtime.http.guard import Guard, hostname
from pulpo.settings import Settings

PRODUCT = {"sku": "A", "name": "a", "price": 1}


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "localhost.evil.example:8000"},
        {"Host": "evil@localhost"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:5173"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://localhost:5173"},
    ],
)
async def test_other_names_and_other_sites_are_refused(client: httpx.AsyncClient, headers: dict[str, str]) -> None:
    """403 before anything is read, on every address."""
    for path in ("/products", "/livez", "/nowhere"):
        answer = await client.get(path, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "PULPO606")


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "127.0.0.1:8000"},
        {"Host": "[::1]:8000"},
        {"Host": "LOCALHOST"},
        {"Origin": "http://localhost:8000", "Sec-Fetch-Site": "same-origin"},
        {"Origin": "http://localhost:3000", "Sec-Fetch-Site": "same-site"},
        {"Host": "localhost:43210", "Origin": "http://localhost:43210"},
        {"Sec-Fetch-Site": "none"},
    ],
)
async def test_this_machine_and_the_ui_are_served(client: httpx.AsyncClient, headers: dict[str, str]) -> None:
    """Loopback names on any port, the UI's origin, a page of the same origin, an address typed by hand."""
    assert (await client.get("/products", headers=headers)).status_code == 200


async def test_only_this_machine_is_served(started: FastAPI) -> None:
    """The peer's address decides, whatever the headers say."""
    transport = httpx.ASGITransport(started, client=("192.0.2.7", 1234))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        answer = await client.get("/livez", headers={"X-Forwarded-For": "127.0.0.1"})
    assert (answer.status_code, answer.json()["code"]) == (403, "PULPO606")


async def test_web_sockets_are_not_served(started: FastAPI) -> None:
    """Whatever server runs the application: no route of a project's own hears of one, past all that holds here."""

    @started.websocket("/live")
    async def live(socket: WebSocket) -> None:
        await socket.accept()

    sent: list[str] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message["type"])

    headers = [(b"host", b"localhost:8000"), (b"origin", b"http://localhost:3000")]
    scope = {"type": "websocket", "path": "/live", "raw_path": b"/live", "query_string": b"", "headers": headers}
    await started({**scope, "client": ("127.0.0.1", 1), "subprotocols": []}, receive, send)
    assert sent == ["websocket.close"]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)  # whose file can be given an end
async def test_a_full_disk_is_a_problem_that_passes(client: httpx.AsyncClient, started: FastAPI) -> None:
    """507 for creates and operations alike; what was acknowledged stays readable, and with room again all goes on."""
    db = started.state.application.store._writer.db
    db.pragma("max_page_count", db.pragma("page_count") + 20)
    kept = []
    for number in range(200):
        answer = await client.post("/products", json={"sku": f"S{number}", "name": "x" * 3000, "price": 1})
        if answer.status_code != 201:
            break
        kept.append(answer.json()["id"])
    assert kept
    assert (answer.status_code, answer.json()["code"]) == (507, "PULPO505")
    assert answer.headers["content-type"] == "application/problem+json"
    large = {"text": "x", "times": 200_000}
    assert (await client.post("/operations/shop/echo", json=large)).json()["code"] == "PULPO505"
    assert (await client.get("/products?limit=1&count=true")).headers["x-total-count"] == str(len(kept))
    assert [(await client.get(f"/products/{id}")).status_code for id in kept] == [200] * len(kept)
    db.pragma("max_page_count", 100_000)
    assert (await client.post("/products", json={"sku": "again", "name": "x" * 3000, "price": 1})).status_code == 201
    assert (await client.post("/operations/shop/echo", json=large)).status_code == 200


def test_a_configured_host_is_a_name_of_ours() -> None:
    """`[api] hosts` adds names; the UI's page under them may ask too."""
    guard = Guard.of(Settings.model_validate({"api": {"hosts": ["shop.test"]}, "ui": {"port": 3100}}))
    guard.check("127.0.0.1", {b"host": b"shop.test:8000", b"origin": b"http://shop.test:3100"})
    with pytest.raises(PulpoError, match="PULPO606"):
        guard.check("127.0.0.1", {b"host": b"other.test"})


def test_what_is_no_host_has_no_name() -> None:
    """Bad ports, credentials and paths leave nothing to compare."""
    for host in ("localhost:x", "a@localhost", "localhost/x", "", "[::1", "localhost?x"):
        assert hostname(host) == ""


async def test_every_answer_has_the_headers_and_a_request_id(client: httpx.AsyncClient) -> None:
    """A given id is kept if it is a plain one, and a problem's body names it."""
    answer = await client.get("/nowhere", headers={"X-Request-ID": "my-id:1"})
    assert answer.headers["x-request-id"] == answer.json()["request_id"] == "my-id:1"
    for name, value in {
        "x-content-type-options": "nosniff",
        "cache-control": "no-store",
        "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    }.items():
        assert answer.headers[name] == value
    made = await client.get("/livez", headers={"X-Request-ID": 'no "good"'})
    assert len(made.headers["x-request-id"]) == 26


async def test_unknown_addresses_and_methods_say_so(client: httpx.AsyncClient) -> None:
    """404 with the nearest collection, 405 with every method that is served."""
    lost = await client.get("/prodcuts/1")
    assert (lost.status_code, lost.json()["code"]) == (404, "PULPO604")
    assert lost.json()["hint"] == 'did you mean "/products"?'
    mistyped = await client.post("/operations/shop/payments/pya", json={})
    assert mistyped.json()["hint"].startswith('did you mean "/operations/shop/payments/pay"')
    for elsewhere in ("/", "/docs"):
        assert "/openapi.json" in (await client.get(elsewhere)).json()["hint"]
    assert (await client.get("/products/")).status_code == 404
    wrong = await client.post("/products/1", json={})
    assert (wrong.status_code, wrong.json()["code"]) == (405, "PULPO605")
    assert wrong.headers["allow"] == "GET, PUT, PATCH, DELETE"
    missing = await client.get("/products/none")
    assert (missing.status_code, missing.json()["code"]) == (404, "PULPO404")


@pytest.mark.parametrize("body", [b"{", b"\xff", b"[" * 10_000, b"{}x"])
async def test_what_is_not_json_is_a_400(client: httpx.AsyncClient, body: bytes) -> None:
    """For documents, operations and flows alike."""
    for path in ("/products", "/operations/shop/payments/pay", "/flows/settle/runs"):
        answer = await client.post(path, content=body, headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.json()["code"]) == (400, "PULPO601"), (path, answer.text)


async def test_numbers_that_json_does_not_have_are_a_400(client: httpx.AsyncClient) -> None:
    """NaN and Infinity are not JSON."""
    for word in (b"NaN", b"-Infinity"):
        body = b'{"sku": "A", "name": "a", "price": ' + word + b"}"
        answer = await client.post("/products", content=body, headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.json()["code"]) == (400, "PULPO601")


async def test_a_body_must_say_that_it_is_json(client: httpx.AsyncClient) -> None:
    """415 for forms and text; a charset and a `+json` type are fine."""
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
        answer = await client.post("/products", content=b"{}", headers={"Content-Type": kind})
        assert (answer.status_code, answer.json()["code"]) == (415, "PULPO608")
    answer = await client.post(
        "/products",
        content=b'{"sku":"A","name":"a","price":1}',
        headers={"Content-Type": "application/json; charset=utf-8"},
    )
    assert answer.status_code == 201


async def test_a_body_beyond_the_limit_is_broken_off(client: httpx.AsyncClient) -> None:
    """413 by its declared length at once, and while it streams without one."""
    declared = await client.post("/products", json={**PRODUCT, "name": "x" * 30_000})
    assert (declared.status_code, declared.json()["code"]) == (413, "PULPO607")

    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(1000):
            sent += 1
            yield b" " * 1000

    streamed = await client.post("/products", content=endless(), headers={"Content-Type": "application/json"})
    assert streamed.status_code == 413
    assert sent < 50


async def test_an_unexpected_exception_is_a_problem_without_a_trace(
    client: httpx.AsyncClient, started: FastAPI, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """500 with the request's id; the trace is in the log only."""

    async def broken(*_: Any) -> None:
        raise ZeroDivisionError("the secret reason")

    monkeypatch.setattr(started.state.application.store, "query_json", broken)
    answer = await client.get("/products", headers={"X-Request-ID": "r1"})
    assert (answer.status_code, answer.json()["code"]) == (500, "PULPO610")
    assert "secret" not in answer.text
    assert "ZeroDivisionError" in caplog.text
    assert any(getattr(record, "request_id", None) == "r1" for record in caplog.records)


async def test_a_projects_own_routes_are_served_with_the_same_problems(client: httpx.AsyncClient) -> None:
    """`routes.py` finds the application; its validation errors look like all others."""
    assert (await client.get("/hello")).json() == {"hello": "shop"}
    answer = await client.post("/wishes", json={"text": 3})
    assert (answer.status_code, answer.json()["code"]) == (422, "PULPO602")
    assert answer.json()["errors"] == [
        {"pointer": "/text", "code": "string_type", "message": "Input should be a valid string"}
    ]
    assert (await client.post("/wishes", content=b"{", headers={"Content-Type": "application/json"})).status_code == 400


async def test_single_documents_take_no_filters(client: httpx.AsyncClient) -> None:
    """400: a filter on the wrong address is not silently ignored."""
    assert (await client.get("/products/x?name=x")).json()["code"] == "PULPO603"


async def test_requests_are_logged_without_their_query(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    """Method, path, status, size and time; what stands in the query may be personal."""
    caplog.set_level("INFO", "pulpo.access")
    await client.get("/products?name=secret")
    facts = next(record.facts for record in caplog.records if record.name == "pulpo.access")  # type: ignore[attr-defined]
    assert (facts["method"], facts["path"], facts["status"], facts["bytes"]) == ("GET", "/products", 200, 2)
    assert "secret" not in caplog.text.replace("HTTP Request", "")
