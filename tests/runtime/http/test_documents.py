"""Documents over HTTP, by the generated API of a small shop."""

from __future__ import annotations

import asyncio
import importlib
from typing import Any

import httpx
import pytest

from pulpo.store.port import Batch, Insert

from .conftest import forget_modules

JSON = dict[str, Any]


def pointers(response: httpx.Response) -> dict[str, str]:
    """Pointer -> code of a problem's errors."""
    return {error["pointer"]: error["code"] for error in response.json()["errors"]}


async def test_the_body_of_an_order_is_enough_to_create_it(client: httpx.AsyncClient, order: JSON) -> None:
    """201 with Location and ETag; what the client left out has its default; both addresses lead to it."""
    created = await client.post("/orders", json=order)
    assert created.status_code == 201, created.text
    body = created.json()
    assert body["status"] == "pending"
    assert body["version"] == 1
    assert body["created_at"] == body["updated_at"]
    assert body["total"] == 39.98
    assert created.headers["location"] == f"/orders/{body['id']}"
    assert created.headers["etag"] == '"1"'
    for address in (body["id"], "ORD-20251030-001"):
        found = await client.get(f"/orders/{address}")
        assert found.status_code == 200
        assert found.json() == body
        assert found.headers["etag"] == '"1"'


async def test_every_invalid_field_is_named_and_no_value_is_echoed(client: httpx.AsyncClient, order: JSON) -> None:
    """422 with a JSON pointer and a stable word for each place."""
    del order["customer_id"]
    order["items"][0] |= {"quantity": 0, "unit_price": 19.999}
    order["hunter2"] = "s3cret"
    answer = await client.post("/orders", json=order)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "PULPO602"
    assert pointers(answer) == {
        "/customer_id": "missing",
        "/items/0/quantity": "greater_than_equal",
        "/items/0/unit_price": "decimal_max_places",
        "/hunter2": "extra_forbidden",
    }
    assert "s3cret" not in answer.text
    assert "19.999" not in answer.text


@pytest.mark.parametrize("field", ["version", "created_at", "updated_at", "status"])
async def test_fields_that_are_not_a_clients_are_refused(client: httpx.AsyncClient, order: JSON, field: str) -> None:
    """On create, replace and patch alike, whatever the value is."""
    assert (await client.post("/orders", json=order)).status_code == 201
    for method, address in (
        ("POST", "/orders"),
        ("PUT", "/orders/ORD-20251030-001"),
        ("PATCH", "/orders/ORD-20251030-001"),
    ):
        answer = await client.request(method, address, json={**order, field: "pending"})
        assert answer.status_code == 422
        assert pointers(answer)[f"/{field}"] == "readonly"


async def test_read_only_fields_of_embedded_entries_are_refused(client: httpx.AsyncClient) -> None:
    """The allow-list reaches into lists."""
    address = {"street": "x", "zip_code": "1", "checked_at": "2025-01-01T00:00:00Z"}
    answer = await client.post("/customers", json={"email": "a", "name": "b", "addresses": [address]})
    assert pointers(answer) == {"/addresses/0/checked_at": "readonly"}


async def test_an_id_is_taken_on_create_and_never_changes(client: httpx.AsyncClient, order: JSON) -> None:
    """An own id must be new; PUT and PATCH do not take one."""
    assert (await client.post("/orders", json={**order, "id": "mine-1"})).json()["id"] == "mine-1"
    again = await client.post("/orders", json={**order, "id": "mine-1", "order_number": "another"})
    assert (again.status_code, again.json()["code"], pointers(again)) == (409, "PULPO501", {"/id": "unique"})
    assert pointers(await client.put("/orders/mine-1", json={**order, "id": "mine-2"})) == {"/id": "readonly"}
    assert pointers(await client.patch("/orders/mine-1", json={"id": "mine-2"})) == {"/id": "readonly"}


async def test_a_unique_value_is_given_once(client: httpx.AsyncClient, order: JSON) -> None:
    """409 with the field's pointer."""
    await client.post("/orders", json=order)
    answer = await client.post("/orders", json=order)
    assert (answer.status_code, answer.json()["code"]) == (409, "PULPO504")
    assert pointers(answer) == {"/order_number": "unique"}


