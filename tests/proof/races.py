"""Many processes race for few units: `python -m tests.proof.races`.

Half of the attempts are calls in processes that have the shop's database open themselves, half are requests to API
processes on the same database. Every order is tried once. What has to come out can be said exactly: nothing is ever let
go here, so stock only falls, and an order that was refused must still be too large for what is left in the end.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.proof.arena import ApiProcess, Arena, errors
from tests.proof.members import STORES, database

Documents = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True)
class Plan:
    """How large a race is: `callers` processes call in process, as many request over HTTP, `lanes` at a time each."""

    orders: int = 10_000
    units: int = 100
    callers: int = 4
    apis: int = 4
    lanes: int = 8
    seed: int = 1


@dataclass
class Result:
    """What came out of a race: figures to show, and everything that should not have been."""

    figures: dict[str, Any]
    wrong: list[str] = field(default_factory=list)


def race(plan: Plan, folder: Path, url: str = "") -> Result:
    """Fill a shop, let the processes loose on it all at once, and compare what they say with what is there."""
    with Arena(folder, database=url) as arena:
        arena.ask_inside("stock", str(plan.orders), str(plan.units), str(plan.seed))
        apis = [arena.start_api() for _ in range(plan.apis)]
        reports = _attempts(plan, arena, apis)
        for api in apis:
            api.stop()
        documents = arena.documents("orders", "products", "reservations", "_runs")
        wrong = [*logged_errors(apis), *arena.violations(), *judged(plan, reports, documents)]
    return Result(_figures(plan, reports, documents), wrong)


def _attempts(plan: Plan, arena: Arena, apis: list[ApiProcess]) -> list[dict[str, Any]]:
    """The reports of all processes, those that call in process first."""
    shares = range(2 * plan.callers)
    sizes = (str(len(shares)), str(plan.orders), str(plan.lanes))
    processes: list[subprocess.Popen[str]] = []
    for share in shares:
        if share % 2:
            url = apis[share // 2 % len(apis)].url
            processes.append(arena.inside("attempt_http", url, str(share), *sizes))
        else:
            processes.append(arena.inside("attempt", str(share), *sizes))
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    reports = []
    for process in processes:
        out, _ = process.communicate(timeout=600)
        assert process.returncode == 0, f"a process ended with {process.returncode}"
        reports.append(json.loads(out.splitlines()[-1]))
    return [*reports[::2], *reports[1::2]]


def logged_errors(apis: Iterable[ApiProcess]) -> list[str]:
    """Errors that the API processes wrote to their logs."""
    return [line for api in apis for line in errors(api.log)][:10]


def judged(plan: Plan, reports: list[dict[str, Any]], documents: Documents) -> list[str]:
    """What the answers and the documents should not say, each as a sentence."""
    answers: dict[str, list[str]] = {}
    for report in reports:
        for answer, orders in report["answers"].items():
            answers.setdefault(answer, []).extend(orders)
    wrong = [
        f"{len(orders)} attempts were answered {answer}"
        for answer, orders in answers.items()
        if answer not in {"reserved", "insufficient_stock"}
    ]
    tried = Counter(order for orders in answers.values() for order in orders)
    if len(tried) != plan.orders or set(tried.values()) != {1}:
        wrong.append(f"{len(tried)} of {plan.orders} orders were tried, not each of them once")
    reserved = set(answers.get("reserved", ()))
    runs = Counter(run["state"] for run in documents["_runs"])
    if runs != Counter(completed=len(reserved), failed=plan.orders - len(reserved)):
        wrong.append(f"the journal says {dict(runs)}")
    return wrong + _misallotted(plan, reserved, documents)


def _misallotted(plan: Plan, reserved: set[str], documents: Documents) -> list[str]:
    """Orders that hold what they should not, or nothing although there is stock for them."""
    left = _left(documents)
    held: dict[str, Counter[str]] = {}
    for reservation in documents["reservations"]:
        held.setdefault(reservation["order_id"], Counter())[reservation["product_id"]] += reservation["quantity"]
    wrong = [f"{each['id']} is {each['status']}" for each in documents["reservations"] if each["status"] != "open"]
    if set(held) != reserved:
        wrong.append(f"{len(reserved)} attempts were answered reserved, {len(held)} orders hold something")
    for order in documents["orders"]:
        wanted = Counter[str]()
        for item in order["items"]:
            wanted[item["product_id"]] += item["quantity"]
        id, expected = order["id"], "processing" if order["id"] in reserved else "pending"
        if order["status"] != expected:
            wrong.append(f"{id} is {order['status']}, its attempt said otherwise")
        if id in reserved and held.get(id) != wanted:
            wrong.append(f"{id} holds {held.get(id)} of {wanted}")
        if id not in reserved and all(left[product] >= count for product, count in wanted.items()):
            wrong.append(f"{id} was refused, yet there is stock for it: {left}")
    for product, units in left.items():
        sold = sum(count[product] for count in held.values())
        if sold + units != plan.units:
            wrong.append(f"{sold} of {product} are sold and {units} left, of {plan.units}")
    return wrong


def _left(documents: Documents) -> dict[str, int]:
    return {product["id"]: product["inventory"] for product in documents["products"]}


def _figures(plan: Plan, reports: list[dict[str, Any]], documents: Documents) -> dict[str, Any]:
    seconds = max(report["seconds"] for report in reports)
    answers = Counter[str]()
    for report in reports:
        answers.update({answer: len(orders) for answer, orders in report["answers"].items()})
    times = sorted(ms for report in reports for ms in report["ms"])
    rows = [
        {
            "process": f"{'in process' if place < plan.callers else 'over HTTP'} {place % plan.callers + 1}",
            "attempts": len(report["ms"]),
            "reserved": len(report["answers"].get("reserved", [])),
            "p50_ms": _at(sorted(report["ms"]), 0.5),
            "p99_ms": _at(sorted(report["ms"]), 0.99),
            "max_ms": max(report["ms"]),
            "seconds": report["seconds"],
        }
        for place, report in enumerate(reports)
    ]
    return {
        "attempts": sum(answers.values()),
        "answers": dict(answers),
        "units": {name: f"{plan.units - left} of {plan.units} sold" for name, left in _left(documents).items()},
        "processes_on_the_database": plan.callers + plan.apis,
        "seconds": round(seconds, 1),
        "attempts_per_second": round(sum(answers.values()) / seconds),
        "ms": {"p50": _at(times, 0.5), "p99": _at(times, 0.99), "max": times[-1]},
        "by_process": rows,
    }


def _at(values: list[float], share: float) -> float:
    return values[min(len(values) - 1, int(len(values) * share))]


def show(rows: list[dict[str, Any]]) -> str:
    """Rows as a table for people."""
    names = list(rows[0])
    cells = [names, *([str(row[name]) for name in names] for row in rows)]
    widths = [max(len(line[place]) for line in cells) for place in range(len(names))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in cells)


def main() -> int:
    """Run the full form; 1 where something did not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.proof.races", description=__doc__)
    parser.add_argument("--orders", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10_000)
    parser.add_argument("--store", choices=STORES, help="by default on one after the other")
    given = parser.parse_args()
    wrong = 0
    for store in (given.store,) if given.store else STORES:
        with tempfile.TemporaryDirectory(prefix="pulpo-races-") as folder, database(store, Path(folder)) as url:
            result = race(Plan(orders=given.orders, seed=given.seed), Path(folder), url)
        print(show(result.figures["by_process"]))
        summary = {name: value for name, value in result.figures.items() if name != "by_process"}
        print(json.dumps({"store": store, "seed": given.seed, **summary, "wrong": result.wrong[:20]}, indent=2))
        wrong += len(result.wrong)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
