"""The warehouse: holding, picking, packing and shipping, in whole and in part."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from pulpo.errors import PulpoError
from pulpo.testing.project import CrashAt
from tests.examples.market import Market


async def _code(market: Market, operation: str, **data: Any) -> str:
    with pytest.raises(PulpoError) as refused:
        await market.call(operation, **data)
    assert refused.value.status == 409
    return refused.value.code


async def test_racing_orders_sell_exactly_what_is_there(market: Market) -> None:
    """Ten units, eight orders of two, lines doubled and products in opposite order: five are reserved, no more."""
    orders = []
    for number in range(8):
        lines = [("prod_456", 1), ("prod_pen", 1), ("prod_456", 1)]
        pens = lines if number < 2 else [("prod_456", 1), ("prod_456", 1)]
        orders.append(await market.order(*(pens if number % 2 else pens[::-1])))
    calls = [market.call("orders.fulfillment.reserve_items", order_id=order) for order in orders]
    results = await asyncio.gather(*calls, return_exceptions=True)
    refused = [result for result in results if isinstance(result, PulpoError)]
    assert {error.code for error in refused} == {"insufficient_stock"}
    assert len(refused) == 3
    assert await market.stock() == (10, 10, 0)
    assert await market.violations() == []


async def test_the_last_units_can_be_reserved_twice_by_one_order(market: Market) -> None:
    """Two calls for one order that wants all there is: one holds it, the other says already, none says sold out."""
    for _ in range(5):
        order_id = await market.order(("prod_pen", 5))
        calls = [market.outcome("orders.fulfillment.reserve_items", order_id=order_id) for _ in range(4)]
        assert sorted(result.already for result in await asyncio.gather(*calls)) == [False, True, True, True]
        ends = [market.outcome("orders.cancel", order_id=order_id) for _ in range(3)]
        assert sorted(result.already for result in await asyncio.gather(*ends)) == [False, True, True]
    assert await market.violations() == []


async def test_what_does_not_fit_leaves_nothing(market: Market) -> None:
    """When the second product is short, the first one is not held either."""
    order_id = await market.order(("prod_456", 2), ("prod_pen", 6))
    assert await _code(market, "orders.fulfillment.reserve_items", order_id=order_id) == "insufficient_stock"
    assert await market.all("reservations") == []
    assert await market.stock() == (10, 0, 10)
    assert await market.violations() == []


async def test_validating_says_every_shortage_and_price_change(market: Market) -> None:
    """A line for each problem: too many, a price that changed, and items that are not the order's."""
    order_id = await market.order(("prod_456", 8), ("prod_456", 8), ("prod_pen", 1))
    await market.documents("Product").patch("prod_pen", '{"price": 35.5}')
    items = [{"product_id": "prod_456", "quantity": 16}, {"product_id": "prod_pen", "quantity": 2}]
    answer = await market.call("orders.checkout.validate_items", order_id=order_id, items=items)
    assert answer["valid"] is False
    assert [problem["code"] for problem in answer["problems"]] == [
        "insufficient_stock",
        "price_changed",
        "items_differ",
    ]
    assert "16 of MUG are wanted, 10" in answer["problems"][0]["message"]


async def test_steps_out_of_turn_name_the_state(market: Market) -> None:
    """Picking before reserving, packing before picking and shipping before packing are refused with what is missing."""
    order_id = await market.order()
    assert await _code(market, "orders.fulfillment.pick_items", order_id=order_id) == "not_reserved"
    assert await _code(market, "orders.fulfillment.pack_items", order_id=order_id) == "not_picked"
    assert await _code(market, "orders.fulfillment.ship_items", order_id=order_id) == "wrong_state"
    await market.call("orders.fulfillment.reserve_items", order_id=order_id)
    assert await _code(market, "orders.fulfillment.pack_items", order_id=order_id) == "not_picked"
    assert await _code(market, "orders.fulfillment.ship_items", order_id=order_id) == "not_packed"
    assert (
        await _code(market, "orders.tracking.update_customer", order_id=order_id, event="shipped") == "nothing_to_tell"
    )
    await market.call("orders.fulfillment.pick_items", order_id=order_id)
    await market.call("orders.fulfillment.pack_items", order_id=order_id)
    assert await _code(market, "orders.fulfillment.ship_items", order_id=order_id) == "payment_required"
    assert await market.violations() == []


async def test_an_order_goes_out_in_parts(market: Market) -> None:
    """Two shipments: the order stays processing until the second; the books take the shipping with the last."""
    order_id = await market.order(("prod_456", 3), ("prod_pen", 1))
    await market.call("orders.fulfillment.reserve_items", order_id=order_id)
    await market.call("payments.processing.charge", order_id=order_id)
    await market.call("payments.processing.confirm", order_id=order_id)
    first = [{"product_id": "prod_456", "quantity": 2}]
    await market.call("orders.fulfillment.pick_items", order_id=order_id, items=first)
    assert (await market.get("orders", order_id))["fulfilment"] == "reserved"
    too_many = [{"product_id": "prod_456", "quantity": 2}]
    assert await _code(market, "orders.fulfillment.pick_items", order_id=order_id, items=too_many) == "over_pick"
    await market.call("orders.fulfillment.pack_items", order_id=order_id, items=first)
    shipped = await market.call("orders.fulfillment.ship_items", order_id=order_id)
    assert shipped["order_status"] == "processing"
    assert (await market.get("orders", order_id))["fulfilment"] == "partly_shipped"
    assert await market.stock() == (8, 1, 7)
    assert await _code(market, "orders.cancel", order_id=order_id) == "already_shipped"
    await market.call("orders.fulfillment.pick_items", order_id=order_id)
    await market.call("orders.fulfillment.pack_items", order_id=order_id)
    shipped = await market.call("orders.fulfillment.ship_items", order_id=order_id)
    assert shipped["order_status"] == "shipped"
    shipments = [entry for entry in await market.all("ledger_entries") if entry["kind"] == "shipment"]
    sales = [line["credit"] for entry in shipments for line in entry["lines"] if line["account"] == "sales"]
    carried = [line["credit"] for entry in shipments for line in entry["lines"] if line["account"] == "shipping"]
    assert (sales, len(carried)) == ([3998, 1999 + 3400], 1)
    assert await market.violations() == []