async def test_an_id_and_a_key_never_lead_to_two_documents(client: httpx.AsyncClient, order: JSON) -> None:
    """A key that is another document's id is a 409, and so is an id that is another's key."""
    await client.post("/orders", json={**order, "id": "first", "order_number": "one"})
    key = await client.post("/orders", json={**order, "order_number": "first"})
    assert (key.status_code, pointers(key)) == (409, {"/order_number": "unique"})
    id = await client.post("/orders", json={**order, "id": "one", "order_number": "two"})
    assert (id.status_code, pointers(id)) == (409, {"/id": "unique"})
    await client.post("/orders", json={**order, "id": "second", "order_number": "two"})
    assert (await client.patch("/orders/second", json={"order_number": "first"})).status_code == 409


async def test_references_must_lead_somewhere(client: httpx.AsyncClient, order: JSON) -> None:
    """422 with a pointer to each; an entry must be inside the document that `within` names."""
    order["customer_id"], order["items"][0]["product_id"] = "nobody", "nothing"
    answer = await client.post("/orders", json=order)
    assert (answer.status_code, answer.json()["code"]) == (422, "PULPO510")
    assert pointers(answer) == {"/customer_id": "reference", "/items/0/product_id": "reference"}
    order["customer_id"], order["items"][0]["product_id"], order["shipping_address_id"] = "cust_123", "prod_456", "x"
    assert pointers(await client.post("/orders", json=order)) == {"/shipping_address_id": "reference"}


async def test_a_reference_given_as_a_key_is_stored_as_the_id(client: httpx.AsyncClient, order: JSON) -> None:
    """Also deep inside a list; filters take keys as well."""
    order["items"][0]["product_id"] = "MUG-1"
    created = await client.post("/orders", json=order)
    assert created.json()["items"][0]["product_id"] == "prod_456"
    assert len((await client.get("/movements?product_id=MUG-1")).json()) == 1


