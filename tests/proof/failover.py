"""`python -m tests.proof.failover`: kill the primary, workers, or both, in the middle of flows.

Three real MongoDB members, an API process, two workers, the real gateway. In every round orders are placed over HTTP
and `order_to_cash` is started for each, by clients that send again under the same idempotency key whatever gets no
answer. Then somebody dies by SIGKILL: the primary, the worker that began the latest body, or both; in a blackout two of
three members, so that for a while nobody can write. The dead come back, every run has to come to its proper end, and
the audit of the kill proof looks at journal, events, bodies, stock, books and the gateway's books. Meanwhile one client
writes without pause, so that it is known how long nobody could, one reads, one follows the events, and one asks
`/readyz`.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import threading
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from pulpo.runtime.target import load_application
from tests.proof.arena import Arena
from tests.proof.kill_audit import Audit, Case, Placed
from tests.proof.kill_town import Gateway, Shop, lines
from tests.proof.members import Members

PRIMARY, WORKER, BOTH, BLACKOUT = "the primary", "a worker", "the primary and a worker", "two of three members"
KINDS = (PRIMARY, WORKER, BOTH, BLACKOUT)
RESUMED = 15.0
"""Seconds after which a write has to be acknowledged again."""
DARK = ((10.0, 14.0), (10.0, 14.0), (34.0, 36.0))
"""Seconds that blackouts last, in turn: longer than a lease, and longer than a commit waits for a primary."""
LEASE = "2"
PATIENCE = 90.0
CLIENTS = 4
ATTEMPT, LONG = 8.0, 60.0
"""Seconds that a client waits for an answer before it asks again under the same key; one waits for any answer."""
SOON = {"PULPO409", "PULPO411", "PULPO507"}
"""What a client may be told while something goes on elsewhere or the database is away: to ask again."""


@dataclass
class Notes:
    """What clients of all kinds saw; several threads write here."""

    problems: list[str] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    longest: float = 0.0


class Customer:
    """A patient client: one key per request, sent again until there is an answer that is one."""

    def __init__(self, url: str, notes: Notes, name: str, attempt: float = ATTEMPT) -> None:
        self._http = httpx.Client(base_url=url, trust_env=False, timeout=attempt)
        self._notes, self._name, self._sent = notes, name, 0

    def close(self) -> None:
        """Hang up."""
        self._http.close()

    def send(self, method: str, path: str, body: dict[str, Any]) -> Any:
        """The answer's body.

        Raises:
            AssertionError: There was none in time, or one that a patient client must not get.
        """
        self._sent += 1
        headers = {"Idempotency-Key": f"{self._name}-{self._sent}"} if method == "POST" else {}
        began = time.monotonic()
        while time.monotonic() - began < PATIENCE:
            try:
                response = self._http.request(method, path, json=body, headers=headers)
            except httpx.TransportError as error:
                self._notes.answers[type(error).__name__] += 1
                continue
            if response.is_success:
                self._notes.answers[str(response.status_code)] += 1
                self._notes.longest = max(self._notes.longest, time.monotonic() - began)
                return response.json()
            code = response.json().get("code")
            self._notes.answers[f"{response.status_code} {code}"] += 1
            assert code in SOON, f"{method} {path}: {response.status_code} {response.text}"
            if response.status_code == httpx.codes.SERVICE_UNAVAILABLE and "Retry-After" not in response.headers:
                self._notes.problems.append(f"{method} {path}: {response.text} does not say when to come back")
            time.sleep(min(1.0, float(response.headers.get("Retry-After", 0.2))))
        raise AssertionError(f"{method} {path}: no answer for {PATIENCE:g} s")


class Beside(ABC):
    """A thread that does something again and again until it is told to stop."""

    def __init__(self, notes: Notes) -> None:
        self.notes = notes
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, and wait for it."""
        self._stop.set()
        self._thread.join(PATIENCE)

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self.once()
        except Exception as error:  # noqa: BLE001 - it is a finding like any other
            self.notes.problems.append(f"{type(self).__name__}: {type(error).__name__}: {error}")

    @abstractmethod
    def once(self) -> None:
        """Do it."""


