"""Groups and exports over HTTP."""

from __future__ import annotations

import csv
import gc
import io
import json
import tracemalloc
from typing import Any

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI

from pulpo.runtime.application import Application
from pulpo.runtime.documents import Documents
from pulpo.store.port import Batch, Insert

JSON = dict[str, Any]


@pytest_asyncio.fixture
async def products(started: FastAPI) -> Application:
    """Six products, two a day from the 30th of October 2025 on, with prices in cents that floats do not have."""
    application: Application = started.state.application
    inserts = []
    for n in range(6):
        time = f"2025-{'10-30' if n < 2 else '10-31' if n < 4 else '11-01'}T{n:02}:15:00.000Z"
        fixed = {"id": f"p{n}", "version": 1, "created_at": time, "updated_at": time, "sku": f"S{n}", "sold": 0}
        body = {**fixed, "name": f"n{n % 2}", "price": 0.1 + n, "inventory": n, "active": n != 5}
        inserts.append(Insert("products", f"p{n}", json.dumps(body)))
    await application.store.commit(Batch(tuple(inserts)))
    return application


@pytest.mark.usefixtures("products")
@pytest.mark.parametrize(
    ("query", "answer"),
    [
        ("", [{"group": {}, "count": 6}]),
        ("count&sum=price,inventory&avg=price&active=true",
         [{"group": {}, "count": 5, "sum": {"price": 10.5, "inventory": 10}, "avg": {"price": 2.1}}]),
        ("group=name&sum=price",
         [{"group": {"name": "n0"}, "count": 3, "sum": {"price": 6.3}},
          {"group": {"name": "n1"}, "count": 3, "sum": {"price": 9.3}}]),
        ("group=active&avg=inventory",
         [{"group": {"active": False}, "count": 1, "avg": {"inventory": 5}},
          {"group": {"active": True}, "count": 5, "avg": {"inventory": 2}}]),
        ("bucket=created_at:day&group=name&inventory[gte]=3",
         [{"group": {"name": "n0", "created_at": "2025-11-01"}, "count": 1},
          {"group": {"name": "n1", "created_at": "2025-10-31"}, "count": 1},
          {"group": {"name": "n1", "created_at": "2025-11-01"}, "count": 1}]),
        ("bucket=created_at:week", [{"group": {"created_at": "2025-10-27"}, "count": 6}]),
        ("bucket=created_at:hour&sku=S3", [{"group": {"created_at": "2025-10-31T03:00Z"}, "count": 1}]),
        ("group=price&sku[in]=S0,S1", [{"group": {"price": 0.1}, "count": 1}, {"group": {"price": 1.1}, "count": 1}]),
        ("q=S4&sum=price", [{"group": {}, "count": 1, "sum": {"price": 4.1}}]),
        ("q=nothing&avg=price&sum=price", [{"group": {}, "count": 0, "sum": {"price": 0}, "avg": {"price": None}}]),
    ],
)  # fmt: skip
async def test_figures_by_groups(client: httpx.AsyncClient, query: str, answer: list[JSON]) -> None:
    """Counts, sums and averages of what the list's filters find, in the order of the groups."""
    found = await client.get(f"/products/aggregate?{query}")
    assert found.status_code == 200, found.text
    assert found.json() == answer


async def test_sums_of_amounts_are_exact(client: httpx.AsyncClient, started: FastAPI) -> None:
    """To the cent, where floats would be off: the digits are in the answer."""
    texts = [f'{{"id":"p{n}","version":1,"sku":"S{n}","name":"x","price":9000000000000.01}}' for n in range(101)]
    inserts = tuple(Insert("products", f"p{n}", text) for n, text in enumerate(texts))
    await started.state.application.store.commit(Batch(inserts))
    found = await client.get("/products/aggregate?sum=price")
    assert found.text == '[{"group":{},"count":101,"sum":{"price":909000000000001.01}}]'


