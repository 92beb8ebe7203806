from pulpo import Ref, flow, group, operation

group("orders.chekout", after=["orders.paying"])
flow("everything", includes=["orders", "paiments"])
flow("one_order", includes=["orders"], one_per="order_ids")
flow("Everything Else", includes=["orders"])


@operation(name="orders.checkout.place", models_in=["Ordr"], models_out=["Something"], models_add=["Payments"])
async def place(order_id: Ref["Ordre"]) -> None: ...


@operation(name="orders.checkout.pay", after=["orders.checkot.place"], compensate="orders.checkout.pay_bak")
async def pay(order_id: str) -> None: ...


@operation(name="orders.payment.pay_back")
async def pay_back(order_id: str) -> None: ...
