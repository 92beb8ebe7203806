"""The whole flow on the real engine, the real store and a gateway process."""

from __future__ import annotations

import pytest

from pulpo.errors import PulpoError
from tests.examples.market import GatewayProcess, Market
from tests.examples.test_money import held_run

STEPS = {
    "validate_items", "validate_payment", "calculate_shipping", "reserve_items", "pick_items", "pack_items",
    "charge", "confirm", "verify", "ship_items", "update_customer",
}  # fmt: skip


async def test_an_order_is_paid_shipped_and_told_about(market: Market) -> None:
    """The flow ends completed: stock is gone, money is taken and booked, the customer has a tracking number."""
    order_id = await market.order()
    run = await market.run(order_id)
    assert (run["state"], run["error"]) == ("completed", None)
    assert {name for name, step in run["steps"].items() if step["state"] == "completed"} == {
        f"step:{name}" for name in STEPS
    }
    order = await market.get("orders", order_id)
    assert (order["status"], order["fulfilment"], order["amount_due"]) == ("shipped", "shipped", 49.38)
    assert await market.stock() == (8, 0, 8)
    payment = (await market.all("payments"))[0]
    assert (payment["status"], payment["captured"], payment["order_id"]) == ("completed", 49.38, order_id)
    message = (await market.all("notifications"))[0]
    assert (message["event"], message["status"], message["recipient"]) == ("shipped", "outbox", "ada@mail.example")
    assert order["tracking_number"] in message["body"]
    assert [charge["captured"] for charge in market.gateway.charges(order_id)] == [4938]
    assert await market.violations() == []


async def test_the_flow_takes_an_order_by_its_number(market: Market) -> None:
    """`order_id` may be the order's number; two lines of one product are one reservation of their sum."""
    order_id = await market.order(("prod_456", 2), ("prod_pen", 1), ("prod_456", 3), order_number="ORD-20251030-001")
    run = await market.run("ORD-20251030-001")
    assert run["state"] == "completed"
    held = {each["product_id"]: each["quantity"] for each in await market.all("reservations")}
    assert held == {"prod_456": 5, "prod_pen": 1}
    assert (await market.get("orders", order_id))["status"] == "shipped"
    assert await market.violations() == []


async def test_an_order_by_hand_in_the_order_of_the_pipeline(market: Market) -> None:
    """Every operation works alone; picking and packing may come before paying."""
    order_id = await market.order()
    checked = await market.call("orders.checkout.validate_items", order_id=order_id)
    assert checked == {"valid": True, "problems": []}
    quote = await market.call("orders.checkout.calculate_shipping", order_id=order_id, address_zip="90210")
    assert (quote["shipping_cost"], quote["zone"], quote["weight_grams"], quote["applies"]) == (9.4, 5, 760, True)
    reserved = await market.call("orders.fulfillment.reserve_items", order_id=order_id)
    assert (reserved["units"], reserved["due"], reserved["status"]) == (2, 49.38, "processing")
    assert (await market.call("orders.fulfillment.pick_items", order_id=order_id))["picked"] == 2
    assert (await market.call("orders.fulfillment.pack_items", order_id=order_id))["parcels"] == 1
    charged = await market.call("payments.processing.charge", order_id=order_id)
    assert (charged["charged"], charged["payment_status"]) == (49.38, "processing")
    confirmed = await market.call("payments.processing.confirm", order_id=order_id)
    assert (confirmed["captured"], confirmed["payment_status"]) == (49.38, "completed")
    verified = await market.call("payments.reconciliation.verify", order_id=order_id)
    assert verified == {"verified": True, "kind": None, "incident_id": None}
    shipped = await market.call("orders.fulfillment.ship_items", order_id=order_id)
    assert shipped["order_status"] == "shipped"
    told = await market.call("orders.tracking.update_customer", order_id=order_id)
    assert told["delivery"] == "outbox"
    assert await market.violations() == []


