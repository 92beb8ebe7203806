"""Lists over HTTP: operators, nested paths, search, pages; parts of documents, and what they refer to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI

JSON = dict[str, Any]


@pytest_asyncio.fixture
async def products(client: httpx.AsyncClient) -> None:
    """Six products: S0 to S5, at 0.00 to 2.50, named n0 and n1 in turn, the last two inactive."""
    for n in range(6):
        body = {"sku": f"S{n}", "name": f"n{n % 2}", "price": n / 2, "inventory": n, "active": n < 4}
        body["id"] = f"p{n}"  # a made one may contain what `q` looks for
        assert (await client.post("/products", json=body)).status_code == 201


@pytest_asyncio.fixture
async def orders(client: httpx.AsyncClient, order: JSON) -> list[JSON]:
    """Three orders: one of mugs, one of cups, one of both for a second customer, with a note."""
    assert (await client.post("/products", json={"id": "cup", "sku": "CUP-1", "name": "Cup", "price": 5})).is_success
    curie = {"id": "cust_2", "email": "curie@example.com", "name": "Curie", "addresses": [{"id": "a2", "street": "x",
             "zip_code": "1"}]}  # fmt: skip
    assert (await client.post("/customers", json=curie)).is_success
    mug, cup = order["items"][0], {"product_id": "cup", "quantity": 9, "unit_price": 5}
    bodies = [
        {**order, "id": "o1", "order_number": "ONE"},
        {**order, "id": "o2", "order_number": "TWO", "items": [cup], "total": 45},
        {**order, "id": "o3", "order_number": "THREE", "items": [mug, cup], "total": 84.98, "customer_id": "cust_2",
         "shipping_address_id": "a2", "note": "Ring 100% LOUD_ly"},
    ]  # fmt: skip
    answers = [await client.post("/orders", json=body) for body in bodies]
    assert {answer.status_code for answer in answers} == {201}, answers[-1].text
    return [answer.json() for answer in answers]


async def asked(client: httpx.AsyncClient, address: str, field: str) -> str:
    """The values of a field in a list, joined, in the order of the answer."""
    answer = await client.get(address)
    assert answer.status_code == 200, answer.text
    return " ".join(str(document[field]) for document in answer.json())


@pytest.mark.usefixtures("products")
@pytest.mark.parametrize(
    ("query", "skus"),
    [
        ("price[gte]=1.50", "S3 S4 S5"),
        ("price[gt]=1.50&price[lt]=2.5", "S4"),
        ("price[lte]=0.5", "S0 S1"),
        ("price[ne]=1", "S0 S1 S3 S4 S5"),
        ("price[ne]=1&price[ne]=2", "S0 S1 S3 S5"),
        ("price[eq]=1", "S2"),
        ("inventory[in]=1,4", "S1 S4"),
        ("inventory[in]=1&inventory[in]=4,5", "S1 S4 S5"),
        ("inventory[nin]=1,4", "S0 S2 S3 S5"),
        ("sku[in]=S1,S9", "S1"),
        ("name[contains]=N0", "S0 S2 S4"),
        ("sku[startswith]=S", "S0 S1 S2 S3 S4 S5"),
        ("sku[startswith]=s", ""),
        ("inventory=1.0", "S1"),
        ("inventory[in]=1.0,4", "S1 S4"),
        ("active[ne]=true", "S4 S5"),
        ("created_at[gte]=2100-01-01T00:00:00Z", ""),
        ("created_at[gt]=0001-01-01T00:00:00%2B11:00", "S0 S1 S2 S3 S4 S5"),
        ("created_at[gt]=9999-12-31T23:00:00-11:00", ""),
        ("created_at[lt]=2100-01-01T00:00:00Z&version[gte]=1&inventory[lt]=2", "S0 S1"),
        ("q=s3", "S3"),
        ("q=N1", "S1 S3 S5"),
        ("q=n1&inventory[gt]=1", "S3 S5"),
        ("q=%25", ""),
        ("name[contains]=' OR 1=1 --", ""),
    ],
)
async def test_operators_compare_by_the_fields_type(client: httpx.AsyncClient, query: str, skus: str) -> None:
    """Each in its own sense; together they all hold; wildcards and quotes are plain characters."""
    assert await asked(client, f"/products?sort=sku&{query}", "sku") == skus


@pytest.mark.usefixtures("orders")
@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("items.product_id=cup", "o2 o3"),
        ("items.product_id=CUP-1", "o2 o3"),
        ("items.product_id[ne]=CUP-1", "o1"),
        ("items.product_id[in]=MUG-1,nothing", "o1 o3"),
        ("items.product_id[nin]=CUP-1,MUG-1", ""),
        ("items.quantity[gte]=9", "o2 o3"),
        ("items.unit_price=19.99&items.quantity=9", "o3"),
        ("customer_id[ne]=cust_123", "o3"),
        ("note[contains]=100%25 loud_", "o3"),
        ("q=three", "o3"),
        ("q=o2", "o2"),
        ("status=pending&status[nin]=paid&total[gt]=40", "o2 o3"),
    ],
)
async def test_paths_lead_into_embedded_models(client: httpx.AsyncClient, query: str, ids: str) -> None:
    """A list's field holds for one entry, `ne` and `nin` for none; references are given as ids or keys."""
    assert await asked(client, f"/orders?sort=id&{query}", "id") == ids


