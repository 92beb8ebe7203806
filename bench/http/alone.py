"""SQLite alone: the same rows and writes by Python's `sqlite3` in one process, no HTTP; what the storage allows.

python alone.py make DATABASE LINES
python alone.py get|post DATABASE SECONDS SERIAL ROWS

`post` puts 32 orders into each commit (`synchronous=FULL`), `get` makes a product's JSON in SQLite. Prints JSON.
"""

import itertools
import json
import random
import sqlite3
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

A_COMMIT = 32
COLUMNS = {
    "product": "id sku name price inventory active weight_grams category location on_hand reserved version created_at "
    "updated_at",
    "orders": "id order_number customer_id items status total shipping_address_id tracking_number currency fulfilment "
    "shipping_cost amount_due quote_id reserved_at shipped_at cancelled_at version created_at updated_at",
}
INDEXES = {
    "product": ("created_at", "inventory", "category"),
    "orders": ("created_at", "customer_id", "tracking_number", "fulfilment", "status, created_at"),
}
INSERT = {
    table: f"INSERT INTO {table} VALUES({','.join('?' * len(names.split()))})" for table, names in COLUMNS.items()
}


def connect(path: str) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    return db


def make(path: str, lines: Path) -> None:
    db = connect(path)
    for table, unique in (("product", "sku"), ("orders", "order_number")):
        columns = ",".join(COLUMNS[table].split()[1:]).replace(unique, f"{unique} UNIQUE")
        db.execute(f"CREATE TABLE {table}(id TEXT PRIMARY KEY,{columns})")
        for number, fields in enumerate(INDEXES[table]):
            db.execute(f"CREATE INDEX {table}_{number} ON {table}({fields})")
    db.execute("BEGIN")
    for line in lines.open():
        name, document = json.loads(line)
        table = {"Product": "product", "Order": "orders"}.get(name)
        if table is not None:
            values = [document[column] for column in COLUMNS[table].split()]
            db.execute(INSERT[table], [json.dumps(value) if isinstance(value, list) else value for value in values])
    db.execute("COMMIT")


def reading(db: sqlite3.Connection, rows: int, chance: random.Random) -> Callable[[], int]:
    pairs = ",".join(f"'{name}',{name}" for name in COLUMNS["product"].split())
    sql = f"SELECT json_object({pairs}) FROM product WHERE id=?"

    def get() -> int:
        db.execute(sql, (f"prod_{chance.randrange(rows):06}",)).fetchone()
        return 1

    return get


def writing(db: sqlite3.Connection, rows: int, chance: random.Random, serial: str) -> Callable[[], int]:
    numbers = itertools.count()

    def post() -> int:
        db.execute("BEGIN IMMEDIATE")
        for _ in range(A_COMMIT):
            lines = [(f"prod_{chance.randrange(rows):06}", chance.randint(1, 4), 19.99) for _ in range(3)]
            names = ("product_id", "quantity", "unit_price", "total_price")
            items = [dict(zip(names, (*line, line[1] * line[2]), strict=True)) for line in lines]
            moment, customer = datetime.now(UTC).isoformat(), chance.randrange(100)
            given = (uuid4().hex, f"A{serial}-{next(numbers)}", f"cust_{customer:06}", json.dumps(items), "pending")
            money = sum(item["total_price"] for item in items), f"addr_{customer:06}", None, "USD", "none"
            db.execute(INSERT["orders"], (*given, *money, *[None] * 6, 1, moment, moment))
        db.execute("COMMIT")
        return A_COMMIT

    return post


def main() -> None:
    what, path, *rest = sys.argv[1:]
    if what == "make":
        make(path, Path(rest[0]))
        return
    seconds, serial, rows = float(rest[0]), rest[1], int(rest[2])
    db, chance = connect(path), random.Random(int(serial))
    step = reading(db, rows, chance) if what == "get" else writing(db, rows, chance, serial)
    done, cpu, began = 0, time.process_time(), time.perf_counter()
    while (took := time.perf_counter() - began) < seconds:
        done += step()
    print(json.dumps({"rate": done / took, "cpu_us": (time.process_time() - cpu) / done * 1e6}))


if __name__ == "__main__":
    main()
