from pulpo import flow, operation

flow("both", includes=["orders"])
flow("both", includes=["orders.checkout"])


@operation(name="orders.checkout")
async def checkout() -> None: ...


@operation(name="orders.checkout.place")
async def place() -> None: ...


@operation(name="orders.checkout.place")
async def place_again() -> None: ...


@operation(name="orders.checkout_place")
async def place_flat() -> None: ...
