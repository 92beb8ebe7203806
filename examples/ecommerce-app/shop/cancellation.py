"""Ending an order before anything of it has left the house: its money goes back, its stock is free again."""

from dataclasses import dataclass
from decimal import Decimal

from models.order import Order, OrderStatus
from models.payment import Obligation, ObligationStatus, PaymentStatus

from pulpo import Context, Refused
from shop import settlement, stock
from shop.gateway import gateway_of
from shop.incidents import close, open_incidents
from shop.states import SENT, has_left, move_obligation


@dataclass(frozen=True, slots=True)
class Cancelled:
    """What was undone: units set free, and money let go or given back. `already`: by somebody else."""

    released: int = 0
    voided: Decimal = Decimal(0)
    refunded: Decimal = Decimal(0)
    already: bool = False


def refuse_sent(order: Order) -> None:
    """Raise Refused already_shipped where an order has left the house."""
    if order.status in SENT:
        raise Refused("already_shipped", f"the order is {order.status}: goods have left the house", hint="return them")


async def cancel_order(ctx: Context, order_id: str, reason: str) -> Cancelled:
    """Close what an order owes, void or refund what was taken, release its stock, and end it.

    It can be called again after a crash at any point, and then goes on. The last writes are left pending: order, stock
    and obligation end in one commit.

    Args:
        ctx: Must be able to write Order, Obligation, Payment, Refund, Product, Reservation, PickList, Shipment and
            Incident, and to add StockMovement and LedgerEntry. order_id: The order's id. reason: For the refund.

    Raises:
        Refused: already_shipped, 409.
    """
    obligation, payment = await settlement.owed(ctx, order_id)
    order = await ctx.store.get(Order, order_id)
    held = await stock.open_reservations(ctx, order_id)
    incidents = await open_incidents(ctx, order_id)
    if order.status is OrderStatus.CANCELLED:
        return Cancelled(already=True)
    refuse_sent(order)
    if has_left(order):
        raise Refused("already_shipped", "a part of the order has left the house", hint="return it")
    voided = refunded = Decimal(0)
    if payment is not None:
        after = payment
        if payment.is_live:
            after = await settlement.unwind(ctx, gateway_of(ctx), order, payment, reason)
            obligation = await ctx.store.get(Obligation, order_id)
            if obligation.status in {ObligationStatus.CLAIMED, ObligationStatus.PAID}:
                await ctx.commit()  # charged anew meanwhile: what is pending does not hold, and all is decided again
        if after.status is PaymentStatus.FAILED:
            voided = payment.authorized
        refunded = after.refunded_amount
    if obligation is None:
        ctx.store.insert(Obligation(id=order.id, order_id=order.id, status=ObligationStatus.CLOSED))
    elif obligation.status is not ObligationStatus.CLOSED:
        move_obligation(ctx, obligation, ObligationStatus.CLOSED)
    for incident in incidents:
        close(ctx, incident, f"the order was cancelled: {reason}")
    released = await stock.let_go(ctx, order, held, OrderStatus.CANCELLED)
    return Cancelled(released, voided, refunded)
