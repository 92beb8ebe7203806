"""`python -m tests.proof.copy`: a shop of 100,000 orders goes to MongoDB and back, and every copy is killed half-way.

The shop is written to the first database, carried to the second and from there to the third by `pulpo db copy`, each
time killed by SIGKILL once half of it is there and run again. At the end every document of the third is compared with
the first's, text by text. Without addresses it starts a `mongod` of its own; where there is none, the second is SQLite.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pulpo.services import mongod
from pulpo.store import places
from pulpo.store.upkeep import STAYS

SHOP = Path(__file__).parents[2] / "examples" / "ecommerce-app"
PATIENCE = 600.0  # seconds that a copy may take
FILL = """
import asyncio, random, sys
from decimal import Decimal
from pathlib import Path
from pulpo.runtime.context import Caller
from pulpo.runtime.target import load_application

async def main(count, seed):
    app = load_application(Path.cwd())
    await app.start(execute=False)
    draw = random.Random(seed)
    cls = app.spec.model("Order").cls
    context = app.context(Caller())
    names = ["Ada Moreno", "Grüße 東京", "O'Neil \\u0000 <b>", '"quoted" \\\\ back']
    for number in range(count):
        items = [
            {"product_id": f"prod_{draw.randrange(40)}", "quantity": draw.randint(1, 9),
             "unit_price": Decimal(draw.randrange(1, 10**7)) / 100}
            for _ in range(draw.randint(1, 5))
        ]
        total = sum(item["quantity"] * item["unit_price"] for item in items)
        context.store.insert(cls.model_validate({
            "id": f"order_{draw.getrandbits(64):016x}", "order_number": f"C-{number}", "customer_id": "cust_1",
            "shipping_address_id": draw.choice(names), "items": items, "total": total,
        }))
        if number % 1000 == 999:
            await context.commit()
    await context.commit()
    await app.stop()

asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
"""


@dataclass(frozen=True)
class Plan:
    """How many orders, from where to where (None: what is there), and the seed."""

    orders: int = 100_000
    first: str | None = None
    second: str | None = None
    third: str | None = None
    seed: int = 1


@dataclass
class Result:
    """What went wrong, and the figures."""

    wrong: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)


def prove(plan: Plan, folder: Path) -> Result:
    """Carry the shop round in a folder that is empty."""
    root = folder / "shop"
    shutil.copytree(SHOP, root, ignore=shutil.ignore_patterns(".pulpo", "generated", "__pycache__", ".*_cache"))
    result = Result()
    with _second(plan, folder) as second:
        urls = {
            "first": plan.first or f"sqlite:///{folder}/first.db",
            "second": second,
            "third": plan.third or f"sqlite:///{folder}/third.db",
        }
        environment = {**os.environ, **{f"COPY_{name.upper()}": url for name, url in urls.items()}}
        environment["PULPO_DATABASE_URL"] = urls["first"]
        _pulpo(root, environment, "compile")
        _pulpo(root, environment, "db", "seed")
        began = time.monotonic()
        command = [sys.executable, "-c", FILL, str(plan.orders), str(plan.seed)]
        subprocess.run(command, cwd=root, env=environment, check=True)
        result.figures["fill"] = {"orders": plan.orders, "seconds": round(time.monotonic() - began, 1)}
        for begins, ends in (("first", "second"), ("second", "third")):
            words = ("db", "copy", "--from", f"env:COPY_{begins.upper()}", "--to", f"env:COPY_{ends.upper()}", "--json")
            name = f"{_kind(urls[begins])} to {_kind(urls[ends])}"
            result.figures[name] = _killed_and_again(result, root, environment, words, urls[begins], urls[ends])
        _sizes(result, urls, root)
        asyncio.run(_compare(result, urls["first"], urls["third"], root))
    return result


@contextmanager
def _second(plan: Plan, folder: Path) -> Iterator[str]:
    if plan.second is not None:
        yield plan.second
        return
    server = mongod.start(folder / "mongod")
    try:
        mongod.initiate((server.port,))
        yield mongod.address((server.port,), "copied")
    finally:
        server.stop()


def _killed_and_again(
    result: Result, root: Path, environment: dict[str, str], words: tuple[str, ...], begins: str, ends: str
) -> dict[str, Any]:
    """A copy that is killed half-way, an application that will not have the half, and the copy again."""
    goal = asyncio.run(_documents(begins, root)) // 2
    command = [sys.executable, "-m", "pulpo.cli.main", *words]
    began = time.monotonic()
    process = subprocess.Popen(command, cwd=root, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    while asyncio.run(_documents(ends, root)) < goal:
        if process.poll() is not None:
            result.wrong.append(f"the copy to {ends} ended before it was killed: {process.communicate()[1]!r}")
            break
        if time.monotonic() - began > PATIENCE:
            result.wrong.append(f"the copy to {ends} took more than {PATIENCE:.0f} s for its half")
            break
        time.sleep(0.25)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    until_killed = time.monotonic() - began
    had = asyncio.run(_documents(ends, root))
    half = {**environment, "PULPO_DATABASE_URL": ends}
    refused = subprocess.run(
        [sys.executable, "-m", "pulpo.cli.main", "db", "seed", "--json"],
        cwd=root, env=half, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "PULPO516" not in refused.stdout:
        result.wrong.append(f"the application started on half of a copy: {refused.stdout or refused.stderr}")
    done = json.loads(_pulpo(root, environment, *words))
    again = json.loads(_pulpo(root, environment, *words))
    if done["state"] != "resumed":
        result.wrong.append(f"the second copy was {done['state']}")
    if again["state"] != "already" or again["sums"] != done["sums"]:
        result.wrong.append(f"a third copy was {again['state']}")
    if done["written"] > done["documents"] - had + 500:
        result.wrong.append(f"{had} were there, and {done['written']} of {done['documents']} were written again")
    return {
        "documents": done["documents"],
        "killed after seconds": round(until_killed, 1),
        "there when killed": had,
        "written by the second run": done["written"],
        "its seconds, verifying included": round(done["seconds"], 1),
        "documents a second": round(done["documents"] / (until_killed + done["seconds"])),
        "verifying both sides, seconds": round(again["seconds"], 1),
        "checksum of orders": done["sums"]["orders"]["checksum"],
    }


async def _documents(url: str, root: Path) -> int:
    """How many documents a database has that are carried over."""
    snapshot = places.snapshot(url, root)
    try:
        if not await snapshot.open():
            return 0
        return sum(count for name, count in (await snapshot.counts()).items() if name not in STAYS)
    finally:
        await snapshot.close()


async def _compare(result: Result, first: str, third: str, root: Path) -> None:
    """Every document of both, text by text."""
    one, other = places.snapshot(first, root), places.snapshot(third, root)
    try:
        await one.open()
        await other.open()
        compared = 0
        names = {name for name, count in (await one.counts()).items() if count and name not in STAYS}
        if names != {name for name, count in (await other.counts()).items() if count and name not in STAYS}:
            result.wrong.append("the two have other collections")
        for name in sorted(names):
            after = None
            while True:
                here, there = await one.scan(name, after), await other.scan(name, after)
                if here != there:
                    differing = next(a.id for a, b in zip(here, there, strict=False) if a != b)
                    result.wrong.append(f"{name}: from {differing} on they are not the same")
                    break
                compared += len(here)
                if not here:
                    break
                after = here[-1].id
        result.figures["documents that are the same text"] = compared
    finally:
        await one.close()
        await other.close()


def _sizes(result: Result, urls: dict[str, str], root: Path) -> None:
    async def size(url: str) -> float:
        snapshot = places.snapshot(url, root)
        await snapshot.open()
        facts = await snapshot.facts()
        await snapshot.close()
        return round(facts.size / 1e6, 1)

    result.figures["MB on disk"] = {name: asyncio.run(size(url)) for name, url in urls.items()}
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    result.figures["most memory of a process, MB"] = round(peak / 1000)


def _kind(url: str) -> str:
    return {"sqlite": "SQLite"}.get(url.partition(":")[0], "MongoDB")


def _pulpo(root: Path, environment: dict[str, str], *words: str) -> str:
    command = [sys.executable, "-m", "pulpo.cli.main", *words]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"pulpo {' '.join(words)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def main() -> int:
    """Run it, print the figures; 1 where something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orders", type=int, default=Plan.orders)
    parser.add_argument("--first", help="the database that the shop is written to")
    parser.add_argument("--second", help="where it is carried to; it must be empty")
    parser.add_argument("--third", help="where it is carried then; it must be empty")
    parser.add_argument("--seed", type=int, default=random.randrange(10_000))
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    given = parser.parse_args()
    plan = Plan(given.orders, given.first, given.second, given.third, given.seed)
    with tempfile.TemporaryDirectory(prefix="pulpo-copy-") as folder:
        result = prove(plan, Path(folder))
    print(json.dumps({"seed": plan.seed, **result.figures}, indent=2))
    if given.json:
        given.json.write_text(json.dumps(result.figures, indent=2) + "\n")
    for each in result.wrong:
        print(f"WRONG  {each}")
    return 1 if result.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
