"""`python -m tests.proof.machines`: three machines share the runs of a Prefect server, and one of them dies.

Each machine has an environment into which Pulpo was installed by pip, a copy of the order system of its own, a
worker, and three settings: where the database is, where Prefect is, and what lets it in. Where this user may make them
(root on Linux, with `ip` and `unshare`), it has a network, process ids and a host name of its own as well, so that its
death is known by nothing but its lease. The Prefect server keeps its data in PostgreSQL and its messages in Redis, the
journal is in a MongoDB replica set.

Orders are placed over HTTP and `order_to_cash` is begun for all of them at once. In the middle the link of the machine
that holds most runs goes down and its processes die by SIGKILL. All runs have to complete, those of the dead machine on
others, and the audit of the kill proof looks at journal, events, bodies, stock and both books.

Where PostgreSQL or Redis is not installed it ends with 2.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pydantic_core

from pulpo.runtime.tables import RUNS, WORKERS
from pulpo.runtime.target import load_application
from pulpo.store.port import Query
from tests.proof.arena import errors
from tests.proof.kill_audit import Audit, Placed
from tests.proof.kill_town import Gateway, lines
from tests.proof.network import machines
from tests.proof.park import HEAD, Installation, Park, install, missing

MACHINES = ("machine-1", "machine-2", "machine-3")
ORDERS = 45
DELAY = 0.5
"""Seconds that are added to each step, so that runs are under way side by side."""
ELSEWHERE = 60.0
"""Seconds after which a dead machine's runs have to be at work elsewhere."""
PATIENCE = 300.0
AGREES = 30.0
"""Seconds that Prefect may take to show how runs have ended."""


class Watch(Audit):
    """The audit, which also tells where runs are held."""

    def holders(self, placed: list[Placed]) -> dict[str, tuple[str, int]]:
        """Of the runs that a worker holds: the name of its machine and its process id there."""
        return self._runner.run(self._holders(placed))

    async def _holders(self, placed: list[Placed]) -> dict[str, tuple[str, int]]:
        page = await self._app.store.query(Query(WORKERS, limit=500))
        rows = {record.id: pydantic_core.from_json(record.json) for record in page.records}
        records = await self._app.store.get_many(RUNS, tuple(each.run for each in placed))
        held = {record.id: rows.get(json.loads(record.json)["worker"]) for record in records}
        return {run: (str(row["host"]).partition("/")[0], int(row["pid"])) for run, row in held.items() if row}

    def runs(self, placed: list[Placed]) -> dict[str, dict[str, Any]]:
        """The runs' records."""
        records = self._runner.run(self._app.store.get_many(RUNS, tuple(each.run for each in placed)))
        return {record.id: json.loads(record.json) for record in records}


@dataclass
class Death:
    """A machine's, and the runs that it held."""

    machine: str
    at: float
    held: tuple[str, ...]
    ended_before: int


