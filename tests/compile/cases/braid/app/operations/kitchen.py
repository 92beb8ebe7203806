from pulpo import flow, operation

flow("bakery", includes=["bakery"], description='Bake "the" cake, whatever it takes. C:\\temp is cold.')


@operation(name="bakery.dough.mix")
async def mix(flour: int = 1) -> None:
    """Mix."""


@operation(name="bakery.oven.heat", timeout=None)
async def heat() -> None:
    """Heat the oven (it takes its time)."""


@operation(name="bakery.oven.bake", after=["bakery.dough.mix", "bakery.oven.heat"], retries=1, timeout=0.5)
async def bake() -> None:
    """Bake."""


@operation(name="bakery.table.lay", after=["bakery.oven.heat"])
async def lay() -> None:
    """Lay the table."""