@pytest.mark.parametrize(
    "query",
    [
        "group=colour", "group=", "sum=name", "avg=active", "bucket=created_at", "bucket=created_at:dya",
        "bucket=name:day", "count=5", "sort=name", "limit=1", "group=created_at&bucket=created_at:day",
        "group=sku,name,active,price", "group=sku,sku,sku,sku", "sum=price&sum=price",
    ],
)  # fmt: skip
async def test_figures_that_make_no_sense_are_refused(client: httpx.AsyncClient, query: str) -> None:
    """400: no such field, no number, no time, a parameter of lists alone, too many groupings."""
    answer = await client.get(f"/products/aggregate?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "PULPO603"), answer.text


async def test_more_than_a_thousand_groups_are_refused(client: httpx.AsyncClient, started: FastAPI) -> None:
    """An answer is bounded, and never cut in silence."""
    inserts = [Insert("products", f"p{n}", f'{{"id":"p{n}","version":1,"sku":"S{n}"}}') for n in range(1001)]
    await started.state.application.store.commit(Batch(tuple(inserts)))
    assert (await client.get("/products/aggregate?group=sku")).json()["code"] == "PULPO603"
    assert len((await client.get("/products/aggregate?group=sku&sku[ne]=S7")).json()) == 1000


@pytest.mark.usefixtures("products")
async def test_an_export_is_the_whole_list(client: httpx.AsyncClient) -> None:
    """NDJSON has the documents as they are, filtered and sorted, with the fields asked for; CSV the same in cells."""
    answer = await client.get("/products/export")
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert answer.headers["content-disposition"] == 'attachment; filename="products.ndjson"'
    whole = [json.loads(line) for line in answer.text.splitlines()]
    assert whole == (await client.get("/products?limit=20")).json()
    some = await client.get("/products/export?active=true&price[gt]=1&sort=sku&fields=sku")
    assert some.text == "".join(f'{{"id":"p{n}","sku":"S{n}"}}\n' for n in (1, 2, 3, 4))
    table = await client.get("/products/export?format=csv&sort=-sku&fields=sku,price,active&q=s")
    assert table.headers["content-type"] == "text/csv; charset=utf-8"
    assert table.headers["content-disposition"] == 'attachment; filename="products.csv"'
    assert table.text.splitlines()[:2] == ["id,sku,price,active", "p5,S5,5.10,false"]
    assert len(table.text.splitlines()) == 7
    assert (await client.get("/products/export?format=csv&q=nothing&fields=sku")).text == "id,sku\r\n"


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n"])
async def test_cells_are_no_formulas(client: httpx.AsyncClient, start: str) -> None:
    """A text that a spreadsheet would run is quoted; quotes, commas and lines stay inside of their cell."""
    name = f'{start}HYPERLINK("http://x","y")\r\nz'
    assert (await client.post("/products", json={"sku": "-1", "name": name, "price": -1})).status_code == 201
    answer = await client.get("/products/export?format=csv")
    (row,) = csv.DictReader(io.StringIO(answer.text, newline=""))
    assert (row["name"], row["sku"], row["price"]) == (f"'{name}", "'-1", "-1.00")


async def test_what_is_nested_or_missing_has_a_cell(client: httpx.AsyncClient, order: JSON) -> None:
    """Lists are JSON, null is empty."""
    created = (await client.post("/orders", json=order)).json()
    answer = await client.get("/orders/export?format=csv&items.product_id=MUG-1")
    (row,) = csv.DictReader(io.StringIO(answer.text, newline=""))
    assert json.loads(row["items"]) == created["items"]
    assert (row["note"], row["total"], row["created_at"]) == ("", "39.98", created["created_at"])


@pytest.mark.parametrize("query", ["format=xml", "limit=5", "cursor=x", "fields=no", "expand=x", "sort=no", "nmae=x"])
async def test_exports_that_make_no_sense_are_refused(client: httpx.AsyncClient, query: str) -> None:
    """400 before anything is sent."""
    answer = await client.get(f"/products/export?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "PULPO603")


@pytest.mark.parametrize("format", ["csv", "ndjson"])
async def test_an_export_does_not_grow_with_the_table(started: FastAPI, format: str) -> None:
    """Twelve megabytes leave page by page, with no more held at any time than for a fifth of them."""
    application: Application = started.state.application
    for start in range(0, 6000, 1000):
        texts = {f"p{n}": {"id": f"p{n}", "version": 1, "sku": f"S{n}", "name": "x" * 2000}
                 for n in range(start, start + 1000)}  # fmt: skip
        inserts = tuple(Insert("products", id, json.dumps(body)) for id, body in texts.items())
        await application.store.commit(Batch(inserts))
        del texts, inserts
    documents = Documents(application, application.spec.model("Product"))

    async def exported(*filters: tuple[str, str]) -> tuple[int, int, int]:
        """Lines, bytes, and the most that was held."""
        size = lines = 0
        gc.collect()
        tracemalloc.start()
        try:
            begun = await documents.export([("format", format), ("sort", "id"), *filters])
            async for chunk in begun.chunks:
                size += len(chunk)
                lines += chunk.count(b"\n")
            return lines - (format == "csv"), size, tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    await exported()  # what is loaded once is no growth
    some, _, little = await exported(("id[startswith]", "p2"))
    every, size, most = await exported()
    assert (some, every, size > 12_000_000) == (1111, 6000, True)
    assert most < little * 1.5
    assert most < size / 3
