"""Order and order items."""

from decimal import Decimal
from enum import StrEnum
from typing import Self

from models.customer import Address, Customer
from models.payment import Obligation, ObligationStatus, Payment, PaymentStatus
from models.product import Product
from models.shipping import ShippingQuote
from models.stock import Reservation
from pydantic import model_validator

from pulpo import Context, Embedded, Field, Model, Money, Ref, Refused, Timestamp, datamodel


class OrderStatus(StrEnum):
    """pending -> processing (stock reserved) -> shipped -> delivered; pending or processing -> cancelled."""

    PENDING = "pending"
    PROCESSING = "processing"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    CANCELLED = "cancelled"


class Fulfilment(StrEnum):
    """How far the order's items have come; derived from its reservations whenever they change."""

    NONE = "none"
    RESERVED = "reserved"
    PICKED = "picked"
    PACKED = "packed"
    PARTLY_SHIPPED = "partly_shipped"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    RETURNED = "returned"
    CANCELLED = "cancelled"


STATUS_COLOURS = {"shipped": "violet", "delivered": "green"}
FULFILMENT_COLOURS = {
    "reserved": "yellow",
    "picked": "cyan",
    "packed": "blue",
    "partly_shipped": "violet",
    "shipped": "violet",
    "delivered": "green",
    "returned": "orange",
}


class OrderItem(Embedded):
    """A line of an order. Its total is computed; one that is given must agree."""

    product_id: Ref[Product]
    quantity: int = Field(ge=1, le=100_000, description="How many")
    unit_price: Money = Field(ge=0, description="Price per unit")
    total_price: Money = Field(default=Decimal(0), ge=0, description="Total for this item")

    @model_validator(mode="after")
    def _total(self) -> Self:
        total = self.unit_price * self.quantity
        if "total_price" in self.model_fields_set and self.total_price != total:
            raise ValueError(f"total_price {self.total_price} is not quantity x unit_price, which is {total}")
        self.__dict__["total_price"] = total
        return self


@datamodel(
    indexes=[("status", "total")],
    ui={
        "icon": "cart",
        "group": "Sales",
        "order": 1,
        "columns": ["order_number", "customer_id", "status", "fulfilment", "items", "total", "created_at"],
    },
)
class Order(Model):
    """What a customer wants, where to, and how far it has come."""

    order_number: str = Field(key=True, min_length=1, max_length=64, description="Unique order ID")
    customer_id: Ref[Customer] = Field(index=True)
    items: list[OrderItem] = Field(min_length=1, max_length=100, description="Products ordered")
    status: OrderStatus = Field(default=OrderStatus.PENDING, readonly=True, index=True, ui={"colours": STATUS_COLOURS})
    total: Money = Field(ge=0, description="Order total amount: what the client expects the lines to add up to")
    shipping_address_id: Ref[Address] = Field(within="customer_id")
    tracking_number: str | None = Field(default=None, readonly=True, index=True, description="Shipping tracking")
    currency: str = Field(default="USD", pattern="^[A-Z]{3}$")
    fulfilment: Fulfilment = Field(
        default=Fulfilment.NONE, readonly=True, index=True, ui={"colours": FULFILMENT_COLOURS}
    )
    shipping_cost: Money | None = Field(default=None, readonly=True, description="Set when the stock is reserved")
    amount_due: Money | None = Field(default=None, readonly=True, description="Total and shipping")
    quote_id: str | None = Field(default=None, readonly=True, ui={"hidden": True})
    reserved_at: Timestamp | None = Field(default=None, readonly=True)
    shipped_at: Timestamp | None = Field(default=None, readonly=True)
    cancelled_at: Timestamp | None = Field(default=None, readonly=True)
    hours_to_ship: float | None = Field(
        default=None, readonly=True, description="From the order to the carrier", ui={"unit": "h"}
    )

    def quantities(self) -> dict[str, int]:
        """Units by product, lines of the same product summed, sorted by product: one order of locking for all."""
        found: dict[str, int] = {}
        for item in self.items:
            found[item.product_id] = found.get(item.product_id, 0) + item.quantity
        return dict(sorted(found.items()))

    async def before_create(self, ctx: Context) -> None:  # noqa: ARG002 - the hook's shape
        """Hold the client to the sum of the lines."""
        self._check_total()

    async def before_update(self, old: Self, ctx: Context) -> None:
        """Let what the customer owes change only while nothing is reserved and no money has been asked for.

        Raises:
            Refused: order_in_progress, 409; total_mismatch, 422.
        """
        self._check_total()
        if self._terms() == old._terms():
            return
        if old.status is not OrderStatus.PENDING:
            raise Refused("order_in_progress", f"the order is {old.status}: its items and address are fixed")
        obligation = await ctx.store.lookup(Obligation, self.id)
        if obligation is None:  # written so that a charge of the old terms at the same moment fails
            ctx.store.insert(Obligation(id=self.id, order_id=self.id))
        elif obligation.status is ObligationStatus.OPEN:
            ctx.store.patch(obligation, amount=None)
        else:
            raise Refused("order_in_progress", f"the order's money is {obligation.status}: its items are fixed")

    async def before_delete(self, ctx: Context) -> None:
        """Let an order go only while neither stock nor money has moved for it.

        Raises:
            Refused: order_has_history, 409.
        """
        stock = await ctx.store.count(Reservation, Reservation.order_id == self.id)
        money = await ctx.store.count(Payment, Payment.order_id == self.id, Payment.status != PaymentStatus.PENDING)
        if stock or money:
            raise Refused(
                "order_has_history",
                f"{'stock' if stock else 'money'} has moved for {self.order_number}, so it cannot be deleted",
                hint="cancel it instead",
            )
        for quote in await ctx.store.find(ShippingQuote, ShippingQuote.order_id == self.id):
            ctx.store.delete(quote)
        for payment in await ctx.store.find(Payment, Payment.order_id == self.id):
            ctx.store.delete(payment)
        obligation = await ctx.store.lookup(Obligation, self.id)
        if obligation is not None:
            ctx.store.delete(obligation)

    def _terms(self) -> tuple[object, ...]:
        return (self.items, self.total, self.currency, self.customer_id, self.shipping_address_id)

    def _check_total(self) -> None:
        lines = sum((item.total_price for item in self.items), Decimal(0))
        if self.total != lines:
            raise Refused(
                "total_mismatch",
                f"the order says a total of {self.total}, its lines add up to {lines}",
                hint="send the sum of quantity x unit_price of every line",
                status=422,
            )
