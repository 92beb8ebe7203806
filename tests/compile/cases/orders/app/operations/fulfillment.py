from models.shop import Order, Product, Reservation, ShippingQuote
from pydantic import BaseModel

from pulpo import Ref, group, operation

group("orders.fulfillment", after=["orders.checkout"])


class ReserveItemsInput(BaseModel):
    order_id: Ref[Order]
    quote_id: Ref[ShippingQuote] | None = None


class ReserveItemsOutput(BaseModel):
    reservation_id: str


@operation(
    name="orders.fulfillment.reserve_items",
    models_in=[Order, Product],
    models_out=[Order, Product],
    models_add=[Reservation],
    compensate="orders.fulfillment.release_items",
    atomic=True,
    retries=3,
)
async def reserve_items(data: ReserveItemsInput) -> ReserveItemsOutput:
    return ReserveItemsOutput(reservation_id="r")


@operation(name="orders.fulfillment.release_items", models_out=[Order, Product, Reservation])
async def release_items(order_id: Ref[Order], reservation_id: str | None = None) -> None: ...


@operation(
    name="orders.fulfillment.pick_items",
    models_in=["Reservation"],
    models_out=["Order"],
    after=["payments.processing.charge"],
)
async def pick_items(order_id: Ref[Order], reservation_id: str) -> None: ...


@operation(name="orders.fulfillment.pack_items", models_out=[Order])
async def pack_items(order_id: Ref[Order]) -> None: ...


@operation(
    name="orders.fulfillment.ship_items",
    models_out=[Order, Product, Reservation],
    after=["payments.reconciliation.verify"],
    pivot=True,
    wait=None,
)
async def ship_items(order_id: Ref[Order]) -> None: ...
