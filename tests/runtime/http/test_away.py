"""What clients hear while the database is away: 503, when to come back, and nothing that is not so."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from pulpo.store.port import Batch, Unreachable

PRODUCT = {"id": "prod_away", "sku": "AWAY", "name": "a", "price": 1, "inventory": 1}


@pytest.fixture
def store(started: FastAPI) -> Any:
    """The application's store."""
    return started.state.application.store


def assert_come_back(answer: httpx.Response) -> None:
    """503 PULPO507 that says when."""
    assert (answer.status_code, answer.json()["code"]) == (503, "PULPO507")
    assert answer.headers["Retry-After"] == "1"


async def test_reads_and_readyz_say_so(client: httpx.AsyncClient, store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each read, and what is down by name; afterwards everything as before, in the same process."""

    async def away(*_: Any, **__: Any) -> Any:
        raise Unreachable("nobody is there")

    with monkeypatch.context() as gone:
        for name in (
            "get",
            "get_json",
            "get_many",
            "get_each",
            "query",
            "query_json",
            "count",
            "aggregate",
            "last_event",
            "events",
        ):
            gone.setattr(store, name, away)
        for path in ("/products", "/products/prod_1", "/runs", "/runs/run_1", "/events", "/metrics"):
            assert_come_back(await client.get(path))
        ready = await client.get("/readyz")
        assert (ready.status_code, ready.json()["down"]) == (503, ["store"])
        assert (await client.get("/livez")).status_code == 200
    assert (await client.get("/readyz")).status_code == 200
    assert (await client.get("/products")).status_code == 200


@pytest.mark.parametrize("landed", [False, True])
async def test_a_write_in_doubt_is_told_by_its_key(
    client: httpx.AsyncClient, store: Any, monkeypatch: pytest.MonkeyPatch, *, landed: bool
) -> None:
    """503 where nothing was kept; where it was, the key tells, at once, the answer that there would have been."""
    real = store.commit

    async def away(batch: Batch) -> tuple[int, ...]:
        if landed:
            await real(batch)
        raise Unreachable("the outcome is unknown")

    headers = {"Idempotency-Key": "k"}
    with monkeypatch.context() as gone:
        gone.setattr(store, "commit", away)
        first = await client.post("/products", json=PRODUCT, headers=headers)
    if landed:
        assert first.status_code == 201
    else:
        assert_come_back(first)
    again = await client.post("/products", json=PRODUCT, headers=headers)
    assert (again.status_code, again.json()["version"]) == (201, 1)
    assert [each["id"] for each in (await client.get("/products?sku=AWAY")).json()] == ["prod_away"]