@pytest.mark.parametrize(
    ("query", "hint"),
    [
        ("price[gtee]=1", 'did you mean "gte"?'),
        ("active[gt]=true", "known are: [eq], [ne], [in], [nin]"),
        ("prise[gt]=1", 'did you mean "price"?'),
        ("price[gt]=", None),
        ("price[gt][lt]=1", None),
        ("price[]=1", None),
        ("inventory[in]=1,x", None),
        ("inventory[contains]=1", None),
        ("offset=-1", None),
        ("offset=100001", None),
        ("offset=1&cursor=x", None),
        ("sort=name,,sku", None),
        ("sku[gt]=S3", "known are: [eq], [ne], [in], [nin], [contains], [startswith]"),
        ("created_at[gt]=1700000000", None),
        ("price=1_0", None),
        ("price=1e9999999", None),
        ("inventory=1.5", None),
        ("limit=1.5", None),
        ("fields=name,skuu", 'did you mean "sku"?'),
        ("fields=", None),
        ("q=a&q=b", None),
        ("$where=1", None),
        ("[" * 50 + "=1", None),
    ],
)
async def test_what_makes_no_sense_is_named(client: httpx.AsyncClient, query: str, hint: str | None) -> None:
    """400 with what there is instead."""
    answer = await client.get(f"/products?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "PULPO603"), answer.text
    assert "hint" in answer.json() or hint is None
    if hint is not None:
        assert answer.json()["hint"] == hint


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("prise[gt]=s3cret", 'the query parameter "prise"'),
        ("nope=s3cret", 'the query parameter "nope"'),
        ("<b>s3cret=1", "a query parameter"),
        (f"{'s3cret' * 7}=1", "a query parameter"),
    ],
)
async def test_an_unknown_parameter_is_named_and_its_value_is_not(
    client: httpx.AsyncClient, query: str, named: str
) -> None:
    """A name that could be a field's is repeated; a value, or a name that is no name, never."""
    answer = await client.get(f"/products?{query}")
    assert answer.json()["detail"] == f"{named} is not known here"
    assert "s3cret" not in answer.text


async def test_a_request_has_twenty_filters_and_a_hundred_values(client: httpx.AsyncClient) -> None:
    """What is within passes, one more is a 400; one with several values is one, and `q` none of them."""
    twenty = "&".join(f"price[gt]={n}" for n in range(20))
    assert (await client.get(f"/products?{twenty}&q=x")).status_code == 200
    assert (await client.get(f"/products?{twenty}&inventory=1")).status_code == 400
    nineteen = twenty.partition("&")[2]
    several = "&".join(f"inventory={n}" for n in range(100))
    assert (await client.get(f"/products?{nineteen}&{several}")).status_code == 200
    assert (await client.get(f"/products?{nineteen}&{several}&inventory=100")).status_code == 400
    hundred = ",".join(map(str, range(100)))
    assert (await client.get(f"/products?inventory[in]={hundred}")).status_code == 200
    assert (await client.get(f"/products?inventory[in]={hundred},100")).status_code == 400


@pytest.mark.usefixtures("products")
async def test_offset_skips_and_links_lead_on_and_back(client: httpx.AsyncClient) -> None:
    """From an offset on, the next page goes by cursor; `first` is the list without either, filters kept."""
    first = await client.get("/products?sort=sku&limit=2&active=true")
    assert "first" not in first.links
    second = await client.get(first.links["next"]["url"])
    assert [each["sku"] for each in second.json()] == ["S2", "S3"]
    assert second.links.keys() == {"first"}
    again = await client.get(second.links["first"]["url"])
    assert again.content == first.content
    skipped = await client.get("/products?sort=sku&limit=2&offset=3")
    assert [each["sku"] for each in skipped.json()] == ["S3", "S4"]
    assert [each["sku"] for each in (await client.get(skipped.links["next"]["url"])).json()] == ["S5"]
    assert await asked(client, skipped.links["first"]["url"], "sku") == "S0 S1"
    assert await asked(client, "/products?offset=6", "sku") == ""


