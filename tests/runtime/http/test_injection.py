"""Nothing that comes in is an instruction to the database: 4xx, and nothing is touched."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import httpx
import pytest

TRIES: list[Any] = [
    {"$gt": ""},
    {"$ne": None},
    {"$where": "sleep(1000) || true"},
    {"$regex": ".*"},
    {"a.b": 1},
    {"nul\0": "nul\0"},
    [{"$gt": ""}],
]


async def products(client: httpx.AsyncClient) -> Any:
    return (await client.get("/products")).json()


@pytest.mark.parametrize("value", TRIES)
@pytest.mark.parametrize("field", ["id", "sku", "name", "price", "inventory"])
async def test_fields_take_no_operators(client: httpx.AsyncClient, order: Any, field: str, value: Any) -> None:
    """In a create, a replace and a patch."""
    before = await products(client)
    body = {"id": "prod_1", "sku": "S", "name": "N", "price": 1, "inventory": 1, field: value}
    assert (await client.post("/products", json=body)).status_code in (400, 422)
    assert (await client.put("/products/prod_456", json=body)).status_code in (400, 422)
    assert (await client.patch("/products/prod_456", json={field: value})).status_code in (400, 422)
    assert await products(client) == before


@pytest.mark.parametrize("name", ["$where", "$set", "a.b", "nul\0", "_id", "_json", "version.$gt", "__proto__"])
async def test_keys_that_no_model_has_are_refused(client: httpx.AsyncClient, order: Any, name: str) -> None:
    """As any unknown field."""
    before = await products(client)
    body = {"id": "prod_1", "sku": "S", "name": "N", "price": 1, "inventory": 1, name: "x"}
    assert (await client.post("/products", json=body)).status_code in (400, 422)
    assert (await client.patch("/products/prod_456", json={name: 1})).status_code in (400, 422)
    assert await products(client) == before


@pytest.mark.parametrize(
    "query",
    [
        "sku[$gt]=",
        "sku[$ne]=x",
        "$where=1",
        "sku.$gt=",
        "_id=prod_456",
        "_json=x",
        "inventory=%7B%22%24gt%22%3A0%7D",
        "sort=$where",
        "sort=_json",
        "cursor=eyIkZ3QiOiIifQ",
        "nul%00=1",
        "limit=%7B%22%24gt%22%3A0%7D",
    ],
)
async def test_queries_take_no_operators(client: httpx.AsyncClient, order: Any, query: str) -> None:
    """400, with what is wrong."""
    response = await client.get(f"/products?{query}")
    assert response.status_code == 400, response.text
    assert response.json()["code"].startswith("PULPO6")


@pytest.mark.parametrize("id", ["$where", '{"$gt":""}', "[$ne]", "prod_456\0", "prod_456.x", ".*"])
async def test_ids_mean_themselves(client: httpx.AsyncClient, order: Any, id: str) -> None:
    """Nothing is found, changed or deleted by what is no document's id."""
    before = await products(client)
    address = f"/products/{quote(id, safe='')}"
    assert (await client.get(address)).status_code in (400, 404, 422)
    assert (await client.delete(address)).status_code in (400, 404, 422)
    assert (await client.patch(address, json={"name": "x"})).status_code in (400, 404, 422)
    assert await products(client) == before


async def test_texts_are_found_as_they_are(client: httpx.AsyncClient, order: Any) -> None:
    """A value that looks like an operator is only a text."""
    found = await client.get("/products", params={"sku": '{"$gt":""}'})
    assert (found.status_code, found.json()) == (200, [])
    found = await client.get("/products", params={"name[contains]": ".*"})
    assert (found.status_code, found.json()) == (200, [])


