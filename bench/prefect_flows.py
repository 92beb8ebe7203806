"""Flows on a Prefect server: the generated ones beside the same flow in bare `@flow` and `@task`, in one run.

    python bench/prefect_flows.py [--database URL] [--burst 100] [--quick] [--json FILE]

The flow is the order app's: eleven operations whose bodies do nothing, six of them one after another. A project is
compiled in a temporary folder and its own Prefect server is started, on SQLite or, with `--database`, on what
SQLAlchemy's URL says (`postgresql+asyncpg://…`). Measured are

* `bare`: the flow as anyone would write it and call it, in this process, so many at once; each makes a client of
  Prefect's for itself;
* `bare, shared`: the same with one client for all, as a resident worker has;
* `generated`: Pulpo's with that client, with validation, journal, events and leases, in turns with the others;
* `pool`: runs begun by Pulpo and carried out by one resident worker: from the trigger to the first operation, one at
  a time, and a burst.
"""

from __future__ import annotations

import argparse
import asyncio
import contextvars
import importlib
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

from pulpo import settings as configuration
from pulpo.project import compile_project
from pulpo.runtime.context import Caller
from pulpo.runtime.prefect.place import client_environment, make_secret, place
from pulpo.runtime.target import load_application
from pulpo.services import health

ROUNDS = 3
LONGEST = 120  # seconds that is waited for
QUIET = 15.0  # percent of a processor that a Prefect server takes when it has nothing to do
OPERATIONS = {
    "orders.checkout.validate_items": (),
    "orders.checkout.validate_payment": (),
    "orders.checkout.calculate_shipping": (),
    "orders.fulfillment.reserve_items": ("orders.checkout",),
    "payments.processing.charge": ("orders.checkout",),
    "orders.fulfillment.pick_items": ("orders.fulfillment.reserve_items", "payments.processing.charge"),
    "payments.processing.confirm": ("orders.fulfillment.reserve_items", "payments.processing.charge"),
    "orders.fulfillment.pack_items": ("orders.fulfillment.pick_items",),
    "payments.reconciliation.verify": ("payments.processing.confirm",),
    "orders.fulfillment.ship_items": ("orders.fulfillment.pack_items", "payments.reconciliation.verify"),
    "orders.tracking.update_customer": ("orders.fulfillment.ship_items",),
}
HEAD = '''"""The operations of an order, which do nothing."""

from pulpo import operation
from pydantic import BaseModel


class In(BaseModel):
    number: int
'''
OPERATION = '''

@operation(name="{name}", after={after}, atomic=True)
async def {short}(data: In) -> None:
    """Do nothing."""
'''
BARE = '''"""The same flow by hand."""

import asyncio

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

{tasks}

@flow(name="bare")
async def bare(data: dict):
    await asyncio.gather(validate_items(data), validate_payment(data), calculate_shipping(data))
    await asyncio.gather(reserve_items(data), charge(data))

    async def ship():
        await pick_items(data)
        await pack_items(data)

    async def settle():
        await confirm(data)
        await verify(data)

    await asyncio.gather(ship(), settle())
    await ship_items(data)
    await update_customer(data)
'''
TASK = """
@task(name="{name}", tags=["{group}"], retries=3, cache_policy=NO_CACHE)
async def {short}(data: dict):
    return {{}}

"""


def write_project(root: Path) -> None:
    """The project, and the same flow by hand in `bare.py`."""
    (root / "operations").mkdir()
    text = HEAD + "".join(
        OPERATION.format(name=name, after=list(after), short=name.rpartition(".")[2])
        for name, after in OPERATIONS.items()
    )
    (root / "operations" / "order.py").write_text(text)
    (root / "flows.py").write_text('from pulpo import flow\n\nflow("order_to_cash", includes=["orders", "payments"])\n')
    (root / "pulpo.toml").write_text('[project]\nname = "bench"\n\n[engine]\nkind = "prefect"\n')
    tasks = "".join(
        TASK.format(name=name, group=name.rpartition(".")[0], short=name.rpartition(".")[2]) for name in OPERATIONS
    )
    (root / "bare.py").write_text(BARE.format(tasks=tasks))
    compile_project(root)


async def at_once(call: Callable[[int], Awaitable[Any]], count: int, together: int) -> dict[str, float]:
    """Flows per second and seconds per flow, so many at once."""
    room, took = asyncio.Semaphore(together), []
    failed: Counter[str] = Counter()

    async def one(number: int) -> None:
        async with room:
            began = time.perf_counter()
            try:
                await call(number)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is a flow that failed
                failed[type(error).__name__] += 1
            took.append(time.perf_counter() - began)

    began = time.perf_counter()
    await asyncio.gather(*(one(number) for number in range(count)))
    seconds = time.perf_counter() - began
    figures = {"flows_s": round(count / seconds, 2), "p50_s": round(statistics.median(took), 3)}
    return figures | ({"failed": dict(failed)} if failed else {})


