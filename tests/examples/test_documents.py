"""What the models' hooks hold clients to."""

from __future__ import annotations

import json

import pytest

from pulpo.errors import PulpoError
from tests.examples.market import Market


async def _refused(awaitable: object) -> PulpoError:
    with pytest.raises(PulpoError) as refused:
        await awaitable  # type: ignore[misc]  # whatever the caller wants awaited
    return refused.value


async def test_the_seeds_order_works_as_written(market: Market) -> None:
    """Lines and status are computed; the order is found by its number."""
    body = """{
      "order_number": "ORD-20251030-001", "customer_id": "cust_123",
      "items": [{"product_id": "prod_456", "quantity": 2, "unit_price": 19.99}],
      "total": 39.98, "shipping_address_id": "addr_789"
    }"""
    order = json.loads((await market.documents("Order").create(body)).json)
    assert (order["items"][0]["total_price"], order["status"], order["fulfilment"]) == (39.98, "pending", "none")


async def test_a_total_that_is_not_the_sum_is_refused_with_both(market: Market) -> None:
    """The total is what the client expects; a status is not a client's to choose."""
    error = await _refused(market.order(total=40.00))
    assert (error.code, error.status) == ("total_mismatch", 422)
    assert "40.00" in error.detail
    assert "39.98" in error.detail
    error = await _refused(market.order(status="shipped"))
    assert error.status == 422


async def test_an_order_can_be_edited_until_something_moves(market: Market) -> None:
    """Items of a pending order may change, also once it was charged? No: then, or once reserved, they are fixed."""
    orders = market.documents("Order")
    three = json.dumps({"items": [{"product_id": "prod_456", "quantity": 3, "unit_price": 19.99}], "total": 59.97})
    order_id = await market.order()
    await orders.patch(order_id, three)
    assert (await market.call("payments.processing.charge", order_id=order_id))["charged"] == 71.02
    error = await _refused(orders.patch(order_id, three.replace("3", "4").replace("59.97", "79.96")))
    assert error.status in {409, 422}
    reserved = await market.order()
    await market.call("orders.fulfillment.reserve_items", order_id=reserved)
    assert (await _refused(orders.patch(reserved, three))).code == "order_in_progress"
    assert (await _refused(orders.delete(reserved))).code == "order_has_history"
    assert (await _refused(orders.delete(order_id))).code == "order_has_history"


async def test_an_order_without_history_can_be_deleted(market: Market) -> None:
    """Its quotes and its open obligation go with it."""
    order_id = await market.order()
    await market.call("orders.checkout.calculate_shipping", order_id=order_id, address_zip="90210")
    await market.documents("Order").delete(order_id)
    assert await market.all("orders") == await market.all("shipping_quotes") == []


async def test_stock_is_booked_when_a_person_changes_it(market: Market) -> None:
    """Creating books the opening stock, editing an adjustment; a product with such a history stays."""
    products = market.documents("Product")
    await products.patch("prod_456", '{"inventory": 7}')
    kinds = [
        (each["kind"], each["on_hand_change"])
        for each in await market.all("stock_movements")
        if each["product_id"] == "prod_456"
    ]
    assert sorted(kinds) == [("adjustment", -3), ("opening", 10)]
    assert (await _refused(products.delete("prod_456"))).code == "product_has_history"
    await products.delete("prod_pen")
    assert [each["product_id"] for each in await market.all("stock_movements")] == ["prod_456", "prod_456"]
    assert await market.violations() == []


async def test_reserved_stock_cannot_be_edited_away(market: Market) -> None:
    """Inventory is what can be promised: setting it leaves what is reserved alone."""
    order_id = await market.order()
    await market.call("orders.fulfillment.reserve_items", order_id=order_id)
    await market.documents("Product").patch("prod_456", '{"inventory": 0}')
    assert await market.stock() == (2, 2, 0)
    assert await market.violations() == []


async def test_a_payment_recorded_by_hand_is_the_one_that_is_charged(market: Market) -> None:
    """A pending payment of the right amount is taken up; once the gateway knows of it nobody edits it."""
    order_id = await market.order()
    payment = await market.create("Payment", {"order_id": order_id, "amount": 49.38})
    assert (await market.call("payments.processing.charge", order_id=order_id))["payment_id"] == payment["id"]
    payments = market.documents("Payment")
    assert (await _refused(payments.patch(payment["id"], '{"amount": 1}'))).code == "payment_in_progress"
    assert (await _refused(payments.delete(payment["id"]))).code == "payment_in_progress"


async def test_only_what_was_shipped_can_be_returned(market: Market) -> None:
    """A return is asked for once the order has left, and for no more than it had."""
    order_id = await market.order()
    wish = {"order_id": order_id, "items": [{"product_id": "prod_456", "quantity": 1}]}
    assert (await _refused(market.create("ReturnRequest", wish))).code == "not_shipped"
    await market.run(order_id)
    assert (await market.create("ReturnRequest", wish))["status"] == "requested"
    wish["items"][0]["quantity"] = 3  # type: ignore[index]  # it is a list of lines
    assert (await _refused(market.create("ReturnRequest", wish))).code == "not_in_order"
