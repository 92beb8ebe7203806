"""Flows per second: Pulpo's embedded engine beside a bare journal sketch and bare asyncio, in one run.

    python bench/flows.py [--store sqlite|mongodb|both] [--rounds 3] [--quick] [--json FILE] [--write]

The flow is the order app's: eleven operations whose bodies do nothing. The engines take turns in one process
with the event loop (uvloop) and the collector settings of Pulpo's API process, several rounds each, and the medians are
compared:

* `pulpo`: the embedded engine, with validation, events, leases and the seed's plan;
* `sketch`: `asyncio.gather` and a journal, nothing else: an intent row before and a result row after each operation.
  It promises nothing beyond that. On SQLite all that has gathered is one commit, `synchronous=FULL`, and it stands here
  twice: on Python's `sqlite3` module, which is what one would reach for and what ratios are taken against, and on
  `apsw`, which Pulpo uses too and which makes the sketch faster. On MongoDB (`sketch, unbatched`) each entry is
  a write of its own, acknowledged by a majority;
* `asyncio`: the same coroutines without any journal.

MongoDB is a `mongod` as `pulpo up` starts it, a replica set of one. `--write` makes its table of docs/performance.md.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import queue
import sqlite3
import statistics
import tempfile
import threading
import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import apsw
import uvloop
from measuring import report
from measuring.report import Goals
from pydantic import BaseModel
from pymongo import AsyncMongoClient, WriteConcern

from pulpo import Context, flow, operation
from pulpo.errors import PulpoError
from pulpo.graph.build import plans
from pulpo.runtime.application import Application, assemble
from pulpo.runtime.context import Caller
from pulpo.runtime.process import tune_collector
from pulpo.services import mongod
from pulpo.settings import Settings
from pulpo.spec import AppSpec

CHECKOUT = ("validate_items", "validate_payment", "calculate_shipping")
ATOMIC = {"validate_items", "validate_payment", "calculate_shipping", "reserve_items", "pick_items", "pack_items",
          "update_customer", "verify"}  # fmt: skip
AFTER = {
    "orders.fulfillment.reserve_items": ["orders.checkout"],
    "orders.fulfillment.pick_items": ["orders.fulfillment.reserve_items", "payments.processing.charge"],
    "orders.fulfillment.pack_items": ["orders.fulfillment.pick_items"],
    "orders.fulfillment.ship_items": ["orders.fulfillment.pack_items", "payments.reconciliation.verify"],
    "orders.tracking.update_customer": ["orders.fulfillment.ship_items"],
    "payments.processing.charge": ["orders.checkout"],
    "payments.processing.confirm": ["payments.processing.charge", "orders.fulfillment.reserve_items"],
    "payments.reconciliation.verify": ["payments.processing.confirm"],
}
NAMES = (*(f"orders.checkout.{name}" for name in CHECKOUT), *AFTER)
PHASES = {1: 200, 20: 1000, 100: 2000}  # flows at once -> flows
PHASES_MONGO = {1: 60, 20: 400, 100: 800}
SINGLY = 4  # the unbatched sketch does so many times fewer
STORES = ("sqlite", "mongodb")
AUTOCOMMIT: dict[str, Any] = {"isolation_level": None, "check_same_thread": False}
One = Callable[[int], Awaitable[None]]
Found = dict[str, dict[int, list[tuple[float, float]]]]
UNBATCHED = "sketch, unbatched"


class OrderInput(BaseModel):
    """What each operation takes."""

    order_id: str


class Done(BaseModel):
    """What each operation makes."""

    ok: bool = True


def operations(seconds: float) -> list[Any]:
    """The eleven operations, each taking `seconds`."""

    def make(name: str) -> Any:
        async def body(data: OrderInput, ctx: Context) -> Done:  # noqa: ARG001 - what an operation takes
            if seconds:
                await asyncio.sleep(seconds)
            return Done()

        body.__name__ = name.rpartition(".")[2]
        body.__annotations__ = {"data": OrderInput, "ctx": Context, "return": Done}
        atomic = body.__name__ in ATOMIC
        return operation(name=name, after=AFTER.get(name, []), atomic=atomic, pivot=body.__name__ == "ship_items")(body)

    return [make(name) for name in NAMES]


async def shape(call: Callable[[str], Awaitable[object]]) -> None:
    """The seed's flow: the plan of `order_to_cash` written by hand."""
    await asyncio.gather(*(call(name) for name in CHECKOUT))
    await asyncio.gather(call("reserve_items"), call("charge"))

    async def chain(*names: str) -> None:
        for name in names:
            await call(name)

    await asyncio.gather(chain("pick_items", "pack_items"), chain("confirm", "verify"))
    await chain("ship_items", "update_customer")


