"""Idempotency keys of clients: a row per key, stored in the same commit as the effect.

Same key and body: the stored answer. Another body: 422. Still running: 409. Kept 24 hours.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

import pydantic_core

from pulpo.errors import PulpoError
from pulpo.model.conditions import Compare
from pulpo.model.model import now, timestamp
from pulpo.runtime.context import Caller
from pulpo.runtime.tables import KEYS
from pulpo.spec import Json
from pulpo.store.port import Batch, Delete, Insert, Query, Replace, Store

KEPT = timedelta(hours=24)
LONGEST = 255
"""Characters of a key."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A stored answer: `status` is the HTTP status, `body` its JSON, `run` the run that gave it, if one did."""

    status: int
    body: Json
    run: str | None = None


@dataclass(frozen=True, slots=True)
class Key:
    """A client's key, scoped to principal and route; `body` is a hash of the body as sent, validated."""

    id: str
    body: str

    @staticmethod
    def of(caller: Caller, route: str, key: str, body: str) -> Key:
        """The key of a request; `body` is its validated JSON text, its references as the client wrote them.

        So the stored answer is found though what they lead to has gone since.
        """
        if not 1 <= len(key) <= LONGEST:
            raise PulpoError("PULPO603", f"an idempotency key has 1 to {LONGEST} characters")
        scope = f"{caller.principal}\0{route}\0{key}"
        return Key(hashlib.sha256(scope.encode()).hexdigest(), hashlib.sha256(body.encode()).hexdigest())

    async def stored(self, store: Store) -> Answer | None:
        """The answer given before, or None where this key is new (a row past its time is taken away).

        Raises:
            PulpoError: PULPO410 another body, PULPO411 still running.
        """
        record = await store.get(KEYS, self.id)
        if record is None:
            return None
        data = pydantic_core.from_json(record.json)
        if data["expires_at"] <= timestamp(now()):
            await store.commit(Batch((Delete(KEYS, self.id, record.version),)))
            return None
        if data["body"] != self.body:
            raise PulpoError("PULPO410", "this idempotency key was used with another body", hint="use a new key")
        if data["state"] == "running":
            raise PulpoError(
                "PULPO411",
                f"run {data['run']} with this key has not ended",
                hint="ask again later",
                headers={"Retry-After": "1"},
            )
        return Answer(data["status"], data["answer"], data["run"])

    def running(self, run: str) -> Insert:
        """The write that claims the key for a run whose effects come in several commits."""
        return Insert(KEYS, self.id, self._text(1, "running", run, None))

    def answered(self, answer: Answer, *, claimed: bool) -> Insert | Replace:
        """The write that stores the answer, together with the effect; `claimed`: `running` was committed before."""
        text = self._text(2 if claimed else 1, "done", answer.run, answer)
        return Replace(KEYS, self.id, 1, text) if claimed else Insert(KEYS, self.id, text)

    def released(self) -> Delete:
        """The write that frees a claimed key: what was asked left nothing."""
        return Delete(KEYS, self.id, 1)

    def _text(self, version: int, state: Literal["running", "done"], run: str | None, answer: Answer | None) -> str:
        row = {
            "id": self.id,
            "version": version,
            "state": state,
            "body": self.body,
            "run": run,
            "status": answer.status if answer else None,
            "answer": answer.body if answer else None,
            "expires_at": timestamp(now() + KEPT),
        }
        return pydantic_core.to_json(row).decode()


async def sweep(store: Store) -> int:
    """Take away the rows past their time, at most 500 at once. Returns how many."""
    past = Compare("expires_at", "lt", timestamp(now()))
    page = await store.query(Query(KEYS, past, (("expires_at", False),), limit=500))  # an index gives these in order
    if page.records:
        await store.commit(Batch(tuple(Delete(KEYS, record.id, record.version) for record in page.records)))
    return len(page.records)
