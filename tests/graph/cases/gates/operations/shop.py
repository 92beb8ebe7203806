from pydantic import BaseModel
from pulpo import operation


class Checked(BaseModel):
    valid: bool
    reason: str = ""


@operation(name="orders.checking.one", gate="valyd")
async def one() -> Checked:
    return Checked(valid=True)


@operation(name="orders.checking.two", gate="reason")
async def two() -> Checked:
    return Checked(valid=True)


@operation(name="orders.checking.three", gate="ok")
async def three() -> bool:
    return True
