from models.shop import Notification, Order

from pulpo import Ref, operation


@operation(
    name="orders.tracking.update_customer",
    models_in=[Order],
    models_add=[Notification],
    after=["orders.fulfillment.ship_items"],
)
async def update_customer(order_id: Ref[Order]) -> None: ...
