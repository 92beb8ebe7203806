"""Sequential fulfillment: hold, pick, pack, ship, and how each is undone."""

from models.customer import Customer
from models.ledger import LedgerEntry
from models.messages import Incident, IncidentKind
from models.order import Fulfilment, Order, OrderStatus
from models.payment import Obligation, Payment
from models.product import Product
from models.shipping import (
    ItemQuantity,
    Label,
    LabelStatus,
    PickList,
    PickStatus,
    Shipment,
    ShipmentStatus,
    ShippingQuote,
)
from models.stock import MovementKind, Reservation, StockMovement
from pydantic import BaseModel, Field
from shop import parcels, pricing, settlement, shipping, stock
from shop.states import move_order

from pulpo import Context, Money, NotReady, Ref, Refused, Timestamp, group, operation

group("orders.fulfillment", after=["orders.checkout"])


class Line(BaseModel):
    """So many units of a product; what else a client knows of the line is not looked at here."""

    product_id: Ref[Product]
    quantity: int = Field(ge=1, le=100_000)
    unit_price: Money | None = None
    total_price: Money | None = None


class ReserveItemsInput(BaseModel):
    """The order."""

    order_id: Ref[Order]


class ReserveItemsOutput(BaseModel):
    """What is held, until when, and what the customer owes."""

    status: OrderStatus
    units: int
    due: Money
    reserved_until: Timestamp | None = None
    already: bool = False


@operation(
    name="orders.fulfillment.reserve_items",
    models_in=[Customer, Obligation, ShippingQuote],
    models_out=[Order, Product],
    models_add=[Reservation, StockMovement],
    compensate="orders.fulfillment.release_items",
    atomic=True,
    retries=3,
    timeout=30,
)
async def reserve_items(data: ReserveItemsInput, ctx: Context) -> ReserveItemsOutput:
    """Hold inventory for every item of the order, or for none, and fix what shipping costs."""
    obligation = await ctx.store.lookup(Obligation, data.order_id)
    order = await ctx.store.get(Order, data.order_id)
    if order.status is OrderStatus.CANCELLED:
        raise Refused("wrong_state", "the order is cancelled: nothing can be reserved for it")
    if order.status is not OrderStatus.PENDING:
        ctx.already()
        units, due = sum(order.quantities().values()), order.amount_due or order.total
        return ReserveItemsOutput(status=order.status, units=units, due=due, already=True)
    settlement.refuse_closed(obligation)
    amount = await pricing.amount_due(ctx, order, obligation)
    order = move_order(
        ctx,
        order,
        OrderStatus.PROCESSING,
        fulfilment=Fulfilment.RESERVED,
        quote_id=amount.quote_id,
        shipping_cost=amount.shipping,
        amount_due=amount.amount,
        reserved_at=ctx.now(),
    )
    reservations = stock.hold(ctx, order)
    for each in reservations:
        ctx.log.info("held %s of %s until %s", each.quantity, each.product_id, f"{each.expires_at:%Y-%m-%d %H:%M} UTC")
    return ReserveItemsOutput(
        status=order.status,
        units=sum(each.quantity for each in reservations),
        due=amount.amount,
        reserved_until=reservations[0].expires_at,
    )


class PickItemsInput(BaseModel):
    """The order; what to pick (default: everything that is held) and what was found of it (default: all)."""

    order_id: Ref[Order]
    items: list[Line] | None = None
    found: list[Line] | None = None


class PickItemsOutput(BaseModel):
    """The pick list, and what the shelf was short of."""

    pick_list_id: str | None = None
    picked: int
    short: list[ItemQuantity] = []
    incident_id: str | None = None
    already: bool = False


