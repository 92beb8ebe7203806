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
    monkeypatch.setenv("PULPO_API_EXPORTS", "2")
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


async def test_exports_have_a_limit_of_their_own(narrow: FastAPI) -> None:
    """Two slow readers hold the two exports that may go out, beside two places that stay free; then there is room."""
    async with narrow.router.lifespan_context(narrow):
        begun = [asyncio.Event() for _ in range(2)]
        readers = [asyncio.create_task(stream(narrow, started, "/products/export", slow=True)) for started in begun]
        try:
            await asyncio.wait_for(asyncio.gather(*(event.wait() for event in begun)), 10)
            async with httpx.AsyncClient(
                transport=httpx.ASGITransport(narrow), base_url="http://localhost:8000"
            ) as client:
                assert "pulpo_http_active 0" in (await client.get("/metrics")).text
                assert {(await client.get("/products")).status_code for _ in range(4)} == {200}
                refused = await client.get("/orders/export")
                assert (refused.status_code, refused.json()["code"]) == (503, "PULPO612")
                assert refused.headers["retry-after"] == "1"
                readers[0].cancel()
                await asyncio.wait(readers[:1])
                wrong = await client.get("/orders/export?format=xml")  # gives its place back too
                assert (wrong.status_code, wrong.json()["code"]) == (400, "PULPO603")
                assert [(await client.get("/orders/export")).status_code for _ in range(3)] == [200] * 3
        finally:
            for task in readers:
                task.cancel()
            await asyncio.gather(*readers, return_exceptions=True)
    assert narrow.state.metrics.admission.streams == narrow.state.exports.active == 0


async def stream(app: FastAPI, started: asyncio.Event, path: str = "/events", *, slow: bool = False) -> None:
    """Follow a stream until cancelled; `started` once bytes come, which a slow reader never takes."""
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
            if slow:
                await asyncio.Event().wait()

    scope = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "query_string": b""}
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


async def test_a_place_that_was_given_before_the_cancellation_is_not_lost() -> None:
    """Whoever has been let in and does not go on frees the place."""
    admission = Admission(1, 1)
    admission.enter()
    place = admission.enter()
    assert place is not None
    place.add_done_callback(lambda _: task.cancel())  # before the task hears of its place
    task = asyncio.create_task(admission.wait(place))
    await asyncio.sleep(0)
    admission.leave()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (place.result(), admission.active) == (None, 0)


async def test_a_turn_begins_requests_for_a_few_milliseconds_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of ten at once that take 4 ms of the processor each some begin at once, the others in later turns, in order."""
    clock = 100.0
    monkeypatch.setattr("pulpo.runtime.http.limits.time.perf_counter", lambda: clock)
    admission = Admission(200, 1000)
    begun: list[int] = []
    turns: list[int] = []
    turn = 0

    async def request(number: int) -> None:
        nonlocal clock
        place = admission.enter()
        if place is not None:
            await admission.wait(place)
        begun.append(number)
        turns.append(turn)
        clock += 0.004
        admission.leave()

    tasks = [asyncio.create_task(request(number)) for number in range(10)]
    while not all(task.done() for task in tasks):
        turn += 1
        await asyncio.sleep(0)
    assert begun == list(range(10))
    assert 1 <= turns.count(turns[0]) <= 3
    assert len(set(turns)) >= 4
    assert (admission.active, admission.waiting) == (0, 0)


async def test_no_more_may_wait_than_half_a_second_can_serve() -> None:
    """As fast as it goes now; a burst after calm may fill the queue, and when nobody waits all is as it was."""
    admission = Admission(2, 1000)
    admission.tick(1.0)
    assert admission.most == 1002
    waiting = [admission.enter() for _ in range(400)]
    assert waiting.count(None) == 2
    for _ in range(20):  # ten leave in a tenth of a second
        admission.leave()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    admission.tick(1.1)
    assert 95 <= admission.most <= 100
    with pytest.raises(PulpoError, match="PULPO612"):
        admission.enter()
    while admission.waiting:
        admission.leave()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    admission.tick(1.2)
    assert admission.most == 1002
