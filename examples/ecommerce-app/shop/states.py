"""The states of orders, money and payments: one writer for each machine.

Every writer checks that the step is allowed and writes with the version that was read, so of two who start from the
same state one wins and the other decides again on what is there now.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from models.order import Fulfilment, Order, OrderStatus
from models.payment import Obligation, ObligationStatus, Payment, PaymentStatus
from models.stock import Reservation

from pulpo import Context, Refused

ORDER: Mapping[OrderStatus, frozenset[OrderStatus]] = {
    OrderStatus.PENDING: frozenset({OrderStatus.PROCESSING, OrderStatus.CANCELLED}),
    OrderStatus.PROCESSING: frozenset({OrderStatus.PENDING, OrderStatus.SHIPPED, OrderStatus.CANCELLED}),
    OrderStatus.SHIPPED: frozenset({OrderStatus.DELIVERED}),
    OrderStatus.DELIVERED: frozenset(),
    OrderStatus.CANCELLED: frozenset(),
}
OBLIGATION: Mapping[ObligationStatus, frozenset[ObligationStatus]] = {
    ObligationStatus.OPEN: frozenset({ObligationStatus.CLAIMED, ObligationStatus.CLOSED}),
    ObligationStatus.CLAIMED: frozenset({ObligationStatus.PAID, ObligationStatus.OPEN}),
    ObligationStatus.PAID: frozenset({ObligationStatus.REFUNDED}),
    ObligationStatus.REFUNDED: frozenset({ObligationStatus.CLOSED}),
    ObligationStatus.CLOSED: frozenset(),
}
PAYMENT: Mapping[PaymentStatus, frozenset[PaymentStatus]] = {
    PaymentStatus.PENDING: frozenset({PaymentStatus.PROCESSING}),
    PaymentStatus.PROCESSING: frozenset({PaymentStatus.COMPLETED, PaymentStatus.FAILED}),
    PaymentStatus.COMPLETED: frozenset({PaymentStatus.REFUNDED}),
    PaymentStatus.FAILED: frozenset(),
    PaymentStatus.REFUNDED: frozenset(),
}
SENT = frozenset({OrderStatus.SHIPPED, OrderStatus.DELIVERED})


def has_left(order: Order) -> bool:
    """Whether goods of the order are on their way: then nothing of it is taken back but by a person."""
    return order.status in SENT or order.fulfilment is Fulfilment.PARTLY_SHIPPED


def move_order(ctx: Context, order: Order, to: OrderStatus, **fields: Any) -> Order:
    """Write an order in another state. Raises Refused wrong_state, which names the state it is in."""
    if to not in ORDER[order.status]:
        raise Refused("wrong_state", f"the order is {order.status}, so it cannot become {to}")
    return ctx.store.patch(order, status=to, **fields)


def move_obligation(ctx: Context, obligation: Obligation, to: ObligationStatus, **fields: Any) -> Obligation:
    """Write an obligation in another state. Raises Refused wrong_state."""
    if to not in OBLIGATION[obligation.status]:
        raise Refused("wrong_state", f"the order's money is {obligation.status}, so it cannot become {to}")
    return ctx.store.patch(obligation, status=to, **fields)


def move_payment(ctx: Context, payment: Payment, to: PaymentStatus, **fields: Any) -> Payment:
    """Write a payment in another state. Raises Refused wrong_state."""
    if to not in PAYMENT[payment.status]:
        raise Refused("wrong_state", f"the payment is {payment.status}, so it cannot become {to}")
    return ctx.store.patch(payment, status=to, **fields)


def fulfilment_of(reservations: Iterable[Reservation]) -> Fulfilment:
    """How far an order has come, given its reservations that were not released."""
    held = list(reservations)
    if not held:
        return Fulfilment.NONE
    if all(each.shipped >= each.quantity for each in held):
        return Fulfilment.SHIPPED
    if any(each.shipped for each in held):
        return Fulfilment.PARTLY_SHIPPED
    if all(each.packed >= each.quantity for each in held):
        return Fulfilment.PACKED
    if all(each.picked >= each.quantity for each in held):
        return Fulfilment.PICKED
    return Fulfilment.RESERVED
