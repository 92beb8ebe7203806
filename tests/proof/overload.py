"""Ten times as much as the server can do: `python -m tests.proof.overload`.

One API process of the order system, and a client process that shares the machine with it (`tests.proof.flood`). First
the server's capacity: as much as it answers to 64 connections that ask again at once, measured for a while before and
after. In between ten times that, due at a fixed rate whatever the server says. It has to go on doing at least 80
percent of its work; everybody else has to hear a 503 with `Retry-After`, 99 of 100 of them within 50 ms; its memory
must not grow; and afterwards it answers as it did before.

The traffic is that of a shop whose visitors look more than they buy: six of eight requests are pages of 100 orders with
their customers and products, one checks an order by an operation, one places one. It takes a processor for the server
and one for the client: what other work on the machine takes from the server during the flood is missing in its goodput
(`server_cores` tells).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.proof.arena import REPOSITORY, ApiProcess, Arena

LEAST = 0.8
WITHIN_MS = 50.0
GROWTH_MIB = 64.0
"""That memory may grow by when the flood begins: connections, the queue, the page cache of a database that grows."""
FLAT_MIB = 16.0
"""That it may grow by from a third of the flood on, as the database grows and its cache fills."""


@dataclass(frozen=True)
class Plan:
    """How long and how much.

    Args:
        seconds: Of the flood.
        measuring: Seconds of each measure of the capacity.
        times: The capacity, of requests a second.
        connections: That the flood has open.
        kind: Of requests: see `tests.proof.flood`.
    """

    seconds: float = 60.0
    measuring: float = 8.0
    times: float = 10.0
    connections: int = 2000
    kind: str = "shop"


@dataclass
class Result:
    """Figures to show, and what should not have been."""

    figures: dict[str, Any]
    wrong: list[str] = field(default_factory=list)


def prove(plan: Plan, folder: Path) -> Result:
    """Measure, flood, look, measure again."""
    with Arena(folder) as arena:
        api = arena.start_api()
        furnish(api.url)
        process = psutil.Process(api.process.pid)
        flood(api, plan.kind, "--seconds", "2", "--name", "WARM")
        quiet = latency(api.url)
        before = _closed(api, plan, "BEFORE")
        memory, busy = [_mib(process)], _cpu(process)
        rate = before["rate"] * plan.times
        began = time.monotonic()
        asked = ("--rate", f"{rate:.0f}", "--seconds", str(plan.seconds), "--connections", str(plan.connections))
        with _flooding(api, plan.kind, *asked, "--name", "FLOOD") as flooding:
            while flooding.poll() is None:
                time.sleep(0.25)
                memory.append(_mib(process))
                assert time.monotonic() - began < plan.seconds * 2 + 60, "the flood does not end"
            flooded = json.loads(flooding.communicate()[0])
        busy = _cpu(process) - busy
        recovered = _recovery(api.url, quiet["p50_ms"])
        after = _closed(api, plan, "AFTER")
        capacity = (before["rate"] + after["rate"]) / 2
        figures = {
            "kind": plan.kind,
            "capacity": {"before": before, "after": after},
            "flood": {
                **flooded,
                "offered": round(rate),
                "goodput": round(_done(flooded) / plan.seconds, 1),
                "server_cores": round(busy / plan.seconds, 2),
            },
            "goodput_of_capacity": round(_done(flooded) / plan.seconds / capacity, 3),
            "goodput_of_capacity_by_processor": round(_done(flooded) / busy / _by_processor(before, after), 3),
            "memory_mib": {
                "before": memory[0],
                "at_a_third": max(memory[: len(memory) // 3]),
                "most": max(memory),
                "after": _mib(process),
            },
            "latency": {"before": quiet, "after": latency(api.url), "normal_again_after_s": recovered},
            "load_of_the_machine": os.getloadavg()[0],
        }
    return Result(figures, judged(figures))


def judged(figures: dict[str, Any]) -> list[str]:
    """What does not hold, each as a sentence."""
    flooded, memory = figures["flood"], figures["memory_mib"]
    wrong = [f"{count} times {what}" for what, count in flooded["wrong"].items()]
    odd = {status: each["count"] for status, each in flooded["answers"].items() if status not in ("200", "201", "503")}
    if odd:
        wrong.append(f"answers that are neither done nor refused: {odd}")
    if figures["goodput_of_capacity"] < LEAST:
        wrong.append(f"only {figures['goodput_of_capacity']:.0%} of the capacity was done")
    refused = flooded["answers"].get("503")
    if refused is None:
        wrong.append("nobody was turned away")
    elif refused["p99_ms"] > WITHIN_MS:
        wrong.append(f"99 of 100 were turned away within {refused['p99_ms']} ms")
    if memory["most"] - memory["before"] > GROWTH_MIB:
        wrong.append(f"memory grew from {memory['before']} to {memory['most']} MiB")
    if memory["most"] - memory["at_a_third"] > FLAT_MIB:
        wrong.append(f"memory went on growing from {memory['at_a_third']} to {memory['most']} MiB")
    if figures["latency"]["normal_again_after_s"] is None:
        wrong.append("afterwards it did not answer as before")
    return wrong


def furnish(url: str) -> None:
    """A customer, two products, and enough orders to fill a page."""
    with httpx.Client(base_url=url, trust_env=False, timeout=30) as client:
        address = {"id": "addr_flood", "street": "1 Main St", "city": "B", "state": "CA", "zip_code": "90210"}
        customer = {"id": "cust_flood", "email": "f@mail.example", "name": "F", "addresses": [address]}
        client.post("/customers", json=customer).raise_for_status()
        for id, price in (("prod_flood", 19.99), ("prod_other", 34.0)):
            product = {"id": id, "sku": id, "name": id, "price": price, "weight_grams": 100, "inventory": 100_000}
            client.post("/products", json=product).raise_for_status()
        item = {"product_id": "prod_flood", "quantity": 2, "unit_price": 19.99}
        order = {"customer_id": "cust_flood", "shipping_address_id": "addr_flood", "items": [item], "total": 39.98}
        first = {**order, "id": "order_flood", "order_number": "FIRST"}
        orders = [first, *({**order, "order_number": f"PAGE-{number}"} for number in range(150))]
        done = client.post("/orders/bulk", json={"create": orders}).raise_for_status().json()
        assert all(each["status"] == 201 for each in done["create"]), done


def flood(api: ApiProcess, kind: str, *asked: str) -> dict[str, Any]:
    """Flood to the end; its report."""
    with _flooding(api, kind, *asked) as process:
        out, _ = process.communicate(timeout=120)
    report: dict[str, Any] = json.loads(out)
    return report


def _flooding(api: ApiProcess, kind: str, *asked: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.proof.flood", api.url, "--kind", kind, *asked]
    # in a session of its own: Linux shares a busy machine out to sessions, and this is no part of the server
    return subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, start_new_session=True)


def _closed(api: ApiProcess, plan: Plan, name: str) -> dict[str, Any]:
    process = psutil.Process(api.process.pid)
    busy = _cpu(process)
    report = flood(api, plan.kind, "--seconds", str(plan.measuring), "--name", name)
    rate, cores = _done(report) / plan.measuring, (_cpu(process) - busy) / plan.measuring
    return {"rate": round(rate, 1), "answers": report["answers"], "server_cores": round(cores, 2)}


def _done(report: dict[str, Any]) -> int:
    """What was done in the time: answers that came while the last ones were waited for do not count."""
    return sum(count for status, count in report["within"].items() if status.startswith("2"))


def _by_processor(*measured: dict[str, Any]) -> float:
    """Requests done in a second of the server's processor, whatever else the machine does."""
    return sum(each["rate"] for each in measured) / sum(each["server_cores"] for each in measured)


