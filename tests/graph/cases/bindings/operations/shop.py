from typing import Any

from pydantic import BaseModel
from pulpo import operation


class Quote(BaseModel):
    quote_id: str


@operation(name="orders.asking.quote")
async def quote() -> Quote:
    return Quote(quote_id="q")


@operation(name="orders.asking.open")
async def anything() -> dict[str, Any]:
    return {}


@operation(name="orders.asking.plain")
async def plain() -> int:
    return 1


@operation(name="orders.taking.a", after=["orders.asking"], bind={"quote_id": "orders.asking.qoute"})
async def a(quote_id: str) -> None: ...


@operation(name="orders.taking.b", after=["orders.asking"], bind={"quote_id": "orders.asking.quote:quoteid"})
async def b(quote_id: str) -> None: ...


@operation(name="orders.taking.c", after=["orders.asking"], bind={"quoteid": "orders.asking.quote:quote_id"})
async def c(quote_id: str) -> None: ...


@operation(name="orders.taking.d", bind={"quote_id": "orders.asking.quote"})
async def d(quote_id: str) -> None: ...


@operation(name="orders.taking.e", after=["orders.asking"], bind={"quote_id": "orders.asking.open:anything"})
async def e(quote_id: str) -> None: ...


@operation(name="orders.taking.f", after=["orders.asking"], bind={"quote_id": "orders.asking.plain"})
async def f(quote_id: str) -> None: ...


@operation(name="orders.taking.g", bind={"quote_id": "orders.taking.g"})
async def g(quote_id: str) -> None: ...
