"""Parallel validations: advice on an order, before anything is held."""

from datetime import timedelta
from decimal import Decimal

from models.customer import Customer
from models.order import Order, OrderStatus
from models.product import Product
from models.shipping import ShippingQuote
from models.stock import Reservation
from pydantic import BaseModel, Field
from shop import methods, pricing, stock
from shop.carrier import carrier
from shop.settings import shop_settings

from pulpo import Context, Money, Ref, Refused, Timestamp, operation


class ItemRequest(BaseModel):
    """A line as a client sees it."""

    product_id: Ref[Product]
    quantity: int = Field(ge=1, le=100_000)
    unit_price: Money | None = None
    total_price: Money | None = None


class Problem(BaseModel):
    """Why an order cannot be carried out as it stands: a stable word, a sentence, and the product it is about."""

    code: str
    message: str
    product_id: str | None = None


class ValidateItemsInput(BaseModel):
    """The order, and optionally the lines that the client believes it has."""

    order_id: Ref[Order]
    items: list[ItemRequest] | None = None


class ValidateItemsOutput(BaseModel):
    """Whether the items can be had at these prices, with a problem for each shortage or price change."""

    valid: bool
    problems: list[Problem] = []


@operation(
    name="orders.checkout.validate_items",
    models_in=[Order, Product, Reservation],
    atomic=True,
    retries=3,
    gate="valid",
)
async def validate_items(data: ValidateItemsInput, ctx: Context) -> ValidateItemsOutput:
    """Verify inventory and prices. Advice: nothing is held."""
    order = await ctx.store.get(Order, data.order_id)
    problems = []
    if order.status is OrderStatus.CANCELLED:
        problems.append(Problem(code="order_cancelled", message="the order is cancelled"))
    held: dict[str, int] = {}
    for reservation in await stock.live_reservations(ctx, order.id):
        held[reservation.product_id] = held.get(reservation.product_id, 0) + reservation.quantity
    wanted = order.quantities()
    prices = {item.product_id: item.unit_price for item in order.items}
    for product_id, quantity in wanted.items():
        product = await ctx.store.get(Product, product_id)
        available = product.inventory + held.get(product_id, 0)
        if quantity > available:
            message = f"{quantity} of {product.sku} are wanted, {available} can be promised"
            problems.append(Problem(code="insufficient_stock", message=message, product_id=product_id))
        if not product.active and product_id not in held:
            message = f"{product.sku} is not sold any more"
            problems.append(Problem(code="not_for_sale", message=message, product_id=product_id))
        changed = {item.unit_price for item in order.items if item.product_id == product_id} - {product.price}
        if changed and product_id not in held:
            message = f"{product.sku} costs {product.price}, the order says {', '.join(map(str, sorted(changed)))}"
            problems.append(Problem(code="price_changed", message=message, product_id=product_id))
    if data.items is not None:
        problems += _differences(data.items, wanted, prices)
    return ValidateItemsOutput(valid=not problems, problems=problems)


def _differences(items: list[ItemRequest], wanted: dict[str, int], prices: dict[str, Decimal]) -> list[Problem]:
    asked: dict[str, int] = {}
    problems = []
    for item in items:
        asked[item.product_id] = asked.get(item.product_id, 0) + item.quantity
        price = prices.get(item.product_id)
        if item.unit_price is not None and price is not None and item.unit_price != price:
            message = f"the order says {price} for {item.product_id}, not {item.unit_price}"
            problems.append(Problem(code="price_differs", message=message, product_id=item.product_id))
    for product_id in sorted(asked.keys() | wanted.keys()):
        given, ordered = asked.get(product_id, 0), wanted.get(product_id, 0)
        if given != ordered:
            message = f"the order has {ordered} of {product_id}, not {given}"
            problems.append(Problem(code="items_differ", message=message, product_id=product_id))
    return problems


class ValidatePaymentInput(BaseModel):
    """The order, and what it is to be paid with: a kind (`credit_card`), a customer's method, or a gateway token."""

    order_id: Ref[Order]
    payment_method: str = Field(min_length=1, max_length=200)


class ValidatePaymentOutput(BaseModel):
    """Whether the method may be charged; that the money is there cannot be known before."""

    valid: bool
    problems: list[Problem] = []


@operation(
    name="orders.checkout.validate_payment",
    models_in=[Order, Customer, Product],
    atomic=True,
    retries=3,
    gate="valid",
)
async def validate_payment(data: ValidatePaymentInput, ctx: Context) -> ValidatePaymentOutput:
    """Validate the payment method: taken, enabled, not expired, within its limit."""
    order = await ctx.store.get(Order, data.order_id)
    customer = await ctx.store.get(Customer, order.customer_id)
    try:
        amount = (await pricing.amount_due(ctx, order, None, quotes=False)).amount
    except Refused:  # an address that is not served is for calculate_shipping to say
        amount = order.total
    method = methods.choose(customer, data.payment_method)
    found = methods.objections(method, data.payment_method, amount, order.currency, ctx.now())
    problems = [Problem(code=objection.code, message=objection.message) for objection in found]
    return ValidatePaymentOutput(valid=not problems, problems=problems)


class CalculateShippingInput(BaseModel):
    """The order and where to; another place than the order's own gives an estimate that is not applied."""

    order_id: Ref[Order]
    address_zip: str = Field(min_length=3, max_length=12)
    country: str = Field(default="US", pattern="^[A-Z]{2}$")


class CalculateShippingOutput(BaseModel):
    """The quote: what carrying the order costs, and until when that holds."""

    quote_id: str
    shipping_cost: Money
    zone: int
    weight_grams: int
    expires_at: Timestamp
    applies: bool


@operation(
    name="orders.checkout.calculate_shipping",
    models_in=[Order, Customer, Product, ShippingQuote],
    models_add=[ShippingQuote],
    atomic=True,
    retries=3,
    refuses={"unserviceable_address": 409, "too_heavy": 409},
)
async def calculate_shipping(data: CalculateShippingInput, ctx: Context) -> CalculateShippingOutput:
    """Calculate what shipping costs, as a quote that holds for a day."""
    order = await ctx.store.get(Order, data.order_id)
    to = await pricing.destination(ctx, order)
    zip_code = data.address_zip.strip()
    applies = (zip_code, data.country) == (to.address.zip_code, to.address.country)
    known = await ctx.store.find(ShippingQuote, ShippingQuote.order_id == order.id, sort="-created_at", limit=20)
    quote = next((each for each in known if each.covers(zip_code, data.country, to.weight_grams, ctx.now())), None)
    if quote is not None:
        ctx.already()
    else:
        rate = carrier.rate(zip_code, data.country, to.weight_grams)
        quote = ctx.store.insert(
            ShippingQuote(
                order_id=order.id,
                zip_code=zip_code,
                country=data.country,
                weight_grams=to.weight_grams,
                zone=rate.zone,
                amount=rate.amount,
                expires_at=ctx.now() + timedelta(minutes=shop_settings(ctx).quote_minutes),
            )
        )
    return CalculateShippingOutput(
        quote_id=quote.id,
        shipping_cost=quote.amount,
        zone=quote.zone,
        weight_grams=quote.weight_grams,
        expires_at=quote.expires_at,
        applies=applies,
    )
