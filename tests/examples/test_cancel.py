"""Cancelling, holding, resolving and expiring orders."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from pulpo.errors import PulpoError
from pulpo.runtime.context import Caller
from tests.examples.market import GatewayProcess, Market
from tests.examples.test_money import held_run


async def test_cancelling_a_paid_order_refunds_and_releases(market: Market, gateway: GatewayProcess) -> None:
    """One call: the money is back, the stock is free, the books are even; a second call says already."""
    order_id = await _paid(market)
    done = await market.call("orders.cancel", order_id=order_id, reason="changed my mind")
    expected = {"status": "cancelled", "released": 2, "voided": 0.0, "refunded": 49.38, "already": False}
    assert done == expected
    assert await market.stock() == (10, 0, 10)
    assert (await market.all("refunds"))[0]["status"] == "completed"
    assert [(each["captured"], each["refunded"]) for each in gateway.charges(order_id)] == [(4938, 4938)]
    assert (await market.outcome("orders.cancel", order_id=order_id)).already
    assert await market.violations() == []


async def test_cancelling_an_authorised_order_voids(market: Market, gateway: GatewayProcess) -> None:
    """Money that is only held is let go, not refunded."""
    order_id = await market.order()
    await market.call("orders.fulfillment.reserve_items", order_id=order_id)
    await market.call("payments.processing.charge", order_id=order_id)
    done = await market.call("orders.cancel", order_id=order_id)
    assert (done["voided"], done["refunded"], done["released"]) == (49.38, 0.0, 2)
    assert [each["status"] for each in gateway.charges(order_id)] == ["voided"]
    assert await market.violations() == []


async def test_a_cancelled_order_takes_neither_stock_nor_money(market: Market) -> None:
    """After cancelling a fresh order, reserving and charging it are refused, and validating says why."""
    order_id = await market.order()
    await market.call("orders.cancel", order_id=order_id)
    for operation in ("orders.fulfillment.reserve_items", "payments.processing.charge"):
        with pytest.raises(PulpoError):
            await market.call(operation, order_id=order_id)
    checked = await market.call("orders.checkout.validate_items", order_id=order_id)
    assert [problem["code"] for problem in checked["problems"]] == ["order_cancelled"]
    assert await market.violations() == []


async def test_a_shipped_order_cannot_be_cancelled(market: Market) -> None:
    """What has left the house can only be returned."""
    order_id = await market.order()
    await market.run(order_id)
    with pytest.raises(PulpoError) as refused:
        await market.call("orders.cancel", order_id=order_id)
    assert refused.value.code == "already_shipped"
    assert await market.violations() == []


async def test_cancelling_ends_the_live_run_first(market: Market) -> None:
    """The run that waits at shipping is cancelled and undone, then the order is."""
    order_id = await market.order()
    id = await held_run(market, order_id)
    done = await market.call("orders.cancel", order_id=order_id)
    assert done["status"] == "cancelled"
    assert (await market.steps(id))["state"] in {"compensated", "cancelled"}
    assert (await market.get("orders", order_id))["status"] == "cancelled"
    assert await market.stock() == (10, 0, 10)
    assert all(incident["status"] == "resolved" for incident in await market.all("incidents"))
    assert await market.violations() == []


@pytest.mark.parametrize("kind", ["error_after", "unavailable", "timeout_after"])
async def test_a_cancel_gets_past_a_gateway_that_misbehaves(market: Market, gateway: GatewayProcess, kind: str) -> None:
    """A refund whose answer is lost is asked for again under its key: the money goes back once."""
    order_id = await _paid(market)
    gateway.plan(kind=kind, call="refund", seconds=1.5)
    await market.call("orders.cancel", order_id=order_id)
    assert [(each["captured"], each["refunded"]) for each in gateway.charges(order_id)] == [(4938, 4938)]
    assert await market.violations() == []


async def test_a_cancel_that_finds_no_gateway_goes_on_when_it_is_back(market: Market, gateway: GatewayProcess) -> None:
    """With the gateway down a paid order stays as it is, and cannot ship; cancelling again finishes the refund."""
    order_id = await _paid(market)
    gateway.plan(kind="unavailable", call="any", times=20)
    with pytest.raises(PulpoError) as refused:
        await market.call("orders.cancel", order_id=order_id)
    assert refused.value.code == "gateway_unavailable"
    gateway.behave()
    with pytest.raises(PulpoError):
        await market.call("orders.fulfillment.ship_items", order_id=order_id)
    done = await market.call("orders.cancel", order_id=order_id)
    assert done["refunded"] == 49.38
    assert await market.violations() == []


@pytest.mark.parametrize("round", range(12))
async def test_cancel_races_everything_else(market: Market, round: int) -> None:
    """Cancel beside a flow, a charge, a confirm or a shipment: none is cancelled with money or stock."""
    order_id = await market.order()
    await market.call("orders.fulfillment.reserve_items", order_id=order_id)
    other: list[Any] = []
    match round % 4:
        case 0:
            id = await market.begin(order_id)
            other = [market.app.engine.finished(id, 20)]
        case 1:
            other = [market.call("payments.processing.charge", order_id=order_id) for _ in range(2)]
        case 2:
            await market.call("payments.processing.charge", order_id=order_id)
            other = [market.call("payments.processing.confirm", order_id=order_id)]
        case 3:
            await market.call("payments.processing.charge", order_id=order_id)
            await market.call("payments.processing.confirm", order_id=order_id)
            await market.call("orders.fulfillment.pick_items", order_id=order_id)
            await market.call("orders.fulfillment.pack_items", order_id=order_id)
            other = [market.call("orders.fulfillment.ship_items", order_id=order_id)]

    async def later() -> Any:
        for _ in range(round * 3):
            await asyncio.sleep(0)
        return await market.call("orders.cancel", order_id=order_id)

    results = await asyncio.gather(*other, later(), return_exceptions=True)
    unexpected = [each for each in results if isinstance(each, BaseException) and not isinstance(each, PulpoError)]
    assert not unexpected, unexpected
    assert not [each for each in results if isinstance(each, PulpoError) and each.status >= 500], results
    status = (await market.get("orders", order_id))["status"]
    assert status in {"cancelled", "shipped", "processing"}
    assert await market.violations() == []
    if status == "processing":
        await market.call("orders.cancel", order_id=order_id)
        assert await market.violations() == []


async def test_books_that_differ_hold_the_order(market: Market, gateway: GatewayProcess) -> None:
    """`verify` opens an incident; shipping is not ready until the incident is resolved, which verifies again."""
    order_id = await _paid(market)
    await market.call("orders.fulfillment.pick_items", order_id=order_id)
    await market.call("orders.fulfillment.pack_items", order_id=order_id)
    entry = (await market.all("ledger_entries"))[0]
    await _rewrite(market, entry["id"], 4937)
    answer = await market.call("payments.reconciliation.verify", order_id=order_id)
    assert (answer["verified"], answer["kind"]) == (False, "ledger_amount")
    assert answer == await market.call("payments.reconciliation.verify", order_id=order_id)
    with pytest.raises(PulpoError) as held:
        await market.call("orders.fulfillment.ship_items", order_id=order_id)
    assert held.value.code == "on_hold"
    incident_id = answer["incident_id"]
    with pytest.raises(PulpoError) as refused:
        await market.call("orders.incidents.resolve", incident_id=incident_id)
    assert refused.value.code == "not_verified"
    await _rewrite(market, entry["id"], 4938)
    await market.call("orders.incidents.resolve", incident_id=incident_id, resolution="a typing error")
    assert (await market.call("orders.fulfillment.ship_items", order_id=order_id))["order_status"] == "shipped"
    assert await market.violations() == []


async def test_an_incident_can_end_in_cancelling_the_order(market: Market) -> None:
    """Resolving with `cancel` gives money and stock back and closes the incident, the waiting run being ended first."""
    order_id = await market.order()
    id = await held_run(market, order_id)
    incident_id = (await market.all("incidents"))[0]["id"]
    answer = await market.call("orders.incidents.resolve", incident_id=incident_id, action="cancel")
    assert answer["order_status"] == "cancelled"
    assert (await market.steps(id))["state"] in {"compensated", "cancelled"}
    assert await market.violations() == []


async def test_a_waiting_run_goes_on_when_its_hold_is_resolved(market: Market) -> None:
    """A hold has no limit: the run ships once a person has closed the incident and it is tried again."""
    order_id = await market.order()
    id = await held_run(market, order_id)
    incident_id = (await market.all("incidents"))[0]["id"]
    await market.call("orders.incidents.resolve", incident_id=incident_id)
    await market.app.engine.wake(id)
    assert (await market.end(id))["state"] == "completed"
    assert await market.violations() == []


async def test_unpaid_reservations_expire_and_paid_ones_do_not(market: Market) -> None:
    """`orders.expire` frees what nobody paid in time; claimed or paid orders and fresh reservations are refused."""
    order_id, paid = await market.order(), await _paid(market)
    await market.call("orders.fulfillment.reserve_items", order_id=order_id)
    with pytest.raises(PulpoError):
        await market.call("orders.expire", order_id=order_id)
    await _let_time_pass(market)
    with pytest.raises(PulpoError, match="paid"):
        await market.call("orders.expire", order_id=paid)
    done = await market.call("orders.expire", order_id=order_id)
    assert (done["status"], done["released"]) == ("cancelled", 2)
    assert (await market.get("obligations", order_id))["status"] == "closed"
    assert (await market.outcome("orders.expire", order_id=order_id)).already
    with pytest.raises(PulpoError):
        await market.call("payments.processing.charge", order_id=order_id)
    assert await market.violations() == []


async def _paid(market: Market) -> str:
    order_id = await market.order()
    await market.call("orders.fulfillment.reserve_items", order_id=order_id)
    await market.call("payments.processing.charge", order_id=order_id)
    await market.call("payments.processing.confirm", order_id=order_id)
    return order_id


async def _rewrite(market: Market, entry_id: str, cents: int) -> None:
    """Tamper with the books, as no operation would."""
    from models.ledger import LedgerEntry

    context = market.app.context(Caller())
    entry = await context.store.get(LedgerEntry, entry_id)
    lines = json.loads(entry.model_dump_json())["lines"]
    for line in lines:
        line.update({side: cents for side in ("debit", "credit") if line[side]})
    context.store.patch(entry, lines=lines)
    await context.commit()


async def _let_time_pass(market: Market) -> None:
    from datetime import timedelta

    from models.stock import Reservation

    context = market.app.context(Caller())
    for reservation in await context.store.find(Reservation):
        context.store.patch(reservation, expires_at=reservation.expires_at - timedelta(days=2))
    await context.commit()