async def test_a_short_shelf_is_made_up_from_free_stock(market: Market) -> None:
    """What a picker does not find is taken from units that nobody has reserved; the count is corrected."""
    order_id = await market.order()
    await market.call("orders.fulfillment.reserve_items", order_id=order_id)
    found = [{"product_id": "prod_456", "quantity": 1}]
    picked = await market.call("orders.fulfillment.pick_items", order_id=order_id, found=found)
    assert (picked["picked"], picked["short"], picked["incident_id"]) == (2, [], None)
    assert await market.stock() == (9, 2, 7)
    assert await market.violations() == []


async def test_a_short_shelf_without_free_stock_is_an_incident(market: Market) -> None:
    """Nothing free to take: what was found is picked, an incident holds the order, packing waits for the rest."""
    order_id = await market.order(("prod_pen", 5))
    await market.call("orders.fulfillment.reserve_items", order_id=order_id)
    found = [{"product_id": "prod_pen", "quantity": 3}]
    picked = await market.call("orders.fulfillment.pick_items", order_id=order_id, found=found)
    assert (picked["picked"], picked["short"]) == (3, [{"product_id": "prod_pen", "quantity": 2}])
    incident = await market.get("incidents", picked["incident_id"])
    assert (incident["kind"], incident["status"], incident["holds"]) == ("short_pick", "open", True)
    assert await _code(market, "orders.fulfillment.pack_items", order_id=order_id) == "not_picked"
    await market.call("orders.incidents.resolve", incident_id=incident["id"], resolution="two were behind the shelf")
    await market.call("orders.fulfillment.pick_items", order_id=order_id)
    assert (await market.call("orders.fulfillment.pack_items", order_id=order_id))["parcel_grams"] == 300
    assert await market.violations() == []


async def test_the_scale_has_a_say(market: Market) -> None:
    """A weight far from the catalogue's is weight_mismatch; the weight of a box is not."""
    order_id = await market.order()
    await market.call("orders.fulfillment.reserve_items", order_id=order_id)
    await market.call("orders.fulfillment.pick_items", order_id=order_id)
    assert await _code(market, "orders.fulfillment.pack_items", order_id=order_id, measured_grams=380) == (
        "weight_mismatch"
    )
    packed = await market.call("orders.fulfillment.pack_items", order_id=order_id, measured_grams=900)
    assert packed["parcel_grams"] == 760


async def test_a_flow_that_fails_in_the_warehouse_is_undone_whole(market: Market) -> None:
    """A box of the wrong weight ends the flow: put back, released, voided or refunded, in reverse."""
    order_id = await market.order()
    run = await market.run(order_id, measured_grams=5)
    assert (run["state"], run["error"]["code"]) == ("compensated", "weight_mismatch")
    assert [each["status"] for each in await market.all("pick_lists")] == ["put_back"]
    assert await market.stock() == (10, 0, 10)
    charge = market.gateway.charges(order_id)[0]
    assert charge["status"] == "voided" or charge["captured"] == charge["refunded"] == 4938
    assert (await market.get("orders", order_id))["status"] == "pending"
    assert await market.violations() == []


@pytest.mark.parametrize("point", ["before_compensation", "inside_compensation"])
async def test_undoing_survives_a_crash(market: Market, point: str) -> None:
    """Dropped while undoing, the run is undone to the end, once."""
    order_id = await market.order()
    crash = CrashAt(market.app)(point)
    id = await market.begin(order_id, measured_grams=5)
    async with asyncio.timeout(10):
        await crash.reached.wait()
    run = await market.end(id)
    assert run["state"] == "compensated", run["error"]
    assert await market.stock() == (10, 0, 10)
    assert await market.violations() == []


async def test_mail_goes_out_where_a_server_is_configured(market: Market) -> None:
    """With `smtp_url` the message is sent once, under the notification's id; a dead server is an incident."""
    inbox: list[Any] = []

    class Inbox:
        async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
            inbox.append(envelope)
            return "250 OK"

    server = Controller(Inbox(), hostname="127.0.0.1", port=0)
    server.port = _free_port()
    server.start()
    settings = market.app.settings
    app = {**settings.app, "smtp_url": f"smtp://127.0.0.1:{server.port}"}
    market.app.settings = settings.model_copy(update={"app": app})
    try:
        order_id = await market.order()
        assert (await market.run(order_id))["state"] == "completed"
        assert (await market.outcome("orders.tracking.update_customer", order_id=order_id)).already
    finally:
        server.stop()
    assert [envelope.rcpt_tos for envelope in inbox] == [["ada@mail.example"]]
    assert (await market.all("notifications"))[0]["id"].encode() in inbox[0].content
    other = await market.order()
    run = await market.run(other)
    assert run["state"] == "completed"
    assert sorted(each["status"] for each in await market.all("notifications")) == ["failed", "sent"]
    incident = (await market.all("incidents"))[0]
    assert (incident["kind"], incident["holds"]) == ("message", False)


def _free_port() -> int:
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
