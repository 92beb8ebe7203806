"""What a strict type checker sees of declarations; `# error: CODE` states the error that a line must have."""

from __future__ import annotations

from decimal import Decimal
from typing import assert_type

from pydantic import BaseModel

from pulpo import Field, Model, Money, Ref, datamodel, flow, group, operation


class PlaceInput(BaseModel):
    order_id: Ref[Order]


class PlaceOutput(BaseModel):
    placed: bool


@datamodel
class Customer(Model):
    email: str = Field(unique=True)


@datamodel(unique=[("number", "customer_id")], api="read")
class Order(Model):
    number: str = Field(key=True)
    customer_id: Ref[Customer]
    total: Money = Decimal(0)


@operation(name="orders.checkout.place", models_in=[Order, "Customer"], models_out=[Order], retries=3, timeout=None)
async def place(data: PlaceInput, *, quick: bool = False) -> PlaceOutput:
    return PlaceOutput(placed=quick)


@operation
async def unplace(order_id: Ref[Order]) -> None: ...


@operation(
    name="orders.checkout.pay", compensate=unplace, after=[place, "orders.cart"], bind={"total": "orders.cart.sum"}
)
async def pay(order_id: Ref[Order], total: Money) -> bool:
    return total > 0


group("orders.checkout", after=["orders.cart", place])
flow("order_to_cash", includes=["orders"], one_per="order_id")


async def declared_things_keep_their_types(order: Order) -> None:
    assert_type(order.total, Decimal)
    assert_type(order.changed(total=Decimal(1)), Order)
    assert_type(await place(PlaceInput(order_id=order.id), quick=True), PlaceOutput)
    assert_type(await pay(order_id="o", total=Decimal(1)), bool)
    await place(PlaceInput(order_id=order.id), quick="no")  # error: arg-type
    await place("order")  # error: arg-type
    await pay(order_id="o")  # error: call-arg
    print(order.totl)  # error: attr-defined


@operation(name="orders.checkout.slow")  # error: type-var
def slow(data: PlaceInput) -> PlaceOutput:
    return PlaceOutput(placed=True)


@datamodel
class Plain(BaseModel):  # error: type-var
    note: str = ""


@operation(name="orders.checkout.odd", retry=3)  # error: call-overload, untyped-decorator
async def odd() -> None: ...


@operation(name="orders.checkout.odder", models_in=[1])  # error: list-item
async def odder() -> None: ...


flow("wrong", one_per=1)  # error: arg-type
group("orders", before=["a"])  # error: call-arg


@datamodel(api="some")  # error: arg-type
class Some(Model):
    note: str = ""
