from pulpo import operation


@operation(name="db.rows.clean")
async def clean() -> None: ...


@operation(name="plan.routes.draw")
async def draw() -> None: ...