class Writing(Beside):
    """Writes one small document after another; when each was sent and acknowledged."""

    def __init__(self, url: str, notes: Notes) -> None:
        super().__init__(notes)
        self._client = Customer(url, notes, "writing", LONG)
        self.acknowledged: dict[str, tuple[float, float]] = {}

    def once(self) -> None:
        """A customer."""
        id = f"cust_w{len(self.acknowledged)}"
        sent = time.monotonic()
        body = {"id": id, "email": f"{id}@mail.example", "name": "Ada Moreno"}
        self._client.send("POST", "/customers", body)
        self.acknowledged[id] = sent, time.monotonic()
        time.sleep(0.02)

    def resumed(self, since: float) -> float | None:
        """Seconds from a moment until the first write was acknowledged that had been sent after it."""
        later = (acknowledged for sent, acknowledged in list(self.acknowledged.values())[-2000:] if sent > since)
        first = next(later, None)
        return None if first is None else first - since


class Reading(Beside):
    """Reads a document, and expects it, or to be told when to come back."""

    def __init__(self, url: str, notes: Notes) -> None:
        super().__init__(notes)
        self._http = httpx.Client(base_url=url, trust_env=False, timeout=LONG)

    def once(self) -> None:
        """A product."""
        response = self._http.get("/products/prod_mug")
        code = "" if response.is_success else response.json()["code"]
        self.notes.answers[f"read: {response.status_code} {code}".strip()] += 1
        if code and (code != "PULPO507" or "Retry-After" not in response.headers):
            self.notes.problems.append(f"a read was answered {response.status_code} {response.text}")
        self._stop.wait(0.1)


class Following(Beside):
    """Follows the events, and takes the stream up again where it broke off."""

    def __init__(self, url: str, notes: Notes) -> None:
        super().__init__(notes)
        self._http = httpx.Client(base_url=url, trust_env=False, timeout=httpx.Timeout(ATTEMPT, read=1.0))
        self._last = ""
        self.completed: Counter[tuple[str, str, str]] = Counter()
        self.connections = 0

    def once(self) -> None:
        """Follow until it breaks."""
        headers = {"Last-Event-ID": self._last} if self._last else {}
        try:
            with self._http.stream("GET", "/events", headers=headers) as response:
                if response.status_code != httpx.codes.OK:
                    response.read()
                    assert response.json()["code"] == "PULPO507", response.text
                    time.sleep(0.2)
                    return
                self.connections += 1
                for line in response.iter_lines():
                    self._take(line)
                    if self._stop.is_set():
                        return
        except httpx.TransportError:
            return  # silent for a second, or broken off: it is taken up again

    def _take(self, line: str) -> None:
        name, _, value = line.partition(": ")
        if name == "id":
            self._last = value
        elif name == "data":
            event = json.loads(value)
            if event["type"] == "step.completed":
                self.completed[event["run"], event["kind"], event["operation"]] += 1


class Asking(Beside):
    """Asks `/readyz`."""

    def __init__(self, url: str, notes: Notes) -> None:
        super().__init__(notes)
        self._http = httpx.Client(base_url=url, trust_env=False, timeout=ATTEMPT)
        self.said: Counter[str] = Counter()

    def once(self) -> None:
        """What is down."""
        response = self._http.get("/readyz")
        down = response.json().get("down", [response.text])
        self.said[",".join(down) or "ready"] += 1
        if (response.status_code == httpx.codes.OK) != (not down):
            self.notes.problems.append(f"/readyz: {response.status_code} {response.text}")
        self._stop.wait(0.25)


@dataclass(frozen=True)
class Moment:
    """Who was killed, and when."""

    primary: float | None
    worker: bool


