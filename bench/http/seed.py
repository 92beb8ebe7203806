"""The rows that every server answers from: into a compiled project's database, and as JSON lines for the peers.

python seed.py PROJECT PRODUCTS ORDERS [LINES]
"""

import asyncio
import importlib
import json
import random
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pulpo.store.port import Batch, Insert

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
STATES = ("pending", "processing", "shipped", "delivered", "cancelled")


def rows(products: int, orders: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """100 customers, so many products, and so many orders of three lines each: model names and fields."""
    chance = random.Random(7)
    for number in range(100):
        address = {
            "id": f"addr_{number:06}",
            "street": "1 Main St",
            "city": "Springfield",
            "state": "IL",
            "zip_code": "62701",
        }
        customer = {"email": f"c{number}@example.com", "name": f"Customer {number}", "addresses": [address]}
        yield "Customer", {"id": f"cust_{number:06}", **customer}
    prices = [chance.randint(100, 99_999) for _ in range(products)]
    for number, price in enumerate(prices):
        stock = chance.randint(0, 999)
        product = {"sku": f"SKU-{number:06}", "name": f"Sample product {number:06}", "price": price / 100}
        more = {"inventory": stock, "on_hand": stock, "category": "mugs", "location": "A-1"}
        yield "Product", {"id": f"prod_{number:06}", **product, **more}
    for number in range(orders):
        lines, cents = [], 0
        for _ in range(3):
            product, quantity = chance.randrange(products), chance.randint(1, 4)
            cents += prices[product] * quantity
            price = prices[product] / 100
            lines.append({"product_id": f"prod_{product:06}", "quantity": quantity, "unit_price": price})
        order = {"order_number": f"ORD-{number:06}", "customer_id": f"cust_{number % 100:06}", "items": lines}
        address, state = f"addr_{number % 100:06}", STATES[number % len(STATES)]
        more = {"total": cents / 100, "shipping_address_id": address, "status": state}
        yield "Order", {"id": f"order_{number:06}", **order, **more}


async def main(project: Path, products: int, orders: int, lines: Path | None) -> None:
    sys.path.insert(0, str(project))
    application = importlib.import_module("generated.application").application
    models = {model.name: model for model in application.spec.models}
    await application.start(execute=False)
    writes: list[Insert] = []
    with ExitStack() as files:
        out = files.enter_context(lines.open("w")) if lines is not None else None
        for number, (name, fields) in enumerate(rows(products, orders)):
            moment = BEGIN + timedelta(seconds=number)
            document = models[name].cls.model_validate_json(json.dumps(fields))
            document.__dict__.update(version=1, created_at=moment, updated_at=moment)
            text = document.model_dump_json()
            if out is not None:
                out.write(json.dumps([name, json.loads(text)]) + "\n")
            writes.append(Insert(models[name].collection, document.id, text))
            if len(writes) == 1000:
                await application.store.commit(Batch(tuple(writes)))
                writes.clear()
    if writes:
        await application.store.commit(Batch(tuple(writes)))
    await application.stop()


if __name__ == "__main__":
    root, products, orders, *lines = sys.argv[1:]
    asyncio.run(main(Path(root), int(products), int(orders), Path(lines[0]) if lines else None))
