"""Everybody at once on one order: `python -m tests.proof.contention`.

In each round several clients of two API processes, which share a database and a gateway, work on one order against each
other: a flow and calls by hand, two flows, cancel and charge, charge and charge. Cards are declined, the gateway loses
answers, runs are cancelled. When all is quiet the round's order is looked at, and in the end the whole shop, the
gateway's books and the journal.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.proof.arena import Arena
from tests.proof.members import STORES, database
from tests.proof.races import Result, logged_errors, show

KINDS = ("flow and hand", "two flows", "cancel and charge", "charge and charge")
BY_HAND = (
    "orders/fulfillment/reserve_items",
    "payments/processing/charge",
    "payments/processing/confirm",
    "payments/reconciliation/verify",
    "orders/fulfillment/pick_items",
    "orders/fulfillment/pack_items",
    "orders/fulfillment/ship_items",
)
RESERVE, CHARGE, CONFIRM = BY_HAND[:3]
DECLINED = "pm_card_chargeDeclined"
FAULTS = ("slow", "error_after", "timeout_after", "unavailable")
UNDONE = {
    "orders.fulfillment.reserve_items",
    "orders.fulfillment.pick_items",
    "orders.fulfillment.pack_items",
    "orders.fulfillment.ship_items",
    "payments.processing.charge",
    "payments.processing.confirm",
}
"""The steps that an undoing belongs to."""
OURS = {"PULPO406", "PULPO407", "PULPO411"}
"""Pulpo's own codes that a client here may meet: a live run for the order, a run at its end, a key at work."""
GATEWAY = {"gateway_unavailable", "gateway_unknown", "unknown"}
"""What a client is told where the gateway was told to misbehave."""
PATIENCE = 90.0

Document = dict[str, Any]


@dataclass
class Ring:
    """Where the rounds take place: clients of the API processes and of the gateway, and notes of what was answered."""

    apis: list[httpx.AsyncClient]
    gateway: httpx.AsyncClient
    answers: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    ends: Counter[tuple[str, str]] = field(default_factory=Counter)
    cancelled: set[str] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)


