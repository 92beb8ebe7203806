from pydantic import BaseModel
from pulpo import operation


class Checked(BaseModel):
    ok: bool


@operation(name="orders.checking.check", gate="ok")
async def check() -> Checked:
    return Checked(ok=True)


@operation(name="orders.holding.hold", compensate="orders.holding.release")
async def hold() -> None: ...


@operation(name="orders.holding.release")
async def release() -> None: ...


@operation(name="orders.holding.note")
async def note() -> None: ...
