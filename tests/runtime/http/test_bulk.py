"""Many writes and calls in one request, over HTTP."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

JSON = dict[str, Any]


def product(sku: str, **more: Any) -> JSON:
    """The body of a product."""
    return {"sku": sku, "name": "n", "price": 1, **more}


async def test_each_item_is_done_by_itself_in_order(client: httpx.AsyncClient) -> None:
    """A result for each, with what a request for it alone would have said; one's failure leaves the others."""
    assert (await client.post("/products", json=product("OLD", id="old", inventory=2))).status_code == 201
    body = {
        "create": [product("A", id="a"), product("A"), {"sku": "B"}, product("C", id="c", inventory=3),
                   product("D", version=3)],
        "patch": [
            {"id": "A", "changes": {"name": "changed"}},
            {"id": "a", "version": 1, "changes": {"name": "late"}},
            {"id": "a", "version": 2, "changes": {"price": 7}},
            {"id": "old", "changes": {"price": 0}},
            {"id": "none", "changes": {}},
        ],
        "delete": ["old", "old", "C"],
    }  # fmt: skip
    answer = await client.post("/products/bulk", json=body)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert [(one["status"], one.get("problem", {}).get("code")) for one in found["create"]] == [
        (201, None), (409, "PULPO504"), (422, "PULPO602"), (201, None), (422, "PULPO602"),
    ]  # fmt: skip
    assert found["create"][0] == {"status": 201, "id": "a", "version": 1}
    assert {error["pointer"] for error in found["create"][2]["problem"]["errors"]} == {"/name", "/price"}
    assert found["create"][2]["problem"]["request_id"] == answer.headers["x-request-id"]
    assert [(one["id"], one["status"], one.get("problem", {}).get("code")) for one in found["patch"]] == [
        ("a", 200, None), ("a", 412, "PULPO609"), ("a", 200, None), ("old", 422, "price_gone"),
        ("none", 404, "PULPO404"),
    ]  # fmt: skip
    assert [(one["id"], one["status"]) for one in found["delete"]] == [("old", 204), ("old", 404), ("C", 204)]
    left = (await client.get("/products")).json()
    assert [(one["id"], one["name"], one["price"], one["version"]) for one in left] == [("a", "changed", 7, 3)]


async def test_an_operation_is_called_with_many_inputs(client: httpx.AsyncClient) -> None:
    """A result for each, with its output and its run; an invalid input is its own result."""
    inputs = [{"text": "a"}, {"text": 7}, {"text": "b", "times": 2}]
    answer = await client.post("/operations/shop/echo/bulk", json=inputs)
    assert answer.status_code == 200, answer.text
    first, second, third = answer.json()
    assert (first["status"], first["output"], third["output"]) == (200, "a", "bb")
    assert first["run"] != third["run"]
    assert (second["status"], second["problem"]["errors"][0]["pointer"]) == (422, "/text")


async def test_a_bug_in_one_call_is_its_own_result(client: httpx.AsyncClient, order: JSON) -> None:
    """500 for that item, with where it happened, refusals in their own words, the rest done."""
    await client.post("/orders", json=order)
    number = order["order_number"]
    inputs = [{"order_id": number, "method": method} for method in ("bug", "cash", "card", "card")]
    answer = await client.post("/operations/shop/payments/pay/bulk", json=[*inputs, {"order_id": "none"}])
    found = answer.json()
    assert [one["status"] for one in found] == [500, 402, 200, 200, 404]
    assert found[0]["problem"]["detail"].endswith("raised RuntimeError: secret detail (operations/payments.py:31)")
    assert found[1]["problem"]["code"] == "declined"
    assert ("already" in found[2], found[3]["already"]) == (False, True)
    assert (await client.get(f"/orders/{number}")).json()["status"] == "paid"


async def test_the_same_bulk_request_sent_again_does_nothing_twice(client: httpx.AsyncClient) -> None:
    """With an Idempotency-Key, creates and calls answer as before; what had failed is tried again."""
    headers = {"Idempotency-Key": "import-1"}
    body = {"create": [product("A"), product("A"), product("B")]}
    first = (await client.post("/products/bulk", json=body, headers=headers)).json()["create"]
    again = (await client.post("/products/bulk", json=body, headers=headers)).json()["create"]
    assert [one["status"] for one in first] == [one["status"] for one in again] == [201, 409, 201]
    assert again[0] == {**first[0], "replayed": True}
    assert len((await client.get("/products")).json()) == 2
    calls = [(await client.post("/operations/shop/echo/bulk", json=[{"text": "a"}], headers=headers)).json()[0]
             for _ in range(2)]  # fmt: skip
    assert calls[1] == {**calls[0], "replayed": True}


@pytest.mark.parametrize(
    ("address", "body", "pointers"),
    [
        ("/products/bulk", [], {""}),
        ("/products/bulk", {"creat": []}, {"/creat"}),
        ("/products/bulk", {"create": [1], "delete": [2]}, {"/create/0", "/delete/0"}),
        ("/products/bulk", {"patch": [{"id": "a"}, {"changes": {}}]}, {"/patch/0/changes", "/patch/1/id"}),
        ("/products/bulk", {"patch": [{"id": "a", "changes": {}, "version": "1"}]}, {"/patch/0/version"}),
        ("/products/bulk", {"delete": ["x"] * 501}, {"/delete"}),
        ("/products/bulk", {"delete": ["x"] * 400, "create": [{}] * 101}, {""}),
        ("/operations/shop/echo/bulk", {}, {""}),
        ("/operations/shop/echo/bulk", [1], {"/0"}),
        ("/operations/shop/echo/bulk", [{"text": "x"}] * 501, {""}),
    ],
)
async def test_a_body_that_is_no_bulk_request_is_refused_whole(
    client: httpx.AsyncClient, address: str, body: Any, pointers: set[str]
) -> None:
    """422 with the places, and nothing is done."""
    answer = await client.post(address, json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "PULPO602"), answer.text
    assert {error["pointer"] for error in answer.json()["errors"]} == pointers
    assert (await client.get("/products")).json() == []


async def test_five_hundred_items_pass(client: httpx.AsyncClient) -> None:
    """The most that there may be, all of them done."""
    answer = await client.post("/products/bulk", json={"create": [product(f"S{n}") for n in range(500)]})
    assert {one["status"] for one in answer.json()["create"]} == {201}
    assert (await client.get("/products?limit=1&count=true")).headers["x-total-count"] == "500"


@pytest.mark.parametrize("name", ["aggregate", "bulk", "export"])
async def test_no_document_is_called_like_an_address(client: httpx.AsyncClient, name: str) -> None:
    """422 for such an id or key, on create and on change: it could not be read."""
    for body, pointer in ((product("A", id=name), "/id"), (product(name), "/sku")):
        answer = await client.post("/products", json=body)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)
    assert (await client.post("/products", json=product("A"))).status_code == 201
    assert (await client.patch("/products/A", json={"sku": name})).status_code == 422
    assert (await client.put("/products/A", json=product(name))).status_code == 422
    assert (await client.get("/products/A")).json()["version"] == 1


async def test_a_model_that_is_read_only_has_no_bulk_writes(client: httpx.AsyncClient) -> None:
    """The address is not there; figures and exports are."""
    assert (await client.post("/movements/bulk", json={})).status_code == 405
    assert (await client.get("/movements/aggregate")).status_code == 200
    assert (await client.get("/movements/export")).status_code == 200
