"""What must be true of orders whose runs were killed: told from the journal, the events, the bodies and both books."""

from __future__ import annotations

import asyncio
import importlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from pulpo.model.conditions import All, Compare
from pulpo.runtime.application import Application
from pulpo.runtime.journal import END_STATES
from pulpo.runtime.tables import RUNS, STEPS, collections
from pulpo.store.port import Query

Case = Literal["paid", "declined", "weight", "carrier"]
"""How an order's flow is to end: to the end, or failing at charge, at packing, at shipping."""
LINES = 2
"""Lines of an order, each of a product of its own."""
ERRORS: Mapping[Case, str] = {"declined": "declined", "weight": "weight_mismatch", "carrier": "carrier_error"}


@dataclass
class Placed:
    """An order with its run."""

    case: Case
    order: str
    run: str


@dataclass
class Figures:
    """What was counted on the way."""

    states: Counter[str] = field(default_factory=Counter)
    takeovers: int = 0
    bodies: int = 0
    bodies_again: int = 0
    steps_completed: int = 0
    undone: int = 0


class Audit:
    """Looks into the shop's database from outside, with one connection of its own."""

    def __init__(self, app: Application) -> None:
        self._app = app
        self._runner = asyncio.Runner()
        self._runner.run(app.store.open(collections(app.spec)))
        self.figures = Figures()
        self._cursor: str | None = None

    def close(self) -> None:
        """Let go of the database."""
        self._runner.run(self._app.store.close())
        self._runner.close()

    def unfinished(self, placed: Iterable[Placed]) -> int:
        """How many of these runs are not at an end."""
        return self._runner.run(self._unfinished(placed))

    async def _unfinished(self, placed: Iterable[Placed]) -> int:
        records = await self._app.store.get_many(RUNS, tuple(each.run for each in placed))
        return sum(json.loads(record.json)["state"] not in END_STATES for record in records)

    def problems(self, placed: list[Placed], books: dict[str, Any], bodies: list[dict[str, Any]]) -> list[str]:
        """Everything that is wrong with these orders, and with the shop as a whole; their figures are counted."""
        return self._runner.run(self._problems(placed, books, bodies))

    async def _problems(self, placed: list[Placed], books: dict[str, Any], bodies: list[dict[str, Any]]) -> list[str]:
        violations = importlib.import_module(
            "shop.invariants"
        ).violations  # the copy's, on the path since it was loaded

        begun: dict[str, list[dict[str, Any]]] = {each.run: [] for each in placed}
        for body in bodies:
            if body["run"] in begun:
                begun[body["run"]].append(body)
        completed = await self._completed_events()
        found: list[str] = await violations(self._app.store, books)
        for each in placed:
            here = [
                *await self._run(each, begun[each.run], completed),
                *await self._goods(each),
                *await self._money(each, books),
            ]
            found += [f"{each.case} {each.order} {each.run}: {problem}" for problem in here]
        return found

    async def _completed_events(self) -> Counter[tuple[str, str, str]]:
        """How often each step was committed as completed, since the last look."""
        counts = Counter[tuple[str, str, str]]()
        while events := await self._app.store.events(self._cursor, 500):
            self._cursor = events[-1].cursor
            for event in events:
                if event.data["type"] == "step.completed":
                    counts[event.data["run"], event.data["kind"], event.data["operation"]] += 1
        return counts

    async def _run(
        self, each: Placed, begun: list[dict[str, Any]], completed: Counter[tuple[str, str, str]]
    ) -> list[str]:
        record = await self._app.store.get(RUNS, each.run)
        assert record is not None
        run = json.loads(record.json)
        self.figures.states[run["state"]] += 1
        self.figures.takeovers += run["recoveries"]
        steps = await self._all(STEPS, All((Compare("id", "gte", f"{each.run}:"), Compare("id", "lt", f"{each.run};"))))
        found = []
        wanted = "completed" if each.case == "paid" else "compensated"
        if run["state"] != wanted or run["incident"]:
            found.append(f"{run['state']}, not {wanted}: {run['error']} {run['incident']}")
        if each.case != "paid" and (run["error"] or {}).get("code") != ERRORS[each.case]:
            found.append(f"failed by {run['error']}")
        if (live := await self._app.store.count(RUNS, Compare("live", "eq", each.order))) != 0:
            found.append(f"{live} runs still live for its order")
        for (kind, operation), rows in Counter((step["kind"], step["operation"]) for step in steps).items():
            if rows != 1:
                found.append(f"{rows} records of {kind} {operation}")
        for step in steps:
            found += self._step(step, [body for body in begun if body["operation"] == step["operation"]], completed)
        names = {step["operation"] for step in steps if step["kind"] == "step" and step["state"] == "completed"}
        if each.case == "paid" and names != {step.operation for step in self._app.plans["order_to_cash"].steps}:
            found.append(f"completed with the steps {sorted(names)}")
        to_undo = {step["operation"] for step in steps if self._has_to_be_undone(step)}
        undone = {step["of"] for step in steps if step["kind"] == "compensation"}
        self.figures.undone += len(undone)
        if undone != (set() if each.case == "paid" else to_undo):
            found.append(f"undone were {sorted(undone)}, to be undone {sorted(to_undo)}")
        return found

    def _step(
        self, step: dict[str, Any], begun: list[dict[str, Any]], completed: Counter[tuple[str, str, str]]
    ) -> list[str]:
        name = f"{step['kind']} {step['operation']}"
        found = []
        if step["generation"] != 1:
            found.append(f"{name} is at generation {step['generation']}")
        times = completed[step["run"], step["kind"], step["operation"]]
        if times != (step["state"] == "completed"):
            found.append(f"{name} is {step['state']}, and was completed {times} times")
        if step["kind"] == "compensation" and step["state"] != "completed":
            found.append(f"{name} is {step['state']}: {step['error']}")
        if step["state"] == "completed":
            self.figures.steps_completed += 1
            if not begun:
                found.append(f"{name} completed, yet its body never ran")
            at = datetime.fromisoformat(step["finished_at"]).timestamp()
            if again := [body for body in begun if body["at"] > at + 0.001]:
                found.append(f"{name} has a result of {step['finished_at']}, yet its body ran again: {again}")
        self.figures.bodies += len(begun)
        self.figures.bodies_again += max(0, len(begun) - 1)
        return found

    def _has_to_be_undone(self, step: dict[str, Any]) -> bool:
        if step["kind"] != "step" or step["already"] or self._app.operations[step["operation"]].compensate is None:
            return False
        return bool(step["state"] == "completed" or step["doubt"])

    async def _goods(self, each: Placed) -> list[str]:
        moved = Counter(move["kind"] for move in await self._of("stock_movements", each))
        held = Counter(hold["status"] for hold in await self._of("reservations", each))
        labels = Counter(label["status"] for label in await self._of("labels", each))
        told = len(await self._of("notifications", each))
        packed = Counter(shipment["status"] for shipment in await self._of("shipments", each))
        picked = Counter(pick["status"] for pick in await self._of("pick_lists", each))
        order = await self._app.store.get("orders", each.order)
        assert order is not None
        wanted: dict[Case, tuple[object, ...]] = {
            "paid": ("shipped", {"reservation": LINES, "shipment": LINES}, {"shipped": LINES}, {"used": 1}, 1,
                     {"shipped": 1}, {"packed": 1}),
            "declined": ("pending", {"reservation": LINES, "release": LINES}, {"released": LINES}, {}, 0, {}, {}),
            "weight": ("pending", {"reservation": LINES, "release": LINES}, {"released": LINES}, {}, 0, {},
                       {"put_back": 1}),
            "carrier": ("processing", {"reservation": LINES}, {"open": LINES}, {}, 0, {"cancelled": 1},
                        {"put_back": 1}),
        }  # fmt: skip
        has = (json.loads(order.json)["status"], moved, held, labels, told, packed, picked)
        return [] if has == wanted[each.case] else [f"its goods are {has}, not {wanted[each.case]}"]

    async def _money(self, each: Placed, books: dict[str, Any]) -> list[str]:
        charges = [charge for charge in books["charges"] if charge["reference"] == each.order]
        if len(charges) != 1:
            return [f"{len(charges)} charges at the gateway"]
        key = charges[0]["key"]
        entered = Counter(entry["kind"] for entry in books["entries"] if entry["charge"] == key)
        wanted: dict[Case, list[dict[str, int]]] = {
            "paid": [{"authorize": 1, "capture": 1}],
            "declined": [{"decline": 1}],
            "weight": [{"authorize": 1, "void": 1}, {"authorize": 1, "capture": 1, "refund": 1}],
            "carrier": [{"authorize": 1, "capture": 1, "refund": 1}],
        }
        found = [] if entered in wanted[each.case] else [f"the gateway's entries are {dict(entered)}"]
        if [payment["id"] for payment in await self._of("payments", each)] != [key]:
            found.append("its payments are not the one that the gateway has charged")
        booked = Counter(entry["kind"] for entry in await self._of("ledger_entries", each))
        moves = {"capture": entered["capture"], "refund": entered["refund"], "shipment": int(each.case == "paid")}
        if booked != Counter({kind: count for kind, count in moves.items() if count}):
            found.append(f"booked {dict(booked)}, the gateway's entries are {dict(entered)}")
        return found

    async def _of(self, collection: str, each: Placed) -> list[dict[str, Any]]:
        return await self._all(collection, Compare("order_id", "eq", each.order))

    async def _all(self, collection: str, where: Compare | All) -> list[dict[str, Any]]:
        page = await self._app.store.query(Query(collection, where, limit=500))
        assert page.cursor is None
        return [json.loads(record.json) for record in page.records]
