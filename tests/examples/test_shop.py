"""The shop's rules without an application: rates, parcels, methods, the sample shop, and the gateway on its own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from pulpo import Refused
from pulpo.project import Project
from pulpo.runtime.context import Caller
from tests.examples.market import GatewayProcess, application

TODAY = datetime(2025, 10, 30, tzinfo=UTC)


def test_the_plan_is_the_one_that_the_shop_promises(example: Project) -> None:
    """No findings; three checkouts together, reserve beside charge, pick and pack beside confirm and verify."""
    assert example.findings == ()
    plan = example.plans["order_to_cash"]
    short = {step.operation.rpartition(".")[2]: {need.rpartition(".")[2] for need in step.needs} for step in plan.steps}
    checkout = {"validate_items", "validate_payment", "calculate_shipping"}
    assert short == {
        **{name: set() for name in checkout},
        "reserve_items": checkout,
        "charge": checkout,
        "pick_items": {"reserve_items", "charge"},
        "pack_items": {"pick_items"},
        "confirm": {"reserve_items", "charge"},
        "verify": {"confirm"},
        "ship_items": {"pack_items", "verify"},
        "update_customer": {"ship_items"},
    }
    assert len(plan.critical_path) == 6
    assert plan.one_per == example.plans["orders"].one_per == "order_id"
    assert [field.name for field in plan.input if field.required] == ["order_id", "payment_method", "address_zip"]


def test_carrying_costs_by_zone_and_started_kilogram(example: Project) -> None:
    """The far West is zone 5; a gram more than a kilogram is the second one."""
    from shop.rates import rate

    assert rate("90210", "US", 1000).amount == Decimal("9.40")
    assert rate("90210-1234", "US", 1001).amount == Decimal("11.05")
    assert rate("60614", "US", 1).zone == 2
    for zip_code, country in (("96201", "US"), ("9021", "US"), ("90210", "CA"), ("ABCDE", "US")):
        with pytest.raises(Refused) as refused:
            rate(zip_code, country, 1)
        assert refused.value.code == "unserviceable_address"


def test_labels_follow_from_their_key_and_check_themselves(example: Project) -> None:
    """Buying twice under a key gives one number; a digit typed wrongly is noticed."""
    from shop.carrier import is_tracking_number, tracking_number

    number = tracking_number("a")
    assert number == tracking_number("a") != tracking_number("b")
    assert is_tracking_number(number)
    assert not is_tracking_number(number[:-2] + str((int(number[-2]) + 1) % 10) + number[-1])


def test_parcels_are_never_too_heavy(example: Project) -> None:
    """Every unit is in a box, boxes hold at most 20 kg, and a heavier unit travels alone."""
    from shop.parcels import pack

    boxes = pack({"anvil": 2, "pen": 100}, {"anvil": 25_000, "pen": 60})
    assert [box.weight_grams for box in boxes] == [25_000, 25_000, 6_000]
    boxes = pack({"pan": 20}, {"pan": 2600})
    assert [sum(line.quantity for line in box.lines) for box in boxes] == [7, 7, 6]


def test_a_method_is_chosen_and_judged(example: Project) -> None:
    """By id, kind, token or default; disabled, expired, foreign or too small ones are objected to."""
    from models.customer import Customer, PaymentMethod
    from shop.methods import choose, objections

    old = PaymentMethod(id="pm_old", token="pm_card_visa", expires="2025-09")
    new = PaymentMethod(id="pm_new", token="pm_card_mastercard", expires="2025-10")
    off = PaymentMethod(id="pm_off", kind="debit_card", token="pm_card_debit", enabled=False)
    customer = Customer(email="a@b.example", name="A", payment_methods=[off, old, new])
    assert choose(customer, None) == off
    assert choose(customer, "pm_new") == new
    assert choose(customer, "credit_card") == old
    guest = choose(customer, "pm_card_chargeDeclined")
    assert guest is not None
    assert guest.token == "pm_card_chargeDeclined"

    def codes(method: PaymentMethod | None, amount: int = 1, currency: str = "USD") -> list[str]:
        return [found.code for found in objections(method, None, Decimal(amount), currency, TODAY)]

    assert codes(new) == []
    assert codes(old) == ["method_expired"]
    assert codes(off, 6000) == ["over_limit", "method_disabled"]
    assert codes(new, 1, "EUR") == ["currency_not_taken"]
    assert codes(choose(customer, "seashells")) == ["no_payment_method"]


def test_partial_values_add_up_to_the_cent(example: Project) -> None:
    """The first units are those of the first lines; all units cost the order's total."""
    from models.order import OrderItem
    from shop.pricing import value_of_first

    class Lines:
        items = (
            OrderItem(product_id="p", quantity=2, unit_price=Decimal("1.01")),
            OrderItem(product_id="q", quantity=1, unit_price=Decimal(5)),
            OrderItem(product_id="p", quantity=3, unit_price=Decimal("0.99")),
        )

    values = [value_of_first(Lines, "p", units) for units in range(6)]  # type: ignore[arg-type]  # an order's lines
    assert [str(value) for value in values] == ["0.00", "1.01", "2.02", "3.01", "4.00", "4.99"]