async def settled(server: psutil.Process) -> None:
    """Wait until a server has written down what it was told, which it does after it has answered."""
    server.cpu_percent()
    for _ in range(LONGEST):
        await asyncio.sleep(1)
        if server.cpu_percent() < QUIET:
            return
    sys.exit(f"the Prefect server is not quiet after {LONGEST} s")


async def measure(root: Path, server: psutil.Process, *, count: int, burst: int) -> dict[str, Any]:
    """All figures."""
    sys.path.insert(0, str(root))
    application = load_application(root)
    bare = importlib.import_module("bare").bare
    generated = importlib.import_module("generated.flows.order_to_cash").order_to_cash_flow
    from pulpo.runtime.flows import resident  # noqa: PLC0415 - Prefect reads the environment when it is imported

    result: dict[str, Any] = {"bare": {}, "bare, shared": {}, "generated": {}, "pool": {}}
    async with resident(application):
        calls = {
            # In a context of its own it finds no client that is open.
            "bare": lambda number: asyncio.create_task(bare({"number": number}), context=contextvars.Context()),
            "bare, shared": lambda number: bare({"number": number}),
            "generated": lambda number: generated({"number": number}),
        }
        for call in calls.values():
            await call(0)
        for together in (1, 4, 20):
            rounds: dict[str, list[dict[str, Any]]] = {name: [] for name in calls}
            for _ in range(ROUNDS):
                for name, call in calls.items():
                    await settled(server)
                    rounds[name].append(await at_once(call, max(count // (4 if together == 1 else 1), 3), together))
            for name, found in rounds.items():
                result[name][together] = sorted(found, key=lambda one: one["flows_s"])[ROUNDS // 2]
                print(f"{name:>12}, {together:>2} at once: {result[name][together]}", flush=True)
        await settled(server)
        result["pool"] = await pool(application, root, server, burst=burst)
    return result


async def pool(application: Any, root: Path, server: psutil.Process, *, burst: int) -> dict[str, Any]:
    """Runs through the work pool, carried out by a worker of its own."""
    engine = application.engine
    worker = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pulpo.cli.main", "worker", cwd=root, stderr=asyncio.subprocess.PIPE
    )
    assert worker.stderr is not None
    while b"ready" not in await worker.stderr.readline():
        pass
    rest = asyncio.create_task(worker.stderr.read())
    try:
        firsts, wholes = [], []
        for number in range(11):
            run = await engine.start_run("order_to_cash", {"number": number}, caller=Caller())
            ended = await engine.finished(run["id"], 60)
            begun = datetime.fromisoformat(run["created_at"])
            starts = [datetime.fromisoformat(step["started_at"]) for step in ended["steps"] if step.get("started_at")]
            firsts.append((min(starts) - begun).total_seconds())
            wholes.append((datetime.fromisoformat(ended["finished_at"]) - begun).total_seconds())
        await settled(server)
        began = time.perf_counter()
        runs = [await engine.start_run("order_to_cash", {"number": number}, caller=Caller()) for number in range(burst)]
        accepted = time.perf_counter() - began
        ended = [await engine.finished(run["id"], 900) for run in runs]
        seconds = time.perf_counter() - began
    finally:
        worker.terminate()
        said = (await rest).decode()
        await worker.wait()
    return {
        "to_first_operation_s": round(statistics.median(firsts[1:]), 3),
        "to_end_s": round(statistics.median(wholes[1:]), 3),
        "burst": burst,
        "burst_accepted_s": round(accepted, 2),
        "burst_flows_s": round(burst / seconds, 2),
        "burst_states": dict(Counter(run["state"] for run in ended)),
        "burst_attempts_beyond_one": sum(step["attempts"] > 1 for run in ended for step in run["steps"]),
        "refused_by_the_server": said.count("answered 5"),
    }


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", default="", help="the server's, as SQLAlchemy writes it; SQLite by default")
    parser.add_argument("--burst", type=int, default=100)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_project(root)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            os.environ["PULPO_PREFECT_PORT"] = str(probe.getsockname()[1])
        os.environ["PULPO_PREFECT_DATABASE"] = given.database
        make_secret(root)
        settings = configuration.load(root)
        where = place(settings, root)
        os.environ.update(client_environment(where, root))
        with (root / "server.log").open("w") as log:
            server = subprocess.Popen(
                [sys.executable, "-m", "pulpo.services.prefect", "--root", "."], cwd=root, stdout=log, stderr=log
            )
            try:
                while not health.answers(f"{where.url}/health"):
                    if server.poll() is not None:
                        sys.exit((root / "server.log").read_text())
                    time.sleep(0.1)
                count, burst = (8, 20) if given.quick else (40, given.burst)
                result = asyncio.run(measure(root, psutil.Process(server.pid), count=count, burst=burst))
            finally:
                server.terminate()
                server.wait(10)
        result["server_said_locked"] = (root / "server.log").read_text().count("database is locked")
    result["machine"] = {"python": platform.python_version(), "cores": os.cpu_count(), "load": os.getloadavg()}
    result["database"] = given.database.partition(":")[0] or "sqlite"
    print(json.dumps(result, indent=2))
    if given.json:
        given.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