class Sketch:
    """A journal and nothing else; one thread writes and commits whatever has gathered."""

    def __init__(self, folder: Path, driver: str) -> None:
        self._driver = driver
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[tuple[str, tuple[Any, ...], asyncio.Future[None]] | None] = queue.SimpleQueue()
        self._path = str(folder / f"{driver}.db")
        self._thread = threading.Thread(target=self._write, daemon=True)
        self._thread.start()

    def _write(self) -> None:
        db: Any = apsw.Connection(self._path) if self._driver == "apsw" else sqlite3.connect(self._path, **AUTOCOMMIT)
        for sql in (
            "PRAGMA journal_mode=WAL",
            "PRAGMA synchronous=FULL",
            "CREATE TABLE run(id TEXT PRIMARY KEY, state TEXT, input TEXT)",
            "CREATE TABLE step(run TEXT, operation TEXT, state TEXT, output TEXT, PRIMARY KEY(run, operation))",
        ):
            db.execute(sql)
        while (first := self._queue.get()) is not None:
            batch, last = [first], False
            while len(batch) < 512 and not self._queue.empty():
                more = self._queue.get()
                if more is None:
                    last = True
                    break
                batch.append(more)
            db.execute("BEGIN IMMEDIATE")
            for sql, values, _ in batch:
                db.execute(sql, values)
            db.execute("COMMIT")
            self._loop.call_soon_threadsafe(self._settle, [future for _, _, future in batch])
            if last:
                break
        db.close()

    @staticmethod
    def _settle(futures: list[asyncio.Future[None]]) -> None:
        for future in futures:
            if not future.done():
                future.set_result(None)

    def write(self, sql: str, *values: object) -> asyncio.Future[None]:
        """Queue one statement; done when it is committed."""
        future: asyncio.Future[None] = self._loop.create_future()
        self._queue.put((sql, values, future))
        return future

    async def flow(self, seconds: float) -> None:
        """One flow, every operation with an intent and a result."""
        run = uuid.uuid4().hex
        await self.write("INSERT INTO run VALUES (?, 'running', ?)", run, json.dumps({"order_id": run}))

        async def call(name: str) -> None:
            await self.write("INSERT INTO step VALUES (?, ?, 'running', NULL)", run, name)
            if seconds:
                await asyncio.sleep(seconds)
            done = json.dumps({"ok": True})
            await self.write("UPDATE step SET state='done', output=? WHERE run=? AND operation=?", done, run, name)

        await shape(call)
        await self.write("UPDATE run SET state='done' WHERE id=?", run)

    def close(self) -> None:
        """Commit what is left and end the thread."""
        self._queue.put(None)
        self._thread.join(10)


class Singly:
    """The same journal in MongoDB, each entry a write of its own that a majority has on disk."""

    def __init__(self, url: str) -> None:
        self._client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(url)
        database = self._client.get_database("sketch", write_concern=WriteConcern("majority", j=True))
        self._runs, self._steps = database["runs"], database["steps"]

    async def flow(self) -> None:
        """One flow, every operation with an intent and a result."""
        run = uuid.uuid4().hex
        await self._runs.insert_one({"_id": run, "state": "running", "input": {"order_id": run}})

        async def call(name: str) -> None:
            id = f"{run}:{name}"
            await self._steps.insert_one({"_id": id, "run": run, "operation": name, "state": "running"})
            await self._steps.update_one({"_id": id}, {"$set": {"state": "done", "output": {"ok": True}}})

        await shape(call)
        await self._runs.update_one({"_id": run}, {"$set": {"state": "done"}})

    async def close(self) -> None:
        """Disconnect."""
        await self._client.close()