async def test_the_sample_shop_holds_what_must_always_hold(example: Project, tmp_path: Path, database: str) -> None:
    """Seeding twice changes nothing; the gateway's sample charges are the shop's; a paid order can be cancelled."""
    import seed
    from shop.invariants import violations

    sampled = GatewayProcess(tmp_path, "--sample")
    sampled.start()
    app = application(example, database, sampled)
    await app.start()
    try:
        for _ in range(2):
            context = app.context(Caller())
            await seed.seed(context)
            await context.commit()
        assert await app.store.count("products") == 40
        assert await app.store.count("customers") == 12
        assert await violations(app.store, sampled.ledger()) == []
        shop = seed.sample.build(context.now())
        orders: Any = [document for document in shop.documents() if type(document).__name__ == "Order"]
        assert {order.status for order in orders} == {"pending", "processing", "shipped", "delivered", "cancelled"}
        assert not [order for order in orders if order.order_number.startswith("ORD-20251030")]
        for order in orders:
            if order.status == "processing":
                await app.call("orders.cancel", {"order_id": order.id}, caller=Caller())
        assert await violations(app.store, sampled.ledger()) == []
    finally:
        await app.stop(1.0)
        sampled.stop()


def test_the_sample_shop_is_as_old_as_it_is_looked_at(example: Project) -> None:
    """The same moment gives the same documents; orders of thirty days, nothing of tomorrow, work for today."""
    from models.order import Order
    from shop import sample

    now = datetime(2031, 5, 3, 7, 30, tzinfo=UTC)
    documents = list(sample.build(now).documents())
    again = sample.build(now).documents()
    assert [each.model_dump_json() for each in documents] == [each.model_dump_json() for each in again]
    assert max(each.created_at for each in documents) <= now
    orders = [each for each in documents if isinstance(each, Order)]
    days = {(now - order.created_at).days for order in orders}
    assert len(days) >= 25
    assert max(days) < 30
    sent = [order for order in orders if order.shipped_at is not None]
    assert all(order.created_at < (order.shipped_at or now) <= now for order in sent)
    assert len({order.hours_to_ship for order in sent}) > 10
    waiting = [order for order in orders if order.status == "processing" and order.fulfilment == "reserved"]
    assert len(waiting) == 4
    assert all(now - order.created_at < timedelta(hours=12) for order in waiting)


