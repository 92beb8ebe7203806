from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from pulpo.project import Project
from tests.examples.market import GatewayProcess, Market, application, load_example


@pytest.fixture(scope="module")
def example() -> Project:
    return load_example()


@pytest.fixture(scope="module")
def gateway_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    gateway = GatewayProcess(tmp_path_factory.mktemp("gateway"), "--hang", "2")
    gateway.start()
    yield gateway
    gateway.stop()
    gateway.http.close()


@pytest.fixture
def gateway(gateway_process: GatewayProcess) -> GatewayProcess:
    gateway_process.behave()
    return gateway_process


@pytest.fixture
async def market(example: Project, gateway: GatewayProcess, database: str) -> AsyncIterator[Market]:
    app = application(example, database, gateway)
    await app.start()
    market = Market(app, gateway)
    await market.open()
    yield market
    await app.stop(1.0)
