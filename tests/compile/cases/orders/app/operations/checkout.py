from decimal import Decimal

from models.shop import Order, Product, ShippingQuote
from pydantic import BaseModel

from pulpo import Context, Money, Ref, operation


class ValidateItemsInput(BaseModel):
    order_id: Ref[Order]
    items: list[dict[str, int]] | None = None


class ValidateItemsOutput(BaseModel):
    order_id: str
    valid: bool


class ValidatePaymentInput(BaseModel):
    order_id: Ref[Order]
    payment_method: str


class ValidatePaymentOutput(BaseModel):
    valid: bool


class CalculateShippingInput(BaseModel):
    order_id: Ref[Order]
    address_zip: str


class CalculateShippingOutput(BaseModel):
    quote_id: str
    amount: Money


@operation(name="orders.checkout.validate_items", models_in=[Order, Product], gate="valid")
async def validate_items(data: ValidateItemsInput, ctx: Context) -> ValidateItemsOutput:
    return ValidateItemsOutput(order_id=data.order_id, valid=True)


@operation(name="orders.checkout.validate_payment", models_in=[Order], gate="valid")
async def validate_payment(data: ValidatePaymentInput, ctx: Context) -> ValidatePaymentOutput:
    return ValidatePaymentOutput(valid=True)


@operation(name="orders.checkout.calculate_shipping", models_in=[Order, "Product"], models_add=[ShippingQuote])
async def calculate_shipping(data: CalculateShippingInput, ctx: Context) -> CalculateShippingOutput:
    return CalculateShippingOutput(quote_id="q", amount=Decimal(5))
