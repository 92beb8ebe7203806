"""Everybody at once under one precondition or one key: `python -m tests.proof.preconditions`.

A real API process of the order system, a real gateway. 200 clients put another content in place of one product, all
with the `ETag` that they read. 64 clients send one request under one `Idempotency-Key`: an order that is placed, a
card that is charged. Then the same with the API dying by SIGKILL in between, at a named point of the charge, or of the
create when a few have their answer and others have not; it is started again, and all 64 ask until they have theirs. It
is checked that

- one of 200 succeeds, the others get a 412, and one change is in the books;
- there is one order, one payment, and one charge in the gateway's own ledger, whatever died when;
- whoever is answered under one key is answered with the same bytes, or told that the first request is still running.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.proof.arena import ApiProcess, Arena

CHARGE = "/operations/payments/processing/charge"
POINTS = ("before_body", "after_commit", "after_body", "after_result")
PATIENCE = 40.0
TRIES = 20
"""How often a moment is looked for at which some of the racers have their answer and others have not."""
ADDRESS = {"id": "addr_1", "street": "1 Main St", "city": "Beverly Hills", "state": "CA", "zip_code": "90210"}
CARD = {"id": "pm_visa", "token": "pm_card_visa", "expires": "2031-12"}


@dataclass(frozen=True)
class Plan:
    """How many take part, how often, where the process dies, and whether it also dies while it recovers."""

    putters: int = 200
    racers: int = 64
    rounds: int = 5
    seed: int = 1
    points: tuple[str, ...] = POINTS
    twice: bool = True


@dataclass
class Figures:
    """What was seen."""

    answers: dict[str, Counter[str]] = field(default_factory=dict)
    kills: Counter[str] = field(default_factory=Counter)
    inside: int = 0
    """Kills of a create at which the answer was still owed to somebody."""
    wrong: list[str] = field(default_factory=list)

    def note(self, what: str, answers: list[httpx.Response | None]) -> None:
        """Count answers; None is a connection that broke."""
        self.answers.setdefault(what, Counter()).update(map(_told, answers))

    def expect(self, holds: object, sentence: str) -> None:
        """Keep what does not hold."""
        if not holds:
            self.wrong.append(sentence)


class Proof:
    """The rounds."""

    def __init__(self, plan: Plan, arena: Arena) -> None:
        self.plan, self.arena = plan, arena
        self.figures = Figures()
        self._gateway = arena.start_gateway()
        self._api = arena.start_api()
        self._chance = random.Random(plan.seed)
        self._orders = 0

    def play(self) -> None:
        """All of it."""
        for _ in range(self.plan.rounds):
            asyncio.run(self._put())
            asyncio.run(self._create())
            self._create_killed()
            asyncio.run(self._charge(()))
            for point in self.plan.points:
                asyncio.run(self._charge((point,)))
            if self.plan.twice:
                asyncio.run(self._charge(tuple(self._chance.sample(POINTS[:3], 2))))
        books = self._gateway.get("/ledger").raise_for_status().json()
        self._api.stop()
        self.figures.wrong += self.arena.violations(books)

    async def _put(self) -> None:
        """200 on one version."""
        async with self._client() as client:
            id = f"prod_{self._number()}"
            body = {"sku": id, "name": id, "price": 5, "weight_grams": 10, "inventory": 1}
            made = (await client.post("/products", json={"id": id, **body})).raise_for_status()
            tag = {"If-Match": made.headers["etag"]}

            async def put(number: int) -> httpx.Response:
                return await client.put(f"/products/{id}", json={**body, "inventory": 100 + number}, headers=tag)

            answers = await self._at_once(client, put, self.plan.putters)
            movements = await _list(client, "/stock_movements", product_id=id)
            stored = (await client.get(f"/products/{id}")).json()
        self.figures.note("200 PUTs on one ETag", list(answers))
        won = [answer for answer in answers if answer.status_code == 200]
        lost = [answer for answer in answers if _told(answer) == "412 PULPO609"]
        self.figures.expect(len(won) == 1, f"{len(won)} of {len(answers)} PUTs on one version succeeded")
        self.figures.expect(len(lost) == len(answers) - 1, f"{len(lost)} of {len(answers)} PUTs got a 412")
        self.figures.expect(all(answer.json() == stored for answer in won), "what was answered is not what is stored")
        self.figures.expect(len(movements) == 2, f"{len(movements)} stock movements for a create and one change")

    def _create_killed(self) -> None:
        """The process dies in the middle: again with another order where everybody had been answered already."""
        what = "create under one key, killed"
        for _ in range(TRIES):
            broken = self.figures.answers.get(what, Counter())["broken off"]
            asyncio.run(self._create(kill_after=self._chance.randrange(8)))
            if self.figures.answers[what]["broken off"] > broken:
                self.figures.inside += 1
                return
        self.figures.expect(holds=False, sentence=f"{what}: never in between, in {TRIES} tries")

    async def _create(self, kill_after: int | None = None) -> None:
        """64 place one order under one key."""
        order = await self._order_body()
        headers = {"Idempotency-Key": f"create-{order['order_number']}"}
        what = "create under one key" + (", killed" if kill_after is not None else "")

        async def create(client: httpx.AsyncClient) -> httpx.Response:
            return await client.post("/orders", json=order, headers=headers)

        answers = await self._race(what, create, kill_after)
        async with self._client() as client:
            found = await _list(client, "/orders", order_number=order["order_number"])
        self.figures.expect(len(found) == 1, f"{what}: there are {len(found)} orders")
        fresh = [answer for answer in answers if "idempotency-replayed" not in answer.headers]
        self.figures.expect(len(fresh) <= 1, f"{what}: {len(fresh)} answers say that they are the first")
        self.figures.expect(all(answer.status_code == 201 for answer in answers), f"{what}: not all were answered 201")

    async def _charge(self, points: tuple[str, ...]) -> None:
        """64 charge one order under one key; the process dies at each of these points in turn."""
        body = await self._order_body()
        async with self._client() as client:
            order = (await client.post("/orders", json=body)).raise_for_status().json()["id"]
        what = f"charge under one key{''.join(f', killed {point}' for point in points)}"
        headers = {"Idempotency-Key": f"charge-{order}"}

        async def charge(client: httpx.AsyncClient) -> httpx.Response:
            return await client.post(CHARGE, json={"order_id": order}, headers=headers)

        answers = await self._race(what, charge, None, points)
        self.figures.expect(all(answer.status_code == 200 for answer in answers), f"{what}: not all were answered 200")
        charges = self._gateway.get("/charges", params={"reference": order}).raise_for_status().json()
        self.figures.expect(len(charges) == 1, f"{what}: the gateway has {len(charges)} charges")
        async with self._client() as client:
            payments = await _list(client, "/payments", order_id=order)
        self.figures.expect(len(payments) == 1, f"{what}: there are {len(payments)} payments")

    async def _race(
        self,
        what: str,
        ask: Callable[[httpx.AsyncClient], Coroutine[Any, Any, httpx.Response]],
        kill_after: int | None,
        points: tuple[str, ...] = (),
    ) -> list[httpx.Response]:
        """All ask at once; the API dies or not; then all ask again, until each has its answer: the same bytes.

        Args:
            what: For the figures.
            ask: The request.
            kill_after: Answers after which the API is killed; with none, as soon as it has begun to write.
            points: Named points at which it kills itself.
        """
        for place, point in enumerate(points or ("",)):
            self._restart(f"{point}:payments.processing.charge" if point else "")
            async with self._client() as client:
                left = kill_after

                async def one(_: int, client: httpx.AsyncClient = client) -> httpx.Response | None:
                    nonlocal left
                    answer = await _or_none(ask(client))
                    if left is not None:
                        left -= 1
                        if left <= 0:
                            self._api.process.kill()  # once is enough, more does nothing
                    return answer

                asked = asyncio.ensure_future(self._at_once(client, one, self.plan.racers))
                if kill_after == 0:
                    await self._writing()
                    self._api.process.kill()
                answers = await asked
            self.figures.note(what, answers)
            if point or kill_after is not None:
                code = await asyncio.to_thread(self._api.process.wait, PATIENCE)
                self.figures.expect(code == -9, f"{what}: the API ended with {code}, not by SIGKILL")
                self.figures.kills[what] += code == -9
            odd = [_told(each) for each in answers if each is not None and _told(each) not in _RACING]
            self.figures.expect(not odd, f"{what}, try {place + 1}: odd answers {Counter(odd)}")
        if self._api.process.poll() is not None:
            self._restart()
        async with self._client() as client:
            final = await self._at_once(client, lambda _: _until_answered(client, ask), self.plan.racers)
        earlier = [each for each in answers if each is not None and each.is_success]
        texts = {each.content for each in (*earlier, *final)}
        self.figures.note(f"{what}: again", list(final))
        self.figures.expect(len(texts) == 1, f"{what}: {len(texts)} different answers under one key")
        return [*earlier, *final]

    async def _writing(self) -> None:
        """Wait until the API's database is written to, or a tenth of a second."""
        log = self.arena.root / ".pulpo" / "data.db-wal"
        before, deadline = _state(log), time.monotonic() + 0.1
        while _state(log) == before and time.monotonic() < deadline:  # noqa: ASYNC110 - another process's file
            await asyncio.sleep(0)

    async def _at_once(
        self, client: httpx.AsyncClient, ask: Callable[[int], Coroutine[Any, Any, Any]], number: int
    ) -> list[Any]:
        """So many requests, each on a connection that is open before the first one goes."""
        await asyncio.gather(*(_or_none(client.get("/livez")) for _ in range(number)))
        return await asyncio.gather(*(ask(each) for each in range(number)))

    async def _order_body(self) -> dict[str, Any]:
        number = self._number()
        async with self._client() as client:
            if number <= 2:
                customer = {"id": "cust_1", "email": "a@mail.example", "name": "Ada"}
                customer |= {"addresses": [ADDRESS], "payment_methods": [CARD]}
                (await client.post("/customers", json=customer)).raise_for_status()
                product = {"id": "prod_mug", "sku": "MUG", "name": "Mug", "price": 19.99, "weight_grams": 100}
                (await client.post("/products", json={**product, "inventory": 100_000})).raise_for_status()
        item = {"product_id": "prod_mug", "quantity": 2, "unit_price": 19.99}
        body = {"order_number": f"P-{number:04}", "customer_id": "cust_1", "shipping_address_id": "addr_1"}
        return {**body, "items": [item], "total": 39.98}

    def _number(self) -> int:
        self._orders += 1
        return self._orders

    def _restart(self, crash: str = "") -> None:
        """Another API process, armed or not, in place of this one."""
        self._api.stop()
        self._api: ApiProcess = self.arena.start_api(PULPO_CRASH_AT=crash, PULPO_ENGINE_LEASE="2")

    def _client(self) -> httpx.AsyncClient:
        limits = httpx.Limits(max_connections=None)
        return httpx.AsyncClient(base_url=self._api.url, trust_env=False, timeout=30, limits=limits)


