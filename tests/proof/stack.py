"""`python -m tests.proof.stack`: the order system's whole stack, as a person starts it, with its flows on Prefect.

In a copy of the order system `pulpo cli init --database mongodb --engine prefect`, `pulpo compile` and `pulpo up` start
MongoDB, the API, the UI, the gateway, a Prefect server and a worker. Then

* with one second added to each step, orders go through `order_to_cash` one at a time: how long each takes beside the
  six seconds of its critical path, and whether Prefect shows its task runs by their names, ended, in the plan's order;
* without it a burst of orders is begun at once: all have to complete, with one charge for each order, captured once,
  and the server may not say "database is locked";
* `pulpo down` may leave no process.

`--prefect-database postgresql` gives the Prefect server a PostgreSQL of the proof's own instead of its SQLite file;
`--engine embedded` does the same without Prefect.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from pulpo import settings as configuration
from pulpo.runtime.prefect.place import place
from pulpo.services import drive
from pulpo.services.mongod import free_port
from tests.proof import postgres
from tests.proof.arena import EXAMPLE, LEFT_OUT

CRITICAL_PATH = 6
"""Operations of `order_to_cash` that follow one another, of eleven."""
MOST = 7.5
"""Seconds that a run of them may take with a second in each; the goal on a quiet machine is 6.6."""
BURST = 200
PATIENCE = 600.0
FLOW = "order_to_cash"
AFTER = {
    "orders.fulfillment.reserve_items": ("orders.checkout.validate_items", "orders.checkout.validate_payment"),
    "orders.fulfillment.pick_items": ("orders.fulfillment.reserve_items", "payments.processing.charge"),
    "orders.fulfillment.pack_items": ("orders.fulfillment.pick_items",),
    "payments.processing.confirm": ("payments.processing.charge",),
    "payments.reconciliation.verify": ("payments.processing.confirm",),
    "orders.fulfillment.ship_items": ("orders.fulfillment.pack_items", "payments.reconciliation.verify"),
    "orders.tracking.update_customer": ("orders.fulfillment.ship_items",),
}
"""What each step comes after, in the seed's words."""


