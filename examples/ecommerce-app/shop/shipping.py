"""Handing parcels to the carrier: which, whether they may go, under which label, and what changes when they do."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal

from models.customer import Customer
from models.order import Fulfilment, Order, OrderStatus
from models.payment import Obligation, ObligationStatus, Payment, PaymentStatus
from models.product import Product
from models.shipping import Label, LabelStatus, Shipment, ShipmentStatus
from models.stock import MovementKind, Reservation, ReservationStatus, StockMovement

from pulpo import Context, NotReady, Refused, col
from shop import ledger, pricing, settlement
from shop.carrier import carrier
from shop.incidents import open_incidents
from shop.settings import shop_settings
from shop.states import fulfilment_of, move_order


def choose(shipments: list[Shipment], wanted: str | None) -> Shipment | None:
    """The shipment that is meant: the one named, else one that is packed, else the latest that left."""
    if wanted is not None:
        found = next((each for each in shipments if each.id == wanted), None)
        if found is None:
            raise Refused("not_packed", "the order has no such shipment")
        if found.status is not ShipmentStatus.CANCELLED:
            return found
    packed = [each for each in shipments if each.status is ShipmentStatus.PACKED]
    left = [each for each in shipments if each.status in {ShipmentStatus.SHIPPED, ShipmentStatus.DELIVERED}]
    return next(iter([*packed, *left]), None)


async def check_ready(
    ctx: Context,
    order: Order,
    shipment: Shipment | None,
    reservations: Mapping[str, Reservation],
    obligation: Obligation | None,
) -> Shipment:
    """The packed shipment of an order that may leave now. Raises Refused or NotReady."""
    if order.status is not OrderStatus.PROCESSING:
        raise Refused("wrong_state", f"the order is {order.status}: nothing can be shipped", hint="reserve it first")
    if shipment is None:
        raise Refused("not_packed", f"the order is {order.fulfilment}: nothing is packed", hint="pack it first")
    if not reservations.keys() >= shipment.quantities().keys():
        raise Refused("not_reserved", "what is packed is not held any more", hint="reserve it first")
    holds = [incident for incident in await open_incidents(ctx, order.id) if incident.holds]
    if holds:
        what = "; ".join(incident.detail or str(incident.kind) for incident in holds)
        hint = f"resolve the incident {holds[0].id}: orders incidents resolve"
        raise NotReady("on_hold", f"the order is held: {what}", hint=hint)
    settlement.refuse_closed(obligation)
    paid = obligation is not None and obligation.status is ObligationStatus.PAID and obligation.payment_id is not None
    payment = await ctx.store.lookup(Payment, obligation.payment_id or "") if obligation is not None and paid else None
    if payment is None or payment.status is not PaymentStatus.COMPLETED:
        until = (order.reserved_at or ctx.now()) + timedelta(minutes=shop_settings(ctx).reservation_minutes)
        if ctx.now() > until:
            raise Refused("payment_required", "the order was not paid in time", status=402)
        raise NotReady("payment_required", "the order is not paid", hint="charge and confirm its payment")
    return shipment


async def _address(ctx: Context, order: Order) -> tuple[str, str]:
    customer = await ctx.store.get(Customer, order.customer_id)
    address = customer.address(order.shipping_address_id)
    if address is None:
        raise Refused("carrier_error", "the customer no longer has the order's shipping address")
    return address.zip_code, address.country


async def buy(ctx: Context, order: Order, shipment: Shipment, voided: int) -> Label:
    """Buy and commit a label under this call's key; `voided` is how many it has bought and given back.

    Raises:
        Refused: carrier_error, 409.
    """
    to = await _address(ctx, order)
    key = f"{ctx.idempotency_key}:{voided}"
    try:
        bought = await carrier.buy(key, *to, sum(parcel.weight_grams for parcel in shipment.parcels))
    except Refused as error:
        raise Refused("carrier_error", f"the carrier does not take it: {error.detail}", hint=error.hint) from error
    label = Label(
        order_id=order.id,
        shipment_id=shipment.id,
        step_key=ctx.idempotency_key,
        key=key,
        carrier=bought.carrier,
        tracking_number=bought.tracking_number,
    )
    ctx.store.insert(label)
    await ctx.commit()
    return label


async def void(ctx: Context, label: Label) -> None:
    """Give a label back that was not used; the write is left pending."""
    await carrier.void(label.tracking_number)
    ctx.store.patch(label, status=LabelStatus.VOIDED)


def send(
    ctx: Context, order: Order, shipment: Shipment, label: Label, reservations: Mapping[str, Reservation]
) -> Order:
    """Write that the goods are gone: stock, movement, books, shipment and order, left pending as one commit.

    The order's reservations, by product, were read before the label was bought: one that was released meanwhile is at
    another version, and nothing of this holds.
    """
    live = dict(reservations)
    goods = Decimal(0)
    for product_id, quantity in shipment.quantities().items():
        reservation = live[product_id]
        before, after = reservation.shipped, reservation.shipped + quantity
        goods += pricing.value_of_first(order, product_id, after) - pricing.value_of_first(order, product_id, before)
        done = after >= reservation.quantity
        status = ReservationStatus.SHIPPED if done else ReservationStatus.OPEN
        live[product_id] = ctx.store.patch(reservation, shipped=after, status=status)
        ctx.store.update(
            Product,
            product_id,
            (col(Product.on_hand) >= quantity) & (col(Product.reserved) >= quantity),
            add={"on_hand": -quantity, "reserved": -quantity},
        )
        ctx.store.insert(
            StockMovement(
                product_id=product_id,
                kind=MovementKind.SHIPMENT,
                on_hand_change=-quantity,
                reserved_change=-quantity,
                order_id=order.id,
            )
        )
    state = fulfilment_of(live.values())
    whole = state is Fulfilment.SHIPPED
    carried = order.shipping_cost if whole and order.shipping_cost is not None else Decimal(0)
    if goods + carried:
        ctx.store.insert(ledger.shipment(order.id, shipment.id, goods, carried))
    ctx.store.patch(label, status=LabelStatus.USED)
    number = label.tracking_number
    ctx.store.patch(
        shipment,
        status=ShipmentStatus.SHIPPED,
        carrier=label.carrier,
        tracking_number=number,
        shipped_at=ctx.now(),
    )
    if not whole:
        return ctx.store.patch(order, fulfilment=state, tracking_number=number)
    now = ctx.now()
    return move_order(
        ctx,
        order,
        OrderStatus.SHIPPED,
        fulfilment=state,
        tracking_number=number,
        shipped_at=now,
        hours_to_ship=hours_between(order.created_at, now),
    )


def hours_between(start: datetime, end: datetime) -> float:
    """Hours, to the minute."""
    return round((end - start).total_seconds() / 3600, 2)
