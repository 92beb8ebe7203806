"""A believable shop to begin with: customers, products, and the last thirty days' orders in every state.

The same every time for the same moment: whoever opens the shop finds work of today and figures of the weeks before.
Everything follows from the two lists in `catalogue` and from the plan of orders below, through the shop's own rules for
prices, rates, parcels and books, so that what must always hold holds here too.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from models.customer import Address, Customer, PaymentMethod
from models.ledger import LedgerEntry
from models.messages import Incident, IncidentKind, Notification, NotificationStatus
from models.order import Fulfilment, Order, OrderItem, OrderStatus
from models.payment import Obligation, ObligationStatus, Payment, PaymentStatus, Refund, RefundStatus
from models.product import Product
from models.shipping import (
    ItemQuantity,
    Label,
    LabelStatus,
    PickList,
    PickStatus,
    Shipment,
    ShipmentStatus,
)
from models.stock import MovementKind, Reservation, ReservationStatus, StockMovement

from pulpo import Model
from shop import ledger, parcels
from shop.carrier import RateTableCarrier, tracking_number
from shop.catalogue import CUSTOMERS, PRODUCTS
from shop.gateway import ChargeStatus
from shop.money import minor
from shop.rates import rate
from shop.shipping import hours_between

OPEN = timedelta(days=45)
"""How long the shop has been open."""
ORDERS: tuple[tuple[str, float], ...] = (
    *(("delivered", 704 - 9 * number) for number in range(68)),
    *(("shipped", 96 - 7 * number) for number in range(7)),
    ("cancelled_paid", 51), ("cancelled_unpaid", 46), ("cancelled_authorized", 41),
    ("packed", 36), ("packed", 30), ("picked", 26), ("picked", 21), ("paid", 11), ("paid", 8), ("held", 6),
    ("reserved", 5), ("declined", 4), ("pending", 3), ("pending", 1.6), ("pending", 0.4),
)  # fmt: skip
"""What has become of each order, and how many hours ago it was placed, oldest first."""
RESERVED = {"delivered", "shipped", "packed", "picked", "paid", "held", "reserved"}
PAID = {"delivered", "shipped", "packed", "picked", "paid", "held"}
SENT = {"delivered", "shipped"}
FULFILMENT = {
    "delivered": Fulfilment.DELIVERED,
    "shipped": Fulfilment.SHIPPED,
    "packed": Fulfilment.PACKED,
    "picked": Fulfilment.PICKED,
    "paid": Fulfilment.RESERVED,
    "held": Fulfilment.RESERVED,
    "reserved": Fulfilment.RESERVED,
}


@dataclass(slots=True)
class Sample:
    """The documents, and the stock that they leave."""

    opened: datetime
    customers: list[Customer] = field(default_factory=list)
    products: dict[str, Product] = field(default_factory=dict)
    others: list[Model] = field(default_factory=list)

    def documents(self) -> Iterator[Model]:
        """Everything, referred to before referring."""
        yield from self.customers
        yield from self.products.values()
        yield from self.others

    def move(self, product_id: str, kind: MovementKind, at: datetime, order_id: str | None, **change: int) -> None:
        """Book a movement and what it does to the product."""
        number = sum(isinstance(document, StockMovement) for document in self.others) + 1
        movement = StockMovement(
            id=f"move_sample_{number:04}",
            product_id=product_id,
            kind=kind,
            order_id=order_id,
            on_hand_change=change.get("on_hand", 0),
            reserved_change=change.get("reserved", 0),
            created_at=at,
            updated_at=at,
        )
        self.others.append(movement)
        product = self.products[product_id]
        product.on_hand += movement.on_hand_change
        product.reserved += movement.reserved_change
        product.inventory = product.on_hand - product.reserved


def build(now: datetime) -> Sample:
    """The sample shop as it stands at a moment, which only its times and order numbers depend on."""
    sample = Sample(now - OPEN)
    _people(sample)
    _goods(sample)
    for number, (stage, hours) in enumerate(ORDERS, start=1):
        _order(sample, number, stage, now - timedelta(hours=hours))
    return sample


def gateway_charges(now: datetime) -> list[dict[str, Any]]:
    """What the gateway would know of the sample's payments: rows of its `charges`."""
    charges = []
    for payment in build(now).others:
        if not isinstance(payment, Payment):
            continue
        status = ChargeStatus.CAPTURED if payment.captured else ChargeStatus.VOIDED
        if payment.detail == "card_declined":
            status = ChargeStatus.DECLINED
        charges.append(
            {
                "key": payment.id,
                "id": payment.transaction_id,
                "reference": payment.order_id,
                "amount": minor(payment.amount),
                "currency": payment.currency,
                "method": payment.method,
                "status": str(status),
                "reason": payment.detail if status is ChargeStatus.DECLINED else "",
                "captured": minor(payment.captured),
                "refunded": minor(payment.refunded_amount),
                "capture_key": payment.capture_key,
                "created_at": payment.created_at.isoformat(),
                "expires_at": None,
            }
        )
    return charges


