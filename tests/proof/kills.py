"""`python -m tests.proof.kills`: kill the order system over a hundred times during its flows.

A real gateway, a real API and real workers. Processes die by SIGKILL at named points (`PULPO_CRASH_AT`), while a call
to the gateway is open, and at random moments, recovery included. Each is brought back, every run has to come to its
proper end, and after every round the audit looks at journal, events, bodies, stock, books and the gateway's books.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pulpo.runtime.target import load_application
from tests.proof.arena import Arena
from tests.proof.kill_audit import Audit, Case, Placed
from tests.proof.kill_town import Gateway, Mode, Shop, lines
from tests.proof.members import STORES, database

RESERVE, PICK, PACK, SHIP = (
    f"orders.fulfillment.{name}_items" for name in ("reserve", "pick", "pack", "ship")
)  # fmt: skip
CHARGE, CONFIRM, VERIFY = "payments.processing.charge", "payments.processing.confirm", "payments.reconciliation.verify"
CHECKOUT = tuple(f"orders.checkout.{name}" for name in ("validate_items", "validate_payment", "calculate_shipping"))
TELL = "orders.tracking.update_customer"
STEPS = (*CHECKOUT, RESERVE, CHARGE, PICK, PACK, CONFIRM, VERIFY, SHIP, TELL)
RELEASE, PUT_BACK, UNPACK = (f"orders.fulfillment.{name}" for name in ("release_items", "put_back", "unpack"))
VOID, REFUND = "payments.processing.void", "payments.processing.refund_capture"
FAILING: dict[str, Case] = {RELEASE: "declined", PUT_BACK: "weight", UNPACK: "carrier", VOID: "carrier",
                            REFUND: "carrier"}  # fmt: skip
"""For each undoing a case whose flow comes to it."""

BEFORE_BODY = "before an operation's body"
AFTER_BODY = "after a body, before its result"
AFTER_COMMIT = "between a commit and its result"
AFTER_RESULT = "after a result"
GATEWAY = "inside the gateway's call"
UNDOING = "during compensation"
RANDOM = "at a random moment"
TWICE = "again during recovery"
KINDS = (BEFORE_BODY, AFTER_BODY, AFTER_COMMIT, AFTER_RESULT, GATEWAY, UNDOING, RANDOM, TWICE)

OPEN_SECONDS = 1.5
PATIENCE = 60.0
TRIES = 6


@dataclass(frozen=True)
class Round:
    """What happens in one round: the orders, and who is killed when."""

    kind: str
    cases: tuple[Case, ...]
    crashes: tuple[str, ...] = ()
    fault: dict[str, Any] = field(default_factory=dict)
    random_kills: int = 0
    mode: Mode = "api"

    @property
    def name(self) -> str:
        """In a few words."""
        how = [*self.crashes, *(str(self.fault[key]) for key in ("kind", "call") if self.fault)]
        return f"{self.kind}: {' '.join(how) or self.random_kills}, {self.mode}"


def every_round() -> list[Round]:
    """The full form: over a hundred rounds."""
    paid: tuple[Case, ...] = ("paid",) * 3
    found = [Round(BEFORE_BODY, paid, (f"before_body:{step}",)) for step in STEPS]
    found += [Round(AFTER_BODY, paid, (f"after_body:{step}",)) for step in STEPS]
    found += [Round(AFTER_COMMIT, paid, (f"after_commit:{step}",)) for step in (CHARGE, SHIP) * 6]
    found += [Round(AFTER_RESULT, paid, (f"after_result:{step}",)) for step in STEPS if step != TELL]
    for call in ("authorize", "capture"):
        for kind in ("slow", "timeout_after"):
            found += [Round(GATEWAY, paid, fault={"kind": kind, "call": call}) for _ in range(5)]
    for case in ("declined", "weight", "carrier"):
        found += [Round(UNDOING, _failing(case), ("before_compensation:order_to_cash",)) for _ in range(2)]
    for point in ("before_body", "inside_compensation", "after_result"):
        found += [Round(UNDOING, _failing(case), (f"{point}:{undo}",)) for undo, case in FAILING.items()]
    found += [Round(UNDOING, _failing("carrier"), (f"after_commit:{REFUND}",)) for _ in range(2)]
    for kind in ("slow", "timeout_after"):
        found += [Round(UNDOING, _failing("carrier"), fault={"kind": kind, "call": "refund"}) for _ in range(3)]
    mixed: tuple[Case, ...] = ("paid", "declined", "paid", "weight", "paid", "carrier")
    found += [Round(RANDOM, mixed, random_kills=1) for _ in range(14)]
    twice: tuple[tuple[tuple[Case, ...], tuple[str, str]], ...] = (
        (paid, (f"before_body:{CHARGE}", f"after_commit:{CHARGE}")),
        (paid, (f"after_commit:{CHARGE}", f"after_body:{CHARGE}")),
        (paid, (f"after_result:{CHARGE}", f"before_body:{PICK}")),
        (paid, (f"after_body:{CONFIRM}", f"after_body:{CONFIRM}")),
        (paid, (f"after_commit:{SHIP}", f"after_body:{SHIP}")),
        (_failing("declined"), ("before_compensation:order_to_cash", f"inside_compensation:{RELEASE}")),
        (_failing("carrier"), (f"inside_compensation:{UNPACK}", f"inside_compensation:{VOID}")),
        (_failing("carrier"), (f"after_commit:{REFUND}", f"inside_compensation:{REFUND}")),
    )
    found += [Round(TWICE, cases, crashes) for cases, crashes in twice]
    found += [Round(TWICE, mixed, random_kills=2) for _ in range(8)]
    return [_in_mode(number, each) for number, each in enumerate(found)]


def some_rounds() -> list[Round]:
    """The short form: each kind at least once."""
    paid: tuple[Case, ...] = ("paid", "paid")
    return [
        Round(BEFORE_BODY, paid, (f"before_body:{CHARGE}",)),
        Round(AFTER_BODY, paid, (f"after_body:{CONFIRM}",)),
        Round(AFTER_COMMIT, paid, (f"after_commit:{CHARGE}",)),
        Round(AFTER_RESULT, paid, (f"after_result:{RESERVE}",)),
        Round(GATEWAY, paid, fault={"kind": "timeout_after", "call": "authorize"}),
        Round(GATEWAY, paid, fault={"kind": "slow", "call": "capture"}),
        Round(UNDOING, ("declined", "paid"), ("before_compensation:order_to_cash",)),
        Round(UNDOING, ("carrier", "paid"), (f"inside_compensation:{REFUND}",)),
        Round(TWICE, paid, (f"before_body:{CHARGE}", f"after_commit:{CHARGE}")),
        Round(RANDOM, ("paid", "declined", "weight", "paid"), random_kills=1),
        Round(AFTER_COMMIT, paid, (f"after_commit:{SHIP}",), mode="workers"),
        Round(UNDOING, ("declined", "paid"), (f"inside_compensation:{RELEASE}",), mode="workers"),
    ]


def _failing(case: Case) -> tuple[Case, ...]:
    return (case, "paid", case)


def _in_mode(number: int, each: Round) -> Round:
    """Every third round kills workers beside an API that stays; a second crash point needs the one who takes over."""
    mode: Mode = "workers" if number % 3 == 2 and len(each.crashes) < 2 else "api"
    return Round(each.kind, each.cases, each.crashes, each.fault, each.random_kills, mode)


class Proof:
    """Plays rounds and keeps count."""

    def __init__(self, shop: Shop, gateway: Gateway, audit: Audit, seed: int) -> None:
        self.shop, self.gateway, self.audit = shop, gateway, audit
        self.chance = random.Random(seed)
        self.rounds: Counter[str] = Counter()
        self.kills: Counter[str] = Counter()
        self.problems: list[str] = []
        self.seconds: list[float] = []
        self.placed: list[Placed] = []
        self._orders = 0

    def furnish(self) -> None:
        """Products that do not run out, and the customers' goods to weigh."""
        self.shop.open("api")
        for id, price, grams in (("prod_mug", 19.99, 380), ("prod_pen", 34.0, 60)):
            product = {"id": id, "sku": id, "name": id, "price": price, "weight_grams": grams, "inventory": 100_000}
            self.shop.post("/products", product)

    def play(self, number: int, each: Round) -> None:
        """One round: place the orders, start their runs, kill, bring back, wait for every end, look at everything."""
        began = time.monotonic()
        for _ in range(TRIES):
            self.shop.open(each.mode)
            placed = [Placed(case, self._order(case), "") for case in each.cases]
            self.shop.open(each.mode, *each.crashes)
            kills = self._kill_and_end(each, placed)
            self.placed += placed
            found = self.audit.problems(placed, self.gateway.books(), lines(self.shop.bodies))
            self.problems += [f"round {number}, {each.name}: {problem}" for problem in found]
            if kills >= max(1, len(each.crashes), each.random_kills) or found:
                break  # a random moment may lie after the end: then the round is played again
        else:
            self.problems.append(f"round {number}, {each.name}: nobody was killed in time")
        self.rounds[each.kind] += 1
        self.kills[each.kind] += kills
        self.seconds.append(time.monotonic() - began)

    def _kill_and_end(self, each: Round, placed: list[Placed]) -> int:
        """Start the runs and kill as the round says, until every run is at an end; how many kills met runs at work."""
        before = self.shop.kills
        missed = 0
        if each.fault:
            self.gateway.plan(**each.fault, seconds=OPEN_SECONDS)
        # a first kill at random comes while runs are being started; where a second is to meet the recovery, after that
        last = len(placed) - 1
        moment = {0: None, 1: self.chance.randint(0, last)}.get(each.random_kills, last)
        for place, one in enumerate(placed):
            bodies = self._written()
            one.run = self._start(one)
            if place == moment:
                missed += not self._kill_at_work(placed[: place + 1], bodies)
        if each.fault:
            if not self.gateway.wait_for_call():
                self.gateway.behave()
                missed += 1
            time.sleep(self.chance.choice((0.0, self.chance.uniform(0, OPEN_SECONDS / 2))))
            self.shop.kill()
        for _ in range(each.random_kills - 1):
            bodies = self._written()
            self.shop.look_after(ready=False)
            missed += not self._kill_at_work(placed, bodies)
        deadline = time.monotonic() + PATIENCE
        while True:
            self.shop.look_after()
            if not self.audit.unfinished(placed) and not self.shop.any_dead():
                return self.shop.kills - before - missed
            if time.monotonic() > deadline:
                self.problems.append(f"{self.audit.unfinished(placed)} runs have not ended: {placed}")
                return self.shop.kills - before - missed
            time.sleep(0.01)

    def _written(self) -> int:
        return self.shop.bodies.stat().st_size if self.shop.bodies.exists() else 0

    def _kill_at_work(self, placed: list[Placed], written: int) -> bool:
        """Wait for a body to begin, and a moment more; kill who began the latest. Whether a run was at work there."""
        deadline = time.monotonic() + PATIENCE
        while self._written() == written and self.audit.unfinished(placed):
            assert time.monotonic() < deadline, "nobody works on the runs"
            time.sleep(0.002)
        time.sleep(self.chance.uniform(0, 0.06))
        bodies = lines(self.shop.bodies)
        killed = self.shop.kill(bodies[-1]["pid"])
        its = {body["run"] for body in bodies if body["pid"] == bodies[-1]["pid"]}
        return killed and self.audit.unfinished(one for one in placed if one.run in its) > 0

    def _order(self, case: Case) -> str:
        """A customer and an order."""
        self._orders += 1
        number = f"{self._orders:05}"
        address = {"id": f"addr_{number}", "street": "1 Rodeo Drive", "city": "Beverly Hills", "state": "CA"}
        card = {"id": "pm_visa", "token": "pm_card_visa", "expires": "2031-12"}
        customer = {"id": f"cust_{number}", "email": f"c{number}@mail.example", "name": "Ada Moreno"}
        served = {**address, "zip_code": "90210"}
        self.shop.post("/customers", {**customer, "addresses": [served], "payment_methods": [card]})
        items = [
            {"product_id": "prod_mug", "quantity": 2, "unit_price": 19.99},
            {"product_id": "prod_pen", "quantity": 1, "unit_price": 34.0},
        ]
        body = {"order_number": f"K-{number}", "customer_id": customer["id"], "items": items, "total": 73.98}
        order: str = self.shop.post("/orders", {**body, "shipping_address_id": address["id"]})["id"]
        if case == "carrier":  # reserved by hand, so the price stands; then the customer moves to where no carrier goes
            self.shop.post("/operations/orders/fulfillment/reserve_items", {"order_id": order})
            self.shop.patch(f"/customers/{customer['id']}", {"addresses": [{**address, "zip_code": "96201"}]})
        return order

    def _start(self, one: Placed) -> str:
        given: dict[str, Any] = {"order_id": one.order, "payment_method": "credit_card", "address_zip": "90210"}
        if one.case == "declined":
            given["payment_method"] = "pm_card_chargeDeclined"
        if one.case == "weight":
            given["measured_grams"] = 1
        run: str = self.shop.post("/flows/order_to_cash/runs", given)["id"]
        return run

    def figures(self) -> dict[str, Any]:
        """Everything counted, as JSON."""
        counted = self.audit.figures
        return {
            "rounds": sum(self.rounds.values()),
            "kills": sum(self.kills.values()),
            "by_kind": {kind: {"rounds": self.rounds[kind], "kills": self.kills[kind]} for kind in KINDS},
            "runs": len(self.placed),
            "states": dict(sorted(counted.states.items())),
            "takeovers": counted.takeovers,
            "steps_completed": counted.steps_completed,
            "undone": counted.undone,
            "bodies": counted.bodies,
            "bodies_begun_again": counted.bodies_again,
            "seconds": round(sum(self.seconds), 1),
            "problems": self.problems,
        }


