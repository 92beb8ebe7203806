from pulpo import operation


@operation(name="Checkout")
async def badly_named() -> None: ...


@operation(name="orders.checkout.place", retries=-1, timeout=0, wait=True)
async def place() -> None: ...