def _people(sample: Sample) -> None:
    main = ("Ada Moreno", "1 Rodeo Drive", "Beverly Hills", "CA", "90210")
    for number, (name, street, city, state, zip_code) in enumerate((main, *CUSTOMERS)):
        id, address = ("cust_123", "addr_789") if number == 0 else (f"cust_{number:03}", f"addr_{number:03}")
        visa = PaymentMethod(id=f"pm_{number:03}_visa", token="pm_card_visa", expires="2031-12")  # noqa: S106 - a test card
        sample.customers.append(
            Customer(
                id=id,
                email=f"{name.lower().replace(' ', '.')}@mail.example",
                name=name,
                addresses=[Address(id=address, street=street, city=city, state=state, zip_code=zip_code)],
                payment_methods=[visa],
                created_at=sample.opened,
                updated_at=sample.opened,
            )
        )


def _goods(sample: Sample) -> None:
    main = ("Enamel mug", "kitchen", "19.99", 380, 500)
    for number, (name, category, price, grams, stock) in enumerate((main, *PRODUCTS)):
        id = "prod_456" if number == 0 else f"prod_{100 + number}"
        sample.products[id] = Product(
            id=id,
            sku=f"{category[:3].upper()}-{100 + number}",
            name=name,
            price=Decimal(price),
            weight_grams=grams,
            category=category,
            location=f"{'ABCDE'[number % 5]}-{number // 5 + 1:02}",
            created_at=sample.opened,
            updated_at=sample.opened,
        )
        if stock:
            sample.move(id, MovementKind.OPENING, sample.opened, None, on_hand=stock)


def _order(sample: Sample, number: int, stage: str, at: datetime) -> None:
    customer = sample.customers[number * 5 % len(sample.customers)]
    sold = [id for id, product in sample.products.items() if product.inventory >= 20]
    items = []
    for place in range(1 + number % 3):
        product = sample.products[sold[(number * 7 + place * 11) % len(sold)]]
        items.append(OrderItem(product_id=product.id, quantity=1 + (number + place) % 3, unit_price=product.price))
    address = customer.addresses[0]
    order = Order(
        id=f"order_sample_{number:03}",
        order_number=f"ORD-{at:%Y%m%d}-{number:03}",
        customer_id=customer.id,
        items=items,
        total=sum((item.total_price for item in items), Decimal(0)),
        shipping_address_id=address.id,
        created_at=at,
        updated_at=at,
    )
    weight = sum(sample.products[id].weight_grams * quantity for id, quantity in order.quantities().items())
    shipping = rate(address.zip_code, address.country, weight).amount
    reserved_at = at + timedelta(minutes=2)
    was_reserved = stage in RESERVED or stage in {"cancelled_paid", "cancelled_authorized"}
    if was_reserved:
        order.shipping_cost, order.amount_due, order.reserved_at = shipping, order.total + shipping, reserved_at
        order.status, order.fulfilment = OrderStatus.PROCESSING, FULFILMENT.get(stage, Fulfilment.RESERVED)
    sample.others.append(order)
    sent_at = at + timedelta(hours=4 + number * number * 5 % 23) if stage in SENT else None
    if was_reserved:
        _reserve(sample, order, stage, reserved_at, sent_at)
    _pay(sample, order, stage, order.total + shipping, at + timedelta(minutes=3))
    if stage in {"packed", "picked", *SENT}:
        _pick_and_pack(sample, order, stage, at + timedelta(hours=2), sent_at)
    if stage.startswith("cancelled"):
        order.status, order.fulfilment = OrderStatus.CANCELLED, Fulfilment.CANCELLED
        order.cancelled_at = at + timedelta(hours=4)
    if stage == "held":
        detail = "the customer asked whether the order can go to another address"
        sample.others.append(_stamped(Incident, order, kind=IncidentKind.MESSAGE, detail=detail))


def _stamped(model: type[Any], order: Order, at: datetime | None = None, id: str = "", **fields: Any) -> Any:
    """A document of an order, with an id of its own and the order's time."""
    moment = at or order.created_at
    id = id or f"{model.__name__.lower()}_{order.id.removeprefix('order_')}"
    return model(id=id, order_id=order.id, created_at=moment, updated_at=moment, **fields)


def _reserve(sample: Sample, order: Order, stage: str, at: datetime, sent_at: datetime | None) -> None:
    for place, (product_id, quantity) in enumerate(order.quantities().items()):
        progress = {
            "picked": quantity if stage in {"picked", "packed", *SENT} else 0,
            "packed": quantity if stage in {"packed", *SENT} else 0,
            "shipped": quantity if stage in SENT else 0,
        }
        status = ReservationStatus.RELEASED if stage.startswith("cancelled") else ReservationStatus.OPEN
        reservation = _stamped(
            Reservation,
            order,
            at,
            f"reservation_{order.id.removeprefix('order_')}_{place}",
            product_id=product_id,
            quantity=quantity,
            status=ReservationStatus.SHIPPED if stage in SENT else status,
            expires_at=at + timedelta(days=1),
            **progress,
        )
        sample.others.append(reservation)
        sample.move(product_id, MovementKind.RESERVATION, at, order.id, reserved=quantity)
        if stage.startswith("cancelled"):
            sample.move(product_id, MovementKind.RELEASE, at + timedelta(hours=4), order.id, reserved=-quantity)
        if sent_at is not None:
            sample.move(product_id, MovementKind.SHIPMENT, sent_at, order.id, reserved=-quantity, on_hand=-quantity)


