"""How fast the MongoDB store is, beside PyMongo alone on the same server: operations per second, in one process.

    python bench/mongo.py [--seconds 1] [--rounds 3] [--quick] [--only WORD]

`alone` is what one would write by hand: a document per order with Decimal128 and dates, one call per operation,
majority writes, no events. `pulpo` is the store with everything on: the text beside the fields, versions, an event with
every write. Server and client share the machine. Medians of the rounds; cpu is this process' time per operation, mongod
the server's.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import uvloop
from bson.decimal128 import Decimal128
from pymongo import AsyncMongoClient, WriteConcern

from pulpo.errors import PulpoError
from pulpo.model.conditions import Compare
from pulpo.services import mongod
from pulpo.store.mongo import MongoStore
from pulpo.store.port import Batch, Collection, Column, Index, Insert, Query, Replace, Update

ORDERS = Collection(
    "orders",
    (
        Column("number", "text"),
        Column("customer", "text"),
        Column("status", "text"),
        Column("total", "money"),
        Column("created_at", "datetime"),
        Column("updated_at", "datetime"),
        Column("items.product", "text", many=True),
        Column("items.quantity", "integer", many=True),
        Column("items.unit_price", "money", many=True),
    ),
    (Index(("number",), unique=True), Index(("customer", "created_at")), Index(("created_at",))),
)
STEPS = Collection("_steps", (Column("run", "text"), Column("state", "text")))
STOCK = Collection("products", (Column("inventory", "integer"), Column("price", "money")))
COUNT = 10_000
AT = "2025-10-30T09:{:02}:{:02}.{:03}Z"


def fields(number: int, version: int = 1) -> dict:
    moment = AT.format(number // 60_000 % 60, number // 1000 % 60, number % 1000)
    return {
        "id": f"order_{number:09}",
        "version": version,
        "created_at": moment,
        "updated_at": moment,
        "number": f"ORD-{number}",
        "customer": f"cust_{number % 100}",
        "status": ("pending", "paid", "shipped")[(number + version) % 3],
        "total": number % 10_000 / 100,
        "items": [{"product": f"prod_{number % 50}", "quantity": 2, "unit_price": 19.99}] * 2,
    }


def text(document: dict) -> str:
    return json.dumps(document, separators=(",", ":"))


def by_hand(number: int) -> dict:
    document = fields(number)
    document["_id"] = document.pop("id")
    document["created_at"] = document["updated_at"] = datetime.now(UTC)
    document["total"] = Decimal128(f"{document['total']:.2f}")
    document["items"] = [{**item, "unit_price": Decimal128("19.99")} for item in document["items"]]
    return document


def told(kind: str, number: int) -> tuple:
    return ({"type": f"document.{kind}", "model": "Order", "id": f"order_{number:09}"},)


class Bench:
    def __init__(self, store: MongoStore, client: AsyncMongoClient, seconds: float, engine) -> None:
        self.store = store
        self.engine = engine
        self.seconds = seconds
        self.number = COUNT
        self.versions: dict[int, int] = {}
        database = client.get_database("alone", write_concern=WriteConcern("majority", j=True))
        self.orders = database["orders"]
        self.found: dict[str, list[tuple[float, float, float, float]]] = {}

    async def measure(self, title: str, one, at_once: int) -> None:
        waits: list[float] = []
        end = time.perf_counter() + self.seconds

        async def caller(lane: int) -> None:
            while (started := time.perf_counter()) < end:
                self.number += 1
                await one(self.number, lane)
                waits.append(time.perf_counter() - started)

        cpu, engine, started = time.process_time(), sum(self.engine.cpu_times()[:2]), time.perf_counter()
        await asyncio.gather(*(caller(lane) for lane in range(at_once)))
        took, cpu = time.perf_counter() - started, time.process_time() - cpu
        engine = sum(self.engine.cpu_times()[:2]) - engine
        p99 = statistics.quantiles(waits, n=100)[98] if len(waits) > 1 else waits[0]
        self.found.setdefault(f"{title}, {at_once} at once", []).append(
            (len(waits) / took, cpu / len(waits), engine / len(waits), p99)
        )

    # by hand

    async def alone_get(self, number: int, _: int) -> None:
        await self.orders.find_one({"_id": f"order_{number * 7919 % COUNT:09}"})

    async def alone_list(self, number: int, _: int) -> None:
        where = {"customer": f"cust_{number % 100}"}
        await self.orders.find(where, sort=[("created_at", -1)], limit=50).to_list()

    async def alone_insert(self, number: int, _: int) -> None:
        await self.orders.insert_one(by_hand(number))

    async def alone_replace(self, number: int, _: int) -> None:
        change = {"$set": {"status": "paid", "updated_at": datetime.now(UTC)}, "$inc": {"version": 1}}
        await self.orders.update_one({"_id": f"order_{number * 7919 % COUNT:09}", "version": {"$gte": 1}}, change)

    # the store

    async def pulpo_get(self, number: int, _: int) -> None:
        assert await self.store.get_json("orders", f"order_{number * 7919 % COUNT:09}")

    async def pulpo_list(self, number: int, _: int) -> None:
        where = Compare("customer", "eq", f"cust_{number % 100}")
        await self.store.query_json(Query("orders", where, (("created_at", True),), limit=50))

    async def pulpo_insert(self, number: int, _: int) -> None:
        insert = Insert("orders", f"order_{number:09}", text(fields(number)))
        await self.store.commit(Batch((insert,), told("created", number)))

    async def pulpo_insert_untold(self, number: int, _: int) -> None:
        await self.store.commit(Batch((Insert("orders", f"order_{number:09}", text(fields(number))),)))

    async def pulpo_replace(self, number: int, lane: int) -> None:
        which = lane + 256 * (number % 30)
        version = self.versions.get(which, 1)
        self.versions[which] = version + 1
        replace = Replace("orders", f"order_{which:09}", version, text(fields(which, version + 1)))
        await self.store.commit(Batch((replace,), told("changed", which)))

    async def pulpo_take(self, number: int, _: int) -> None:
        """A guarded update of the one hot product, a row and an event, as reserving stock is."""
        take = Update("products", "hot", where=Compare("inventory", "gte", 1), add={"inventory": -1})
        row = Insert("_steps", f"take:{number:09}", text({"id": f"take:{number:09}", "version": 1, "run": "r"}))
        await self.store.commit(Batch((take, row), told("changed", number)))

    async def pulpo_step(self, number: int, _: int) -> None:
        """What an engine commits: a step's result, the next one's intent, and an event."""
        first, second = f"step:{number:09}:a", f"step:{number:09}:b"
        document = {"id": first, "version": 1, "run": "run_01", "state": "running", "output": None}
        await self.store.commit(Batch((Insert("_steps", first, text(document)),), told("created", number)))
        done = Replace("_steps", first, 1, text({**document, "version": 2, "state": "completed"}))
        then = Insert("_steps", second, text({**document, "id": second}))
        await self.store.commit(Batch((done, then), told("changed", number)))


async def main(url: str, engine, seconds: float, rounds: int, only: str) -> None:
    store = MongoStore(url)
    await store.open((ORDERS, STEPS, STOCK))
    client: AsyncMongoClient = AsyncMongoClient(url)
    bench = Bench(store, client, seconds, engine)
    await bench.orders.create_index("number", unique=True)
    await bench.orders.create_index([("customer", 1), ("created_at", 1)])
    await bench.orders.create_index("created_at")
    await bench.orders.insert_many([by_hand(number) for number in range(COUNT)])
    for begin in range(0, COUNT, 500):
        numbers = range(begin, begin + 500)
        await store.commit(Batch(tuple(Insert("orders", f"order_{n:09}", text(fields(n))) for n in numbers)))
    hot = {"id": "hot", "version": 1, "inventory": 10_000_000, "price": 19.99}
    await store.commit(Batch((Insert("products", "hot", text(hot)),)))
    cases = {name: getattr(bench, name) for name in dir(bench) if name.startswith(("alone_", "pulpo_"))}
    for _ in range(rounds):
        for name, one in sorted(cases.items(), key=lambda case: case[0].partition("_")[::-1]):
            if only in name:
                for at_once in (1, 32):
                    await bench.measure(name.replace("_", " "), one, at_once)
    for title, runs in bench.found.items():
        rate, cpu, engine, p99 = (statistics.median(part) for part in zip(*runs, strict=True))
        used = f"cpu {cpu * 1e6:>7.1f} us  mongod {engine * 1e6:>7.1f} us"
        print(f"{title:<36} {rate:>9,.0f}/s  {used}  p99 {p99 * 1000:.1f} ms", flush=True)
    await client.close()
    await store.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=1.0, help="how long each figure is measured")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one round, a fifth of a second for each figure")
    parser.add_argument("--only", default="", help="what is measured: cases with this in their name")
    arguments = parser.parse_args()
    seconds, rounds = (0.2, 1) if arguments.quick else (arguments.seconds, arguments.rounds)
    try:
        mongod.program()
    except PulpoError as error:
        print(f"{error}; skipped")
        sys.exit()
    with tempfile.TemporaryDirectory() as place:
        server = mongod.start(Path(place), cache_gb=0.5)
        try:
            mongod.initiate((server.port,))
            url = mongod.address((server.port,), "bench")
            uvloop.run(main(url, server.process, seconds, rounds, arguments.only))
        finally:
            server.stop()
