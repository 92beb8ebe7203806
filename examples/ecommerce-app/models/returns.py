"""What customers want to send back."""

from enum import StrEnum
from typing import Self

from models.order import Order, OrderStatus
from models.shipping import ItemQuantity

from pulpo import Context, Field, Model, Ref, Refused, datamodel


class ReturnStatus(StrEnum):
    """requested -> approved -> received, or requested -> refused."""

    REQUESTED = "requested"
    APPROVED = "approved"
    RECEIVED = "received"
    REFUSED = "refused"


@datamodel(
    ui={"icon": "arrow-back", "group": "Sales", "order": 3},
)
class ReturnRequest(Model):
    """A customer's wish to send items of a shipped order back."""

    order_id: Ref[Order] = Field(index=True)
    items: list[ItemQuantity] = Field(min_length=1, max_length=100)
    reason: str = Field(default="", max_length=2000, ui={"widget": "textarea"})
    status: ReturnStatus = Field(default=ReturnStatus.REQUESTED, readonly=True, index=True)

    async def before_create(self, ctx: Context) -> None:
        """Take back only what was ordered and has left the house.

        Raises:
            Refused: not_shipped, 409; not_in_order, 422.
        """
        await self._check(ctx)

    async def before_update(self, old: Self, ctx: Context) -> None:  # noqa: ARG002 - the hook's shape
        """As for a new one."""
        await self._check(ctx)

    async def _check(self, ctx: Context) -> None:
        order = await ctx.store.get(Order, self.order_id)
        if order.status not in {OrderStatus.SHIPPED, OrderStatus.DELIVERED}:
            raise Refused("not_shipped", f"the order is {order.status}: there is nothing to return")
        ordered, wanted = order.quantities(), dict[str, int]()
        for item in self.items:
            wanted[item.product_id] = wanted.get(item.product_id, 0) + item.quantity
        for product_id, quantity in wanted.items():
            if quantity > ordered.get(product_id, 0):
                raise Refused(
                    "not_in_order",
                    f"{quantity} of {product_id} cannot be returned, {ordered.get(product_id, 0)} were ordered",
                    status=422,
                )
