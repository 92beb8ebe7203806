"""`python -m tests.proof.flood`: a client that asks more than the server can do, cheap enough to share its machine.

Bare connections on uvloop, requests made by one formatting each. Closed: every connection asks again when it has its
answer. Open: requests are due at a fixed rate whether the server answers or not, as clients who do not know of each
other are; the time of an answer is counted from when its request was due, however late this process sent it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from array import array
from collections import Counter, deque
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import uvloop

_HEAD = (
    "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nAccept: */*\r\n"
    "User-Agent: flood\r\nContent-Length: {size}\r\n\r\n"
)
_ORDER = (
    '{"order_number":"NAME-%09d","customer_id":"cust_flood","shipping_address_id":"addr_flood",'
    '"items":[{"product_id":"prod_flood","quantity":2,"unit_price":19.99},'
    '{"product_id":"prod_other","quantity":1,"unit_price":34.0}],"total":73.98}'
)
_CHECK = '{"order_id":"order_flood"}'
KINDS = {"orders": "/orders", "checkout": "/operations/orders/checkout/validate_items", "shop": ""}
_PAGE = (
    "GET /orders?status=pending&limit=100&expand=customer,items.product HTTP/1.1\r\nHost: {host}\r\nAccept: */*\r\n\r\n"
)
TICK = 0.001
LATE = 0.05


class Link(asyncio.Protocol):
    """A connection: one request at a time."""

    def __init__(self, flood: Flood) -> None:
        self._flood = flood
        self._transport: asyncio.Transport | None = None
        self._due = 0.0
        self._parts = b""
        self.waiting: tuple[bytes, float] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Send what was due while the connection was being made."""
        self._transport = transport
        if self.waiting is not None:
            self.ask(*self.waiting)
        else:
            self._flood.free.append(self)

    def connection_lost(self, _: Exception | None) -> None:
        """An answer that was owed does not come any more."""
        self._flood.gone(self, owed=bool(self._due))

    def ask(self, request: bytes, due: float) -> None:
        """Send a request."""
        assert self._transport is not None
        self._due = due
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Take an answer when all of it is here."""
        if self._parts:
            data = self._parts + data
        head = data.find(b"\r\n\r\n")
        at = data.find(b"content-length: ", 0, head)
        if head < 0 or len(data) < head + 4 + int(data[at + 16 : data.index(b"\r", at)]):
            self._parts = data
            return
        self._parts = b""
        due, self._due = self._due, 0.0
        self._flood.answered(self, data, head, due)


class Flood:
    """All connections and what came of them.

    Args:
        url: The server.
        request: From a serial number to the bytes of a request.
    """

    def __init__(self, url: str, request: Callable[[int], bytes]) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname, parts.port
        self._request = request
        self.free: deque[Link] = deque()  # the one that has been idle longest is used first
        self.open = 0
        self._again: Callable[[Link], None] | None = None
        self._count = 0
        self._opening: set[asyncio.Task[Any]] = set()
        self.times: dict[int, array[float]] = {}
        self.wrong: Counter[str] = Counter()
        self.until = 0.0
        self.within: Counter[int] = Counter()

    async def connect(self, number: int) -> None:
        """Open this many more connections."""
        for _ in range(number):
            await self._connect(Link(self))

    async def _connect(self, link: Link) -> None:
        self.open += 1
        try:
            await asyncio.get_running_loop().create_connection(lambda: link, self._host, self._port)
        except OSError as error:
            self.open -= 1
            self.wrong[f"connect: {error.strerror}"] += 1

    def gone(self, link: Link, *, owed: bool) -> None:
        """A connection has ended."""
        self.open -= 1
        if owed:
            self.wrong["broken off"] += 1
        if link in self.free:
            self.free.remove(link)

    def answered(self, link: Link, data: bytes, head: int, due: float) -> None:
        """Note an answer, and use its connection again."""
        status, now = int(data[9:12]), time.perf_counter()
        if status not in self.times:
            self.times[status] = array("f")
        self.times[status].append(now - due)
        self.within[status] += now <= self.until
        if status == 503 and b"retry-after: " not in data[:head]:
            self.wrong["503 without Retry-After"] += 1
        if self._again is not None:
            self._again(link)
        else:
            self.free.append(link)

    def _next(self) -> bytes:
        self._count += 1
        return self._request(self._count)

    async def closed(self, connections: int, seconds: float) -> dict[str, Any]:
        """As fast as the server answers so many connections."""
        await self.connect(connections - self.open)
        end = self.until = time.perf_counter() + seconds
        self._again = lambda link: self._ask_until(link, end)
        for link in list(self.free):
            self.free.remove(link)
            self._ask_until(link, end)
        await asyncio.sleep(seconds)
        await self._settle()
        self._again = None
        return self._report(seconds)

    def _ask_until(self, link: Link, end: float) -> None:
        now = time.perf_counter()
        if now < end:
            link.ask(self._next(), now)
        else:
            self.free.append(link)

    async def steadily(self, rate: float, seconds: float, most: int) -> dict[str, Any]:
        """Requests that are due every 1/rate seconds, on as many connections as that takes, at most `most`."""
        began, sent, late = time.perf_counter(), 0, array("f")
        self.until = began + seconds
        while (passed := time.perf_counter() - began) < seconds:
            due = int(passed * rate)
            while sent < due:
                moment = began + sent / rate
                sent += 1
                if self.free:
                    self.free.popleft().ask(self._next(), moment)
                elif self.open < most:
                    link = Link(self)
                    link.waiting = self._next(), moment
                    self._hold(asyncio.ensure_future(self._connect(link)))
                else:
                    self.wrong["not sent: no connection left"] += 1
            late.append(time.perf_counter() - began - passed + TICK)
            await asyncio.sleep(TICK)
        await self._settle()
        return {**self._report(seconds), "sent": sent, "sent_late_p99_ms": _percentiles(late)["p99_ms"]}

    def _hold(self, task: asyncio.Task[Any]) -> None:
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _settle(self) -> None:
        """Wait for the answers that are still owed."""
        end = time.perf_counter() + 15
        while len(self.free) < self.open and time.perf_counter() < end:  # noqa: ASYNC110 - once, after all of it
            await asyncio.sleep(0.01)
        if len(self.free) < self.open:
            self.wrong["not answered"] += self.open - len(self.free)

    def _report(self, seconds: float) -> dict[str, Any]:
        times, self.times = self.times, {}
        wrong, self.wrong = self.wrong, Counter()
        within, self.within = self.within, Counter()
        return {
            "seconds": seconds,
            "connections": self.open,
            "within": dict(sorted(within.items())),
            "answers": {status: {"count": len(each), **_percentiles(each)} for status, each in sorted(times.items())},
            "wrong": dict(wrong),
        }


def _percentiles(times: array[float]) -> dict[str, float]:
    ordered = sorted(times)
    found = {"p50_ms": 0.5, "p99_ms": 0.99, "p999_ms": 0.999}
    figures = {name: round(ordered[int(share * (len(ordered) - 1))] * 1000, 2) for name, share in found.items()}
    late = sum(1 for each in ordered if each > LATE)
    return {**figures, "max_ms": round(ordered[-1] * 1000, 2), "beyond_50_ms": round(late / len(ordered), 5)}


def requests(kind: str, url: str, name: str) -> Callable[[int], bytes]:
    """A formatter of requests: `orders` (creates with references and a hook), `checkout` (an operation), or `shop`.

    The shop's are pages, checks and orders, 6 : 1 : 1.
    """
    host = urlsplit(url).netloc
    checkout = (_HEAD.format(path=KINDS["checkout"], host=host, size=len(_CHECK)) + _CHECK).encode()
    page = _PAGE.format(host=host).encode()
    body = _ORDER.replace("NAME", name)
    order = (_HEAD.format(path=KINDS["orders"], host=host, size=len(body % 0)) + body).encode()
    if kind == "checkout":
        return lambda _: checkout
    if kind == "orders":
        return lambda serial: order % serial
    return lambda serial: page if serial % 4 else checkout if serial % 8 else order % serial


async def _main(given: argparse.Namespace) -> None:
    flood = Flood(given.url, requests(given.kind, given.url, given.name))
    if given.rate:
        await flood.connect(given.connections)
        report = await flood.steadily(given.rate, given.seconds, given.most)
    else:
        report = await flood.closed(given.connections, given.seconds)
    json.dump(report, sys.stdout)


def main() -> None:
    """Ask, and print what came as JSON."""
    parser = argparse.ArgumentParser(prog="python -m tests.proof.flood", description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--kind", choices=KINDS, default="orders")
    parser.add_argument("--name", default="F", help="what order numbers begin with: another for each flood")
    parser.add_argument("--rate", type=float, default=0, help="requests a second; without it, closed")
    parser.add_argument("--connections", type=int, default=64, help="open from the start")
    parser.add_argument("--most", type=int, default=3000, help="connections at most")
    parser.add_argument("--seconds", type=float, default=5.0)
    uvloop.run(_main(parser.parse_args()))


if __name__ == "__main__":
    main()
