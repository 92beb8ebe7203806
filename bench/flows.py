"""Flows per second: Pulpo's embedded engine beside a bare journal sketch and bare asyncio, in one run.

The flow is the order app's: eleven operations whose bodies do nothing. Three engines take turns in one process
with the event loop (uvloop) and the collector settings of Pulpo's API process, several rounds each, and the medians are
compared:

* `pulpo`: the embedded engine on SQLite, with validation, events, leases and the seed's plan;
* `sketch`: `asyncio.gather` and a journal, nothing else: an intent row before and a result row after each operation,
  all that has gathered in one commit, `synchronous=FULL`. It promises nothing beyond that. It stands here twice: on
  Python's `sqlite3` module, which is what one would reach for and what ratios are taken against, and on `apsw`, which
  Pulpo uses too and which makes the sketch faster;
* `asyncio`: the same coroutines without any journal.

Usage: python bench/flows.py [--rounds 3] [--quick] [--json FILE]
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
from pydantic import BaseModel

from pulpo import Context, flow, operation
from pulpo.graph.build import plans
from pulpo.runtime.application import Application, assemble
from pulpo.runtime.context import Caller
from pulpo.runtime.process import tune_collector
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
AUTOCOMMIT: dict[str, Any] = {"isolation_level": None, "check_same_thread": False}
One = Callable[[int], Awaitable[None]]


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


async def application(folder: Path, seconds: float) -> Application:
    """The order flow as a Pulpo application."""
    functions = operations(seconds)
    declared = flow("order_to_cash", includes=["orders", "payments"], one_per="order_id")
    spec = AppSpec("bench", operations=tuple(f.__pulpo__ for f in functions), flows=(declared,))
    settings = Settings.model_validate({"database": {"url": f"sqlite:///{folder / 'pulpo.db'}"}})
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


async def measure(rounds: int) -> dict[str, Any]:
    """Every engine at every concurrency, in turns."""
    found: dict[str, dict[int, list[tuple[float, float]]]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        app, serial = await application(folder, 0.0), iter(range(10**9))
        sketch, faster = Sketch(folder, "sqlite3"), Sketch(folder, "apsw")

        async def pulpo(_: int) -> None:
            begun = await app.engine.start_run("order_to_cash", {"order_id": f"o{next(serial)}"}, caller=Caller())
            driver = app.engine.drivers.get(begun["id"])
            if driver is not None:
                await driver.done

        async def bare(_: int) -> None:
            async def call(name: str) -> dict[str, object]:
                return {"ok": True, "operation": name}

            await shape(call)

        engines: dict[str, One] = {
            "pulpo": pulpo,
            "sketch": lambda _: sketch.flow(0.0),
            "sketch (apsw)": lambda _: faster.flow(0.0),
            "asyncio": bare,
        }
        for one in engines.values():
            await timed(one, 1, 20)
        tune_collector()
        for _ in range(rounds):
            for at_once, flows in PHASES.items():
                for engine, one in engines.items():
                    found.setdefault(engine, {}).setdefault(at_once, []).append(await timed(one, at_once, flows))
        completed = await app.store.count("_runs")
        await app.stop()
        sketch.close()
        faster.close()
    with tempfile.TemporaryDirectory() as name:
        slow = await application(Path(name), 0.1)
        took = []
        for number in range(5):
            start = time.perf_counter()
            begun = await slow.engine.start_run("order_to_cash", {"order_id": f"s{number}"}, caller=Caller())
            await slow.engine.drivers[begun["id"]].done
            took.append(time.perf_counter() - start)
        await slow.stop()
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
        for other in ("sketch", "sketch (apsw)")
    }
    return {
        "python": platform.python_version(),
        "rounds": rounds,
        "figures": figures,
        "pulpo_to": ratios,
        "flow_of_0.1_s_steps": round(statistics.median(took), 4),
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


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one round")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        result = runner.run(measure(1 if given.quick else given.rounds))
    show(result)
    if given.json:
        given.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
