"""Holding units for an order, and letting them go again."""

from collections.abc import Iterable
from datetime import timedelta

from models.order import Fulfilment, Order, OrderStatus
from models.product import Product
from models.shipping import PickList, PickStatus, Shipment, ShipmentStatus
from models.stock import MovementKind, Reservation, ReservationStatus, StockMovement

from pulpo import Context, Refused, col
from shop.settings import shop_settings
from shop.states import fulfilment_of, move_order

MOST = 1000
"""More documents of one kind than an order can have."""


async def open_reservations(ctx: Context, order_id: str) -> list[Reservation]:
    """What is held for an order, sorted by product."""
    held = await ctx.store.find(
        Reservation, Reservation.order_id == order_id, Reservation.status == ReservationStatus.OPEN, limit=MOST
    )
    return sorted(held, key=lambda each: each.product_id)


async def live_reservations(ctx: Context, order_id: str) -> list[Reservation]:
    """What is held for an order or has been shipped to it."""
    return await ctx.store.find(
        Reservation,
        Reservation.order_id == order_id,
        col(Reservation.status).in_([ReservationStatus.OPEN, ReservationStatus.SHIPPED]),
        limit=MOST,
    )


def hold(ctx: Context, order: Order) -> list[Reservation]:
    """Hold every item of an order, all or none: one guarded update for each product, in sorted order.

    The commit fails with insufficient_stock where another order was faster. Write the order's own change before: where
    the same order was reserved at the same moment, that is what must be noticed, and not that its units are gone.
    """
    expires_at = ctx.now() + timedelta(minutes=shop_settings(ctx).reservation_minutes)
    reservations = []
    for product_id, wanted in order.quantities().items():
        ctx.store.update(
            Product,
            product_id,
            (col(Product.inventory) >= wanted) & (col(Product.active) == True),  # noqa: E712 - a condition, not a comparison
            add={"inventory": -wanted, "reserved": wanted},
            otherwise=Refused(
                "insufficient_stock",
                f"fewer than {wanted} of {product_id} can be promised",
                hint="order less, or wait for new stock",
            ),
        )
        ctx.store.insert(
            StockMovement(
                product_id=product_id, kind=MovementKind.RESERVATION, reserved_change=wanted, order_id=order.id
            )
        )
        reservation = Reservation(
            order_id=order.id,
            product_id=product_id,
            quantity=wanted,
            expires_at=expires_at,
            key=ctx.idempotency_key,
        )
        reservations.append(ctx.store.insert(reservation))
    return reservations


async def let_go(ctx: Context, order: Order, held: Iterable[Reservation], to: OrderStatus) -> int:
    """Release what is held for an order, with everything that was picked and packed of it, and move the order.

    Args:
        ctx: Must be able to write Order, Product, Reservation, PickList and Shipment, and to add StockMovement.
        order: The order. held: Its open reservations, of which nothing was shipped.
        to: `pending` takes the reservation back, `cancelled` ends the order.

    Returns:
        How many units are free again.
    """
    picks = await ctx.store.find(PickList, PickList.order_id == order.id, limit=MOST)
    shipments = await ctx.store.find(Shipment, Shipment.order_id == order.id, limit=MOST)
    units = 0
    for reservation in held:
        if reservation.shipped:
            raise Refused("already_shipped", f"{reservation.shipped} of {reservation.product_id} have left the house")
        units += reservation.held
        # the versioned writes come first: who was overtaken looks again, rather than to trip over a guard
        ctx.store.patch(reservation, status=ReservationStatus.RELEASED)
        ctx.store.update(
            Product,
            reservation.product_id,
            Product.reserved >= reservation.held,
            add={"inventory": reservation.held, "reserved": -reservation.held},
        )
        ctx.store.insert(
            StockMovement(
                product_id=reservation.product_id,
                kind=MovementKind.RELEASE,
                reserved_change=-reservation.held,
                order_id=order.id,
            )
        )
    for pick in picks:
        if pick.status is not PickStatus.PUT_BACK:
            ctx.store.patch(pick, status=PickStatus.PUT_BACK)
    for shipment in shipments:
        if shipment.status is ShipmentStatus.PACKED:
            ctx.store.patch(shipment, status=ShipmentStatus.CANCELLED)
    if to is OrderStatus.CANCELLED:
        move_order(ctx, order, to, fulfilment=Fulfilment.CANCELLED, cancelled_at=ctx.now())
    else:
        move_order(ctx, order, to, fulfilment=Fulfilment.NONE, amount_due=None, shipping_cost=None, quote_id=None)
    return units


def advance(ctx: Context, order: Order, reservations: Iterable[Reservation]) -> Order:
    """Store how far the order has come, derived from its reservations as they now are."""
    return ctx.store.patch(order, fulfilment=fulfilment_of(reservations))
