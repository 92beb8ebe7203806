from pulpo import operation


@operation(name="orders.shipping.ship", pivot=True)
async def ship() -> None: ...


@operation(name="orders.telling.tell")
async def tell() -> None: ...


@operation(name="orders.telling.thank", after=["orders.shipping.ship"])
async def thank() -> None: ...
