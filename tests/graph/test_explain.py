from __future__ import annotations

from pathlib import Path

import pytest

from pulpo import project
from pulpo.graph import build
from pulpo.graph.explain import plan_json, plan_text
from pulpo.spec import FlowPlan, FlowSpec

from .specs import app, op

ORDER_TO_CASH = Path(__file__).parent / "cases" / "order_to_cash"


@pytest.fixture(scope="module")
def plan() -> FlowPlan:
    return project.load(ORDER_TO_CASH).plans["orders"]


def test_json_has_exactly_what_tools_rely_on(plan: FlowPlan) -> None:
    """Names of steps in order, edges with rule and reason, critical path, preconditions and input."""
    shown = plan_json(plan)
    assert list(shown) == ["flow", "steps", "edges", "critical_path", "preconditions", "input"]
    assert shown["flow"] == "orders"
    assert shown["steps"] == [step.operation for step in plan.steps]
    assert shown["edges"][-1] == {
        "from": "orders.fulfillment.ship_items",
        "to": "orders.tracking.update_customer",
        "rule": "after",
        "why": "update_customer is declared after orders.fulfillment.ship_items",
    }
    assert shown["critical_path"] == list(plan.critical_path)
    assert shown["preconditions"] == ["payments.processing.charge", "payments.reconciliation.verify"]
    assert shown["input"][0] == {"name": "order_id", "required": True, "model": "Order"}


def test_reasons_are_told_when_asked_for(plan: FlowPlan) -> None:
    """Without `why` the text ends before them."""
    assert plan_text(plan, why=True).startswith(plan_text(plan))
    assert "\nWhy\n" not in plan_text(plan)


def test_an_order_that_is_no_nest_lists_what_each_step_waits_for() -> None:
    """It cannot be drawn as sequences and parallels."""
    spec = app(
        op("x.a.a"), op("x.b.b"), op("x.c.c", after=["x.a", "x.b"]), op("x.d.d", after=["x.b"]),
        flows=[FlowSpec("x", ("x",), description="All of x.")],
    )  # fmt: skip
    assert plan_text(build.plans(spec)["x"]) == (
        "x: 4 steps, critical path 2\n"
        "All of x.\n"
        "\n"
        "  x.a.a\n"
        "  x.b.b\n"
        "  x.c.c\n"
        "      after x.a.a, x.b.b\n"
        "  x.d.d\n"
        "      after x.b.b\n"
        "\n"
        "Critical path\n"
        "  x.a.a -> x.c.c\n"
    )


def test_a_flow_of_one_step_is_drawn() -> None:
    """Nothing to explain, and nothing breaks."""
    assert (
        plan_text(build.plans(app(op("x.a")))["x"], why=True)
        == "x: 1 step, critical path 1\n\n  x.a\n\nCritical path\n  x.a\n"
    )
