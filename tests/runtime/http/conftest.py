"""A small shop, compiled once; each test gets an application of its own, with an empty database."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI

from pulpo import project
from pulpo.compile.emit_api import emit_api
from pulpo.compile.emit_application import emit_application

SHOP = Path(__file__).parent / "shop"
OURS = ("models", "operations", "flows", "routes", "generated")


def forget_modules() -> None:
    """Let the next import of a project's modules be a fresh one."""
    for name in list(sys.modules):
        if name.partition(".")[0] in OURS:
            del sys.modules[name]


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample project, with its API generated."""
    root = tmp_path_factory.mktemp("project") / "shop"
    shutil.copytree(SHOP, root)
    forget_modules()
    loaded = project.load(root)
    assert not loaded.findings, "\n".join(map(str, loaded.findings))
    emitted = (*emit_application(loaded.app, loaded.plans), *emit_api(loaded.app, loaded.plans, loaded.settings))
    for artifact in emitted:
        path = root / artifact.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(artifact.text, encoding="utf-8")
    return root


@pytest.fixture
def app(shop: Path, database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[FastAPI]:
    """The generated ASGI application on an empty database."""
    monkeypatch.setenv("PULPO_DATABASE_URL", database)
    monkeypatch.syspath_prepend(str(shop))
    forget_modules()
    yield importlib.import_module("generated.api.app").app
    forget_modules()


@pytest_asyncio.fixture
async def started(app: FastAPI) -> AsyncIterator[FastAPI]:
    """The same, with its store open and its engine at work."""
    async with app.router.lifespan_context(app):
        yield app


@pytest_asyncio.fixture
async def client(started: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client on this machine."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(started), base_url="http://localhost:8000") as client:
        yield client


@pytest_asyncio.fixture
async def order(client: httpx.AsyncClient) -> dict[str, Any]:
    """The body of an order, whose customer and product are there."""
    customer = {
        "id": "cust_123",
        "email": "ada@example.com",
        "name": "Ada",
        "addresses": [{"id": "addr_789", "street": "1 Main St", "zip_code": "90210"}],
    }
    assert (await client.post("/customers", json=customer)).status_code == 201
    product = {"id": "prod_456", "sku": "MUG-1", "name": "Mug", "price": 19.99, "inventory": 5}
    assert (await client.post("/products", json=product)).status_code == 201
    return {
        "order_number": "ORD-20251030-001",
        "customer_id": "cust_123",
        "items": [{"product_id": "prod_456", "quantity": 2, "unit_price": 19.99}],
        "total": 39.98,
        "shipping_address_id": "addr_789",
    }


@dataclass(frozen=True)
class Server:
    """A real API process."""

    url: str
    process: subprocess.Popen[str]
    log: list[str]

    def stop(self) -> int:
        """SIGTERM, and wait for the end."""
        self.process.send_signal(signal.SIGTERM)
        self.log.extend(self.process.communicate(timeout=12)[1].splitlines())
        return self.process.returncode


@pytest.fixture
def server(shop: Path, database: str) -> Iterator[Server]:
    """The shop, served by uvicorn on a free port."""
    environ = {**os.environ, "PULPO_DATABASE_URL": database}
    command = [sys.executable, "-m", "pulpo.runtime.http", "--root", str(shop), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ)
    assert process.stderr is not None
    log = [process.stderr.readline()]
    url = json.loads(log[0])["message"].removeprefix("listening on ")
    try:
        yield Server(url, process, log)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