@dataclass
class Proof:
    """Begins the runs, kills, waits and looks."""

    park: Park
    audit: Watch
    problems: list[str] = field(default_factory=list)
    placed: list[Placed] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    def play(self, orders: int) -> None:
        """All of it."""
        with httpx.Client(base_url=self.park.api, trust_env=False, timeout=60) as http:
            self._furnish(http, orders)
            began = time.time()
            for each in self.placed:
                given = {"order_id": each.order, "payment_method": "credit_card", "address_zip": "90210"}
                each.run = _post(http, "/flows/order_to_cash/runs", given, f"run-{each.order}")["id"]
            self.figures["accepted_seconds"] = round(time.time() - began, 1)
        death = self._kill(began)
        unfinished = self._until_ended(began + PATIENCE)
        self.figures["ended_seconds"] = round(time.time() - began, 1)
        if unfinished:
            states = Counter(run["state"] for run in self.audit.runs(self.placed).values())
            self.problems.append(f"{unfinished} runs have not ended after {PATIENCE:g} s: {dict(states)}")
        with httpx.Client(base_url=self.park.gateway, trust_env=False, timeout=30) as gateway:
            self.problems += self.audit.problems(self.placed, Gateway(gateway).books(), self._bodies())
        if death is None:
            self.problems.append("there was no moment for a machine to die")
        else:
            self._look_at_the_share(death)
            self._look_at_the_death(death)
        self._look_at_prefect()
        self._look_at_logs(death)
        self._count()

    def _furnish(self, http: httpx.Client, orders: int) -> None:
        """Products that do not run out, customers and their orders."""
        for id, price, grams in (("prod_mug", 19.99, 380), ("prod_pen", 34.0, 60)):
            product = {"id": id, "sku": id, "name": id, "price": price, "weight_grams": grams, "inventory": 100_000}
            _post(http, "/products", product, id)
        card = {"id": "pm_visa", "token": "pm_card_visa", "expires": "2031-12"}
        items = [
            {"product_id": "prod_mug", "quantity": 2, "unit_price": 19.99},
            {"product_id": "prod_pen", "quantity": 1, "unit_price": 34.0},
        ]
        for number in range(orders):
            served = {"id": f"addr_{number}", "street": "1 Rodeo Drive", "city": "Beverly Hills", "state": "CA"}
            customer = {"id": f"cust_{number}", "email": f"c{number}@mail.example", "name": "Ada Moreno"}
            owned = {"addresses": [{**served, "zip_code": "90210"}], "payment_methods": [card]}
            _post(http, "/customers", {**customer, **owned}, customer["id"])
            body = {"order_number": f"M-{number}", "customer_id": customer["id"], "items": items, "total": 73.98}
            body["shipping_address_id"] = served["id"]
            self.placed.append(Placed("paid", _post(http, "/orders", body, f"order-{number}")["id"], ""))

    def _kill(self, began: float) -> Death | None:
        """Kill the machine that holds most runs, once a fifth of all have ended."""
        while time.time() - began < PATIENCE:
            time.sleep(0.1)
            ended = len(self.placed) - self.audit.unfinished(self.placed)
            if ended < len(self.placed) // 5:
                continue
            held = {run: self._machine(*where) for run, where in self.audit.holders(self.placed).items()}
            most = Counter(machine for machine in held.values() if machine != HEAD).most_common(1)
            if not most or most[0][1] < 2:
                continue
            machine = most[0][0]
            at = time.time()
            self.park.kill(machine)
            self.figures["killed_after_seconds"] = round(at - began, 1)
            return Death(machine, at, tuple(run for run, where in held.items() if where == machine), ended)
        return None

    def _machine(self, host: str, pid: int) -> str:
        """The machine of a worker; the API's process is the head's."""
        if host in self.park.machines:
            return host
        return next((name for name, process in self.park.workers.items() if process.pid == pid), HEAD)

    def _until_ended(self, deadline: float) -> int:
        while (left := self.audit.unfinished(self.placed)) and time.time() < deadline:
            time.sleep(0.1)
        return left

    def _bodies(self) -> list[dict[str, Any]]:
        """What bodies wrote, on all machines, and on which."""
        found = [{**line, "machine": name} for name, each in self.park.made.items() for line in lines(each.bodies)]
        return sorted(found, key=lambda body: float(body["at"]))

    def _look_at_the_share(self, death: Death) -> None:
        """Each machine has worked on runs, also the one that died, which has done nothing since."""
        bodies = [body for body in self._bodies() if body["run"] in {each.run for each in self.placed}]
        first = {body["run"]: body["machine"] for body in reversed(bodies)}
        before = Counter({body["run"]: body["machine"] for body in reversed(bodies) if body["at"] < death.at}.values())
        last = {body["run"]: body["machine"] for body in bodies}
        begun, ended = Counter(first.values()), Counter(last.values())
        steps = Counter(body["machine"] for body in bodies)
        self.figures["machines"] = {
            name: {
                "runs_begun": begun[name],
                "of_them_before_the_death": before[name],
                "runs_ended": ended[name],
                "steps": steps[name],
            }
            for name in self.park.machines
        }
        for name in self.park.machines:
            half = len(self.placed) // len(self.park.machines) // 2
            if begun[name] < (2 if name == death.machine else half):  # of what is fair
                self.problems.append(f"{name} began {begun[name]} of {len(self.placed)} runs")
        if late := [body for body in bodies if body["machine"] == death.machine and body["at"] > death.at + 0.5]:
            self.problems.append(f"{death.machine} is dead, and ran bodies: {late[:2]}")
        if strange := set(steps) - set(self.park.machines):
            self.problems.append(f"bodies of runs ran on {strange}")

    def _look_at_the_death(self, death: Death) -> None:
        """What the dead machine held goes on elsewhere in time, and nothing else was taken from anybody."""
        bodies, runs = self._bodies(), self.audit.runs(self.placed)
        taken = {id for id, run in runs.items() if run["recoveries"]}
        waited, only_ended = [], 0
        for run in death.held:
            elsewhere = [body["at"] for body in bodies if body["run"] == run and body["machine"] != death.machine]
            after = next((at for at in elsewhere if at > death.at), None)
            if after is None and run in taken and runs[run]["finished_at"]:
                only_ended += 1  # all of its steps had a result
                after = datetime.fromisoformat(runs[run]["finished_at"]).timestamp()
            if after is None:
                self.problems.append(f"{run} of {death.machine} did not go on elsewhere: it is {runs[run]['state']}")
                continue
            waited.append(after - death.at)
            if waited[-1] > ELSEWHERE:
                self.problems.append(f"{run} went on after {waited[-1]:.1f} s")
        touched = {body["run"] for body in bodies if body["machine"] == death.machine}
        if others := taken - set(death.held) - touched:
            self.problems.append(f"{others} were taken from a machine that lives")
        if often := [id for id in taken if runs[id]["recoveries"] > 1]:
            self.problems.append(f"{often} were taken over more than once")
        self.figures["death"] = {
            "machine": death.machine,
            "ended_before": death.ended_before,
            "held": len(death.held),
            "taken_over": len(taken),
            "of_them_only_to_be_ended": only_ended,
            "elsewhere_after_seconds": {"first": _rounded(min, waited), "last": _rounded(max, waited)},
        }

    def _look_at_prefect(self) -> None:
        """Each run has one flow run there, which says the same."""
        deadline = time.monotonic() + AGREES
        while True:
            found: list[dict[str, Any]] = []
            while page := self.park.ask_prefect("POST", "/flow_runs/filter", {"limit": 200, "offset": len(found)}):
                found += page
            states = Counter(each["state_name"] for each in found)
            if set(states) == {"Completed"} or time.monotonic() > deadline:
                break
            time.sleep(0.5)
        self.figures["prefect"] = dict(states)
        if set(states) != {"Completed"}:
            self.problems.append(f"Prefect shows {dict(states)}")
        named = Counter(each["name"] for each in found)
        if named != Counter(each.run for each in self.placed):
            self.problems.append(f"{len(found)} flow runs for {len(self.placed)} runs")

    def _look_at_logs(self, death: Death | None) -> None:
        """No worker and not the API has met an error."""
        for name in ("api", *self.park.machines):
            if death is not None and name == death.machine:
                continue
            said = [line for line in self.park.log(name).splitlines() if line.startswith("{")]
            self.problems += [f"{name} said: {line}" for line in errors(said)[:3]]

    def _count(self) -> None:
        counted = self.audit.figures
        self.figures |= {
            "runs": len(self.placed),
            "states": dict(counted.states),
            "steps_completed": counted.steps_completed,
            "bodies": counted.bodies,
            "bodies_begun_again": counted.bodies_again,
        }


