"""How fast the SQLite store is: durable commits and reads per second, in one process.

    python bench/store.py [--seconds 2] [--quick] [--folder FOLDER]

Every commit waits for the disk (`synchronous=FULL`); `at once` is how many callers wait for their own commit.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from pathlib import Path

import uvloop

from pulpo.model.conditions import Compare
from pulpo.store.port import Batch, Collection, Column, Index, Insert, Query, Update
from pulpo.store.sqlite import SqliteStore

ORDERS = Collection(
    "orders",
    (
        Column("number", "text"),
        Column("customer", "text"),
        Column("status", "text"),
        Column("total", "money"),
        Column("created_at", "datetime"),
    ),
    (Index(("number",), unique=True), Index(("customer",)), Index(("created_at",))),
)
STEPS = Collection("_steps", (Column("run", "text"), Column("state", "text")))
EVENTS = ({"type": "step.completed", "run": "run_01", "operation": "orders.checkout.validate", "at": "2025-10-30"},)


def order(number: int) -> Insert:
    document = {
        "id": f"order_{number:09}",
        "version": 1,
        "created_at": f"2025-10-30T09:{number // 60_000 % 60:02}:{number // 1000 % 60:02}.{number % 1000:03}Z",
        "number": f"ORD-{number}",
        "customer": f"cust_{number % 100}",
        "status": ("pending", "paid", "shipped")[number % 3],
        "total": number % 10_000 / 100,
        "items": [{"product": f"prod_{number % 50}", "quantity": 2, "unit_price": 19.99}] * 2,
    }
    return Insert("orders", document["id"], json.dumps(document, separators=(",", ":")))


def step(number: int, state: str) -> Insert:
    document = {"id": f"run:{number:09}", "version": 1, "run": "run_01", "state": state, "token": 1, "output": None}
    return Insert("_steps", document["id"], json.dumps(document, separators=(",", ":")))


def single(number: int) -> Batch:
    return Batch((order(number),))


def step_result(number: int) -> Batch:
    """What an engine commits: a step's result, the next one's intent, and an event."""
    done = Update("_steps", "run:fence", where=Compare("state", "eq", "running"), set={"output": {"number": number}})
    return Batch((done, step(number, "running"), order(number)), EVENTS)


class Bench:
    def __init__(self, store: SqliteStore, seconds: float) -> None:
        self.store = store
        self.seconds = seconds
        self.number = 0

    async def commits(self, title: str, make, at_once: int) -> None:
        waits: list[float] = []
        end = time.perf_counter() + self.seconds

        async def caller() -> None:
            while (started := time.perf_counter()) < end:
                self.number += 1
                await self.store.commit(make(self.number))
                waits.append(time.perf_counter() - started)

        cpu, started = time.process_time(), time.perf_counter()
        await asyncio.gather(*(caller() for _ in range(at_once)))
        took, cpu = time.perf_counter() - started, time.process_time() - cpu
        p99 = statistics.quantiles(waits, n=100)[98]
        show(f"{title}, {at_once} at once", len(waits) / took, cpu / len(waits), f"p99 {p99 * 1000:.1f} ms")

    async def reads(self, title: str, read) -> None:
        count, cpu, started = 0, time.process_time(), time.perf_counter()
        while time.perf_counter() - started < self.seconds:
            for _ in range(50):
                count += 1
                await read(count)
        took = time.perf_counter() - started
        show(title, count / took, (time.process_time() - cpu) / count)


def show(title: str, rate: float, cpu: float, more: str = "") -> None:
    print(f"{title:<44} {rate:>9,.0f}/s  {cpu * 1e6:>7.1f} us CPU  {more}", flush=True)


async def main(folder: Path, seconds: float) -> None:
    store = SqliteStore(folder / "bench.db")
    await store.open((ORDERS, STEPS))
    fence = {"id": "run:fence", "version": 1, "run": "run_01", "state": "running"}
    await store.commit(Batch((Insert("_steps", "run:fence", json.dumps(fence)),)))
    bench = Bench(store, seconds)
    for at_once in (1, 32, 200):
        await bench.commits("one insert", single, at_once)
        await bench.commits("result, intent, insert and event", step_result, at_once)
    newest = Query("orders", sort=(("created_at", True),), limit=50)
    paid = Query("orders", Compare("customer", "eq", "cust_7"), (("created_at", True),), limit=50)
    cursor = (await store.query(newest)).cursor
    later = Query("orders", sort=(("created_at", True),), limit=50, after=cursor)
    last = bench.number
    await bench.reads("get one, bytes", lambda n: store.get_json("orders", f"order_{n % last + 1:09}"))
    await bench.reads("get one, record", lambda n: store.get("orders", f"order_{n % last + 1:09}"))
    await bench.reads("newest 50, bytes", lambda _: store.query_json(newest))
    await bench.reads("the next 50, bytes", lambda _: store.query_json(later))
    await bench.reads("a customer's newest 50, bytes", lambda _: store.query_json(paid))
    await store.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2.0, help="how long each figure is measured")
    parser.add_argument("--folder", type=Path, help="where the database is made (default: a temporary folder)")
    parser.add_argument("--quick", action="store_true", help="a fifth of a second for each figure")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as place:
        uvloop.run(main(Path(place), 0.2 if arguments.quick else arguments.seconds))
