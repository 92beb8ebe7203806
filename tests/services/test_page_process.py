"""The page as a process of its own, between a real client and a real server."""

import asyncio
import signal
import sys

import httpx
import pytest
import uvicorn

from .conftest import free_port
from .test_page import api_app


@pytest.fixture
async def served(tmp_path):
    """(the page's address, an event that lets the API's stream of events go on)."""
    released, api_port, port = asyncio.Event(), free_port(), free_port()
    server = uvicorn.Server(uvicorn.Config(api_app(released), port=api_port, log_level="error", lifespan="off"))
    serving = asyncio.create_task(server.serve())
    command = (
        "-m",
        "pulpo.runtime.page",
        "--root",
        str(tmp_path),
        "--port",
        str(port),
        "--api",
        f"http://127.0.0.1:{api_port}",
    )
    process = await asyncio.create_subprocess_exec(sys.executable, *command)
    url = f"http://127.0.0.1:{port}"
    async with httpx.AsyncClient() as client:
        async with asyncio.timeout(20):
            while True:
                try:
                    assert (await client.get(url + "/livez")).status_code == 200
                    break
                except httpx.TransportError:
                    await asyncio.sleep(0.05)
    yield url, released, process
    if process.returncode is None:
        process.kill()
        await process.wait()
    released.set()
    server.should_exit = True
    await serving


async def test_events_pass_as_they_happen(served):
    """The first event is there before the second has happened."""
    url, released, _ = served
    async with httpx.AsyncClient(timeout=10) as client, client.stream("GET", url + "/api/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        chunks = answer.aiter_raw()
        assert b"id: 1" in await anext(chunks)
        released.set()
        assert b"id: 2" in await anext(chunks)


async def test_an_open_stream_does_not_hold_up_the_end(served):
    """SIGTERM ends the process within five seconds while a client listens to events."""
    url, _, process = served
    async with httpx.AsyncClient(timeout=10) as client, client.stream("GET", url + "/api/events") as answer:
        await anext(answer.aiter_raw())
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(5):
            await process.wait()