def _post(http: httpx.Client, path: str, body: dict[str, Any], key: str) -> Any:
    answer = http.post(path, json=body, headers={"Idempotency-Key": f"machines-{key}"})
    assert answer.is_success, f"POST {path}: {answer.status_code} {answer.text}"
    return answer.json()


def _rounded(which: Any, seconds: list[float]) -> float | None:
    return round(which(seconds), 1) if seconds else None


def prove(folder: Path, orders: int, delay: float) -> dict[str, Any]:
    """Play it in an empty folder; the figures, `problems` among them."""
    began = time.monotonic()
    made: dict[str, Installation] = install(folder, MACHINES)  # before this process enters a network that leads nowhere
    installed = time.monotonic() - began
    settings = f'\n[engine]\nkind = "prefect"\ndelay = "{delay:g}"\n'
    with machines(MACHINES) as network, Park(folder, network, made, settings) as park:
        started = time.monotonic() - began - installed
        os.environ.update(park.three_settings)
        audit = Watch(load_application(made[HEAD].project))
        proof = Proof(park, audit)
        try:
            proof.play(orders)
        finally:
            audit.close()
        return {
            "machines_are": network.kind,
            "installed_seconds": round(installed),
            "started_seconds": round(started),
            **proof.figures,
            "problems": proof.problems,
        }


def main() -> int:
    """Returns 0 where everything held, 2 where something is not installed, else 1."""
    parser = argparse.ArgumentParser(prog="python -m tests.proof.machines", description=__doc__)
    parser.add_argument("--orders", type=int, default=ORDERS)
    parser.add_argument("--delay", type=float, default=DELAY, help="seconds that are added to each step")
    parser.add_argument("--folder", type=Path, help="an empty folder that is kept, with every process' log")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    given = parser.parse_args()
    if lacking := missing():
        print(f"not run: {' and '.join(lacking)} cannot be found (Debian: apt install postgresql redis-server)")
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what was made is removed then as well
    with tempfile.TemporaryDirectory(prefix="pulpo-machines-") as folder:
        figures = prove(given.folder or Path(folder), given.orders, given.delay)
    print(json.dumps(figures, indent=2))
    if given.json:
        given.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 1 if figures["problems"] else 0


if __name__ == "__main__":
    sys.exit(main())