@dataclass
class Stack:
    """The project in its folder. `settings` are its variables of the environment."""

    root: Path
    engine: str
    database: str
    settings: dict[str, str]
    gateway: int = field(default_factory=free_port)
    problems: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    placed: int = 0

    def pulpo(self, *words: str, **more: str) -> str:
        """What a command of Pulpo's prints."""
        done = subprocess.run(
            [sys.executable, "-m", "pulpo.cli.main", *words],
            cwd=self.root, env={**os.environ, **self.settings, **more}, capture_output=True, text=True,
            timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def prepare(self) -> None:
        """A copy of the order system whose gateway has a port of its own, compiled."""
        shutil.copytree(EXAMPLE, self.root, ignore=LEFT_OUT)
        file = self.root / "pulpo.toml"
        file.write_text(file.read_text().replace("port = 8700", f"port = {self.gateway}"))
        self.pulpo("cli", "init", "--database", self.database, "--engine", self.engine)
        self.pulpo("compile")

    def up(self, **more: str) -> httpx.Client:
        """Start all of it; a client of the API."""
        began = time.monotonic()
        self.pulpo("up", **more)
        self.figures.setdefault("up_seconds", round(time.monotonic() - began, 1))
        return httpx.Client(base_url=f"http://127.0.0.1:{self.settings['PULPO_API_PORT']}", trust_env=False, timeout=60)

    def down(self) -> None:
        """Stop it, and look for what is left."""
        self.pulpo("down")
        if left := drive.status(self.root).leftovers:
            self.problems.append(f"`pulpo down` left {left}")

    def order(self, http: httpx.Client) -> str:
        """A new order's id."""
        self.placed += 1
        body = {
            "order_number": f"S-{self.placed}", "customer_id": "cust_stack", "shipping_address_id": "addr_stack",
            "items": [{"product_id": "prod_stack", "quantity": 1, "unit_price": 19.99}], "total": 19.99,
        }  # fmt: skip
        return str(http.post("/orders", json=body).raise_for_status().json()["id"])

    def begin(self, http: httpx.Client, order: str) -> str:
        """The id of a run that was begun for an order."""
        body = {"order_id": order, "payment_method": "credit_card", "address_zip": "90210"}
        return str(http.post(f"/flows/{FLOW}/runs", json=body).raise_for_status().json()["id"])

    def furnish(self, http: httpx.Client) -> None:
        """A product that does not run out, and who buys it."""
        product = {"id": "prod_stack", "sku": "STACK", "name": "Mug", "price": 19.99, "inventory": 100_000}
        http.post("/products", json={**product, "weight_grams": 380}).raise_for_status()
        address = {"id": "addr_stack", "street": "1 Rodeo Drive", "city": "Beverly Hills", "state": "CA"}
        card = {"id": "pm_stack", "token": "pm_card_visa", "expires": "2031-12"}
        customer = {"id": "cust_stack", "email": "stack@mail.example", "name": "Ada Moreno", "payment_methods": [card]}
        http.post("/customers", json={**customer, "addresses": [{**address, "zip_code": "90210"}]}).raise_for_status()

    # one at a time

    def slowly(self, count: int) -> None:
        """Runs with a second added to each step, one at a time."""
        with self.up(PULPO_ENGINE_DELAY="all=1") as http:
            self.furnish(http)
            took, first = [], []
            for _ in range(count + 1):
                run = self._ended(http, self.begin(http, self.order(http)))
                begun = datetime.fromisoformat(run["created_at"])
                took.append((datetime.fromisoformat(run["finished_at"]) - begun).total_seconds())
                starts = [datetime.fromisoformat(step["started_at"]) for step in run["steps"]]
                first.append((min(starts) - begun).total_seconds())
                if run["state"] != "completed":
                    self.problems.append(f"{run['id']} is {run['state']}: {run['error']}")
            if self.engine == "prefect":
                self._look_at_tasks(run)
        if statistics.median(took[1:]) > MOST:
            self.problems.append(f"a run takes {statistics.median(took[1:]):.2f} s, more than {MOST} s")
        self.figures["one_second_steps"] = {
            "runs": count, "critical_path_seconds": CRITICAL_PATH,
            "seconds": {"median": round(statistics.median(took[1:]), 2), "most": round(max(took[1:]), 2)},
            "ratio": round(statistics.median(took[1:]) / CRITICAL_PATH, 3),
            "to_first_step_seconds": round(statistics.median(first[1:]), 2),
        }  # fmt: skip
        self.down()

    def _ended(self, http: httpx.Client, id: str) -> Any:
        deadline = time.monotonic() + PATIENCE
        while (run := http.get(f"/runs/{id}").raise_for_status().json())["finished_at"] is None:
            assert time.monotonic() < deadline, f"{id} is {run['state']}"
            time.sleep(0.1)
        return run

    def _look_at_tasks(self, run: Any) -> None:
        """Prefect's task runs of a run: each operation once, ended, none before what it comes after."""
        body = {"flow_runs": {"id": {"any_": [run["prefect"]]}}}
        deadline = time.monotonic() + 30
        while True:
            found = self._prefect("/task_runs/filter", body)
            tasks = {each["name"].rpartition("-")[0]: each for each in found}
            if len(found) == len(tasks) == len(run["steps"]) and all(each["end_time"] for each in found):
                break
            if time.monotonic() > deadline:
                self.problems.append(f"Prefect shows {sorted(tasks)}")
                return
            time.sleep(0.2)
        shown = {name: each["state_name"] for name, each in tasks.items()}
        if shown != dict.fromkeys((step["operation"] for step in run["steps"]), "Completed"):
            self.problems.append(f"Prefect shows {shown}")
        for name, needs in AFTER.items():
            for need in needs:
                if tasks[name]["start_time"] < tasks[need]["end_time"]:
                    self.problems.append(f"Prefect shows {name} before the end of {need}")

    def _prefect(self, path: str, body: Any) -> Any:
        where = place(configuration.load(self.root), self.root)
        user, _, password = where.auth.partition(":")
        url = f"http://127.0.0.1:{self.settings['PULPO_PREFECT_PORT']}/api{path}"
        return httpx.post(url, json=body, auth=(user, password), trust_env=False, timeout=30).raise_for_status().json()

    # all at once

    def burst(self, count: int) -> None:
        """Orders that are begun at once."""
        with self.up() as http:
            orders = [self.order(http) for _ in range(count)]
            began = time.monotonic()
            runs = [self.begin(http, order) for order in orders]
            accepted = time.monotonic() - began
            whole = [self._ended(http, id) for id in runs]  # one after another: only the first is asked for often
        states = Counter(run["state"] for run in whole)
        if states != Counter({"completed": count}):
            self.problems.append(f"of {count} runs: {dict(states)}")
        moments = [datetime.fromisoformat(run[which]) for run in whole for which in ("created_at", "finished_at")]
        seconds = (max(moments) - min(moments)).total_seconds()
        again = [step["operation"] for run in whole for step in run["steps"] if step["attempts"] != 1]
        if self.engine == "prefect":
            self._look_at_flow_runs(runs)
        self._look_at_the_gateway(set(orders))
        self.figures["burst"] = {
            "orders": count, "accepted_seconds": round(accepted, 1), "ended_seconds": round(seconds, 1),
            "states": dict(states), "attempts_beyond_one": dict(Counter(again)),
            "taken_over": sum(run["recoveries"] for run in whole), "said_locked": self._said("database is locked"),
        }  # fmt: skip
        if self._said("database is locked"):
            self.problems.append("the Prefect server said that its database is locked")
        self.down()

    def _look_at_flow_runs(self, runs: list[str]) -> None:
        """One flow run for each run, which says that it has completed."""
        deadline = time.monotonic() + 30
        while True:
            found: list[Any] = []
            while page := self._prefect("/flow_runs/filter", {"limit": 200, "offset": len(found), "sort": "ID_DESC"}):
                found += page
            shown = Counter((each["name"], each["state_name"]) for each in found if each["name"] in set(runs))
            if shown == Counter((id, "Completed") for id in runs):
                return
            if time.monotonic() > deadline:
                self.problems.append(f"Prefect shows {Counter(state for _, state in shown.elements())}")
                return
            time.sleep(0.5)

    def _look_at_the_gateway(self, orders: set[str]) -> None:
        """One charge for each order, captured once and not given back."""
        url = f"http://127.0.0.1:{self.gateway}/ledger"
        charges = httpx.get(url, trust_env=False, timeout=30).raise_for_status().json()["charges"]
        ours = [each for each in charges if each["reference"] in orders]
        if Counter(each["reference"] for each in ours) != Counter(orders):
            self.problems.append(f"{len(ours)} charges for {len(orders)} orders")
        if wrong := [each for each in ours if each["captured"] != each["amount"] or each["refunded"]]:
            self.problems.append(f"charges that are not captured once: {wrong[:2]}")

    def _said(self, words: str) -> int:
        log = self.root / ".pulpo/logs/prefect.log"
        return log.read_text(errors="replace").count(words) if log.exists() else 0


def main() -> int:
    """Run the proof; 1 where something does not hold, 2 where PostgreSQL is asked for and not installed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orders", type=int, default=BURST)
    parser.add_argument("--runs", type=int, default=10, help="with a second in each step")
    parser.add_argument("--database", choices=("mongodb", "sqlite"), default="mongodb", help="the application's")
    parser.add_argument("--engine", choices=("prefect", "embedded"), default="prefect")
    parser.add_argument("--prefect-database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--json", type=Path, help="write the figures here")
    given = parser.parse_args()
    with_postgres = given.prefect_database == "postgresql"
    if with_postgres and postgres.programs() is None:
        print("not run: PostgreSQL is not installed")
        return 2
    with ExitStack() as ends:
        root = Path(ends.enter_context(tempfile.TemporaryDirectory(prefix="pulpo-stack-"))) / "ecommerce-app"
        ports = {f"PULPO_{name}_PORT": str(free_port()) for name in ("API", "UI", "PREFECT")}
        if with_postgres:
            ports["PULPO_PREFECT_DATABASE"] = ends.enter_context(postgres.cluster())
        stack = Stack(root, given.engine, given.database, ports)
        stack.prepare()
        try:
            if given.runs:
                stack.slowly(given.runs)
            stack.burst(given.orders)
        finally:
            drive.down(root)
    stack.figures |= {"database": given.database, "engine": given.engine, "prefect_database": given.prefect_database}
    stack.figures["load"] = [round(each, 1) for each in os.getloadavg()]
    print(json.dumps(stack.figures, indent=2))
    for problem in stack.problems:
        print(f"PROBLEM: {problem}")
    if given.json:
        given.json.write_text(json.dumps(stack.figures, indent=2) + "\n")
    return 1 if stack.problems else 0


if __name__ == "__main__":
    sys.exit(main())