@operation(
    name="orders.fulfillment.pick_items",
    models_out=[Order, Product, Reservation, PickList],
    models_add=[StockMovement, Incident],
    after=["payments.processing.charge"],
    compensate="orders.fulfillment.put_back",
    atomic=True,
    retries=3,
    refuses={"over_pick": 409},
)
async def pick_items(data: PickItemsInput, ctx: Context) -> PickItemsOutput:
    """Get the items from the warehouse.

    What the shelf is short of is taken from stock that nobody has reserved, if there is any (the shelf's count is
    corrected); else an incident waits for a person and the order is held.
    """
    order = await ctx.store.get(Order, data.order_id)
    live = {each.product_id: each for each in await stock.live_reservations(ctx, order.id)}
    picks = await ctx.store.find(PickList, PickList.order_id == order.id, sort="-created_at", limit=stock.MOST)
    if not live:
        raise Refused("not_reserved", f"the order is {order.status}: nothing is held for it", hint="reserve it first")
    left = {id: each.quantity - each.picked for id, each in live.items() if each.quantity > each.picked}
    if not left and data.items is None:
        ctx.already()
        units, latest = sum(each.picked for each in live.values()), picks[0].id if picks else None
        return PickItemsOutput(pick_list_id=latest, picked=units, already=True)
    wanted = _wanted(data.items, left, "over_pick", "reserved and not yet picked")
    found = _sums(data.found) if data.found is not None else wanted
    lines, short, miscounted = [], [], {}
    for product_id, quantity in wanted.items():
        on_shelf = min(quantity, found.get(product_id, 0))
        product = await ctx.store.get(Product, product_id)
        missing = quantity - on_shelf
        if missing and product.inventory >= missing:
            miscounted[product_id] = missing
            on_shelf = quantity
        elif missing:
            short.append(ItemQuantity(product_id=product_id, quantity=missing))
        if on_shelf:
            lines.append(ItemQuantity(product_id=product_id, quantity=on_shelf))
            live[product_id] = ctx.store.patch(live[product_id], picked=live[product_id].picked + on_shelf)
    pick = ctx.store.insert(PickList(order_id=order.id, lines=lines, short=short, key=ctx.idempotency_key))
    stock.advance(ctx, order, live.values())
    for product_id, missing in miscounted.items():
        _correct_count(ctx, product_id, missing, order.id)
    incident = None
    if short:
        missing_text = ", ".join(f"{line.quantity} of {line.product_id}" for line in short)
        incident = Incident(order_id=order.id, kind=IncidentKind.SHORT_PICK, detail=f"not found: {missing_text}")
        ctx.store.insert(incident)
    return PickItemsOutput(
        pick_list_id=pick.id,
        picked=sum(line.quantity for line in lines),
        short=short,
        incident_id=incident.id if incident else None,
    )


def _correct_count(ctx: Context, product_id: str, missing: int, order_id: str) -> None:
    ctx.store.update(
        Product,
        product_id,
        Product.inventory >= missing,
        add={"inventory": -missing, "on_hand": -missing},
        otherwise=Refused("short_pick", f"{missing} of {product_id} were not found, and no others are free"),
    )
    ctx.store.insert(
        StockMovement(
            product_id=product_id,
            kind=MovementKind.ADJUSTMENT,
            on_hand_change=-missing,
            order_id=order_id,
            reason="not found when picking; taken from free stock",
        )
    )


class PackItemsInput(BaseModel):
    """The order; what to pack (default: everything, which must have been picked) and what the scale says in grams."""

    order_id: Ref[Order]
    items: list[Line] | None = None
    measured_grams: int | None = Field(default=None, ge=1)


class PackItemsOutput(BaseModel):
    """The shipment with its parcels."""

    shipment_id: str | None = None
    parcels: int
    parcel_grams: int
    already: bool = False


@operation(
    name="orders.fulfillment.pack_items",
    models_in=[Product],
    models_out=[Order, Reservation, Shipment, PickList],
    compensate="orders.fulfillment.unpack",
    atomic=True,
    retries=3,
)
async def pack_items(data: PackItemsInput, ctx: Context) -> PackItemsOutput:
    """Prepare for shipping: parcels of what was picked, weighed against the catalogue."""
    order = await ctx.store.get(Order, data.order_id)
    live = {each.product_id: each for each in await stock.live_reservations(ctx, order.id)}
    shipments = await ctx.store.find(Shipment, Shipment.order_id == order.id, sort="-created_at", limit=stock.MOST)
    picks = await ctx.store.find(
        PickList, PickList.order_id == order.id, PickList.status == PickStatus.PICKED, limit=stock.MOST
    )
    unpacked = {id: each.quantity - each.packed for id, each in live.items() if each.quantity > each.packed}
    if live and not unpacked and data.items is None:
        ctx.already()
        latest = shipments[0] if shipments else None
        boxes = latest.parcels if latest else []
        grams = sum(box.weight_grams for box in boxes)
        id = latest.id if latest else None
        return PackItemsOutput(shipment_id=id, parcels=len(boxes), parcel_grams=grams, already=True)
    ready = {id: each.picked - each.packed for id, each in live.items() if each.picked > each.packed}
    if (data.items is None and ready != unpacked) or not live:
        raise Refused(
            "not_picked", f"the order is {order.fulfilment}: not everything has been picked", hint="pick it first"
        )
    wanted = _wanted(data.items, ready, "not_picked", "picked and not yet packed")
    weights = {product_id: (await ctx.store.get(Product, product_id)).weight_grams for product_id in wanted}
    boxes = parcels.pack(wanted, weights)
    grams = sum(box.weight_grams for box in boxes)
    parcels.check_weight(grams, data.measured_grams)
    for product_id, quantity in wanted.items():
        live[product_id] = ctx.store.patch(live[product_id], packed=live[product_id].packed + quantity)
    shipment = ctx.store.insert(Shipment(order_id=order.id, parcels=boxes, key=ctx.idempotency_key))
    if all(each.packed >= each.picked for each in live.values()):
        for pick in picks:
            ctx.store.patch(pick, status=PickStatus.PACKED)
    stock.advance(ctx, order, live.values())
    return PackItemsOutput(shipment_id=shipment.id, parcels=len(boxes), parcel_grams=grams)