class Round:
    """One order and those who fight over it.

    Args:
        ring: Where. kind: What happens, one of `KINDS`. number: Names the order. seed: Decides who comes when.
    """

    def __init__(self, ring: Ring, kind: str, number: int, seed: int) -> None:
        self._ring, self.kind = ring, kind
        self._number = number
        self._draw = random.Random(seed * 100_003 + number)
        self._spread = self._draw.choice((0.0, 0.01, 0.05, 0.2))
        self.order = ""

    async def play(self) -> None:
        """Place the order, let everybody at it, wait until all is quiet, and look."""
        item = {"product_id": self._draw.choice(("prod_a", "prod_b")), "quantity": 2, "unit_price": 5.00}
        body = {"order_number": f"C-{self._number}", "customer_id": "cust_123", "shipping_address_id": "addr_789"}
        answer = await self._api().post("/orders", json={**body, "items": [item], "total": 10.00})
        assert answer.status_code == 201, answer.text
        self.order = answer.json()["id"]
        match self.kind:
            case "flow and hand":
                await self._flow_and_hand()
            case "two flows":
                await self._two_flows()
            case "cancel and charge":
                await self._cancel_and_charge()
            case "charge and charge":
                await self._charge_and_charge()
        await self._quiet()
        await self._look()

    # who fights

    async def _flow_and_hand(self) -> None:
        others = [self._flow("order_to_cash", self._card()), self._walk()]
        if self._draw.random() < 0.5:
            others.append(self._call(self._draw.choice(BY_HAND)))
        if self._draw.random() < 0.25:
            others.append(self._cancel_run())
        await self._all(*others)

    async def _two_flows(self) -> None:
        flows = [self._flow("order_to_cash", self._card()), self._flow("order_to_cash", self._card())]
        if self._draw.random() < 0.6:
            flows.append(self._flow("orders", None))
        if self._draw.random() < 0.25:
            flows.append(self._cancel_run())
        await self._all(*flows)

    async def _cancel_and_charge(self) -> None:
        if self._draw.random() < 0.6:
            await self._call(RESERVE)
        others = [self._call(CHARGE), self._cancel()]
        if self._draw.random() < 0.5:
            others.append(self._call(CONFIRM))
        if self._draw.random() < 0.4:
            others.append(self._flow("order_to_cash", self._card()))
        if self._draw.random() < 0.3:
            others.append(self._cancel())
        if self._draw.random() < 0.2:
            await self._fault("any")
        await self._all(*others)

    async def _charge_and_charge(self) -> None:
        if self._draw.random() < 0.4:
            await self._fault("authorize")
        key = f"charge-{self._number}"
        charges = [self._call(CHARGE, card=self._card()), self._call(CHARGE, card="pm_card_mastercard")]
        charges += [self._call(CHARGE, key=key) for _ in range(2)]
        await self._all(*charges)
        await self._call(CHARGE)
        match self._draw.randrange(4):
            case 0:
                await self._all(self._call(CHARGE), self._cancel())
            case 1:
                await self._all(self._call(CHARGE), self._flow("order_to_cash", None))
            case 2:
                await self._call(RESERVE)
                await self._all(*(self._call(CONFIRM) for _ in range(3)))
            case _:
                pass

    # what they do

    def _api(self) -> httpx.AsyncClient:
        return self._draw.choice(self._ring.apis)

    def _card(self) -> str | None:
        return DECLINED if self._draw.random() < 0.35 else None

    async def _all(self, *actions: Coroutine[Any, Any, None]) -> None:
        async def begin(action: Coroutine[Any, Any, None], pause: float) -> None:
            await asyncio.sleep(pause)
            await action

        await asyncio.gather(*(begin(each, self._draw.uniform(0, self._spread)) for each in actions))

    async def _call(self, operation: str, *, card: str | None = None, key: str | None = None) -> None:
        body = {"order_id": self.order} | ({"payment_method": card} if card else {})
        headers = {"Idempotency-Key": key} if key else {}
        await self._post(operation.rpartition("/")[2], f"/operations/{operation}", body, headers)

    async def _walk(self) -> None:
        """All steps by hand, one after another, whatever each of them says."""
        for operation in BY_HAND:
            await self._call(operation)
            await asyncio.sleep(self._draw.uniform(0, self._spread / 4))

    async def _flow(self, name: str, card: str | None) -> None:
        body = {"order_id": self.order, "payment_method": card or "credit_card", "address_zip": "90210"}
        await self._post(name, f"/flows/{name}/runs", body)

    async def _cancel(self) -> None:
        answer = await self._post("cancel", "/operations/orders/cancel", {"order_id": self.order})
        if answer == "ok":
            self._ring.cancelled.add(self.order)

    async def _cancel_run(self) -> None:
        for run in await self._runs():
            await self._post("cancel a run", f"/runs/{run['id']}/cancel", {"reason": "somebody said so"})

    async def _fault(self, call: str) -> None:
        fault = {"kind": self._draw.choice(FAULTS), "call": call, "seconds": self._draw.uniform(0.05, 1.5)}
        (await self._ring.gateway.post("/control/faults", json=fault)).raise_for_status()

    async def _post(self, what: str, path: str, body: Document, headers: dict[str, str] | None = None) -> str:
        response = await self._api().post(path, json=body, headers=headers or {})
        if response.is_success:
            answer = "already" if "Pulpo-Already" in response.headers else "ok"
        else:
            answer = str(response.json().get("code", response.status_code))
            if answer.startswith("PULPO") and answer not in OURS:
                self._ring.wrong.append(f"{self.order} ({self.kind}): {what} was answered {response.text}")
            if what == "cancel" and answer not in GATEWAY | {"already_shipped"}:
                self._ring.wrong.append(f"{self.order} ({self.kind}): a cancel was answered {response.text}")
            if response.status_code >= 500 and answer not in GATEWAY:
                self._ring.wrong.append(f"{self.order} ({self.kind}): {what} broke: {response.text}")
        self._ring.answers[self.kind, what, answer] += 1
        return answer

    # when it is over

    async def _runs(self) -> list[Document]:
        answer = await self._api().get("/runs", params={"live": self.order, "kind": "flow"})
        found: list[Document] = answer.raise_for_status().json()
        return found

    async def _quiet(self) -> None:
        """Wait until no run is under way. One that waits for money gets it by hand, or its order is cancelled."""
        began = time.monotonic()
        waiting_since: float | None = None
        while runs := await self._runs():
            waited = time.monotonic() - began
            if waited > PATIENCE:
                self._ring.wrong.append(f"{self.order} ({self.kind}): still under way after {waited:.0f} s: {runs}")
                return
            if all(run["state"] == "waiting" for run in runs):
                waiting_since = waiting_since or time.monotonic()
                if time.monotonic() - waiting_since > 3.0:
                    waiting_since = None
                    await self._help()
            else:
                waiting_since = None
            await asyncio.sleep(0.1)

    async def _help(self) -> None:
        if self._draw.random() < 0.5:
            await self._cancel()
            return
        for operation in (RESERVE, CHARGE, CONFIRM):
            await self._call(operation)

    async def _look(self) -> None:
        order = await self._get(f"/orders/{self.order}")
        charges = (await self._ring.gateway.get("/charges", params={"reference": self.order})).json()
        live = [each for each in charges if each["status"] == "authorized" or each["captured"] > each["refunded"]]
        held = [each for each in await self._get(f"/reservations?order_id={self.order}") if each["status"] == "open"]
        status, wrong = order["status"], self._ring.wrong
        taken = sum(each["captured"] - each["refunded"] for each in live)
        if len(live) > 1:
            wrong.append(f"{self.order} ({self.kind}): {len(live)} live charges")
        if status == "cancelled" and (live or held):
            wrong.append(f"{self.order} ({self.kind}): cancelled with {len(live)} charges, {len(held)} reservations")
        if status == "shipped" and taken != round(100 * float(order["amount_due"])):
            wrong.append(f"{self.order} ({self.kind}): shipped for {order['amount_due']}, {taken} taken")
        if self.order in self._ring.cancelled and status != "cancelled":
            wrong.append(f"{self.order} ({self.kind}): a cancel was answered ok, the order is {status}")
        money = ", ".join(sorted(each["status"] for each in live)) or "none"
        self._ring.ends[self.kind, f"{status}, money {money}"] += 1

    async def _get(self, path: str) -> Any:
        return (await self._api().get(path)).raise_for_status().json()


