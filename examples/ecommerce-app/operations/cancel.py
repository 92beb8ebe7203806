"""Ending orders: by decision, or because nobody paid in time."""

from decimal import Decimal

from models.ledger import LedgerEntry
from models.messages import Incident
from models.order import Order, OrderStatus
from models.payment import Obligation, ObligationStatus, Payment, Refund
from models.product import Product
from models.shipping import PickList, Shipment
from models.stock import Reservation, StockMovement
from pydantic import BaseModel, Field
from shop import cancellation, stock
from shop.gateway import REFUSALS
from shop.states import move_obligation

from pulpo import Context, Money, Ref, Refused, operation


class CancelInput(BaseModel):
    """The order, and why."""

    order_id: Ref[Order]
    reason: str = Field(default="cancelled by hand", max_length=500)


class CancelOutput(BaseModel):
    """What became of the order's stock and money."""

    status: OrderStatus
    released: int = 0
    voided: Money
    refunded: Money
    already: bool = False


@operation(
    name="orders.cancel",
    ui={"icon": "ban", "danger": True},
    models_out=[Order, Obligation, Payment, Refund, Product, Reservation, PickList, Shipment, Incident],
    models_add=[StockMovement, LedgerEntry],
    standalone=True,
    retries=5,
    timeout=60,
    refuses=REFUSALS,
)
async def cancel(data: CancelInput, ctx: Context) -> CancelOutput:
    """Cancel an order: end its run, void or refund what was taken, release its stock, close it. All or it goes on."""
    order = await ctx.store.get(Order, data.order_id)
    if order.status is OrderStatus.CANCELLED:
        ctx.already()
        return CancelOutput(status=order.status, voided=Decimal(0), refunded=Decimal(0), already=True)
    cancellation.refuse_sent(order)
    await ctx.cancel_runs(order.id)
    done = await cancellation.cancel_order(ctx, order.id, data.reason)
    if done.already:
        ctx.already()
    return CancelOutput(
        status=OrderStatus.CANCELLED,
        released=done.released,
        voided=done.voided,
        refunded=done.refunded,
        already=done.already,
    )


class ExpireInput(BaseModel):
    """The order whose time is over."""

    order_id: Ref[Order]


class ExpireOutput(BaseModel):
    """What became of the order."""

    status: OrderStatus
    released: int = 0
    already: bool = False


@operation(
    name="orders.expire",
    ui={"icon": "clock"},
    models_out=[Order, Obligation, Product, Reservation, PickList, Shipment],
    models_add=[StockMovement],
    standalone=True,
    retries=3,
    timeout=60,
)
async def expire(data: ExpireInput, ctx: Context) -> ExpireOutput:
    """Cancel an order that was reserved and not paid in time; one whose money is claimed or paid never expires."""
    obligation = await ctx.store.lookup(Obligation, data.order_id)
    order = await ctx.store.get(Order, data.order_id)
    if order.status is OrderStatus.CANCELLED:
        await ctx.cancel_runs(order.id)
        ctx.already()
        return ExpireOutput(status=order.status, already=True)
    held = await stock.open_reservations(ctx, order.id)
    if obligation is not None and obligation.status is not ObligationStatus.OPEN:
        raise Refused("not_expired", f"the order's money is {obligation.status}, so it does not expire")
    if not held or not all(each.is_expired(ctx.now()) for each in held):
        raise Refused("not_expired", "the order's reservation has not expired")
    if obligation is None:
        ctx.store.insert(Obligation(id=order.id, order_id=order.id, status=ObligationStatus.CLOSED))
    else:
        move_obligation(ctx, obligation, ObligationStatus.CLOSED)
    released = await stock.let_go(ctx, order, held, OrderStatus.CANCELLED)
    await ctx.commit()  # from here on a waiting run has nothing left to undo
    await ctx.cancel_runs(order.id)
    return ExpireOutput(status=OrderStatus.CANCELLED, released=released)
