"""The shop as its users meet it."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from pulpo.runtime.application import Application

PAY = {"payment_method": "credit_card", "address_zip": "90210"}
RunFlow = Callable[..., Awaitable[Any]]


async def test_an_order_goes_from_cart_to_parcel(shop: Application, order: dict[str, Any], run_flow: RunFlow) -> None:
    """The flow completes, and everything that must always hold does."""
    from shop.invariants import violations  # noqa: PLC0415 - the project is on the path once it is loaded

    run = await run_flow("order_to_cash", {"order_id": order["order_number"], **PAY})
    assert run["state"] == "completed"
    assert await violations(shop.store) == []


async def test_a_declined_card_costs_nobody_anything(
    order: dict[str, Any], client: httpx.AsyncClient, run_flow: RunFlow
) -> None:
    """The order is pending again and its stock is free."""
    before = (await client.get("/products/prod_456")).json()["inventory"]
    pay = {**PAY, "payment_method": "pm_card_chargeDeclined"}
    run = await run_flow("order_to_cash", {"order_id": order["id"], **pay})
    assert (run["state"], run["error"]["code"]) == ("compensated", "declined")
    assert (await client.get("/products/prod_456")).json()["inventory"] == before
    assert (await client.get(f"/orders/{order['id']}")).json()["status"] == "pending"


@pytest.mark.parametrize("operation", ["fulfillment/pick_items", "fulfillment/ship_items"])
async def test_steps_out_of_turn_are_refused(order: dict[str, Any], client: httpx.AsyncClient, operation: str) -> None:
    """409 with a problem that names the state."""
    answer = await client.post(f"/operations/orders/{operation}", json={"order_id": order["id"]})
    assert (answer.status_code, answer.json()["status"]) == (409, 409)
    assert "pending" in answer.json()["detail"]