async def test_the_invariants_notice_when_something_does_not_hold(
    example: Project, database: str, gateway: GatewayProcess
) -> None:
    """Stock, money, ledger and gateway put wrong behind the shop's back are each named."""
    import seed
    from models.order import Order
    from models.payment import Payment
    from models.product import Product
    from shop.invariants import violations

    app = application(example, database, gateway)
    await app.start()
    try:
        context = app.context(Caller())
        await seed.seed(context)
        await context.commit()
        assert await violations(app.store) == []
        context.store.update(Product, "prod_456", add={"reserved": 1})
        context.store.update(Order, "order_sample_001", set={"total": 1})
        context.store.update(Payment, "payment_sample_002", set={"captured": 1, "status": "failed"})
        await context.commit()
        found = await violations(app.store, {"charges": [], "entries": []})
        for part in ("prod_456: inventory", "movements say", "order_sample_001: the total", "order_sample_002: ",
                     "cleared in the ledger", "payment_sample_003: unknown to the gateway"):  # fmt: skip
            assert any(part in each for each in found), (part, found)
    finally:
        await app.stop(1.0)


CHARGE = {"amount": 4938, "currency": "USD", "method": "pm_card_visa", "reference": "order_1"}


def _post(gateway: GatewayProcess, path: str, body: dict[str, Any], key: str = "k") -> httpx.Response:
    return gateway.http.post(path, json=body, headers={"Idempotency-Key": key})


def test_the_gateway_keeps_idempotency_keys(gateway: GatewayProcess) -> None:
    """One key and body: one charge and the same answer; another body under it: 409; more than was captured: 422."""
    first = _post(gateway, "/charges", {**CHARGE, "key": "idem"}).json()
    assert _post(gateway, "/charges", {**CHARGE, "key": "idem"}).json() == first
    assert _post(gateway, "/charges", {**CHARGE, "key": "idem", "amount": 1}).status_code == 409
    assert len([each for each in gateway.charges("order_1") if each["key"] == "idem"]) == 1
    taken = _post(gateway, "/charges/idem/capture", {"amount": 4938}, "idem-c").json()
    assert (taken["status"], taken["capture_key"]) == ("captured", "idem-c")
    assert _post(gateway, "/charges/idem/capture", {"amount": 4938}, "idem-d").json()["capture_key"] == "idem-c"
    assert _post(gateway, "/charges/idem/void", {}, "idem-v").json()["status"] == "captured"
    for _ in range(2):
        assert _post(gateway, "/charges/idem/refunds", {"amount": 4000}, "idem-r").json()["refunded"] == 4000
    assert _post(gateway, "/charges/idem/refunds", {"amount": 939}, "idem-s").status_code == 422
    assert gateway.http.post("/charges/idem/refunds", json={"amount": 1}).status_code == 400


def test_a_key_that_was_voided_can_never_be_charged(gateway: GatewayProcess) -> None:
    """A void that overtakes its charge wins."""
    assert _post(gateway, "/charges/early/void", {}, "early-v").json()["status"] == "voided"
    assert _post(gateway, "/charges", {**CHARGE, "key": "early"}).json()["status"] == "voided"
    assert _post(gateway, "/charges/early/capture", {"amount": 4938}, "early-c").json()["status"] == "voided"


@pytest.mark.parametrize(
    ("method", "reason"),
    [
        ("pm_card_chargeDeclined", "card_declined"),
        ("pm_card_insufficientFunds", "insufficient_funds"),
        ("pm_card_expired", "expired_card"),
        ("shells", "unknown_method"),
    ],
)
def test_test_cards_are_declined_for_their_reason(gateway: GatewayProcess, method: str, reason: str) -> None:
    """402 with the record, which stays declined."""
    answer = _post(gateway, "/charges", {**CHARGE, "key": f"no-{method}", "method": method})
    assert (answer.status_code, answer.json()["status"], answer.json()["reason"]) == (402, "declined", reason)
    assert gateway.http.get(f"/charges/no-{method}").json()["captured"] == 0


def test_the_gateway_keeps_its_books_over_a_restart(gateway: GatewayProcess) -> None:
    """What it answered is on disk."""
    _post(gateway, "/charges", {**CHARGE, "key": "kept"})
    gateway.stop()
    gateway.start()
    assert gateway.http.get("/charges/kept").json()["status"] == "authorized"
    assert gateway.http.get("/charges/unheard-of").status_code == 404
    assert gateway.http.post("/charges", content=b"{").status_code == 422