class Proof:
    """Plays rounds and keeps count."""

    def __init__(self, shop: Shop, members: Members, gateway: Gateway, audit: Audit, seed: int) -> None:
        self.shop, self.members, self.gateway, self.audit = shop, members, gateway, audit
        self.chance = random.Random(seed)
        self.notes = Notes()
        self.writing = Writing(shop.url, self.notes)
        self.following = Following(shop.url, self.notes)
        self.asking = Asking(shop.url, self.notes)
        self.reading = Reading(shop.url, self.notes)
        self.clients = [Customer(shop.url, self.notes, f"client-{number}") for number in range(CLIENTS)]
        self.rounds: Counter[str] = Counter()
        self.killed: Counter[str] = Counter()
        self.resumed: list[float] = []
        self.taken_over: Counter[str] = Counter()
        self.begun_again: Counter[str] = Counter()
        self.placed: list[Placed] = []
        self.seconds = 0.0
        self._orders = 0

    @property
    def problems(self) -> list[str]:
        """Everything that should not have been."""
        return self.notes.problems

    def furnish(self) -> None:
        """Products that do not run out."""
        for id, price, grams in (("prod_mug", 19.99, 380), ("prod_pen", 34.0, 60)):
            product = {"id": id, "sku": id, "name": id, "price": price, "weight_grams": grams, "inventory": 1_000_000}
            self.clients[0].send("POST", "/products", product)

    def play(self, rounds: list[str]) -> None:
        """Play rounds of these kinds, then look at the whole."""
        began = time.monotonic()
        beside: tuple[Beside, ...] = (self.writing, self.reading, self.following, self.asking)
        for each in beside:
            each.start()
        with ThreadPoolExecutor(CLIENTS) as pool:
            for number, kind in enumerate(rounds, start=1):
                known, at = len(self.problems), time.monotonic()
                self._round(number, kind, pool)
                resumed = f", resumed after {self.resumed[-1]:.1f} s" if kind != WORKER and self.resumed else ""
                said = f"{number:4}/{len(rounds)} {time.monotonic() - at:5.1f} s  {kind}{resumed}"
                print("\n     ".join([said, *self.problems[known:]]), flush=True)
        time.sleep(1.0)  # what was committed last is on its way to who follows
        for each in beside:
            each.stop()
        self.seconds = time.monotonic() - began

    def _round(self, number: int, kind: str, pool: ThreadPoolExecutor) -> None:
        cases: list[Case] = ["paid", "paid", "paid", self.chance.choice(("paid", "declined", "weight", "carrier"))]
        bodies = self._written()
        under_way = [pool.submit(self._place, client, case) for client, case in zip(self.clients, cases, strict=True)]
        self._until(lambda: self._written() > bodies, "no body begins")
        time.sleep(self.chance.uniform(0, 0.5))
        moment = self._kill(kind)
        self._bring_back(kind, under_way)
        if moment.primary is not None:
            since = moment.primary
            self._until(lambda: self.writing.resumed(since) is not None, "no write is acknowledged")
            self.resumed.append(self.writing.resumed(since) or 0.0)
            if self.resumed[-1] > RESUMED:
                self.problems.append(f"round {number}, {kind}: writes resumed after {self.resumed[-1]:.1f} s")
        placed = [future.result() for future in under_way if future.exception() is None]
        failed = [str(error) for future in under_way if (error := future.exception()) is not None]
        self._until(lambda: not self.audit.unfinished(placed), "runs have not ended")
        self._until(self.members.whole, "a member does not come back")
        self.placed += placed
        before = (self.audit.figures.takeovers, self.audit.figures.bodies_again)
        found = failed + self.audit.problems(placed, self.gateway.books(), lines(self.shop.bodies))
        self.taken_over[kind] += self.audit.figures.takeovers - before[0]
        self.begun_again[kind] += self.audit.figures.bodies_again - before[1]
        if not moment.worker and self.audit.figures.takeovers > before[0]:
            found.append("runs were taken from a worker that lives")
        self.problems.extend(f"round {number}, {kind}: {problem}" for problem in found)
        self.rounds[kind] += 1

    def _kill(self, kind: str) -> Moment:
        """Kill who the round says, in either order."""
        primary: float | None = None
        worker = False
        victims = {PRIMARY: [PRIMARY], WORKER: [WORKER], BOTH: [PRIMARY, WORKER], BLACKOUT: [BLACKOUT]}[kind]
        self.chance.shuffle(victims)
        for place, victim in enumerate(victims):
            if place:
                time.sleep(self.chance.uniform(0, 1.5))
            if victim == WORKER:
                worker = self.shop.kill(lines(self.shop.bodies)[-1]["pid"]) or self.shop.kill_one()
                self.killed["workers"] += worker
                continue
            found = self.members.primary()
            primary = time.monotonic()
            self.members.kill(found)
            self.killed["primaries"] += 1
            if victim == BLACKOUT:
                self.members.kill((found + 1) % 3)
                self.killed["secondaries"] += 1
                time.sleep(self.chance.uniform(*DARK[self.rounds[BLACKOUT] % len(DARK)]))
                primary = time.monotonic()  # it is counted from when somebody can be elected again
        return Moment(primary, worker)

    def _bring_back(self, kind: str, under_way: list[Future[Placed]]) -> None:
        """The dead members after a moment, the worker before or after them; until every client has its answers."""
        if kind != BLACKOUT:
            time.sleep(self.chance.uniform(0, 2))
        self.shop.look_after(ready=False)
        if kind != BLACKOUT:
            time.sleep(self.chance.uniform(0, 2))
        self.members.restart_dead()
        self._until(lambda: all(future.done() for future in under_way), "clients have no answers")

    def _until(self, holds: Callable[[], bool], otherwise: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not holds():
            self.shop.look_after(ready=False)
            if time.monotonic() > deadline:
                self.problems.append(otherwise)
                return
            time.sleep(0.02)

    def _written(self) -> int:
        return self.shop.bodies.stat().st_size if self.shop.bodies.exists() else 0

    def _place(self, client: Customer, case: Case) -> Placed:
        """A customer, an order, its flow."""
        self._orders += 1
        number = f"{self._orders:05}"
        address = {"id": f"addr_{number}", "street": "1 Rodeo Drive", "city": "Beverly Hills", "state": "CA"}
        card = {"id": "pm_visa", "token": "pm_card_visa", "expires": "2031-12"}
        customer = {"id": f"cust_{number}", "email": f"c{number}@mail.example", "name": "Ada Moreno"}
        served = {**address, "zip_code": "90210"}
        client.send("POST", "/customers", {**customer, "addresses": [served], "payment_methods": [card]})
        items = [
            {"product_id": "prod_mug", "quantity": 2, "unit_price": 19.99},
            {"product_id": "prod_pen", "quantity": 1, "unit_price": 34.0},
        ]
        body = {"order_number": f"F-{number}", "customer_id": customer["id"], "items": items, "total": 73.98}
        order = client.send("POST", "/orders", {**body, "shipping_address_id": address["id"]})["id"]
        if case == "carrier":  # reserved by hand, so the price stands; then the customer moves to where no carrier goes
            client.send("POST", "/operations/orders/fulfillment/reserve_items", {"order_id": order})
            client.send("PATCH", f"/customers/{customer['id']}", {"addresses": [{**address, "zip_code": "96201"}]})
        given: dict[str, Any] = {"order_id": order, "payment_method": "credit_card", "address_zip": "90210"}
        if case == "declined":
            given["payment_method"] = "pm_card_chargeDeclined"
        if case == "weight":
            given["measured_grams"] = 1
        run = client.send("POST", "/flows/order_to_cash/runs", given)["id"]
        return Placed(case, order, run)

    def look_at_the_whole(self, fresh: Audit, documents: dict[str, list[dict[str, Any]]]) -> None:
        """Everything again from the beginning, and whether all that was acknowledged is there, once."""
        found = fresh.problems(self.placed, self.gateway.books(), lines(self.shop.bodies))
        placed = Counter(each.order for each in self.placed)
        there = Counter(order["id"] for order in documents["orders"])
        if placed != there:
            found.append(f"orders differ from those acknowledged: {placed - there} lost, {there - placed} too many")
        runs = Counter(run["id"] for run in documents["_runs"] if run["kind"] == "flow")
        if runs != Counter(each.run for each in self.placed):
            found.append(f"{len(runs)} runs of flows for {len(self.placed)} that were acknowledged")
        customers = {customer["id"] for customer in documents["customers"]}
        if lost := self.writing.acknowledged.keys() - customers:
            found.append(f"{len(lost)} acknowledged writes are lost: {sorted(lost)[:5]}")
        if twice := [event for event, times in self.following.completed.items() if times > 1]:
            found.append(f"{len(twice)} events came twice to who followed: {twice[:3]}")
        completed = {
            (step["run"], step["kind"], step["operation"])
            for step in documents["_steps"]
            if step["state"] == "completed"
        }
        if missed := completed - self.following.completed.keys():
            found.append(f"{len(missed)} events never came to who followed: {sorted(missed)[:3]}")
        if found_more := self.following.completed.keys() - completed:
            found.append(f"{len(found_more)} events tell of what is not so: {sorted(found_more)[:3]}")
        if self.rounds[BLACKOUT] and not self.asking.said["store"]:  # a new primary may be there before it is asked for
            found.append(f"/readyz never said that the store was down: {dict(self.asking.said)}")
        self.problems.extend(f"the whole: {problem}" for problem in found)

    def figures(self) -> dict[str, Any]:
        """Everything counted, as JSON."""
        counted, resumed = self.audit.figures, sorted(self.resumed)
        return {
            "rounds": sum(self.rounds.values()),
            "by_kind": {
                kind: {
                    "rounds": self.rounds[kind],
                    "taken_over": self.taken_over[kind],
                    "begun_again": self.begun_again[kind],
                }
                for kind in KINDS
            },
            "killed": dict(self.killed),
            "writes_resumed_after_seconds": {
                "median": round(resumed[len(resumed) // 2], 1) if resumed else None,
                "longest": round(resumed[-1], 1) if resumed else None,
            },
            "longest_request_seconds": round(self.notes.longest, 1),
            "answers": dict(sorted(self.notes.answers.items())),
            "readyz": dict(self.asking.said),
            "event_streams": self.following.connections,
            "writes_beside": len(self.writing.acknowledged),
            "runs": len(self.placed),
            "states": dict(sorted(counted.states.items())),
            "takeovers": counted.takeovers,
            "steps_completed": counted.steps_completed,
            "undone": counted.undone,
            "bodies": counted.bodies,
            "bodies_begun_again": counted.bodies_again,
            "seconds": round(self.seconds),
            "problems": self.problems,
        }


def kinds(rounds: int, blackouts: int) -> list[str]:
    """What happens in each round: the three kinds in turn, blackouts at the end."""
    return [(PRIMARY, WORKER, BOTH)[number % 3] for number in range(rounds)] + [BLACKOUT] * blackouts


def prove(rounds: list[str], seed: int, folder: Path) -> dict[str, Any]:
    """Play rounds on a shop of their own in an empty folder; the figures, `problems` among them."""
    with Members(folder) as members, Arena(folder, database=members.url("shop"), PULPO_ENGINE_LEASE=LEASE) as arena:
        gateway = Gateway(arena.start_gateway())
        with Shop(arena, folder, database_dies=True) as shop:
            shop.open("workers")
            audit = Audit(load_application(arena.root))
            proof = Proof(shop, members, gateway, audit, seed)
            try:
                proof.furnish()
                proof.play(rounds)
            finally:
                audit.close()
            fresh = Audit(load_application(arena.root))
            try:
                proof.look_at_the_whole(fresh, arena.documents("orders", "customers", "_runs", "_steps"))
            finally:
                fresh.close()
            return proof.figures()


def main() -> int:
    """Returns 0 where everything held, else 1."""
    parser = argparse.ArgumentParser(prog="python -m tests.proof.failover", description=__doc__)
    parser.add_argument("--rounds", type=int, default=50, help="primary, worker and both in turn")
    parser.add_argument("--blackouts", type=int, default=3, help="rounds more, in which two of three members die")
    parser.add_argument("--seed", type=int, default=1, help="of the moments")
    parser.add_argument("--folder", type=Path, help="an empty folder that is kept, with every process' log")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pulpo-failover-") as folder:
        figures = prove(kinds(given.rounds, given.blackouts), given.seed, given.folder or Path(folder))
    print(json.dumps(figures, indent=2))
    if given.json:
        given.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 1 if figures["problems"] else 0


if __name__ == "__main__":
    sys.exit(main())
