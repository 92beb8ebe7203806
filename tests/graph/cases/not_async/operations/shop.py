from pulpo import operation


@operation(name="orders.checkout.place")
def place(order_id: str) -> None: ...


@operation
def pay(order_id: str) -> None: ...