@pytest.mark.usefixtures("products")
async def test_several_sorts_go_one_after_the_other(client: httpx.AsyncClient) -> None:
    """The first decides, the next among equals."""
    assert await asked(client, "/products?sort=name,-inventory", "sku") == "S4 S2 S0 S5 S3 S1"
    assert await asked(client, "/products?sort=-active,-sku&limit=4", "sku") == "S3 S2 S1 S0"


@pytest.mark.usefixtures("orders")
async def test_lists_of_entries_are_not_sorted_by(client: httpx.AsyncClient) -> None:
    """An order has many quantities."""
    answer = await client.get("/orders?sort=items.quantity")
    assert (answer.status_code, answer.json()["code"]) == (400, "PULPO603")


async def test_fields_asks_for_parts_of_documents(client: httpx.AsyncClient, orders: list[JSON]) -> None:
    """Those, in the model's order, and always the id; on a list and on one; pages go on in the same way."""
    answer = await client.get("/orders?fields=total,items&sort=id&limit=2")
    assert answer.json() == [{"id": one["id"], "items": one["items"], "total": one["total"]} for one in orders[:2]]
    rest = await client.get(answer.links["next"]["url"])
    assert rest.json() == [{"id": "o3", "items": orders[2]["items"], "total": 84.98}]
    one = await client.get("/orders/TWO?fields=status")
    assert one.json() == {"id": "o2", "status": "pending"}
    assert one.headers["etag"] == '"1"'


async def test_expand_puts_documents_beside_references(client: httpx.AsyncClient, orders: list[JSON]) -> None:
    """Under the name without `_id`, inside of lists too; fields of choice and expansion go together."""
    customers = {one["id"]: one for one in (await client.get("/customers")).json()}
    products = {one["id"]: one for one in (await client.get("/products")).json()}
    answer = await client.get("/orders?expand=customer,items.product&sort=id")
    assert answer.status_code == 200, answer.text
    for plain, shown in zip(orders, answer.json(), strict=True):
        items = [{**item, "product": products[item["product_id"]]} for item in plain["items"]]
        assert shown == {**plain, "items": items, "customer": customers[plain["customer_id"]]}
    small = await client.get("/orders/ONE?expand=customer&fields=status")
    assert small.json() == {"id": "o1", "status": "pending", "customer": customers["cust_123"]}
    deep = await client.get("/orders/ONE?expand=items.product&fields=status")
    assert deep.json()["items"][0]["product"]["sku"] == "MUG-1"
    assert deep.json().keys() == {"id", "status", "items"}


@pytest.mark.parametrize("name", ["customer_id", "gift_for", "shipping_address", "items", "custommer", ""])
async def test_only_references_to_documents_expand(client: httpx.AsyncClient, name: str) -> None:
    """400 for a field, an embedded entry, a reference without `_id` in its name, and what is not there."""
    for address in ("/orders", "/orders/x"):
        answer = await client.get(f"{address}?expand={name}")
        assert (answer.status_code, answer.json()["code"]) == (400, "PULPO603"), answer.text


@pytest.mark.usefixtures("orders")
async def test_expanding_a_list_costs_one_query_per_model(
    client: httpx.AsyncClient, started: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many documents the page has."""
    store, calls = started.state.application.store, []

    def counted(name: str) -> Callable[..., Any]:
        real = getattr(store, name)

        def call(asked: Any, *arguments: Any) -> Any:
            collection = getattr(asked, "collection", asked)
            if not collection.startswith("_"):  # else it is the engine, which looks for work meanwhile
                calls.append(name)
            return real(asked, *arguments)

        return call

    for name in ("get", "get_many", "get_json", "query", "query_json"):
        monkeypatch.setattr(store, name, counted(name))
    for limit in (1, 3):
        calls.clear()
        answer = await client.get(f"/orders?expand=customer,items.product&limit={limit}")
        assert len(answer.json()) == limit
        assert calls == ["query", "get_many", "get_many"]


@pytest.mark.usefixtures("orders")
async def test_a_version_that_the_client_has_is_not_sent_again(client: httpx.AsyncClient) -> None:
    """304 without a body for If-None-Match, weak or among others; another version and an expanded one come in full."""
    for tag in ('"1"', 'W/"1"', '"7", "1"', "*"):
        answer = await client.get("/orders/ONE", headers={"If-None-Match": tag})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", '"1"')
    same = {"If-None-Match": '"1"'}
    assert (await client.get("/orders/ONE?fields=note", headers=same)).status_code == 304
    expanded = await client.get("/orders/ONE?expand=customer", headers=same)
    assert expanded.status_code == 200
    assert "etag" not in expanded.headers
    assert (await client.patch("/orders/ONE", json={"note": "x"})).status_code == 200
    changed = await client.get("/orders/ONE", headers=same)
    assert (changed.status_code, changed.headers["etag"]) == (200, '"2"')
    assert (await client.get("/orders/none", headers=same)).status_code == 404
