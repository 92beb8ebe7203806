"""Hooks of a model on every way by which its documents are written: one by one and many at once."""

from __future__ import annotations

import sys
from typing import Any

import httpx
import pytest

from pulpo import Refused

JSON = dict[str, Any]
ADA = {"email": "ada@example.com", "name": "Ada"}
CHANGED = {"email": "ada@example.com", "name": "Ada Lovelace"}


@pytest.fixture
async def customer(client: httpx.AsyncClient) -> str:
    """A customer who is there."""
    return str((await client.post("/customers", json=ADA)).json()["id"])


@pytest.fixture
def said(customer: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the customers' hooks were called with, from now on."""
    shop: Any = sys.modules["models.shop"]
    said: list[str] = []

    async def before_create(self: Any, ctx: Any) -> None:
        said.append(f"before_create {self.name}")
        self.name = self.name.upper()

    async def before_update(self: Any, old: Any, ctx: Any) -> None:
        said.append(f"before_update {old.name} -> {self.name}")
        self.name = self.name.upper()

    async def before_delete(self: Any, ctx: Any) -> None:
        said.append(f"before_delete {self.name}")

    async def after_commit(self: Any, ctx: Any) -> None:
        there = await ctx.store.find(shop.Customer)
        said.append(f"after_commit {self.name}, of {len(there)}")

    for hook in (before_create, before_update, before_delete, after_commit):
        monkeypatch.setattr(shop.Customer, hook.__name__, hook, raising=False)
    return said


BOB = {"email": "bob@example.com", "name": "Bob"}
CREATED = ["before_create Bob", "after_commit BOB, of 2"]
UPDATED = ["before_update Ada -> Ada Lovelace", "after_commit ADA LOVELACE, of 1"]
DELETED = ["before_delete Ada", "after_commit Ada, of 0"]
WAYS = {
    "POST": ("POST", "/customers", BOB, CREATED),
    "PUT": ("PUT", "/customers/{id}", CHANGED, UPDATED),
    "PATCH": ("PATCH", "/customers/{id}", {"name": "Ada Lovelace"}, UPDATED),
    "DELETE": ("DELETE", "/customers/{id}", None, DELETED),
    "bulk create": ("POST", "/customers/bulk", {"create": [BOB]}, CREATED),
    "bulk patch": (
        "POST",
        "/customers/bulk",
        {"patch": [{"id": "{id}", "changes": {"name": "Ada Lovelace"}}]},
        UPDATED,
    ),
    "bulk delete": ("POST", "/customers/bulk", {"delete": ["{id}"]}, DELETED),
}


def filled(value: Any, id: str) -> Any:
    """A body with the customer's id in it."""
    if isinstance(value, dict):
        return {name: filled(inner, id) for name, inner in value.items()}
    if isinstance(value, list):
        return [filled(inner, id) for inner in value]
    return id if value == "{id}" else value


@pytest.mark.parametrize("way", WAYS)
async def test_hooks_run_on_every_way_of_writing(
    client: httpx.AsyncClient, customer: str, said: list[str], way: str
) -> None:
    """Once each, before with what comes and after with what is there; what `before_` changes is kept."""
    method, path, body, expected = WAYS[way]
    answer = await client.request(method, path.replace("{id}", customer), json=filled(body, customer))
    assert answer.is_success, answer.text
    assert said == expected
    names = {each["name"] for each in (await client.get("/customers")).json()}
    assert names == {"POST": {"Ada", "BOB"}, "DELETE": set()}.get(
        way, {"bulk create": {"Ada", "BOB"}, "bulk delete": set()}.get(way, {"ADA LOVELACE"})
    )


@pytest.mark.parametrize("way", WAYS)
async def test_a_refusal_of_a_hook_leaves_nothing(
    client: httpx.AsyncClient, customer: str, said: list[str], monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """Neither the document nor what the hook wrote is kept, and `after_commit` does not run."""
    shop: Any = sys.modules["models.shop"]

    async def refuse(self: Any, *given: Any) -> None:
        given[-1].store.insert(shop.Customer(email="ghost@example.com", name="Ghost"))
        raise Refused("not_today", "come back tomorrow")

    for name in ("before_create", "before_update", "before_delete"):
        monkeypatch.setattr(shop.Customer, name, refuse)
    method, path, body, _ = WAYS[way]
    answer = await client.request(method, path.replace("{id}", customer), json=filled(body, customer))
    if path.endswith("/bulk"):
        ((result,),) = answer.json().values()
        assert (result["status"], result["problem"]["code"]) == (409, "not_today")
    else:
        assert (answer.status_code, answer.json()["code"]) == (409, "not_today")
    assert said == []
    assert [each["name"] for each in (await client.get("/customers")).json()] == ["Ada"]


async def test_what_a_hook_writes_lands_with_the_document_or_not_at_all(
    client: httpx.AsyncClient, customer: str, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A document that the store refuses takes the hook's writes with it."""
    shop: Any = sys.modules["models.shop"]

    async def add(self: Any, ctx: Any) -> None:
        ctx.store.insert(shop.Customer(email=f"friend-of-{self.email}", name="Friend"))

    monkeypatch.setattr(shop.Customer, "before_create", add)
    taken = await client.post("/customers", json=ADA)
    assert (taken.status_code, taken.json()["code"]) == (409, "PULPO504")
    assert len((await client.get("/customers")).json()) == 1
    assert (await client.post("/customers", json=BOB)).status_code == 201
    assert len((await client.get("/customers")).json()) == 3
