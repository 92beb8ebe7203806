"""A process inside the shop, for proofs: `python -m tests.proof.inside ROOT TASK …`. The last line it prints is JSON.

Tasks: `stock ORDERS UNITS SEED` and `fill ORDERS SEED` fill an empty shop, `attempt` tries to reserve a share of the
orders, `violations` and `documents` look at what is there.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import random
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx

from pulpo.errors import PulpoError
from pulpo.model.model import Model
from pulpo.runtime.application import Application
from pulpo.runtime.context import Caller
from pulpo.runtime.documents import Documents
from pulpo.runtime.target import load_application
from pulpo.store.port import Query
from tests.proof.scale import fill

RESERVE = "orders.fulfillment.reserve_items"
SHAPES = (("a", "b"), ("b", "a"), ("a", "b", "a"), ("b", "a", "b"), ("a", "b", "b", "a"), ("b", "a", "a", "b"))
"""The lines of an order, a unit each: one of both or more of one, in either order, on one line or on two."""


async def stock(app: Application, orders: str, units: str, seed: str) -> Any:
    """A customer, two products with so many units each, and so many orders of them, from `order_0` on."""
    address = {"id": "addr_789", "street": "1 Rodeo Drive", "city": "Beverly Hills", "state": "CA", "zip_code": "90210"}
    card = {"id": "pm_visa", "token": "pm_card_visa", "expires": "2031-12"}
    customer = {"id": "cust_123", "email": "ada@mail.example", "name": "Ada Moreno"}
    await _create(app, "Customer", {**customer, "addresses": [address], "payment_methods": [card]})
    for name in "ab":
        product = {"id": f"prod_{name}", "sku": name.upper(), "name": f"Product {name}", "price": 5.00}
        await _create(app, "Product", {**product, "inventory": int(units)})
    cls = app.spec.model("Order").cls
    draw = random.Random(int(seed))
    context = app.context(Caller())
    for number in range(int(orders)):
        items = [{"product_id": f"prod_{name}", "quantity": 1, "unit_price": 5.00} for name in draw.choice(SHAPES)]
        body = {"order_number": f"R-{number}", "customer_id": "cust_123", "shipping_address_id": "addr_789"}
        order = cls.model_validate({**body, "id": f"order_{number}", "items": items, "total": 5.00 * len(items)})
        assert isinstance(order, Model)
        context.store.insert(order)
        if number % 500 == 499:
            await context.commit()
    await context.commit()
    return {"orders": int(orders)}


async def _create(app: Application, model: str, data: dict[str, Any]) -> None:
    await Documents(app, app.spec.model(model)).create(json.dumps(data))


async def attempt(reserve: Callable[[str], Awaitable[str]], first: str, step: str, orders: str, lanes: str) -> Any:
    """Reserve `order_first`, `order_first+step`, … once each, so many at a time, when a line comes in.

    Returns:
        The orders by what came of them (`reserved` or an error's code), and the milliseconds of each attempt.
    """
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.readline)
    left = iter(range(int(first), int(orders), int(step)))
    answers: dict[str, list[str]] = {}
    took: list[float] = []

    async def lane() -> None:
        for number in left:
            began = time.perf_counter()
            answer = await reserve(f"order_{number}")
            took.append(round(1000 * (time.perf_counter() - began), 2))
            answers.setdefault(answer, []).append(f"order_{number}")

    began = time.perf_counter()
    await asyncio.gather(*(lane() for _ in range(int(lanes))))
    return {"answers": answers, "ms": took, "seconds": round(time.perf_counter() - began, 2)}


async def attempt_inside(app: Application, *share: str) -> Any:
    """The attempts by calls in this process."""

    async def reserve(order: str) -> str:
        try:
            outcome = await app.call(RESERVE, {"order_id": order}, caller=Caller())
        except PulpoError as error:
            return error.code
        return "already" if outcome.already else "reserved"

    return await attempt(reserve, *share)


async def attempt_over_http(url: str, *share: str) -> Any:
    """The attempts by requests to an API process."""
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=120) as client:

        async def reserve(order: str) -> str:
            answer = await client.post(f"/operations/{RESERVE.replace('.', '/')}", json={"order_id": order})
            if answer.status_code != 200:
                return str(answer.json().get("code", answer.status_code))
            return "already" if "Pulpo-Already" in answer.headers else "reserved"

        await asyncio.gather(*(client.get("/livez") for _ in range(int(share[-1]))))  # connect before the race
        return await attempt(reserve, *share)


async def violations(app: Application, *books: str) -> Any:
    """What `shop.invariants` finds; with the gateway's books, if a file holds them."""
    find = importlib.import_module("shop.invariants").violations
    known = json.loads((app.root / books[0]).read_text(encoding="utf-8")) if books else None
    return await find(app.store, known)


async def documents(app: Application, *collections: str) -> Any:
    """All documents of these collections."""
    found: dict[str, list[Any]] = {}
    for name in collections:
        found[name], after = [], None
        while True:
            page = await app.store.query(Query(name, limit=500, after=after))
            found[name] += [json.loads(record.json) for record in page.records]
            after = page.cursor
            if after is None:
                break
    return found


TASKS: dict[str, Callable[..., Awaitable[Any]]] = {
    "stock": stock,
    "fill": fill,
    "attempt": attempt_inside,
    "violations": violations,
    "documents": documents,
}


async def main() -> None:
    """Run the task that the arguments name."""
    root, task, *rest = sys.argv[1:]
    if task == "attempt_http":
        result = await attempt_over_http(*rest)
    else:
        app = load_application(Path(root))
        await app.start(execute=False)
        try:
            result = await TASKS[task](app, *rest)
        finally:
            await app.stop()
    sys.stdout.write(json.dumps(result) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main())