async def test_what_is_there_already_is_said_and_not_done_twice(market: Market) -> None:
    """A second call of each operation changes nothing, says `already`, and never calls the gateway again."""
    order_id = await market.order()
    await market.run(order_id)
    before = (await market.stock(), market.gateway.ledger(), len(await market.all("stock_movements")))
    for operation in (
        "orders.fulfillment.reserve_items",
        "orders.fulfillment.pick_items",
        "orders.fulfillment.pack_items",
        "orders.fulfillment.ship_items",
        "payments.processing.charge",
        "payments.processing.confirm",
        "orders.tracking.update_customer",
    ):
        outcome = await market.outcome(operation, order_id=order_id)
        assert outcome.already, operation
    quote = await market.outcome("orders.checkout.calculate_shipping", order_id=order_id, address_zip="90210")
    assert quote.already
    assert (await market.call("payments.processing.charge", order_id=order_id))["already"] is True
    assert (await market.stock(), market.gateway.ledger(), len(await market.all("stock_movements"))) == before
    again = await market.run(order_id)
    assert again["state"] == "completed"
    assert await market.violations() == []


async def test_a_flow_goes_on_from_what_was_done_by_hand(market: Market) -> None:
    """An order that was reserved and charged by hand is neither reserved nor charged again."""
    order_id = await market.order()
    await market.call("orders.fulfillment.reserve_items", order_id=order_id)
    await market.call("payments.processing.charge", order_id=order_id)
    run = await market.run(order_id)
    assert run["state"] == "completed"
    assert [run["steps"][f"step:{name}"]["already"] for name in ("reserve_items", "charge", "confirm")] == [
        True, True, False,
    ]  # fmt: skip
    assert len(market.gateway.charges(order_id)) == 1
    assert await market.violations() == []


async def test_a_decline_releases_the_stock(market: Market) -> None:
    """A declined card fails the flow with `declined`; what it had reserved is free again and the order is pending."""
    order_id = await market.order()
    run = await market.run(order_id, payment_method="pm_card_chargeDeclined")
    assert (run["state"], run["error"]["code"]) == ("compensated", "declined")
    order = await market.get("orders", order_id)
    assert (order["status"], order["fulfilment"], order["amount_due"]) == ("pending", "none", None)
    assert await market.stock() == (10, 0, 10)
    assert (await market.get("obligations", order_id))["status"] == "open"
    assert await market.violations() == []
    assert (await market.run(order_id))["state"] == "completed"
    assert sorted(payment["status"] for payment in await market.all("payments")) == ["completed", "failed"]
    assert await market.violations() == []


async def test_what_somebody_has_sent_since_stays_paid(market: Market) -> None:
    """A run that is cancelled once its order was shipped by hand takes nothing back: the goods are gone, and paid."""
    order_id = await market.order()
    id = await held_run(market, order_id)
    (incident,) = await market.all("incidents")
    await market.call("orders.incidents.resolve", incident_id=incident["id"], resolution="the address is right")
    await market.call("orders.fulfillment.ship_items", order_id=order_id)
    await market.app.engine.cancel(id)
    run = await market.end(id)
    assert (run["state"], run["incident"]) == ("cancelled", None)
    undone = {name: step for name, step in run["steps"].items() if name.startswith("compensation:")}
    assert {step["state"] for step in undone.values()} == {"completed"}
    assert undone["compensation:refund_capture"]["already"]
    assert undone["compensation:void"]["already"]
    assert (await market.get("orders", order_id))["status"] == "shipped"
    assert [each["status"] for each in market.gateway.charges(order_id)] == ["captured"]
    assert await market.violations() == []