def _pay(sample: Sample, order: Order, stage: str, amount: Decimal, at: datetime) -> None:
    if stage in {"pending", "reserved"}:
        return
    captured = amount if stage in PAID or stage == "cancelled_paid" else Decimal(0)
    refunded = amount if stage == "cancelled_paid" else Decimal(0)
    status, detail = PaymentStatus.COMPLETED, ""
    if stage in {"declined", "cancelled_authorized"}:
        status, detail = PaymentStatus.FAILED, "card_declined" if stage == "declined" else "voided"
    elif refunded:
        status = PaymentStatus.REFUNDED
    id = f"payment_{order.id.removeprefix('order_')}"
    closed = stage.startswith("cancelled")
    obligation = ObligationStatus.CLOSED if closed else ObligationStatus.PAID if captured else ObligationStatus.OPEN
    payment_id = id if captured else None
    due = None if stage == "cancelled_unpaid" else amount
    sample.others.append(
        _stamped(Obligation, order, at, order.id, status=obligation, amount=due, payment_id=payment_id, holds=0)
    )
    if stage == "cancelled_unpaid":
        return
    payment = _stamped(
        Payment,
        order,
        at,
        id,
        amount=amount,
        status=status,
        detail=detail,
        method="pm_card_chargeDeclined" if stage == "declined" else "pm_card_visa",
        transaction_id=f"txn_{id}",
        authorized=Decimal(0) if stage == "declined" else amount,
        captured=captured,
        refunded_amount=refunded,
        key=f"sample:{order.id}:charge",
        capture_key=f"sample:{order.id}:confirm" if captured else "",
        verified_at=at + timedelta(minutes=1) if captured else None,
    )
    sample.others.append(payment)
    if captured:
        sample.others.append(_entry(ledger.capture(order.id, id, captured), at))
    if refunded:
        refund = _stamped(
            Refund,
            order,
            at + timedelta(hours=4),
            payment_id=id,
            amount=refunded,
            status=RefundStatus.COMPLETED,
            reason="changed my mind",
            transaction_id=payment.transaction_id,
        )
        sample.others += [refund, _entry(ledger.refund(order.id, refund.id, refunded), refund.created_at)]


def _pick_and_pack(sample: Sample, order: Order, stage: str, at: datetime, sent_at: datetime | None) -> None:
    quantities = order.quantities()
    lines = [ItemQuantity(product_id=id, quantity=quantity) for id, quantity in quantities.items()]
    picked = PickStatus.PICKED if stage == "picked" else PickStatus.PACKED
    sample.others.append(_stamped(PickList, order, at, lines=lines, status=picked))
    if stage == "picked":
        return
    weights = {id: sample.products[id].weight_grams for id in quantities}
    shipment = _stamped(Shipment, order, at, parcels=parcels.pack(quantities, weights))
    sample.others.append(shipment)
    if sent_at is None:
        return
    key = f"sample:{order.id}:ship"
    number = tracking_number(f"{key}:0")
    order.tracking_number, order.shipped_at = number, sent_at
    order.hours_to_ship = hours_between(order.created_at, sent_at)
    order.status = OrderStatus.SHIPPED if stage == "shipped" else OrderStatus.DELIVERED
    shipment.status = ShipmentStatus.SHIPPED if stage == "shipped" else ShipmentStatus.DELIVERED
    shipment.carrier, shipment.tracking_number, shipment.shipped_at = RateTableCarrier.name, number, sent_at
    fields = {"shipment_id": shipment.id, "step_key": key, "key": f"{key}:0", "tracking_number": number}
    sample.others.append(
        _stamped(Label, order, sent_at, carrier=RateTableCarrier.name, status=LabelStatus.USED, **fields)
    )
    sample.others.append(
        _entry(ledger.shipment(order.id, shipment.id, order.total, order.shipping_cost or Decimal(0)), sent_at)
    )
    subject = f"Your order {order.order_number} is on its way"
    body = f"Your order {order.order_number} has been shipped. Its tracking number is {number}."
    to = next(each for each in sample.customers if each.id == order.customer_id)
    fields = {"recipient": to.email, "subject": subject, "body": body, "status": NotificationStatus.OUTBOX}
    sample.others.append(_stamped(Notification, order, sent_at, event="shipped", **fields))


def _entry(entry: LedgerEntry, at: datetime) -> LedgerEntry:
    return entry.changed(id=f"entry_{entry.kind}_{entry.reference}", created_at=at, updated_at=at)
