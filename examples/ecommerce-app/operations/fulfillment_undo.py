"""How each step of the fulfillment is undone. An undo touches only what its own step did: it carries the step's key."""

from models.order import Order, OrderStatus
from models.product import Product
from models.shipping import Label, LabelStatus, PickList, PickStatus, Shipment, ShipmentStatus
from models.stock import Reservation, StockMovement
from pydantic import BaseModel
from shop import shipping, stock
from shop.states import SENT, has_left

from pulpo import Context, Ref, Refused, operation


class ReleaseItemsInput(BaseModel):
    """The order whose hold is taken back."""

    order_id: Ref[Order]


class ReleaseItemsOutput(BaseModel):
    """How many units are free again."""

    released: int


@operation(
    name="orders.fulfillment.release_items",
    models_out=[Order, Product, Reservation, PickList, Shipment],
    models_add=[StockMovement],
    atomic=True,
    retries=8,
)
async def release_items(data: ReleaseItemsInput, ctx: Context) -> ReleaseItemsOutput:
    """Undo reserve_items: free what this very call has held, once, unless a part of it has left the house."""
    order = await ctx.store.get(Order, data.order_id)
    held = [each for each in await stock.open_reservations(ctx, order.id) if each.key == ctx.idempotency_key]
    if not held or has_left(order):
        ctx.already()
        return ReleaseItemsOutput(released=0)
    return ReleaseItemsOutput(released=await stock.let_go(ctx, order, held, OrderStatus.PENDING))


class PutBackInput(BaseModel):
    """The order, and the pick list if it came to one."""

    order_id: Ref[Order]
    pick_list_id: str | None = None


class PutBackOutput(BaseModel):
    """How many units are on their shelves again."""

    put_back: int


@operation(name="orders.fulfillment.put_back", models_out=[Order, Reservation, PickList], atomic=True, retries=8)
async def put_back(data: PutBackInput, ctx: Context) -> PutBackOutput:
    """Undo pick_items: put back what this very call has picked, unless it was packed since."""
    order = await ctx.store.get(Order, data.order_id)
    live = {each.product_id: each for each in await stock.live_reservations(ctx, order.id)}
    own = PickList.key == ctx.idempotency_key
    pick = await ctx.store.first(PickList, PickList.order_id == order.id, own, PickList.status == PickStatus.PICKED)
    lines = pick.lines if pick is not None else []
    if pick is None or any(_packed_since(live.get(line.product_id), line.quantity) for line in lines):
        ctx.already()
        return PutBackOutput(put_back=0)
    for line in lines:
        if line.product_id in live:
            reservation = live[line.product_id]
            live[line.product_id] = ctx.store.patch(reservation, picked=reservation.picked - line.quantity)
    ctx.store.patch(pick, status=PickStatus.PUT_BACK)
    stock.advance(ctx, order, live.values())
    return PutBackOutput(put_back=sum(line.quantity for line in lines))


def _packed_since(reservation: Reservation | None, quantity: int) -> bool:
    return reservation is not None and reservation.picked - reservation.packed < quantity


class UnpackInput(BaseModel):
    """The order, and the shipment if it came to one."""

    order_id: Ref[Order]
    shipment_id: str | None = None


class UnpackOutput(BaseModel):
    """How many units are out of their boxes again."""

    unpacked: int


@operation(
    name="orders.fulfillment.unpack", models_out=[Order, Reservation, Shipment, PickList], atomic=True, retries=8
)
async def unpack(data: UnpackInput, ctx: Context) -> UnpackOutput:
    """Undo pack_items: unpack what this very call has packed, unless it has left the house."""
    order = await ctx.store.get(Order, data.order_id)
    live = {each.product_id: each for each in await stock.live_reservations(ctx, order.id)}
    own = Shipment.key == ctx.idempotency_key
    shipment = await ctx.store.first(
        Shipment, Shipment.order_id == order.id, own, Shipment.status == ShipmentStatus.PACKED
    )
    picks = await ctx.store.find(
        PickList, PickList.order_id == order.id, PickList.status == PickStatus.PACKED, limit=stock.MOST
    )
    if shipment is None:
        ctx.already()
        return UnpackOutput(unpacked=0)
    for product_id, quantity in shipment.quantities().items():
        if product_id in live:
            live[product_id] = ctx.store.patch(live[product_id], packed=live[product_id].packed - quantity)
    ctx.store.patch(shipment, status=ShipmentStatus.CANCELLED)
    for pick in picks:
        ctx.store.patch(pick, status=PickStatus.PICKED)
    stock.advance(ctx, order, live.values())
    return UnpackOutput(unpacked=sum(shipment.quantities().values()))


class VoidLabelInput(BaseModel):
    """The order that was about to be shipped."""

    order_id: Ref[Order]


class VoidLabelOutput(BaseModel):
    """How many labels were given back."""

    voided: int


@operation(name="orders.fulfillment.void_label", models_in=[Order], models_out=[Label], retries=8)
async def void_label(data: VoidLabelInput, ctx: Context) -> VoidLabelOutput:
    """Undo a shipment that did not come about: give back the labels that this very call has bought."""
    order = await ctx.store.get(Order, data.order_id)
    labels = await ctx.store.find(Label, Label.step_key == ctx.idempotency_key)
    if any(label.status is LabelStatus.USED for label in labels):
        what = "the order has left the house" if order.status in SENT else "a part of the order has left the house"
        raise Refused("already_shipped", what, hint="it can only be returned")
    bought = [label for label in labels if label.status is LabelStatus.BOUGHT]
    for label in bought:
        await shipping.void(ctx, label)
    return VoidLabelOutput(voided=len(bought))
