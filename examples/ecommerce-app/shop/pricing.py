"""What an order weighs and what its customer owes."""

from dataclasses import dataclass
from decimal import Decimal

from models.customer import Address, Customer
from models.order import Order
from models.payment import Obligation, ObligationStatus
from models.product import Product
from models.shipping import ShippingQuote

from pulpo import Context, Refused
from shop.carrier import carrier

FIXED = {ObligationStatus.CLAIMED, ObligationStatus.PAID, ObligationStatus.REFUNDED}


@dataclass(frozen=True, slots=True)
class AmountDue:
    """What is owed and what of it is shipping; `quote_id` says which quote was applied, if one was."""

    amount: Decimal
    shipping: Decimal
    quote_id: str | None = None


@dataclass(frozen=True, slots=True)
class Destination:
    """Where an order goes and what it weighs."""

    address: Address
    weight_grams: int


async def destination(ctx: Context, order: Order) -> Destination:
    """Where an order goes and what it weighs by the catalogue.

    Raises:
        Refused: no_address, the customer has no such address any more; inactive_product, one is not sold any more.
    """
    customer = await ctx.store.get(Customer, order.customer_id)
    address = customer.address(order.shipping_address_id)
    if address is None:
        raise Refused("no_address", "the customer no longer has the order's shipping address")
    return Destination(address, await weight_grams(ctx, order.quantities()))


async def weight_grams(ctx: Context, quantities: dict[str, int]) -> int:
    """What these units weigh by the catalogue, in grams."""
    total = 0
    for product_id, quantity in quantities.items():
        total += (await ctx.store.get(Product, product_id)).weight_grams * quantity
    return total


async def amount_due(ctx: Context, order: Order, obligation: Obligation | None, *, quotes: bool = True) -> AmountDue:
    """What the customer owes: the order's total and its shipping.

    Once the stock is reserved the order says it, and once it is claimed the obligation does. Before that the order's
    quote counts, one that has not expired and was made for its address and weight, else the rate table's answer. All
    who ask therefore agree, also side by side.

    Args:
        ctx: Must be able to read Customer, Product and (with `quotes`) ShippingQuote.
        order: The order. obligation: Its obligation, if there is one.
        quotes: False leaves quotes aside: an estimate.

    Raises:
        Refused: no_address, unserviceable_address, too_heavy.
    """
    if order.amount_due is not None and order.shipping_cost is not None:
        return AmountDue(order.amount_due, order.shipping_cost, order.quote_id)
    if obligation is not None and obligation.amount is not None and obligation.status in FIXED:
        return AmountDue(obligation.amount, obligation.amount - order.total)
    to = await destination(ctx, order)
    quote = await current_quote(ctx, order.id, to) if quotes else None
    if quote is not None:
        return AmountDue(order.total + quote.amount, quote.amount, quote.id)
    shipping = carrier.rate(to.address.zip_code, to.address.country, to.weight_grams).amount
    return AmountDue(order.total + shipping, shipping)


async def current_quote(ctx: Context, order_id: str, to: Destination) -> ShippingQuote | None:
    """The newest quote of an order that still holds for its address and weight."""
    found = await ctx.store.find(ShippingQuote, ShippingQuote.order_id == order_id, sort="-created_at", limit=20)
    zip_code, country, now = to.address.zip_code, to.address.country, ctx.now()
    return next((quote for quote in found if quote.covers(zip_code, country, to.weight_grams, now)), None)


def value_of_first(order: Order, product_id: str, units: int) -> Decimal:
    """What the first so many units of a product cost, in the order of the lines: exact for partial shipments."""
    value = Decimal(0)
    for item in order.items:
        if item.product_id == product_id:
            taken = min(units, item.quantity)
            value, units = value + item.unit_price * taken, units - taken
    return value