@pytest.mark.parametrize(
    "value", [{"$gt": ""}, {"$ne": None}, {"$where": "true"}, [{"$gt": ""}], "$where", "nul\0", ".*"]
)
async def test_operations_and_flows_take_no_operators(client: httpx.AsyncClient, order: Any, value: Any) -> None:
    """As an input, one by one and in bulk, or as a key in it: refused, and no order is paid."""
    created = (await client.post("/orders", json=order)).json()
    for path in ("/operations/shop/payments/pay", "/flows/settle/runs"):
        for body in ({"order_id": value}, {"order_id.$gt": value}, {"$where": value}):
            answer = await client.post(path, json=body)
            assert 400 <= answer.status_code < 500, f"{path} {body}: {answer.text}"
    bulk = await client.post("/operations/shop/payments/pay/bulk", json=[{"order_id": value}])
    assert 400 <= bulk.status_code < 500 or bulk.json()[0]["status"] >= 400, bulk.text
    assert (await client.get(f"/orders/{created['id']}")).json() == created


@pytest.mark.parametrize("value", ['{"$gt":""}', "$where", "run_1\0", "[$ne]", ".*"])
async def test_runs_and_events_take_no_operators(client: httpx.AsyncClient, order: Any, value: str) -> None:
    """As an id, a filter, a cursor: nothing is found by it, and what is no cursor is refused."""
    created = (await client.post("/orders", json=order)).json()
    assert (await client.post("/operations/shop/payments/pay", json={"order_id": created["id"]})).is_success
    runs = (await client.get("/runs")).json()
    assert runs
    for path in ("", "/cancel", "/retry", "/wake"):
        address = f"/runs/{quote(value, safe='')}{path}"
        answer = await (client.post(address, json={}) if path else client.get(address))
        assert answer.status_code in (400, 404, 422), f"{address}: {answer.text}"
    for name in ("id", "live", "name"):
        answer = await client.get("/runs", params={name: value})
        assert answer.status_code == 400 or answer.json() == [], answer.text
    for path in ("/runs", "/events"):
        assert (await client.get(path, params={"cursor": value})).status_code == 400
    assert (await client.get("/events", headers={"Last-Event-ID": quote(value)})).status_code == 400
    assert (await client.get("/runs")).json() == runs


async def test_no_problem_repeats_what_was_sent(client: httpx.AsyncClient, order: dict[str, Any]) -> None:
    """Ids, keys, names of flows, values of parameters and of a body; which parameter or field it was is said."""
    canary = "canary7f3a"
    await client.post("/orders", json=order)
    requests = [
        *((method, f"/orders/{canary}", order) for method in ("GET", "PUT", "PATCH", "DELETE")),
        ("GET", f"/{canary}", None),
        ("GET", f"/orders?unknown={canary}", None),
        ("GET", f"/orders?status={canary}&total[gt]={canary}", None),
        ("GET", f"/orders?limit={canary}", None),
        ("GET", f"/orders?cursor={canary}", None),
        ("GET", f"/orders?sort={canary}", None),
        ("GET", f"/orders/aggregate?group={canary}", None),
        ("GET", f"/orders/export?format={canary}", None),
        ("POST", "/orders", {**order, "customer_id": canary}),
        ("POST", "/orders", {**order, "items": canary}),
        ("POST", "/orders/bulk", {"patch": [{"id": canary, "changes": {}}], "delete": [canary]}),
        ("POST", "/operations/shop/payments/pay", {"order_id": canary}),
        ("POST", f"/operations/shop/{canary}", {}),
        ("POST", f"/flows/{canary}/runs", {}),
        ("POST", "/flows/settle/runs", {"order_id": canary}),
        ("GET", f"/runs/{canary}", None),
        ("POST", f"/runs/{canary}/cancel", {}),
        ("GET", f"/events?cursor={canary}", None),
    ]
    for method, address, body in requests:
        answer = await client.request(method, address, json=body)
        assert answer.status_code >= 400 or address.endswith("/bulk"), address
        problems = [answer.json()] if answer.status_code >= 400 else answer.json()["patch"] + answer.json()["delete"]
        for problem in problems:
            problem.pop("id", None)  # of a bulk item: which one it was
            assert canary not in json.dumps(problem), (method, address, answer.text)