async def application(folder: Path, seconds: float, url: str) -> Application:
    """The order flow as a Pulpo application."""
    functions = operations(seconds)
    declared = flow("order_to_cash", includes=["orders", "payments"], one_per="order_id")
    spec = AppSpec("bench", operations=tuple(f.__pulpo__ for f in functions), flows=(declared,))
    settings = Settings.model_validate({"database": {"url": url}})
    app = assemble(name="bench", root=folder, models=[], operations=functions, plans=plans(spec), settings=settings)
    await app.start()
    return app


async def timed(one: One, at_once: int, flows: int) -> tuple[float, float]:
    """Flows per second, and CPU milliseconds of this process per flow."""
    ticket = iter(range(flows))

    async def lane() -> None:
        for number in ticket:
            await one(number)

    wall, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(lane() for _ in range(at_once)))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return flows / wall, cpu / flows * 1000


async def in_turns(engines: dict[str, One], phases: dict[int, int], rounds: int) -> Found:
    """Every engine at every concurrency, in turns."""
    found: Found = {}
    for one in engines.values():
        await timed(one, 1, 20)
    tune_collector()
    for _ in range(rounds):
        for at_once, flows in phases.items():
            for engine, one in engines.items():
                count = max(at_once, flows // SINGLY) if engine == UNBATCHED else flows
                found.setdefault(engine, {}).setdefault(at_once, []).append(await timed(one, at_once, count))
    return found


def pulpo_on(app: Application) -> One:
    """A flow of Pulpo's engine."""
    serial = iter(range(10**9))

    async def one(_: int) -> None:
        begun = await app.engine.start_run("order_to_cash", {"order_id": f"o{next(serial)}"}, caller=Caller())
        driver = app.engine.drivers.get(begun["id"])
        if driver is not None:
            await driver.done

    return one


async def bare(_: int) -> None:
    """A flow without a journal."""

    async def call(name: str) -> dict[str, object]:
        return {"ok": True, "operation": name}

    await shape(call)


async def slow_flow(folder: Path, url: str) -> float:
    """Seconds that a flow of steps of 0.1 s takes."""
    app = await application(folder, 0.1, url)
    took = []
    for number in range(5):
        start = time.perf_counter()
        begun = await app.engine.start_run("order_to_cash", {"order_id": f"s{number}"}, caller=Caller())
        await app.engine.drivers[begun["id"]].done
        took.append(time.perf_counter() - start)
    await app.stop()
    return round(statistics.median(took), 4)


async def on_sqlite(rounds: int) -> dict[str, Any]:
    """The engine on SQLite."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        app = await application(folder, 0.0, f"sqlite:///{folder / 'pulpo.db'}")
        sketch, faster = Sketch(folder, "sqlite3"), Sketch(folder, "apsw")
        engines: dict[str, One] = {
            "pulpo": pulpo_on(app),
            "sketch": lambda _: sketch.flow(0.0),
            "sketch (apsw)": lambda _: faster.flow(0.0),
            "asyncio": bare,
        }
        found = await in_turns(engines, PHASES, rounds)
        completed = await app.store.count("_runs")
        await app.stop()
        sketch.close()
        faster.close()
        slow = await slow_flow(folder, f"sqlite:///{folder / 'slow.db'}")
    return summary(found, ("sketch", "sketch (apsw)"), rounds, slow, completed)


async def on_mongodb(rounds: int) -> dict[str, Any]:
    """The engine on MongoDB, on SQLite beside it, and an unbatched journal on the same server."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = mongod.start(folder / "mongod", keyfile=mongod.make_keyfile(folder / "keyfile"))
        try:
            mongod.initiate((server.port,))
            mongod.create_user(server.port, "bench", "bench")

            def url(database: str) -> str:
                return mongod.address((server.port,), database, user="bench", password="bench")

            app, singly = await application(folder, 0.0, url("pulpo")), Singly(url("sketch"))
            beside = await application(folder, 0.0, f"sqlite:///{folder / 'pulpo.db'}")
            engines: dict[str, One] = {
                "pulpo": pulpo_on(app),
                UNBATCHED: lambda _: singly.flow(),
                "pulpo on sqlite": pulpo_on(beside),
            }
            found = await in_turns(engines, PHASES_MONGO, rounds)
            completed = await app.store.count("_runs")
            await app.stop()
            await beside.stop()
            await singly.close()
            slow = await slow_flow(folder, url("slow"))
        finally:
            server.stop()
    result = summary(found, (UNBATCHED, "pulpo on sqlite"), rounds, slow, completed)
    goals = Goals(result)
    for at_once, least in {1: 50, 20: 500, 100: 700}.items():
        goals.add(f"flows/s, {at_once} at once", result["figures"]["pulpo"][at_once]["flows_per_s"], least=least)
    for at_once, ratio in result["pulpo_to"][UNBATCHED].items():
        if at_once > 1:  # alone there is nothing to gather
            goals.add(f"to an unbatched journal, {at_once} at once", ratio, least=5)
    goals.add("a flow of 0.1 s steps, s", slow, most=0.645)
    return {**result, "goals": goals.judged}


def summary(found: Found, others: tuple[str, ...], rounds: int, slow: float, completed: int) -> dict[str, Any]:
    """Medians and ratios."""
    figures = {
        engine: {
            at_once: {
                "flows_per_s": round(statistics.median(rate for rate, _ in runs), 1),
                "spread": [round(min(rate for rate, _ in runs), 1), round(max(rate for rate, _ in runs), 1)],
                "cpu_ms_per_flow": round(statistics.median(cpu for _, cpu in runs), 2),
            }
            for at_once, runs in phases.items()
        }
        for engine, phases in found.items()
    }
    ratios = {
        other: {
            at_once: round(figures["pulpo"][at_once]["flows_per_s"] / figures[other][at_once]["flows_per_s"], 2)
            for at_once in PHASES
        }
        for other in others
    }
    return {
        "python": platform.python_version(),
        "rounds": rounds,
        "figures": figures,
        "pulpo_to": ratios,
        "flow_of_0.1_s_steps": slow,
        "runs_in_journal": completed,
    }


def show(result: dict[str, Any]) -> None:
    """A table for people."""
    print(f"{'flows/s (CPU ms per flow)':<28}" + "".join(f"{f'{n} at once':>22}" for n in PHASES))
    for engine, phases in result["figures"].items():
        cells = (f"{phase['flows_per_s']:,.0f} ({phase['cpu_ms_per_flow']})" for phase in phases.values())
        print(f"{engine:<28}" + "".join(f"{cell:>22}" for cell in cells))
    for other, ratios in result["pulpo_to"].items():
        print(f"{f'pulpo / {other}':<28}" + "".join(f"{ratio:>22}" for ratio in ratios.values()))
    print(f"one flow of 0.1 s steps: {result['flow_of_0.1_s_steps']} s (critical path 0.6 s)")
    report.show_goals(result.get("goals", []))


def markdown(result: dict[str, Any]) -> str:
    """The table of the docs."""
    lines = [
        "| flows/s (CPU ms a flow) | " + " | ".join(f"{n} at once" for n in PHASES) + " |",
        "| --- |" + " --- |" * 3,
    ]
    for engine, phases in result["figures"].items():
        cells = [f"{phase['flows_per_s']:,.0f} ({phase['cpu_ms_per_flow']})" for phase in phases.values()]
        lines.append(f"| {engine} | {' | '.join(cells)} |")
    for other, ratios in result["pulpo_to"].items():
        lines.append(f"| pulpo / {other} | {' | '.join(str(ratio) for ratio in ratios.values())} |")
    return "\n".join([*lines, "", *report.of_goals(result["goals"])])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", choices=(*STORES, "both"), default="both")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one round")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--write", action="store_true", help="make the table of MongoDB in the docs")
    given = parser.parse_args()
    results, rounds = {}, 1 if given.quick else given.rounds
    for store in STORES if given.store == "both" else (given.store,):
        if store == "mongodb":
            try:
                mongod.program()
            except PulpoError as error:
                print(f"{error}; MongoDB is skipped")
                continue
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            results[store] = runner.run((on_sqlite if store == "sqlite" else on_mongodb)(rounds))
        print(f"on {store}")
        show(results[store])
    if given.json:
        given.json.write_text(json.dumps(results, indent=2) + "\n")
    if given.write and "mongodb" in results:
        page = Path(__file__).resolve().parents[1] / "docs" / "performance.md"
        report.write_docs(markdown(results["mongodb"]), page, "bench/flows.py --store mongodb")


if __name__ == "__main__":
    main()