def judged(documents: dict[str, list[Document]]) -> list[str]:
    """What the journal cannot explain: undone by a run that had not done it, or not undone by the one that had."""
    orders = {order["id"]: order for order in documents["orders"]}
    steps: dict[str, dict[str, Document]] = defaultdict(dict)
    for step in documents["_steps"]:
        steps[step["run"]][step["id"]] = step
    wrong = [text for run in documents["_runs"] for text in _of_run(run, steps[run["id"]], orders)]
    ended = {id for id, order in orders.items() if order["status"] == "cancelled"}
    asked = {
        run["input"]["order_id"]
        for run in documents["_runs"]
        if run["name"] == "orders.cancel" and run["state"] == "completed"
    }
    wrong += [f"{id} is cancelled, yet no cancel has completed" for id in ended - asked]
    undone = {step["id"].replace(":~", ":") for step in documents["_steps"] if step["kind"] == "compensation"}
    return wrong + _taken_away(documents, ended, undone)


def _taken_away(documents: dict[str, list[Document]], ended: set[str], undone: set[str]) -> list[str]:
    """What was taken from an order that was not cancelled, though no undoing belongs to the call that had made it."""
    wrong = []
    let_go: set[str] = set()
    for reservation in documents["reservations"]:
        if reservation["status"] == "released":
            let_go.add(reservation["order_id"])
            if reservation["order_id"] not in ended and reservation["key"] not in undone:
                wrong.append(f"{reservation['id']}, made by {reservation['key']}, was released by somebody else")
    for collection, state in (("pick_lists", "put_back"), ("shipments", "cancelled")):
        wrong += [
            f"{each['id']}, made by {each['key']}, was undone by somebody else"
            for each in documents[collection]
            if each["status"] == state and each["order_id"] not in ended | let_go and each["key"] not in undone
        ]
    for payment in documents["payments"]:
        back = payment["status"] == "refunded" or (payment["status"] == "failed" and payment["detail"] == "voided")
        if back and payment["order_id"] not in ended and undone.isdisjoint((payment["key"], payment["capture_key"])):
            wrong.append(f"{payment['id']}, claimed by {payment['key']}, was given back by somebody else")
    return wrong


def _of_run(run: Document, steps: dict[str, Document], orders: dict[str, Document]) -> list[str]:
    wrong = []
    name = f"{run['name']} {run['id']} ({run['state']})"
    if run["incident"]:
        wrong.append(f"{name}: {run['incident']}")
    if run["state"] not in {"stopped", "completed", "failed", "cancelled", "compensated"}:
        wrong.append(f"{name} is not at an end")
    for step in steps.values():
        if step["kind"] == "compensation":
            done = steps[step["id"].replace(":~", ":")]
            if done["already"]:
                wrong.append(f"{name}: {step['operation']} undid a step that said already")
            if step["state"] != "completed":
                wrong.append(f"{name}: {step['operation']} is {step['state']}: {step.get('error')}")
        elif (
            run["kind"] == "flow"
            and run["state"] in {"compensated", "cancelled", "stopped", "failed"}
            and step["operation"] in UNDONE
            and step["state"] == "completed"
            and not step["already"]
            and f"{run['id']}:~{step['operation']}:{step['generation']}" not in steps
        ):
            wrong.append(f"{name}: {step['operation']} was not undone")
    if run["name"] == "order_to_cash" and run["state"] == "completed":
        order = orders[run["input"]["order_id"]]
        if order["status"] != "shipped":
            wrong.append(f"{name}: its order {order['id']} is {order['status']}")
    return wrong


