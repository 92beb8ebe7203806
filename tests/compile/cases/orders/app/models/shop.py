from decimal import Decimal

from pulpo import Embedded, Field, Model, Money, Ref, datamodel


@datamodel
class Product(Model):
    """Something to sell."""

    sku: str = Field(key=True)
    price: Money
    inventory: int = 0


class OrderItem(Embedded):
    product_id: Ref[Product]
    quantity: int = Field(gt=0)


@datamodel
class Order(Model):
    """What a customer wants."""

    order_number: str = Field(key=True)
    items: list[OrderItem]
    total: Money = Decimal(0)


@datamodel(unique=[("order_id", "carrier")], api="read")
class ShippingQuote(Model):
    order_id: Ref[Order]
    carrier: str = ""


@datamodel
class Reservation(Model):
    order_id: Ref[Order]


@datamodel
class Payment(Model):
    order_id: Ref[Order]
    amount: Money


@datamodel(api="read")
class LedgerEntry(Model):
    payment_id: Ref[Payment]


@datamodel
class Notification(Model):
    order_id: Ref[Order]
