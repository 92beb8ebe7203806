from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel
from pulpo import operation

if TYPE_CHECKING:
    from pulpo import Context


class Thing:
    pass


@operation(name="orders.checkout.place")
async def place(order_id, amount: int = 1): ...


@operation(name="orders.checkout.pay")
async def pay(order_id: str, ctx: Context) -> Nowhere: ...


@operation(name="orders.checkout.many")
async def many(*order_ids: str, **more: str) -> None: ...


@operation(name="orders.checkout.odd")
async def odd(thing: Thing) -> None: ...


class Later(BaseModel):
    note: Never


@operation(name="orders.checkout.later")
async def later(data: Later) -> None: ...