@asynccontextmanager
async def _ring(urls: list[str], gateway: str) -> AsyncIterator[Ring]:
    async with AsyncExitStack() as stack:

        async def client(url: str) -> httpx.AsyncClient:
            return await stack.enter_async_context(httpx.AsyncClient(base_url=url, trust_env=False, timeout=120))

        yield Ring([await client(url) for url in urls], await client(gateway))


async def play(urls: list[str], gateway: str, *, rounds: int, at_once: int, seed: int) -> Ring:
    """Play so many rounds, the kinds in turn."""
    async with _ring(urls, gateway) as ring:
        numbers = iter(range(rounds))

        async def lane() -> None:
            for number in numbers:
                await Round(ring, KINDS[number % len(KINDS)], number, seed).play()

        await asyncio.gather(*(lane() for _ in range(at_once)))
        return ring


def contend(folder: Path, *, rounds: int, seed: int, at_once: int = 4, url: str = "") -> Result:
    """Play the rounds against real processes, then look at the shop, the gateway and the journal."""
    with Arena(folder, database=url, PULPO_APP_GATEWAY_TIMEOUT_SECONDS="1.0") as arena:
        gateway = arena.start_gateway()
        arena.ask_inside("stock", "0", "100000", "0")
        apis = [arena.start_api() for _ in range(2)]
        began = time.monotonic()
        ring = asyncio.run(
            play([api.url for api in apis], arena.gateway_url, rounds=rounds, at_once=at_once, seed=seed)
        )
        seconds = time.monotonic() - began
        for api in apis:
            api.stop()
        books = gateway.get("/ledger").raise_for_status().json()
        documents = arena.documents(
            "orders", "reservations", "pick_lists", "shipments", "payments", "incidents", "_runs", "_steps"
        )
        wrong = [*ring.wrong, *arena.violations(books), *judged(documents), *logged_errors(apis)]
        if sum(ring.ends.values()) != rounds:
            wrong.append(f"{sum(ring.ends.values())} of {rounds} rounds came to an end")
    return Result(_figures(ring, documents, books, seconds), wrong)


def _figures(ring: Ring, documents: dict[str, list[Document]], books: Document, seconds: float) -> Document:
    flows = Counter(
        (run["name"], run["state"], (run["error"] or {}).get("code", ""))
        for run in documents["_runs"]
        if run["kind"] == "flow"
    )
    steps = documents["_steps"]
    statuses = Counter(charge["status"] for charge in books["charges"])
    return {
        "rounds": sum(ring.ends.values()),
        "seconds": round(seconds, 1),
        "answers": sum(ring.answers.values()),
        "flow_runs": sum(flows.values()),
        "undoings": sum(step["kind"] == "compensation" for step in steps),
        "steps_that_said_already": sum(step["already"] for step in steps),
        "incidents": [f"{each['kind']}: {each['detail']}" for each in documents["incidents"]],
        "charges_at_the_gateway": dict(statuses),
        "by_end": [
            {"kind": kind, "order ends": end, "rounds": count} for (kind, end), count in sorted(ring.ends.items())
        ],
        "by_answer": [
            {"kind": kind, "call": what, "answer": answer, "times": count}
            for (kind, what, answer), count in sorted(ring.answers.items())
        ],
        "by_run": [
            {"flow": name, "ends": state, "because": code, "runs": count}
            for (name, state, code), count in sorted(flows.items())
        ],
    }


def main() -> int:
    """Run the full form; 1 where something did not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.proof.contention", description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10_000)
    parser.add_argument("--store", choices=STORES, help="by default on one after the other")
    given = parser.parse_args()
    wrong = 0
    for store in (given.store,) if given.store else STORES:
        with tempfile.TemporaryDirectory(prefix="pulpo-contention-") as folder, database(store, Path(folder)) as url:
            result = contend(Path(folder), rounds=given.rounds, seed=given.seed, url=url)
        tables = [name for name in result.figures if name.startswith("by_")]
        for name in tables:
            print(show(result.figures[name]), end="\n\n")
        summary = {name: value for name, value in result.figures.items() if name not in tables}
        print(json.dumps({"store": store, "seed": given.seed, **summary, "wrong": result.wrong[:20]}, indent=2))
        wrong += len(result.wrong)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
