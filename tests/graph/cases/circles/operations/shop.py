from models.shop import Order
from pydantic import BaseModel
from pulpo import group, operation

group("a.first", after=["a.second"])
group("a.second", after=["a.first"])


@operation(name="a.first.one")
async def first_one() -> None: ...


@operation(name="a.first.two")
async def first_two() -> None: ...


@operation(name="a.second.one")
async def second_one() -> None: ...


@operation(name="b.steps.early", models_out=[Order], after=["b.steps.late"])
async def early() -> None: ...


@operation(name="b.steps.late", models_out=[Order])
async def late() -> None: ...


class Passed(BaseModel):
    note: str


@operation(name="c.left.turn")
async def left(data: Passed) -> Passed:
    return data


@operation(name="c.right.turn")
async def right(data: Passed) -> Passed:
    return data
