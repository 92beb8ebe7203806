from pydantic import BaseModel
from pulpo import operation


class Quote(BaseModel):
    quote_id: str
    price: int


class Offer(BaseModel):
    quote_id: str
    price: int


@operation(name="orders.asking.quote")
async def quote(order_id: str) -> Quote:
    return Quote(quote_id="q", price=1)


@operation(name="orders.asking.offer")
async def offer(order_id: str) -> Offer:
    return Offer(quote_id="o", price=1)


@operation(name="orders.taking.take", after=["orders.asking"], bind={"price": "orders.asking.offer"})
async def take(order_id: str, quote_id: str, price: int) -> None: ...
