"""Charges against a gateway that misbehaves, and against each other."""

from __future__ import annotations

import asyncio
from itertools import product

import pytest

from pulpo.errors import PulpoError
from pulpo.testing.project import CrashAt
from tests.examples.market import GatewayProcess, Market


@pytest.mark.parametrize("method", ["pm_card_timeoutBefore", "pm_card_timeoutAfter"])
async def test_a_gateway_that_hangs_is_asked_before_anything_is_charged(market: Market, method: str) -> None:
    """By hand a hung charge is `unknown`; the next call finds out, and there is one charge in the end."""
    order_id = await market.order()
    await market.call("orders.fulfillment.reserve_items", order_id=order_id)
    if method == "pm_card_timeoutBefore":
        with pytest.raises(PulpoError) as refused:
            await market.call("payments.processing.charge", order_id=order_id, payment_method=method)
        assert (refused.value.code, refused.value.status) == ("unknown", 409)
        payment = (await market.all("payments"))[0]
        assert (payment["status"], payment["detail"]) == ("processing", "unknown")
        with pytest.raises(PulpoError):
            await market.call("payments.processing.confirm", order_id=order_id)
        charged = await market.call("payments.processing.charge", order_id=order_id)
        assert charged["already"] is True
    else:
        charged = await market.call("payments.processing.charge", order_id=order_id, payment_method=method)
    await market.call("payments.processing.confirm", order_id=order_id)
    assert charged["payment_id"] == (await market.all("payments"))[0]["id"]
    assert [each["captured"] for each in market.gateway.charges(order_id)] == [4938]
    assert await market.violations() == []


async def test_a_flow_waits_out_a_gateway_that_hangs(market: Market) -> None:
    """In a flow an unknown charge waits and goes on by itself; nothing is undone, nobody charged twice."""
    order_id = await market.order()
    run = await market.run(order_id, payment_method="pm_card_timeoutBefore")
    assert run["state"] == "completed"
    assert len(market.gateway.charges(order_id)) == 1
    assert await market.violations() == []


@pytest.mark.parametrize("call", ["capture", "authorize"])
@pytest.mark.parametrize("kind", ["error_after", "timeout_after", "timeout_before", "slow", "unavailable"])
async def test_whatever_the_gateway_does_once_the_order_is_paid_once(
    market: Market, gateway: GatewayProcess, call: str, kind: str
) -> None:
    """The flow completes over a lost answer, a lost request, a slow one and a refusal to serve."""
    gateway.plan(kind=kind, call=call, seconds=0.2 if kind == "slow" else 1.5)
    order_id = await market.order()
    run = await market.run(order_id)
    assert run["state"] == "completed", run["error"]
    assert len([each for each in gateway.charges(order_id) if each["status"] == "captured"]) == 1
    assert await market.violations() == []


async def test_a_decline_by_hand_is_402_and_can_be_tried_again(market: Market, gateway: GatewayProcess) -> None:
    """The payment failed, the obligation is open, and a second charge is a new payment."""
    order_id = await market.order()
    gateway.plan(kind="decline", reason="do_not_honor")
    with pytest.raises(PulpoError) as refused:
        await market.call("payments.processing.charge", order_id=order_id)
    assert (refused.value.code, refused.value.status) == ("declined", 402)
    assert "do not honor" in refused.value.detail
    assert (await market.get("obligations", order_id))["status"] == "open"
    await market.call("payments.processing.charge", order_id=order_id)
    assert sorted(each["status"] for each in await market.all("payments")) == ["failed", "processing"]
    assert await market.violations() == []


async def test_many_charges_of_one_order_are_one_charge(market: Market, gateway: GatewayProcess) -> None:
    """Of ten at once one claims; the others meet its payment. The gateway sees one charge."""
    order_id = await market.order()
    calls = [market.outcome("payments.processing.charge", order_id=order_id) for _ in range(10)]
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert not [result for result in results if isinstance(result, BaseException)]
    assert sum(not result.already for result in results) == 1
    assert len(await market.all("payments")) == len(gateway.charges(order_id)) == 1
    assert await market.violations() == []


async def test_the_client_and_the_order_must_agree_on_the_amount(market: Market) -> None:
    """An expected amount that is not what is owed is amount_mismatch, and nothing is claimed."""
    order_id = await market.order()
    with pytest.raises(PulpoError, match=r"39\.98") as refused:
        await market.call("payments.processing.charge", order_id=order_id, amount=39.98)
    assert refused.value.code == "amount_mismatch"
    assert await market.all("payments") == []