class ShipItemsInput(BaseModel):
    """The order, and which of its shipments (default: the one that is packed)."""

    order_id: Ref[Order]
    shipment_id: str | None = None


class ShipItemsOutput(BaseModel):
    """What the carrier has, and under which number."""

    shipment_id: str
    tracking_number: str
    order_status: OrderStatus
    already: bool = False


@operation(
    name="orders.fulfillment.ship_items",
    models_in=[Customer, Obligation, Payment, Incident],
    models_out=[Order, Product, Reservation, Shipment, Label],
    models_add=[StockMovement, LedgerEntry],
    after=["payments.reconciliation.verify"],
    compensate="orders.fulfillment.void_label",
    pivot=True,
    retries=5,
    timeout=30,
    wait=None,
)
async def ship_items(data: ShipItemsInput, ctx: Context) -> ShipItemsOutput:
    """Hand off to the carrier. Once this has happened the order only goes forward.

    The label is bought and recorded before anything else changes; the last commit holds only if the order is paid and
    unchanged, and else the label is voided.
    """
    obligation = await ctx.store.lookup(Obligation, data.order_id)  # before the incidents: they raise it
    order = await ctx.store.get(Order, data.order_id)
    live = {each.product_id: each for each in await stock.live_reservations(ctx, order.id)}
    labels = await ctx.store.find(Label, Label.step_key == ctx.idempotency_key, sort="-created_at")
    shipments = await ctx.store.find(Shipment, Shipment.order_id == order.id, sort="-created_at", limit=stock.MOST)
    shipment = shipping.choose(shipments, data.shipment_id)
    bought = next((label for label in labels if label.status is LabelStatus.BOUGHT), None)
    if shipment is not None and shipment.status is not ShipmentStatus.PACKED and shipment.tracking_number:
        if bought is not None:
            await shipping.void(ctx, bought)
        ctx.already()
        return _shipped(shipment, order, already=True)
    try:
        shipment = await shipping.check_ready(ctx, order, shipment, live, obligation)
        label = bought or await shipping.buy(ctx, order, shipment, len(labels))
    except (Refused, NotReady):
        if bought is not None:
            await shipping.void(ctx, bought)
            await ctx.commit()
        raise
    assert obligation is not None  # it is paid
    ctx.store.require(obligation)
    order = shipping.send(ctx, order, shipment, label, live)
    ctx.log.info("handed to %s under %s", label.carrier, label.tracking_number)
    return ShipItemsOutput(
        shipment_id=shipment.id, tracking_number=label.tracking_number, order_status=order.status, already=False
    )


def _shipped(shipment: Shipment, order: Order, *, already: bool) -> ShipItemsOutput:
    return ShipItemsOutput(
        shipment_id=shipment.id,
        tracking_number=shipment.tracking_number or "",
        order_status=order.status,
        already=already,
    )


def _sums(lines: list[Line]) -> dict[str, int]:
    found: dict[str, int] = {}
    for line in lines:
        found[line.product_id] = found.get(line.product_id, 0) + line.quantity
    return dict(sorted(found.items()))


def _wanted(lines: list[Line] | None, left: dict[str, int], code: str, what: str) -> dict[str, int]:
    """What a client asks for, at most what is left; everything that is left where nothing was asked."""
    if lines is None:
        return dict(sorted(left.items()))
    asked = _sums(lines)
    for product_id, quantity in asked.items():
        if quantity > left.get(product_id, 0):
            raise Refused(code, f"{quantity} of {product_id} is more than the {left.get(product_id, 0)} {what}")
    return asked
