from pulpo import operation


@operation(name="email.box.list")
async def list_all() -> None:
    """List."""


@operation(name="email.box.open")
async def send() -> None:
    """Open."""


@operation(name="email.out.send")
async def run() -> None:
    """Send."""


@operation(name="email.again.send")
async def flow() -> None:
    """Send again."""
