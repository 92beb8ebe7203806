"""How many requests are worked on at once: the rest wait in a bounded queue, and beyond it are told to come back."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from pulpo.errors import PulpoError
from pulpo.runtime.http.limits import Admission


@pytest.fixture
def narrow(shop: Path, app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> FastAPI:
    """The shop with two places and a queue of one."""
    from .conftest import forget_modules

    monkeypatch.setenv("PULPO_API_CONCURRENCY", "2")
    monkeypatch.setenv("PULPO_API_QUEUE", "1")
    forget_modules()
    app = importlib.import_module("generated.api.app").app
    assert isinstance(app, FastAPI)
    return app


class Gate:
    """Holds reads of documents until it is opened, and tells when they have come."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.arrived = asyncio.Semaphore(0)

    async def get_json(self, *_: object) -> tuple[bytes, int]:
        """In place of `Documents.get_json`."""
        self.arrived.release()
        await self.open.wait()
        return b"{}", 1


async def test_beyond_places_and_queue_clients_are_told_to_come_back(
    narrow: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two in work, one waits, the fourth gets 503 with Retry-After at once; probes are served; then all goes on."""
    gate = Gate()
    monkeypatch.setattr("pulpo.runtime.documents.Documents.get_json", gate.get_json)
    async with (
        narrow.router.lifespan_context(narrow),
        httpx.AsyncClient(transport=httpx.ASGITransport(narrow), base_url="http://localhost:8000") as client,
    ):
        held = [asyncio.create_task(client.get("/products/x")) for _ in range(2)]
        for _ in held:
            await gate.arrived.acquire()
        third = asyncio.create_task(client.get("/products/x"))
        for _ in range(1000):  # the third has to get as far as the queue
            await asyncio.sleep(0)
            metrics = (await client.get("/metrics")).text
            if "pulpo_http_waiting 1" in metrics:
                break
        assert "pulpo_http_waiting 1" in metrics
        assert "pulpo_http_active 2" in metrics
        refused = await client.get("/products/x")
        assert (refused.status_code, refused.json()["code"]) == (503, "PULPO612")
        assert refused.headers["retry-after"] == "1"
        assert (await client.get("/livez")).status_code == 200
        assert not any(task.done() for task in (*held, third))
        gate.open.set()
        assert [answer.status_code for answer in await asyncio.gather(*held, third)] == [200, 200, 200]
        assert (await client.get("/products/x")).status_code == 200
        text = (await client.get("/metrics")).text
    assert "pulpo_http_active 0" in text
    assert "pulpo_http_refused_total 1" in text


async def test_event_streams_take_no_place(narrow: FastAPI) -> None:
    """Three streams stay open beside two places, and requests are still answered."""
    async with narrow.router.lifespan_context(narrow):
        events = [asyncio.Event() for _ in range(3)]
        streams = [asyncio.create_task(stream(narrow, started)) for started in events]
        try:
            await asyncio.wait_for(asyncio.gather(*(event.wait() for event in events)), 10)
            async with httpx.AsyncClient(
                transport=httpx.ASGITransport(narrow), base_url="http://localhost:8000"
            ) as client:
                assert (await client.get("/products")).status_code == 200
                assert "pulpo_http_active 0" in (await client.get("/metrics")).text
        finally:
            for task in streams:
                task.cancel()
            await asyncio.gather(*streams, return_exceptions=True)


async def stream(app: FastAPI, started: asyncio.Event) -> None:
    """Follow `/events` until cancelled; `started` once bytes come."""
    asked = False

    async def receive() -> dict[str, object]:
        nonlocal asked
        if not asked:
            asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: dict[str, object]) -> None:
        if message["type"] == "http.response.body":
            started.set()

    scope = {"type": "http", "method": "GET", "path": "/events", "raw_path": b"/events", "query_string": b""}
    scope |= {"headers": [(b"host", b"localhost")], "client": ("127.0.0.1", 1), "http_version": "1.1"}
    await app({**scope, "asgi": {"version": "3.0"}, "scheme": "http", "server": ("localhost", 80)}, receive, send)


async def test_places_go_to_whoever_waits_longest() -> None:
    """First come, first served; whoever gives up waiting is passed over."""
    admission = Admission(1, 3)
    assert admission.enter() is None
    order: list[str] = []

    async def waiter(name: str) -> None:
        place = admission.enter()
        assert place is not None
        await admission.wait(place)
        order.append(name)
        admission.leave()

    first, second, third = (asyncio.create_task(waiter(name)) for name in "abc")
    await asyncio.sleep(0)
    with pytest.raises(PulpoError, match="PULPO612"):
        admission.enter()
    second.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await second
    assert admission.waiting == 2
    admission.leave()
    await asyncio.gather(first, third)
    assert (order, admission.active, admission.waiting, admission.refused) == (["a", "c"], 0, 0, 1)


async def test_a_place_that_comes_with_the_cancellation_is_not_lost() -> None:
    """Given and cancelled in the same turn of the loop: the place is free for the next."""
    admission = Admission(1, 1)
    admission.enter()
    place = admission.enter()
    assert place is not None
    task = asyncio.create_task(admission.wait(place))
    await asyncio.sleep(0)
    admission.leave()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert admission.active == 0
    assert admission.enter() is None
