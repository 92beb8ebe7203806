"""A small shop: enough of everything that documents can be."""

from decimal import Decimal
from enum import StrEnum
from typing import Self

from pulpo import Context, Embedded, Field, Model, Money, Ref, Refused, Timestamp, datamodel, new_id


class Address(Embedded):
    """Where parcels go."""

    id: str = Field(default_factory=lambda: new_id("addr"))
    street: str
    zip_code: str
    checked_at: Timestamp | None = Field(None, readonly=True)


@datamodel
class Customer(Model):
    """Who buys."""

    email: str = Field(unique=True)
    name: str
    addresses: list[Address] = Field(default_factory=list)


@datamodel
class Product(Model):
    """What is sold. `before_create` books the opening stock."""

    sku: str = Field(key=True)
    name: str = Field(min_length=1)
    price: Money
    inventory: int = 0
    sold: int = Field(0, readonly=True)
    active: bool = True

    async def before_create(self, ctx: Context) -> None:
        """Book the opening stock with the product."""
        if self.inventory:
            ctx.store.insert(Movement(product_id=self.id, change=self.inventory))

    async def before_update(self, old: Self, ctx: Context) -> None:
        """Book a change of stock; a price never falls to nothing."""
        if self.price == 0:
            raise Refused("price_gone", "the price cannot become nothing", status=422)
        if self.inventory != old.inventory:
            ctx.store.insert(Movement(product_id=self.id, change=self.inventory - old.inventory))

    async def before_delete(self, ctx: Context) -> None:
        """Take the opening movement along."""
        for movement in await ctx.store.find(Movement, Movement.product_id == self.id):
            ctx.store.delete(movement)

    async def after_commit(self, ctx: Context) -> None:
        """Fail on request, to show that what is committed stays."""
        if self.name == "explosive":
            raise RuntimeError("boom")


@datamodel(api="read")
class Movement(Model):
    """A change of stock; written by hooks alone."""

    product_id: Ref[Product]
    change: int


class Status(StrEnum):
    """Where an order stands."""

    PENDING = "pending"
    PAID = "paid"


class Item(Embedded):
    """A line of an order."""

    product_id: Ref[Product]
    quantity: int = Field(ge=1)
    unit_price: Money


@datamodel
class Order(Model):
    """What a customer wants."""

    order_number: str = Field(key=True)
    customer_id: Ref[Customer]
    items: list[Item] = Field(min_length=1)
    status: Status = Field(Status.PENDING, readonly=True)
    total: Money = Decimal(0)
    shipping_address_id: Ref[Address] = Field(within="customer_id")
    gift_for: Ref[Customer] | None = None
    note: str | None = None
