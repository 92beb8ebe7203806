"""What has not the form that the OpenAPI document says is refused, and what has it is taken."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

PRODUCT: dict[str, Any] = {"sku": "S", "name": "Cup", "price": 1}


@pytest.mark.parametrize(
    ("field", "value"),
    [("active", 1), ("active", "true"), ("inventory", "3"), ("inventory", True), ("inventory", 3.5), ("name", 3)],
)
async def test_types_are_jsons_own(client: httpx.AsyncClient, field: str, value: Any) -> None:
    """A text is no number and 1 no boolean: in a create, a replace, a patch and a bulk request."""
    made = (await client.post("/products", json=PRODUCT)).json()
    wrong = {**PRODUCT, "sku": "T", field: value}
    for answer in (
        await client.post("/products", json=wrong),
        await client.put(f"/products/{made['id']}", json=wrong),
        await client.patch(f"/products/{made['id']}", json={field: value}),
    ):
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, f"/{field}"), answer.text
    many = (await client.post("/products/bulk", json={"create": [wrong]})).json()
    assert many["create"][0]["problem"]["errors"][0]["pointer"] == f"/{field}"


async def test_an_integer_may_be_written_with_a_point(client: httpx.AsyncClient) -> None:
    """JSON knows one kind of number: 3.0 is 3, in a body as in a filter."""
    answer = await client.post("/products", json={**PRODUCT, "inventory": 3.0, "price": 2.0})
    assert (answer.status_code, answer.json()["inventory"]) == (201, 3)
    patch = {"id": answer.json()["id"], "version": 1.0, "changes": {"inventory": 4.0}}
    assert (await client.post("/products/bulk", json={"patch": [patch]})).json()["patch"][0]["status"] == 200
    assert len((await client.get("/products?inventory=4.0&limit=2.0")).json()) == 1


async def test_an_operations_input_has_the_same_types(client: httpx.AsyncClient) -> None:
    """Over HTTP; alone and with many."""
    answer = await client.post("/operations/shop/echo", json={"text": "a", "times": "2"})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/times")
    many = (await client.post("/operations/shop/echo/bulk", json=[{"text": "a", "times": 2.0}, {"text": 1}])).json()
    assert [each["status"] for each in many] == [200, 422]


async def test_a_body_that_is_needed_is_missed(client: httpx.AsyncClient) -> None:
    """400 and not a patch that changes nothing; where nothing is required none is needed."""
    made = (await client.post("/products", json=PRODUCT)).json()
    for method, path in (
        ("PATCH", f"/products/{made['id']}"),
        ("PUT", f"/products/{made['id']}"),
        ("POST", "/products"),
    ):
        answer = await client.request(method, path)
        assert (answer.status_code, answer.json()["code"]) == (400, "PULPO601"), path
    for path in ("/products/bulk", "/operations/shop/echo/bulk"):
        assert (await client.post(path)).json()["code"] == "PULPO601"


@pytest.mark.parametrize(("name", "method"), [("export", "GET"), ("aggregate", "GET"), ("bulk", "POST")])
async def test_an_address_beside_the_documents_says_its_method(
    client: httpx.AsyncClient, name: str, method: str
) -> None:
    """405 with the one method in `Allow`, though it looks like a document's address to the others."""
    for other in {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} - {method}:
        body = {"json": {}} if other in ("PUT", "PATCH", "POST") else {}
        answer = await client.request(other, f"/products/{name}", **body)
        assert (answer.status_code, answer.headers.get("allow")) == (405, method), other


async def test_a_model_that_is_only_read_has_no_bulk_address(client: httpx.AsyncClient) -> None:
    """Nothing is there, so the method is not what is wrong."""
    answer = await client.get("/movements/bulk")
    assert (answer.status_code, answer.json()["code"]) == (404, "PULPO404")


@pytest.mark.parametrize("key", ["", "k" * 256])
async def test_a_key_has_a_length_wherever_it_is_sent(client: httpx.AsyncClient, key: str) -> None:
    """With many at once too, where it is not used as it is."""
    for path, body in (("/products", PRODUCT), ("/products/bulk", {"create": []}), ("/operations/shop/echo/bulk", [])):
        answer = await client.post(path, json=body, headers={"Idempotency-Key": key})
        assert (answer.status_code, answer.json()["code"]) == (400, "PULPO603"), path


async def test_of_a_field_that_is_sorted_by_twice_the_first_counts(client: httpx.AsyncClient) -> None:
    """The second decides nothing, whatever its direction."""
    for sku in ("A", "B"):
        await client.post("/products", json={**PRODUCT, "sku": sku})
    found = (await client.get("/products?sort=-sku,sku,name,-name")).json()
    assert [each["sku"] for each in found] == ["B", "A"]


async def test_three_fields_and_a_stretch_make_groups(client: httpx.AsyncClient) -> None:
    """`bucket` is beside the three that `group` takes."""
    await client.post("/products", json=PRODUCT)
    answer = await client.get("/products/aggregate?group=sku,name,active&bucket=created_at:day")
    assert list(answer.json()[0]["group"]) == ["sku", "name", "active", "created_at"]
