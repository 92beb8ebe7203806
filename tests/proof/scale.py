"""A shop with many orders, asked over HTTP as its users would: `python -m tests.proof.scale [--orders 100000]`.

The orders are written through the store, from a seed, so that every answer is known beforehand: lists with filter and
order, every page of a walk by cursor, exports, counts, figures by groups, searches. What is compared in time is asked
in turns, so that a busy machine disturbs both sides alike.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import random
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import psutil

from pulpo.model.model import timestamp
from pulpo.store.port import Batch, Insert
from tests.proof.arena import ApiProcess, Arena, errors

if TYPE_CHECKING:
    from pulpo.runtime.application import Application

Row = dict[str, Any]

BEGIN = datetime(2025, 1, 1, tzinfo=UTC)
DAYS = 400
CUSTOMERS, PRODUCTS = 200, 500
STATES = ("pending", "processing", "shipped", "delivered", "cancelled")
OFTEN = (10, 5, 10, 70, 5)
RARE = 97
"""Of so many shipped orders one has a tracking number that is searched for."""
GROWTH = 30.0
"""MiB by which the API process may grow while all is exported."""
STEADY = 2.0
"""How much longer a page at the end may take than one at the beginning."""


@dataclass
class Result:
    """What came out: figures to show, and everything that should not have been."""

    figures: dict[str, Any] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def hold(self, what: str, promise: object) -> None:
        """Note what does not hold."""
        if not promise:
            self.wrong.append(what)


def rows(orders: int, seed: int) -> Iterator[Row]:
    """The orders, as documents, the oldest first; of the same seed the same ones."""
    chance = random.Random(seed)
    prices = [chance.randint(100, 99_999) for _ in range(PRODUCTS)]
    for number in range(orders):
        lines, cents = [], 0
        for product in chance.sample(range(PRODUCTS), chance.randint(1, 3)):
            quantity = chance.randint(1, 4)
            cents += quantity * prices[product]
            line = {"product_id": f"prod_{product:04}", "quantity": quantity, "unit_price": prices[product] / 100}
            lines.append(line)
        status = chance.choices(STATES, OFTEN)[0]
        sent = status in ("shipped", "delivered")
        tracking = f"{'RARE' if number % RARE == 0 else 'TRK'}-{number:07}" if sent else None
        customer = chance.randrange(CUSTOMERS)
        # Several orders share a moment, so that pages have to tell them apart by their ids.
        moment = BEGIN + timedelta(seconds=number // 3 * 3 * DAYS * 86_400 // orders)
        yield {
            "id": f"order_{chance.randrange(16**8):08x}{number:07}",
            "order_number": f"S-{number:07}",
            "customer_id": f"cust_{customer:04}",
            "shipping_address_id": f"addr_{customer:04}",
            "items": lines,
            "status": status,
            "total": cents / 100,
            "tracking_number": tracking,
            "created_at": timestamp(moment),
        }


async def fill(app: Application, orders: str, seed: str) -> Any:
    """Customers, products and the orders, each as its model writes it; a task of `tests.proof.inside`."""
    models = {model.name: model for model in app.spec.models}
    writes: list[Insert] = []

    async def add(name: str, data: Row, created: str) -> None:
        document = models[name].cls.model_validate_json(json.dumps(data))
        moment = datetime.fromisoformat(created)
        document.__dict__.update(version=1, created_at=moment, updated_at=moment)
        writes.append(Insert(models[name].collection, data["id"], document.model_dump_json()))
        if len(writes) == 1000:
            await app.store.commit(Batch(tuple(writes)))
            writes.clear()

    for number in range(CUSTOMERS):
        address = {"id": f"addr_{number:04}", "street": "1 Main St", "city": "Springfield", "state": "IL"}
        customer = {"email": f"c{number}@mail.example", "name": f"Customer {number}"}
        addresses = [{**address, "zip_code": "62701"}]
        await add("Customer", {"id": f"cust_{number:04}", **customer, "addresses": addresses}, timestamp(BEGIN))
    for number in range(PRODUCTS):
        product = {"id": f"prod_{number:04}", "sku": f"SKU-{number:04}", "name": f"Product {number}", "price": 1}
        await add("Product", product, timestamp(BEGIN))
    for row in rows(int(orders), int(seed)):
        created = row.pop("created_at")
        await add("Order", row, created)
    await app.store.commit(Batch(tuple(writes)))
    return {"orders": int(orders)}


def prove(orders: int, folder: Path, seed: int = 1) -> Result:
    """Fill a shop, start its API process, and compare every answer with what has to come."""
    result = Result({"orders": orders})
    newest = sorted(rows(orders, seed), key=lambda row: (row["created_at"], row["id"]), reverse=True)
    with Arena(folder) as arena:
        with timed(result, "fill_s"):
            arena.ask_inside("fill", str(orders), str(seed))
        api = arena.start_api()
        with httpx.Client(base_url=api.url, trust_env=False, timeout=120) as client:
            proof = Proof(client, api, newest, result)
            proof.filtered_and_sorted()
            proof.walked()
            proof.skipped()
            proof.counted()
            proof.grouped()
            proof.searched()
            proof.exported()
        result.wrong += errors(api.log)[:10]
    return result


@contextmanager
def timed(result: Result, name: str) -> Iterator[None]:
    """Keep how long something takes."""
    began = time.perf_counter()
    yield
    result.figures[name] = round(time.perf_counter() - began, 2)


class Proof:
    """The questions to one shop. `newest`: all its orders as they must come, the newest first."""

    def __init__(self, client: httpx.Client, api: ApiProcess, newest: list[Row], result: Result) -> None:
        self.client, self.api, self.newest, self.result = client, api, newest, result
        self.process = psutil.Process(api.process.pid)

    def _get(self, path: str, **parameters: str | int) -> httpx.Response:
        answer = self.client.get(path, params=parameters or None)  # httpx takes a query away for an empty one
        assert answer.status_code == 200, answer.text
        return answer

    def _pages(self, **parameters: str | int) -> Iterator[tuple[str, list[Row]]]:
        """Every page, by the `Link` of the one before, with its own address."""
        url = str(httpx.URL("/orders", params=parameters))
        while True:
            answer = self._get(url)
            yield url, answer.json()
            following = answer.links.get("next")
            if following is None:
                return
            url = following["url"]

    def filtered_and_sorted(self) -> None:
        """Of a status and between two totals, the greatest first: the right ones, in order, and how many there are."""
        low, high = 500, 2_000
        wanted = [row for row in self.newest if row["status"] == "pending" and low <= row["total"] <= high]
        wanted.sort(key=lambda row: (row["total"], row["id"]), reverse=True)
        asked: dict[str, str | int] = {"status": "pending", "total[gte]": low, "total[lte]": high, "sort": "-total"}
        with timed(self.result, "list_with_filter_and_sort_s"):
            answer = self._get("/orders", **asked, limit=100, count="true")
        self.result.hold(
            f"the list says {answer.headers['X-Total-Count']} in all, there are {len(wanted)}",
            int(answer.headers["X-Total-Count"]) == len(wanted),
        )
        self.result.wrong += compared("a filtered, sorted list", wanted[:100], answer.json())

    def walked(self) -> None:
        """Every order exactly once, page by page; a page at the end takes no longer than one at the beginning."""
        urls: list[str] = []
        found: list[Row] = []
        with timed(self.result, "walk_by_cursor_s"):
            for url, page in self._pages(limit=100):
                urls.append(url)
                found += page
                assert len(found) <= len(self.newest), "the walk does not end"
        self.result.figures["pages"] = len(urls)
        self.result.wrong += compared("the walk", self.newest, found)
        delivered = [row for row in self.newest if row["status"] == "delivered"]
        delivered.sort(key=lambda row: (row["total"], row["id"]), reverse=True)
        pages = islice(self._pages(status="delivered", sort="-total", limit=100), len(delivered) // 100 + 2)
        found = [row for _, page in pages for row in page]
        self.result.wrong += compared("the walk through the delivered", delivered, found)
        full = urls[:-1] or urls  # the last one may be short
        first, last = self._in_turns(lambda: self._get(full[min(1, len(full) - 1)]), lambda: self._get(full[-1]))
        self.result.figures |= {"second_page_ms": first, "last_full_page_ms": last}
        self.result.hold(f"the last page takes {last} ms, the second {first} ms", last <= STEADY * first)

    def skipped(self) -> None:
        """By `offset` the same documents come; what skipping costs is a figure."""
        deep = min(len(self.newest) - 100, 99_900)
        found = self._get("/orders", limit=100, offset=deep).json()
        self.result.wrong += compared(f"offset {deep}", self.newest[deep : deep + 100], found)
        near, far = self._in_turns(
            lambda: self._get("/orders", limit=100), lambda: self._get("/orders", limit=100, offset=deep)
        )
        self.result.figures |= {"offset_0_ms": near, f"offset_{deep}_ms": far}

    def counted(self) -> None:
        """The number of all, and of some, and what counting adds to a page."""
        states = Counter(row["status"] for row in self.newest)
        for status in (None, *STATES):
            where = {"status": status} if status is not None else {}
            said = int(self._get("/orders", limit=1, count="true", **where).headers["X-Total-Count"])
            there = states[status] if status is not None else len(self.newest)
            self.result.hold(f"{said} orders are counted ({status}), there are {there}", said == there)
        without, with_ = self._in_turns(
            lambda: self._get("/orders", limit=1), lambda: self._get("/orders", limit=1, count="true")
        )
        self.result.figures |= {"list_of_one_ms": without, "list_of_one_counted_ms": with_}

    def grouped(self) -> None:
        """Counts and sums by status and by day, to the cent."""
        for name, asked, key in (
            ("status", {"group": "status"}, lambda row: row["status"]),
            ("day", {"bucket": "created_at:day"}, lambda row: row["created_at"][:10]),
        ):
            count: Counter[str] = Counter()
            cents: Counter[str] = Counter()
            for row in self.newest:
                count[key(row)] += 1
                cents[key(row)] += round(row["total"] * 100)
            with timed(self.result, f"figures_by_{name}_s"):
                found = self._get("/orders/aggregate", **asked, sum="total").json()
            told = {next(iter(each["group"].values())): (each["count"], each["sum"]["total"]) for each in found}
            wanted = {group: (count[group], cents[group] / 100) for group in count}
            self.result.hold(f"the figures by {name} are not what the orders add up to", told == wanted)
            with timed(self.result, f"counts_by_{name}_s"):
                self._get("/orders/aggregate", **asked)

    def searched(self) -> None:
        """A text that few have, and one that nobody has."""
        wanted = [row for row in self.newest if "RARE" in (row["tracking_number"] or "")]
        with timed(self.result, "search_s"):
            answer = self._get("/orders", q="rare-", limit=100, count="true")
        self.result.wrong += compared("the search", wanted[:100], answer.json())
        said = int(answer.headers["X-Total-Count"])
        self.result.hold(f"the search says {said} in all, there are {len(wanted)}", said == len(wanted))
        with timed(self.result, "search_in_vain_s"):
            self.result.hold("a search in vain finds something", self._get("/orders", q="no such text").json() == [])

    def exported(self) -> None:
        """Everything as NDJSON and as CSV: every order, in order; memory does not grow, and others are served."""
        for format, read in (("ndjson", _lines), ("csv", _table)):
            with (
                timed(self.result, f"export_{format}_s"),
                self._watched(f"export_{format}") as waits,
                self.client.stream("GET", "/orders/export", params={"format": format}) as answer,
            ):
                assert answer.status_code == 200
                found = list(read(answer.iter_lines()))
            self.result.wrong += compared(f"the {format} export", self.newest, found)
            if waits:
                self.result.figures[f"get_during_{format}_p50_ms"] = round(statistics.median(waits), 1)

    @contextmanager
    def _watched(self, name: str) -> Iterator[list[float]]:
        """Watch the process's memory, and ask for single orders meanwhile."""
        before, most, waits, done = self._memory(), 0.0, [], threading.Event()
        failed: list[Exception] = []

        def watch() -> None:
            nonlocal most
            try:
                with httpx.Client(base_url=self.api.url, trust_env=False, timeout=60) as client:
                    while not done.wait(0.02):
                        most = max(most, self._memory())
                        began = time.perf_counter()
                        client.get(f"/orders/{self.newest[0]['id']}").raise_for_status()
                        waits.append((time.perf_counter() - began) * 1000)
            except (httpx.HTTPError, psutil.Error) as error:
                failed.append(error)  # a thread's own end would be heard of by nobody

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            yield waits
        finally:
            done.set()
            watcher.join()
        self.result.wrong += [f"{name}: who asked meanwhile got no answer: {error!r}" for error in failed]
        grown = round(max(most, self._memory()) - before, 1)
        self.result.figures[f"{name}_grows_by_mib"] = grown
        self.result.hold(f"{name}: the process grew by {grown} MiB", grown <= GROWTH)

    def _memory(self) -> float:
        return float(self.process.memory_info().rss) / 2**20

    def _in_turns(self, one: Callable[[], object], other: Callable[[], object]) -> tuple[float, float]:
        """The medians of how long both take, in milliseconds."""
        took: tuple[list[float], list[float]] = ([], [])
        for _ in range(40):
            for ask, times in zip((one, other), took, strict=True):
                began = time.perf_counter()
                ask()
                times.append((time.perf_counter() - began) * 1000)
        return round(statistics.median(took[0]), 2), round(statistics.median(took[1]), 2)


