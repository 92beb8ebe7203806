from pydantic import BaseModel
from pulpo import operation


class Held(BaseModel):
    hold_id: str


@operation(name="orders.stock.hold", compensate="orders.stock.release")
async def hold(order_id: str) -> Held:
    return Held(hold_id="h")


@operation(name="orders.stock.release")
async def release(order: str, hold_id: str) -> None: ...


@operation(name="orders.stock.hold_at_once", compensate="orders.stock.release_at_once", atomic=True)
async def hold_at_once(order_id: str) -> Held:
    return Held(hold_id="h")


@operation(name="orders.stock.release_at_once")
async def release_at_once(order_id: str, hold_id: str) -> None: ...


@operation(name="orders.stock.note", compensate="orders.stock.note")
async def note(order_id: str) -> None: ...
