"""What is done with orders."""

from models.shop import Order, Status
from pydantic import BaseModel

from pulpo import Context, NotReady, Ref, Refused, operation


class PayInput(BaseModel):
    """Which order is paid, and how."""

    order_id: Ref[Order]
    method: str = "card"


class PayOutput(BaseModel):
    """The order's state afterwards."""

    order_id: str
    status: Status


@operation(name="shop.payments.pay", models_in=[Order], models_out=[Order], atomic=True)
async def pay(data: PayInput, ctx: Context) -> PayOutput:
    """Mark an order as paid; "cash" is refused, and "later" is not yet possible."""
    if data.method == "cash":
        raise Refused("declined", "cash is not taken", hint="use a card", status=402)
    if data.method == "later":
        raise NotReady("too_early", "not yet")
    if data.method == "bug":
        raise RuntimeError("secret detail")
    order = await ctx.store.get(Order, data.order_id)
    if order.status is Status.PAID:
        ctx.already()
    else:
        order.status = Status.PAID
        ctx.store.replace(order)
    return PayOutput(order_id=order.id, status=order.status)


@operation(name="shop.payments.receipt", models_in=[Order], after=["shop.payments.pay"])
async def receipt(data: PayInput, ctx: Context) -> dict[str, str]:
    r"""Say what was paid, in words with "quotes" and a \ in them."""
    order = await ctx.store.get(Order, data.order_id)
    return {"text": f"{order.order_number} is {order.status}"}


@operation(name="shop.echo", standalone=True)
async def echo(text: str, times: int = 1) -> str:
    """Plain parameters and a plain result."""
    return text * times