def _mib(process: psutil.Process) -> float:
    return round(process.memory_info().rss / 2**20, 1)


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def latency(url: str) -> dict[str, float]:
    """Of one client's reads of a document, one after the other."""
    times = []
    with httpx.Client(base_url=url, trust_env=False, timeout=30) as client:
        for _ in range(200):
            began = time.perf_counter()
            client.get("/orders/order_flood").raise_for_status()
            times.append((time.perf_counter() - began) * 1000)
    times.sort()
    return {"p50_ms": round(times[100], 2), "p99_ms": round(times[197], 2)}


def _recovery(url: str, normal: float) -> float | None:
    """Seconds until a read takes twice what it took before, or less; None if that is not within 10 s."""
    began = time.monotonic()
    while (passed := time.monotonic() - began) < 10:
        if latency(url)["p50_ms"] <= 2 * normal:
            return round(passed, 2)
    return None


def main() -> int:
    """Run the full form; 1 where something did not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.proof.overload", description=__doc__)
    parser.add_argument("--seconds", type=float, default=Plan.seconds)
    parser.add_argument("--times", type=float, default=Plan.times)
    parser.add_argument("--kind", default=Plan.kind, choices=("shop", "orders", "checkout"))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pulpo-overload-") as folder:
        result = prove(Plan(seconds=given.seconds, times=given.times, kind=given.kind), Path(folder))
    print(json.dumps({**result.figures, "wrong": result.wrong}, indent=2))
    return 1 if result.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
