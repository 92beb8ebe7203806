"""A second process at work on a database, for tests: `python -m pulpo.testing.rival URL TASK …`.

It opens the database, prints `ready`, and begins when a line comes in. What it prints then is acknowledged work.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from pulpo.model.conditions import Compare
from pulpo.store.connect import connect
from pulpo.store.port import Batch, Store, Update, WriteFailed
from pulpo.testing.conformance.data import COLLECTIONS, THINGS, thing


async def take(store: Store, id: str, times: str) -> None:
    """Take one piece of a thing's stock, as often as said, ten at once; print how often it worked."""
    left, won = int(times), 0

    async def some() -> None:
        nonlocal left, won
        while left:
            left -= 1
            try:
                await store.commit(Batch((Update(THINGS, id, where=Compare("stock", "gte", 1), add={"stock": -1}),)))
                won += 1
            except WriteFailed:
                pass

    await asyncio.gather(*(some() for _ in range(10)))
    _say(str(won))


async def claim(store: Store, name: str, values: str) -> None:
    """Insert a thing for each of so many unique values, with an event; print how many were free."""
    won = 0
    for number in range(int(values)):
        try:
            insert = thing(f"{name}{number}", sku=str(number))
            await store.commit(Batch((insert,), ({"type": "claimed", "by": name, "number": number},)))
            won += 1
        except WriteFailed:
            pass
    _say(str(won))


async def pour(store: Store, name: str) -> None:
    """Insert pairs of things without end, eight batches at once; print each pair's number when it is committed."""

    async def some(lane: int) -> None:
        number = lane
        while True:
            pair = (thing(f"{name}{number}-left"), thing(f"{name}{number}-right"))
            await store.commit(Batch(pair, ({"type": "poured", "number": number},)))
            _say(str(number))
            number += 8

    await asyncio.gather(*(some(lane) for lane in range(8)))


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def main() -> None:
    """Run the task that the arguments name."""
    url, task, *rest = sys.argv[1:]
    store = connect(url, Path.cwd())
    await store.open(COLLECTIONS)
    _say("ready")
    await asyncio.to_thread(sys.stdin.readline)
    tasks: dict[str, Callable[..., Awaitable[None]]] = {"take": take, "claim": claim, "pour": pour}
    await tasks[task](store, *rest)
    await store.close()


if __name__ == "__main__":
    asyncio.run(main())