async def test_wrong_turns_by_hand_name_the_state(market: Market) -> None:
    """Confirm before charge, confirm before reserve, verify before confirm and a foreign transaction are refused."""
    order_id = await market.order()

    async def code(operation: str, **data: str) -> str:
        with pytest.raises(PulpoError) as refused:
            await market.call(operation, order_id=order_id, **data)
        assert refused.value.status == 409
        return refused.value.code

    assert await code("payments.processing.confirm") == "not_charged"
    assert await code("payments.reconciliation.verify") == "not_charged"
    await market.call("payments.processing.charge", order_id=order_id)
    assert await code("payments.processing.confirm") == "not_reserved"
    assert await code("payments.reconciliation.verify") == "not_confirmed"
    await market.call("orders.fulfillment.reserve_items", order_id=order_id)
    assert await code("payments.processing.confirm", transaction_id="txn_of_another") == "payment_mismatch"


@pytest.mark.parametrize(
    ("operation", "point"),
    [
        *product(("charge", "confirm", "verify"), ("before_body", "after_body", "after_result")),
        ("charge", "after_commit"),  # the one that commits inside its body
    ],
)
async def test_a_crash_never_charges_twice(market: Market, operation: str, point: str) -> None:
    """Dropped at any point of a payment step, the run resumes and completes with one charge and one capture."""
    order_id = await market.order()
    name = f"payments.{'reconciliation' if operation == 'verify' else 'processing'}.{operation}"
    crash = CrashAt(market.app)(point, name)
    id = await market.begin(order_id)
    async with asyncio.timeout(10):
        await crash.reached.wait()
    run = await market.end(id)
    crash.disarm()
    assert run["state"] == "completed", run["error"]
    assert [each["captured"] for each in market.gateway.charges(order_id)] == [4938]
    assert await market.violations() == []


@pytest.mark.parametrize("point", ["before_body", "after_body", "after_commit"])
async def test_a_crash_while_shipping_sends_one_parcel(market: Market, point: str) -> None:
    """Dropped while shipping, the run resumes under the same label; stock leaves once."""
    order_id = await market.order()
    crash = CrashAt(market.app)(point, "orders.fulfillment.ship_items")
    id = await market.begin(order_id)
    async with asyncio.timeout(10):
        await crash.reached.wait()
    run = await market.end(id)
    assert run["state"] == "completed", run["error"]
    assert await market.stock() == (8, 0, 8)
    assert [label["status"] for label in await market.all("labels")] == ["used"]
    assert await market.violations() == []


async def test_cancelling_a_run_gives_back_what_it_took(market: Market, gateway: GatewayProcess) -> None:
    """A run that waits on a hold is cancelled: its capture is refunded, its parcels unpacked, its stock free."""
    order_id = await market.order()
    id = await held_run(market, order_id)
    await market.app.engine.cancel(id)
    run = await market.end(id)
    assert run["state"] in {"compensated", "cancelled"}, run["error"]
    assert await market.stock() == (10, 0, 10)
    assert (await market.get("orders", order_id))["status"] == "pending"
    assert (await market.get("obligations", order_id))["status"] == "refunded"
    assert [(each["captured"], each["refunded"]) for each in gateway.charges(order_id)] == [(4938, 4938)]
    assert await market.violations() == []
    with pytest.raises(PulpoError) as refused:
        await market.call("payments.processing.charge", order_id=order_id)
    assert refused.value.code == "order_refunded"
    done = await market.call("orders.cancel", order_id=order_id)
    assert (done["status"], done["released"], done["refunded"]) == ("cancelled", 0, 49.38)
    assert await market.violations() == []


async def held_run(market: Market, order_id: str) -> str:
    """A run of the order that waits at shipping, paid and verified, because an incident holds the order."""
    from models.messages import Incident, IncidentKind

    from pulpo.runtime.context import Caller

    context = market.app.context(Caller())
    detail = "the customer asked for another address"
    context.store.insert(Incident(order_id=order_id, kind=IncidentKind.MESSAGE, detail=detail))
    await context.commit()
    cursor = await market.app.store.last_event()
    id = await market.begin(order_id)
    async with asyncio.timeout(20):
        async for event in market.app.store.follow(cursor):
            if event.data.get("type") == "run.waiting" and event.data.get("run") == id:
                return id
    raise AssertionError("the run did not wait")