def _lines(lines: Iterator[str]) -> Iterator[Row]:
    for line in lines:
        yield json.loads(line)


def _table(lines: Iterator[str]) -> Iterator[Row]:
    for row in csv.DictReader(io.StringIO("\n".join(lines))):
        items = json.loads(row["items"])
        yield {**row, "items": items, "total": float(row["total"]), "tracking_number": row["tracking_number"] or None}


def compared(what: str, wanted: list[Row], found: list[Row]) -> list[str]:
    """What is missing, there twice, out of order or not as it was written."""
    times = Counter(row["id"] for row in found)
    missing = [row["id"] for row in wanted if row["id"] not in times]
    twice = [id for id, count in times.items() if count > 1]
    if missing or twice or len(found) != len(wanted):
        lost, more = f"{len(missing)} missing ({missing[:3]})", f"{len(twice)} more than once ({twice[:3]})"
        return [f"{what}: {len(found)} orders of {len(wanted)}, {lost}, {more}"]
    for place, (row, other) in enumerate(zip(wanted, found, strict=True)):
        if row["id"] != other["id"]:
            return [f"{what}: {other['id']} is at place {place}, where {row['id']} belongs"]
        changed = [name for name in row if name != "items" and other[name] != row[name]]
        if changed or [line["quantity"] for line in row["items"]] != [line["quantity"] for line in other["items"]]:
            return [f"{what}: {row['id']} has other {', '.join(changed) or 'items'}"]
    return []


def main() -> int:
    """Run the full form; 1 where something did not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.proof.scale", description=__doc__)
    parser.add_argument("--orders", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pulpo-scale-") as folder:
        result = prove(given.orders, Path(folder), given.seed)
    print(json.dumps({"seed": given.seed, **result.figures, "wrong": result.wrong[:20]}, indent=2))
    return 1 if result.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
