"""Renames a customer while no API is there to tell of it. Run in a compiled project's root: `unseen.py ID NAME`."""

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path.cwd()))

from generated.application import application

from pulpo.runtime.context import Caller


async def main() -> None:
    """Write it into the database."""
    from models.customer import Customer  # noqa: PLC0415 - known once the project is on the path

    await application.start(execute=False)
    context = application.context(Caller())
    customer = await context.store.get(Customer, sys.argv[1])
    context.store.patch(customer, name=sys.argv[2])
    await context.commit()
    await application.stop()


asyncio.run(main())
