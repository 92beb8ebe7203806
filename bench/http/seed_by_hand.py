"""The same rows for the peer: `python seed_by_hand.py LINES`, in the peer's environment."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from by_hand import Customer, Order, Product, engine
from sqlmodel import SQLModel

TABLES = {"Customer": Customer, "Product": Product, "Order": Order}


async def main(lines: Path) -> None:
    gathered: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES}
    for line in lines.open():
        name, document = json.loads(line)
        cls = TABLES[name]
        row = cls.model_validate({key: value for key, value in document.items() if key in cls.model_fields})
        gathered[name].append({key: getattr(row, key) for key in cls.model_fields})
    async with engine.begin() as connection:
        await connection.run_sync(SQLModel.metadata.create_all)
        for name, found in gathered.items():
            await connection.execute(TABLES[name].__table__.insert(), found)
    await engine.dispose()


asyncio.run(main(Path(sys.argv[1])))
