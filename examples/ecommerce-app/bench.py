"""Inputs for `pulpo bench`: orders placed over HTTP, as a client would."""

import asyncio
from typing import Any
from uuid import uuid4

import httpx

AT_ONCE = 16


async def prepare(client: httpx.AsyncClient, n: int) -> list[dict[str, Any]]:
    """Place `n` orders of two mugs each and give the inputs with which `order_to_cash` runs for them.

    The shop is given enough mugs first.

    Args:
        client: Speaks to the project's API. n: How many orders.

    Raises:
        httpx.HTTPStatusError: The API refused something.
    """
    product = (await _checked(client.get("/products/prod_456"))).json()
    wanted = 2 * n
    if product["inventory"] < wanted:
        stock = {"inventory": product["inventory"] + wanted}
        await _checked(client.patch("/products/prod_456", json=stock, headers=MERGE_PATCH))
    batch, turn = uuid4().hex[:8], asyncio.Semaphore(AT_ONCE)

    async def place(number: int) -> dict[str, Any]:
        item = {"product_id": "prod_456", "quantity": 2, "unit_price": product["price"]}
        body = {
            "order_number": f"BENCH-{batch}-{number:05}",
            "customer_id": "cust_123",
            "items": [item],
            "total": round(2 * product["price"], 2),
            "shipping_address_id": "addr_789",
        }
        async with turn:
            order = (await _checked(client.post("/orders", json=body))).json()
        return {"order_id": order["id"], "payment_method": "credit_card", "address_zip": "90210"}

    return list(await asyncio.gather(*(place(number) for number in range(1, n + 1))))


MERGE_PATCH = {"Content-Type": "application/merge-patch+json"}


async def _checked(request: Any) -> httpx.Response:
    response: httpx.Response = await request
    return response.raise_for_status()
