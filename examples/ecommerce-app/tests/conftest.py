"""A payment gateway and the sample shop for the tests of this project."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from pulpo import Context
from pulpo.runtime.application import Application
from pulpo.settings import ServiceSettings

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The simulated gateway on a free port; gives its URL."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ledger = str(tmp_path_factory.mktemp("gateway") / "gateway.db")
    process = subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-m", "gateway", "--port", str(port), "--ledger", ledger, "--sample"], cwd=ROOT
    )
    url = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 20
    while True:
        try:
            httpx.get(f"{url}/livez", trust_env=False).raise_for_status()
            break
        except httpx.TransportError:
            assert process.poll() is None, "the gateway ended"
            assert time.monotonic() < deadline, "the gateway does not answer"
            time.sleep(0.05)
    yield url
    process.terminate()
    process.wait(10)


@pytest.fixture
async def shop(app: Application, ctx: Context, gateway: str) -> AsyncIterator[Application]:
    """The application with the sample shop in it and the gateway beside it."""
    from seed import seed  # noqa: PLC0415 - the project is on the path once its application is loaded

    service = ServiceSettings(command="", port=int(gateway.rpartition(":")[2]))
    app.settings = app.settings.model_copy(update={"services": {"gateway": service}})
    await seed(ctx)
    await ctx.commit()
    return app


@pytest.fixture
async def order(shop: Application, client: httpx.AsyncClient) -> dict[str, Any]:
    """An order of two mugs, placed over HTTP."""
    assert shop.spec.name
    item = {"product_id": "prod_456", "quantity": 2, "unit_price": 19.99}
    body = {
        "order_number": "ORD-20251030-001",
        "customer_id": "cust_123",
        "items": [item],
        "total": 39.98,
        "shipping_address_id": "addr_789",
    }
    placed: dict[str, Any] = json.loads((await client.post("/orders", json=body)).raise_for_status().text)
    return placed