@pytest.mark.parametrize(
    "first", [[{"product_id": "prod_456", "quantity": 1}], [{"product_id": "prod_456", "quantity": 2}]]
)
async def test_an_order_that_has_partly_left_goes_on(market: Market, first: list[dict[str, object]]) -> None:
    """A run that is cancelled after a part was sent by hand takes nothing back; the rest can still be sent."""
    order_id = await market.order(("prod_456", 2), ("prod_pen", 1))
    await market.call("orders.fulfillment.reserve_items", order_id=order_id)
    await market.call("payments.processing.charge", order_id=order_id)
    await market.call("payments.processing.confirm", order_id=order_id)
    await market.call("orders.fulfillment.pick_items", order_id=order_id, items=first)
    await market.call("orders.fulfillment.pack_items", order_id=order_id, items=first)
    await market.call("orders.fulfillment.ship_items", order_id=order_id)
    for undo, keys in (
        ("payments.processing.void", [payment["key"] for payment in await market.all("payments")]),
        ("payments.processing.refund_capture", [each["capture_key"] for each in await market.all("payments")]),
        ("orders.fulfillment.release_items", [each["key"] for each in await market.all("reservations")]),
    ):
        for key in dict.fromkeys(keys):
            assert await market.undo(undo, key, order_id=order_id), (undo, key)
    assert await market.violations() == []
    await market.call("orders.fulfillment.pick_items", order_id=order_id)
    await market.call("orders.fulfillment.pack_items", order_id=order_id)
    assert (await market.call("orders.fulfillment.ship_items", order_id=order_id))["order_status"] == "shipped"
    assert await market.violations() == []


async def test_a_failed_flow_does_not_undo_what_was_done_by_hand(market: Market) -> None:
    """The stock reserved by hand stays reserved when the flow's charge is declined."""
    order_id = await market.order()
    await market.call("orders.fulfillment.reserve_items", order_id=order_id)
    run = await market.run(order_id, payment_method="pm_card_insufficientFunds")
    assert (run["state"], run["error"]["code"]) == ("failed", "declined")
    assert await market.stock() == (10, 2, 8)
    assert (await market.get("orders", order_id))["status"] == "processing"
    assert await market.violations() == []


async def test_a_gate_stops_the_flow_before_anything_is_held(market: Market) -> None:
    """Too much wanted, or a method that is not there: the flow is stopped, nothing is reserved and nobody charged."""
    order_id = await market.order(("prod_456", 11))
    run = await market.run(order_id)
    assert run["state"] == "stopped"
    assert await market.stock() == (10, 0, 10)
    other = await market.order()
    run = await market.run(other, payment_method="seashells")
    assert run["state"] == "stopped"
    assert (await market.all("payments"), await market.all("reservations")) == ([], [])
    assert await market.violations() == []


async def test_an_address_that_is_not_served_fails_before_anything_is_held(market: Market) -> None:
    """A ZIP code without a road ends the flow with unserviceable_address."""
    order_id = await market.order(shipping_address_id="addr_far")
    run = await market.run(order_id, address_zip="96201")
    assert run["error"]["code"] == "unserviceable_address"
    assert run["state"] in {"failed", "compensated"}
    assert await market.all("reservations") == []


async def test_the_gateway_down_fails_by_hand_and_says_so(market: Market, gateway: GatewayProcess) -> None:
    """Without the gateway a charge fails with gateway_unavailable, 503; when it is back, charging works."""
    order_id = await market.order()
    gateway.stop()
    with pytest.raises(PulpoError) as refused:
        await market.call("payments.processing.charge", order_id=order_id)
    assert (refused.value.code, refused.value.status) == ("gateway_unavailable", 503)
    gateway.start()
    assert (await market.get("obligations", order_id))["status"] == "open"
    assert (await market.run(order_id))["state"] == "completed"
    assert len([each for each in gateway.charges(order_id) if each["status"] == "captured"]) == 1
    assert await market.violations() == []


async def test_orders_alone_wait_for_the_payment(market: Market) -> None:
    """The flow `orders` packs the order and waits; paid and woken, it ships."""
    order_id = await market.order()
    id = await market.begin(order_id, "orders")
    waiting = await _until_waiting(market, id)
    assert waiting["steps"]["step:ship_items"]["error"]["code"] == "payment_required"
    await market.call("payments.processing.charge", order_id=order_id)
    await market.call("payments.processing.confirm", order_id=order_id)
    await market.app.engine.wake(id)
    assert (await market.end(id))["state"] == "completed"
    assert (await market.get("orders", order_id))["status"] == "shipped"
    assert await market.violations() == []


async def _until_waiting(market: Market, id: str) -> dict:
    async for event in market.app.store.follow(None):
        if event.data.get("type") == "run.waiting" and event.data.get("run") == id:
            return await market.steps(id)
    raise AssertionError("the events ended")