def prove(rounds: list[Round], seed: int, folder: Path, url: str = "") -> dict[str, Any]:
    """Play rounds on a shop of their own in an empty folder; the figures, `problems` among them."""
    with Arena(folder, database=url, PULPO_ENGINE_LEASE="2") as arena:
        gateway = Gateway(arena.start_gateway())
        with Shop(arena, folder) as shop:
            audit = Audit(load_application(arena.root))
            proof = Proof(shop, gateway, audit, seed)
            try:
                proof.furnish()
                for number, each in enumerate(rounds, start=1):
                    known = len(proof.problems)
                    proof.play(number, each)
                    took = f"{number:4}/{len(rounds)} {proof.seconds[-1]:5.1f} s"
                    print("\n     ".join([f"{took}  {each.name}", *proof.problems[known:]]), flush=True)
            finally:
                audit.close()
            return proof.figures()


def table(figures: dict[str, Any]) -> str:
    """The figures for people."""
    rows = [f"| {'Killed':<34} | Rounds | SIGKILLs |", f"| {'-' * 34} | -----: | -------: |"]
    for kind, counts in figures["by_kind"].items():
        rows.append(f"| {kind:<34} | {counts['rounds']:>6} | {counts['kills']:>8} |")
    rows.append(f"| {'all':<34} | {figures['rounds']:>6} | {figures['kills']:>8} |")
    return "\n".join(rows)


def main() -> int:
    """Returns 0 where everything held, else 1."""
    parser = argparse.ArgumentParser(prog="python -m tests.proof.kills", description=__doc__)
    parser.add_argument("--short", action="store_true", help="each kind of kill once or more, in under a minute")
    parser.add_argument("--seed", type=int, default=1, help="of the random moments")
    parser.add_argument("--store", choices=STORES, default="sqlite")
    parser.add_argument("--only", help="only rounds whose kind or point contains this")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    given = parser.parse_args()
    rounds = some_rounds() if given.short else every_round()
    rounds = [each for each in rounds if not given.only or given.only in each.name]
    with tempfile.TemporaryDirectory(prefix="pulpo-kills-") as folder, database(given.store, Path(folder)) as url:
        figures = prove(rounds, given.seed, Path(folder), url)
    print(f"\n{table(figures)}\n")
    print(json.dumps(figures, indent=2))
    if given.json:
        given.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 1 if figures["problems"] else 0


if __name__ == "__main__":
    sys.exit(main())
