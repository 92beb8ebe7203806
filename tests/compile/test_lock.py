"""`pulpo.lock`: deterministic, easy to review, read back as it was written."""

from __future__ import annotations

import json

import pytest

from pulpo.compile.lock import Lock, plan_changes, plan_record
from pulpo.spec import Edge, FlowPlan, InputField, Step

PLAN = FlowPlan(
    "orders",
    steps=(Step("orders.a.one"), Step("orders.a.two", needs=("orders.a.one",))),
    edges=(Edge("orders.a.one", "orders.a.two", "models", "both write Order"),),
    critical_path=("orders.a.one", "orders.a.two"),
    input=(InputField("order_id", required=True), InputField("note", required=False)),
)


def lock(*plans: FlowPlan) -> Lock:
    return Lock({"b": "2", "a": "1"}, {}, {plan.flow: plan_record(plan) for plan in plans})


def test_a_lock_reads_back_as_it_was_written() -> None:
    """What is dumped is JSON, and parses to the same."""
    text = lock(PLAN).dump()
    assert Lock.parse(text) == lock(PLAN)
    assert json.loads(text)["files"] == {"a": "1", "b": "2"}


def test_an_edge_is_a_line() -> None:
    """So a pull request shows an edge that is gone as one line that is gone."""
    without = FlowPlan(**{**{name: getattr(PLAN, name) for name in PLAN.__slots__}, "edges": ()})
    gone = set(lock(PLAN).dump().splitlines()) - set(lock(without).dump().splitlines())
    assert [line.strip() for line in gone if "both write Order" in line] == [
        '{"from": "orders.a.one", "to": "orders.a.two", "rule": "models", "why": "both write Order"}'
    ]


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "null", "<<<<<<< ours", '{"format": 2}', '{"format": 1, "files": [], "plans": []}']
)
def test_what_is_no_lock_is_not_read_as_one(text: str) -> None:
    """Merge conflicts, other formats and damage give None, never half a lock."""
    assert Lock.parse(text) is None


def test_every_difference_between_plans_is_a_sentence() -> None:
    """Equal plans give none; reasons, input and order are told apart."""
    old = {"orders": plan_record(PLAN)}
    assert plan_changes(old, old) == []
    changed = FlowPlan(
        "orders",
        steps=PLAN.steps,
        edges=(Edge("orders.a.one", "orders.a.two", "after", "two is declared after one"),),
        critical_path=PLAN.critical_path,
        preconditions=("stock",),
        input=(InputField("order_id", required=True),),
    )
    reasons = "models: both write Order; now after: two is declared after one"
    assert plan_changes(old, {"orders": plan_record(changed)}) == [
        f"flow orders: edge orders.a.one -> orders.a.two was there for another reason ({reasons})",
        "flow orders: its preconditions changed from nothing to stock",
        "flow orders: its input changed from order_id, note? to order_id",
    ]