async def _list(client: httpx.AsyncClient, path: str, **filters: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await client.get(path, params=filters)).raise_for_status().json()
    return found


def _state(file: Path) -> tuple[int, int]:
    if not file.exists():
        return 0, 0
    found = file.stat()
    return found.st_size, found.st_mtime_ns


_RACING = {"200", "201", "409 PULPO411"}


async def _or_none(asked: Coroutine[Any, Any, httpx.Response]) -> httpx.Response | None:
    """The answer, or None where the connection broke."""
    try:
        return await asked
    except httpx.TransportError:
        return None


async def _until_answered(
    client: httpx.AsyncClient, ask: Callable[[httpx.AsyncClient], Coroutine[Any, Any, httpx.Response]]
) -> httpx.Response:
    """Ask again under the same key until the first request is no longer running."""
    deadline = time.monotonic() + PATIENCE
    while _told(answer := await ask(client)) == "409 PULPO411" and time.monotonic() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    return answer


def _told(answer: httpx.Response | None) -> str:
    if answer is None:
        return "broken off"
    return str(answer.status_code) if answer.is_success else f"{answer.status_code} {answer.json().get('code')}"


def prove(plan: Plan, folder: Path) -> Figures:
    """Play in an empty folder."""
    with Arena(folder) as arena:
        proof = Proof(plan, arena)
        proof.play()
        return proof.figures


def main() -> int:
    """Run the full form; 1 where something did not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.proof.preconditions", description=__doc__)
    parser.add_argument("--rounds", type=int, default=Plan.rounds)
    parser.add_argument("--seed", type=int, default=Plan.seed)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pulpo-preconditions-") as folder:
        figures = prove(Plan(rounds=given.rounds, seed=given.seed), Path(folder))
    print(
        json.dumps(
            {"answers": figures.answers, "kills": figures.kills, "inside": figures.inside, "wrong": figures.wrong},
            indent=2,
        )
    )
    return 1 if figures.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