async def test_what_an_order_refers_to_is_looked_up_once_for_each_model(
    client: httpx.AsyncClient, order: JSON, started: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All references to a model together, and a document in which an entry is looked for is not read again."""
    store = started.state.application.store
    asked: list[tuple[str, ...]] = []
    get, get_each = store.get, store.get_each

    async def one(collection: str, id: str) -> Any:
        asked.append((collection, id))
        return await get(collection, id)

    async def each(wanted: dict[str, tuple[str, ...]]) -> Any:
        asked.extend((collection, *ids) for collection, ids in wanted.items())
        return await get_each(wanted)

    await client.post("/products", json={"id": "prod_1", "sku": "JAR", "name": "Jar", "price": 1})
    await client.post("/customers", json={"id": "friend", "email": "bob@example.com", "name": "Bob"})
    monkeypatch.setattr(store, "get", one)
    monkeypatch.setattr(store, "get_each", each)
    order["items"].append({"product_id": "prod_1", "quantity": 1, "unit_price": 1})
    created = await client.post("/orders", json={**order, "total": 40.98, "gift_for": "friend"})
    assert created.status_code == 201, created.text
    looked_up = [each for each in asked if each[0] in ("customers", "products")]
    assert sorted(looked_up) == [("customers", "cust_123", "friend"), ("products", "prod_1", "prod_456")]


async def test_what_others_refer_to_stays(client: httpx.AsyncClient, order: JSON) -> None:
    """409 naming the model and how many; an embedded entry stays too; without referrers it goes."""
    await client.post("/orders", json=order)
    answer = await client.delete("/customers/cust_123")
    assert (answer.status_code, answer.json()["code"]) == (409, "PULPO611")
    assert answer.json()["detail"] == '1 Order document refers to Customer "cust_123"'
    assert (await client.delete("/products/MUG-1")).json()["detail"] == '1 Order document refers to Product "prod_456"'
    emptied = await client.patch("/customers/cust_123", json={"addresses": []})
    assert (emptied.status_code, emptied.json()["code"]) == (409, "PULPO611")
    assert (await client.delete("/orders/ORD-20251030-001")).status_code == 204
    assert (await client.delete("/customers/cust_123")).status_code == 204
    assert (await client.get("/customers/cust_123")).status_code == 404


async def test_replacing_keeps_what_is_not_the_clients(client: httpx.AsyncClient, order: JSON) -> None:
    """PUT puts defaults where the body is silent, but read-only fields and `created_at` stand."""
    created = (await client.post("/orders", json={**order, "note": "ring twice"})).json()
    await client.post("/operations/shop/payments/pay", json={"order_id": created["id"]})
    replaced = await client.put(f"/orders/{created['id']}", json=order)
    assert replaced.status_code == 200, replaced.text
    body = replaced.json()
    assert (body["status"], body["note"], body["version"]) == ("paid", None, 3)
    assert body["created_at"] == created["created_at"]
    assert replaced.headers["etag"] == '"3"'


async def test_a_patch_merges_and_null_takes_away(client: httpx.AsyncClient, order: JSON) -> None:
    """RFC 7386; a required field cannot be taken away."""
    await client.post("/orders", json={**order, "note": "ring twice"})
    patched = await client.patch(
        "/orders/ORD-20251030-001",
        content=b'{"note": null, "gift_for": "cust_123"}',
        headers={"Content-Type": "application/merge-patch+json"},
    )
    assert patched.status_code == 200, patched.text
    assert (patched.json()["note"], patched.json()["gift_for"], patched.json()["total"]) == (None, "cust_123", 39.98)
    assert pointers(await client.patch("/orders/ORD-20251030-001", json={"customer_id": None})) == {
        "/customer_id": "missing"
    }


async def test_a_change_with_a_precondition_holds_only_there(client: httpx.AsyncClient, order: JSON) -> None:
    """If-Match of another version is a 412 for PUT, PATCH and DELETE; of this one it passes; weak tags never do."""
    await client.post("/orders", json=order)
    address = "/orders/ORD-20251030-001"
    for method in ("PUT", "PATCH", "DELETE"):
        for tag in ('"7"', 'W/"1"', "1"):
            answer = await client.request(method, address, json=order, headers={"If-Match": tag})
            assert (answer.status_code, answer.json()["code"]) == (412, "PULPO609")
    ok = await client.patch(address, json={"note": "x"}, headers={"If-Match": '"9", "1"'})
    assert ok.json()["version"] == 2
    assert (await client.delete(address, headers={"If-Match": "*"})).status_code == 204


async def test_a_change_can_be_wanted_at_other_versions_only(client: httpx.AsyncClient, order: JSON) -> None:
    """If-None-Match of this version, strong or weak, or `*`, is a 412 for every change; of another one it passes."""
    await client.post("/orders", json=order)
    address = "/orders/ORD-20251030-001"
    for method in ("PUT", "PATCH", "DELETE"):
        for tag in ("*", '"1"', 'W/"1"', '"7", "1"'):
            answer = await client.request(method, address, json=order, headers={"If-None-Match": tag})
            assert (answer.status_code, answer.json()["code"]) == (412, "PULPO609"), (method, tag)
    both = {"If-Match": '"1"', "If-None-Match": '"1"'}
    assert (await client.patch(address, json={"note": "x"}, headers=both)).status_code == 412
    both = {"If-Match": '"2"', "If-None-Match": '"7"'}
    assert (await client.patch(address, json={"note": "x"}, headers=both)).status_code == 412
    for tag in ('"7"', "1", '"foreign"'):
        version = (await client.get(address)).json()["version"]
        changed = await client.patch(address, json={"note": "x"}, headers={"If-None-Match": tag})
        assert changed.json()["version"] == version + 1
    absent = await client.put("/orders/none", json=order, headers={"If-None-Match": "*"})
    assert (absent.status_code, absent.json()["code"]) == (404, "PULPO404")
    assert (await client.delete(address, headers={"If-None-Match": '"1"'})).status_code == 204


async def test_changes_without_a_precondition_all_land(client: httpx.AsyncClient, order: JSON) -> None:
    """Twelve at once: each is made on the version before it."""
    await client.post("/orders", json=order)
    changes = [client.patch("/orders/ORD-20251030-001", json={"note": str(n)}) for n in range(12)]
    answers = await asyncio.gather(*changes)
    assert {answer.status_code for answer in answers} == {200}
    assert sorted(answer.json()["version"] for answer in answers) == list(range(2, 14))


async def test_hooks_write_in_the_same_commit_or_refuse(client: httpx.AsyncClient, order: JSON) -> None:
    """Opening stock is booked with the product, a change with its change; a refusal leaves nothing."""
    movements = (await client.get("/movements?product_id=prod_456")).json()
    assert [movement["change"] for movement in movements] == [5]
    assert (await client.patch("/products/MUG-1", json={"inventory": 3})).status_code == 200
    movements = (await client.get("/movements?product_id=prod_456&sort=created_at,change")).json()
    assert [movement["change"] for movement in movements] == [5, -2]
    refused = await client.patch("/products/MUG-1", json={"price": 0, "inventory": 1})
    assert (refused.status_code, refused.json()["code"]) == (422, "price_gone")
    assert len((await client.get("/movements")).json()) == 2
    assert (await client.delete("/products/MUG-1")).status_code == 204
    assert (await client.get("/movements")).json() == []


async def test_a_failing_after_commit_does_not_undo_the_answer(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    """The document is there, the failure is in the log."""
    answer = await client.post("/products", json={"sku": "TNT", "name": "explosive", "price": 1})
    assert answer.status_code == 201
    assert "after_commit of Product" in caplog.text


async def test_a_model_that_is_read_only_has_no_other_methods(client: httpx.AsyncClient) -> None:
    """405 with the methods that there are."""
    answer = await client.post("/movements", json={})
    assert (answer.status_code, answer.json()["code"], answer.headers["allow"]) == (405, "PULPO605", "GET")


async def test_a_create_with_a_key_happens_once(client: httpx.AsyncClient, order: JSON) -> None:
    """The same key and body give the first answer, at once or later; another body is refused."""
    headers = {"Idempotency-Key": "k1"}
    answers = await asyncio.gather(*(client.post("/orders", json=order, headers=headers) for _ in range(5)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert sum("idempotency-replayed" in answer.headers for answer in answers) == 4
    later = await client.post("/orders", json=order, headers=headers)
    assert later.headers["idempotency-replayed"] == "true"
    assert later.json() == answers[0].json()
    other = await client.post("/orders", json={**order, "note": "x"}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (422, "PULPO410")


async def test_a_create_sent_again_needs_nothing_that_the_first_one_needed(
    client: httpx.AsyncClient, order: JSON
) -> None:
    """The stored answer, where a document that the body refers to is gone since."""
    headers = {"Idempotency-Key": "k1"}
    first = await client.post("/orders", json=order, headers=headers)
    assert (await client.delete(f"/orders/{first.json()['id']}")).status_code == 204
    assert (await client.delete(f"/customers/{order['customer_id']}")).status_code == 204
    again = await client.post("/orders", json=order, headers=headers)
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["idempotency-replayed"] == "true"
    fresh = await client.post("/orders", json=order, headers={"Idempotency-Key": "k2"})
    assert (fresh.status_code, fresh.json()["code"]) == (422, "PULPO510")


async def test_lists_filter_sort_and_count(client: httpx.AsyncClient) -> None:
    """Equality by the field's type, a filter given twice means either, newest first by default."""
    for n in range(6):
        body = {"sku": f"S{n}", "name": f"n{n % 2}", "price": n / 2, "inventory": n, "active": n < 4}
        assert (await client.post("/products", json=body)).status_code == 201

    async def skus(query: str) -> list[str]:
        answer = await client.get(f"/products?{query}")
        assert answer.status_code == 200, answer.text
        return [product["sku"] for product in answer.json()]

    assert await skus("sort=-inventory") == ["S5", "S4", "S3", "S2", "S1", "S0"]
    assert await skus("name=n1&sort=sku") == ["S1", "S3", "S5"]
    assert await skus("price=1.50") == ["S3"]
    assert await skus("price=1.5&price=2&sort=sku") == ["S3", "S4"]
    assert await skus("active=false&sort=sku") == ["S4", "S5"]
    assert await skus("inventory=2") == ["S2"]
    counted = await client.get("/products?name=n1&limit=1&count=true")
    assert counted.headers["x-total-count"] == "3"
    assert "x-total-count" not in (await client.get("/products")).headers


async def test_pages_follow_each_other_by_their_link(client: httpx.AsyncClient) -> None:
    """Each document once, the filters kept, no link on the last page."""
    for n in range(7):
        await client.post("/products", json={"sku": f"S{n}", "name": "same", "price": 1})
    found, address = [], "/products?name=same&limit=3&sort=price,-sku"
    while address:
        answer = await client.get(address)
        found += [product["sku"] for product in answer.json()]
        address = answer.links.get("next", {}).get("url", "")
    assert found == ["S6", "S5", "S4", "S3", "S2", "S1", "S0"]


@pytest.mark.parametrize(
    ("query", "hint"),
    [
        ("nmae=x", 'did you mean "name"?'),
        ("limit=0", None),
        ("limit=21", None),
        ("limit=x", None),
        ("sort=colour", None),
        ("sort=pric", 'did you mean "price"?'),
        ("inventory=many", None),
        ("price=NaN", None),
        ("active=yes", None),
        ("created_at=yesterday", None),
        ("count=1", None),
        ("limit=1&limit=2", None),
        ("cursor=nonsense", None),
    ],
)
async def test_a_parameter_that_makes_no_sense_is_refused(
    client: httpx.AsyncClient, query: str, hint: str | None
) -> None:
    """400, with the nearest name where there is one."""
    answer = await client.get(f"/products?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "PULPO603"), answer.text
    if hint is not None:
        assert answer.json()["hint"] == hint


async def test_an_enum_filter_takes_its_values_only(client: httpx.AsyncClient) -> None:
    """The values are in the problem."""
    answer = await client.get("/orders?status=payd")
    assert answer.json()["detail"] == '"status" is one of pending, paid'
    assert answer.json()["hint"] == 'did you mean "paid"?'
    assert (await client.get("/orders?status=paid")).json() == []


async def test_a_document_that_no_longer_fits_its_model_is_not_changed(client: httpx.AsyncClient, started: Any) -> None:
    """It can be read as it is; a change says what does not fit instead of guessing."""
    text = '{"id":"old","version":1,"sku":"old","name":"","price":1}'
    await started.state.application.store.commit(Batch((Insert("products", "old", text),)))
    assert (await client.get("/products/old")).text == text
    answer = await client.patch("/products/old", json={"price": 2})
    assert (answer.status_code, answer.json()["code"]) == (500, "PULPO414")
    assert answer.json()["detail"] == 'Product "old" no longer fits its model: /name'


async def test_writes_tell_of_themselves_with_ids_and_no_bodies(client: httpx.AsyncClient, started: Any) -> None:
    """document.created, changed and deleted, in the order of the commits."""
    store = started.state.application.store
    start = await store.last_event()
    await client.post("/products", json={"id": "p1", "sku": "A", "name": "secret name", "price": 1})
    await client.patch("/products/A", json={"price": 2})
    await client.delete("/products/A")
    events = [event.data for event in await store.events(start)]
    assert events == [
        {"type": "document.created", "model": "Product", "id": "p1", "version": 1},
        {"type": "document.changed", "model": "Product", "id": "p1", "version": 2},
        {"type": "document.deleted", "model": "Product", "id": "p1"},
    ]


async def test_a_project_may_ask_for_preconditions(
    order: JSON, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `require_if_match`, changes without If-Match are a 428 and do nothing; `*` means any version."""
    await client.post("/orders", json=order)
    monkeypatch.setenv("PULPO_API_REQUIRE_IF_MATCH", "true")
    forget_modules()
    strict = importlib.import_module("generated.api.app").app
    address = "/orders/ORD-20251030-001"
    async with (
        strict.router.lifespan_context(strict),
        httpx.AsyncClient(transport=httpx.ASGITransport(strict), base_url="http://localhost:8000") as asking,
    ):
        for method in ("PUT", "PATCH", "DELETE"):
            for headers in ({}, {"If-None-Match": '"7"'}):
                answer = await asking.request(method, address, json=order, headers=headers)
                assert (answer.status_code, answer.json()["code"]) == (428, "PULPO617"), method
        assert (await asking.get(address)).headers["etag"] == '"1"'
        assert (await asking.patch(address, json={"note": "x"}, headers={"If-Match": '"7"'})).status_code == 412
        assert (await asking.patch(address, json={"note": "x"}, headers={"If-Match": '"1"'})).status_code == 200
        assert (await asking.delete(address, headers={"If-Match": "*"})).status_code == 204
        described = (await asking.get("/openapi.json")).json()
    assert "428" in described["paths"]["/orders/{id}"]["delete"]["responses"]
    assert described["components"]["parameters"]["If-Match"]["required"] is True
    usual = (await client.get("/openapi.json")).json()
    assert "428" not in usual["paths"]["/orders/{id}"]["delete"]["responses"]
    assert "required" not in usual["components"]["parameters"]["If-Match"]


@pytest.mark.parametrize(
    ("body", "pointer"), [({"": None}, "/"), ({"nmae": None}, "/nmae"), ({"name": "x", "y": None}, "/y")]
)
async def test_a_patch_takes_away_only_what_there_is(client: httpx.AsyncClient, body: JSON, pointer: str) -> None:
    """422 for a null under a name that is no field, of which nothing would be left in the merged document."""
    made = (await client.post("/products", json={"sku": "NULL", "name": "Null", "price": 1})).json()
    headers = {"Content-Type": "application/merge-patch+json"}
    answer = await client.patch(f"/products/{made['id']}", json=body, headers=headers)
    assert (answer.status_code, [each["pointer"] for each in answer.json()["errors"]]) == (422, [pointer])
    assert (await client.get(f"/products/{made['id']}")).json() == made
