from models.shop import Order, Payment
from pulpo import operation


@operation(name="orders.left.write", models_out=[Order, Payment])
async def left() -> None: ...


@operation(name="orders.right.write", models_out=[Payment, Order])
async def right() -> None: ...


@operation(name="orders.third.insert", models_add=[Order], models_in=[Payment])
async def insert() -> None: ...


@operation(name="orders.fourth.insert", models_add=[Order])
async def insert_too() -> None: ...
