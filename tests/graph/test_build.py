from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel

from pulpo import project
from pulpo.errors import PulpoError
from pulpo.graph import build, order
from pulpo.graph.membership import flows
from pulpo.graph.shape import Leaf, Par, Seq, shape
from pulpo.spec import FlowPlan, FlowSpec, GroupSpec

from .specs import app, op

ORDER_TO_CASH = Path(__file__).parent / "cases" / "order_to_cash"


def edges(plan: FlowPlan) -> set[tuple[str, str]]:
    return {(edge.before, edge.after) for edge in plan.edges}


def why(plan: FlowPlan, before: str, after: str) -> tuple[str, str]:
    return next((edge.rule, edge.why) for edge in plan.edges if (edge.before, edge.after) == (before, after))


@pytest.fixture(scope="module")
def plan() -> FlowPlan:
    return project.load(ORDER_TO_CASH).plans["order_to_cash"]


class TestOrderToCash:
    def test_the_steps_are_the_eleven_that_undo_nothing(self, plan: FlowPlan) -> None:
        """What another names as its compensation is no step; the others are all there."""
        assert len(plan.steps) == 11
        assert not {"orders.fulfillment.release_items", "payments.processing.void"} & {s.operation for s in plan.steps}

    def test_exactly_the_needed_edges_are_there(self, plan: FlowPlan) -> None:
        """Six from checkout, and the nine of the two branches that meet at shipping."""
        checkout = [f"orders.checkout.{name}" for name in ("validate_items", "validate_payment", "calculate_shipping")]
        reserve, pick, pack, ship = (f"orders.fulfillment.{name}_items" for name in ("reserve", "pick", "pack", "ship"))
        charge, confirm, verify = (
            "payments.processing.charge",
            "payments.processing.confirm",
            "payments.reconciliation.verify",
        )
        assert edges(plan) == {
            *((step, first) for step in checkout for first in (reserve, charge)),
            *((first, second) for first in (reserve, charge) for second in (pick, confirm)),
            (pick, pack),
            (confirm, verify),
            (pack, ship),
            (verify, ship),
            (ship, "orders.tracking.update_customer"),
        }

    def test_the_critical_path_has_six_of_eleven(self, plan: FlowPlan) -> None:
        """With a second per step, the flow takes six seconds."""
        assert [step.rpartition(".")[2] for step in plan.critical_path] == [
            "validate_items", "reserve_items", "pick_items", "pack_items", "ship_items", "update_customer",
        ]  # fmt: skip

    def test_each_edge_says_its_rule_and_reason(self, plan: FlowPlan) -> None:
        """A reader learns from the plan which declaration makes an edge."""
        assert why(plan, "orders.fulfillment.pick_items", "orders.fulfillment.pack_items") == (
            "models",
            "both write Order",
        )
        assert why(plan, "payments.processing.charge", "orders.fulfillment.pick_items") == (
            "after", "pick_items is declared after payments.processing.charge",
        )  # fmt: skip
        assert why(plan, "orders.checkout.validate_items", "payments.processing.charge") == (
            "group", "group payments.processing is declared after orders.checkout",
        )  # fmt: skip

    def test_it_reads_as_nested_sequences_and_parallels(self, plan: FlowPlan) -> None:
        """Generated code can be written with `await` and `gather` alone."""
        short = {step.operation: Leaf(step.operation) for step in plan.steps}
        at = {name.rpartition(".")[2]: leaf for name, leaf in short.items()}
        assert shape(plan) == Seq((
            Par((at["validate_items"], at["validate_payment"], at["calculate_shipping"])),
            Par((at["reserve_items"], at["charge"])),
            Par((Seq((at["pick_items"], at["pack_items"])), Seq((at["confirm"], at["verify"])))),
            at["ship_items"],
            at["update_customer"],
        ))  # fmt: skip

    def test_whoever_starts_it_gives_what_no_step_outputs(self, plan: FlowPlan) -> None:
        """`order_id` refers to an order; `quote_id`, `amount` and `reservation_id` come from earlier steps."""
        assert [(given.name, given.required, given.model) for given in plan.input] == [
            ("order_id", True, "Order"),
            ("payment_method", True, None),
            ("address_zip", True, None),
            ("items", False, None),
        ]
        charge = next(step for step in plan.steps if step.operation == "payments.processing.charge")
        assert [(wire.field, wire.step) for wire in charge.wires] == [
            ("order_id", None),
            ("amount", "orders.checkout.calculate_shipping"),
        ]

    def test_a_plan_survives_json(self, plan: FlowPlan) -> None:
        """The form that runs keep gives the same plan with the same hash."""
        assert FlowPlan.from_json(plan.as_json()) == plan
        assert FlowPlan.from_json(plan.as_json()).hash == plan.hash


class TestRules:
    def test_readers_and_inserters_of_a_group_run_side_by_side(self) -> None:
        """Two that only read, or only insert into, a model have no order."""
        plan = build.plans(app(
            op("a.g.one", reads=["M"], adds=["N"]), op("a.g.two", reads=["M"], adds=["N"]),
        ))["a"]  # fmt: skip
        assert edges(plan) == set()

    @pytest.mark.parametrize(
        ("first", "second", "reason"),
        [
            ({"writes": ["M"]}, {"writes": ["M"]}, "both write M"),
            ({"writes": ["M"]}, {"reads": ["M"]}, "one writes M, which two reads"),
            ({"reads": ["M"]}, {"writes": ["M"]}, "two writes M, which one reads"),
            ({"adds": ["M"]}, {"reads": ["M"]}, "one inserts into M, which two reads"),
            ({"writes": ["M"]}, {"adds": ["M"]}, "two inserts into M, which one writes"),
        ],
    )
    def test_a_shared_model_orders_a_group_as_written(self, first: dict, second: dict, reason: str) -> None:
        """One of the two writes or inserts into what the other reads or writes."""
        plan = build.plans(app(op("a.g.one", **first), op("a.g.two", **second)))["a"]
        assert why(plan, "a.g.one", "a.g.two") == ("models", reason)

    def test_between_groups_a_shared_model_orders_nothing(self) -> None:
        """Only `after=` does."""
        assert edges(build.plans(app(op("a.g.one", writes=["M"]), op("a.h.two", reads=["M"])))["a"]) == set()

    def test_after_a_group_means_after_all_of_it(self) -> None:
        """And the edges that others imply are left out."""
        plan = build.plans(app(
            op("a.g.one", writes=["M"]), op("a.g.two", writes=["M"]), op("a.g.free"), op("a.h.last", after=["a.g"]),
        ))["a"]  # fmt: skip
        assert edges(plan) == {("a.g.one", "a.g.two"), ("a.g.two", "a.h.last"), ("a.g.free", "a.h.last")}

    def test_a_groups_after_holds_for_what_starts_a_chain(self) -> None:
        """The second of two ordered operations waits for the first anyway."""
        plan = build.plans(app(
            op("a.g.one"), op("a.h.first", writes=["M"]), op("a.h.second", writes=["M"]), op("a.h.other"),
            groups=[GroupSpec("a.h", ("a.g",))],
        ))["a"]  # fmt: skip
        assert edges(plan) == {("a.g.one", "a.h.first"), ("a.g.one", "a.h.other"), ("a.h.first", "a.h.second")}

    def test_an_outer_group_may_speak_for_inner_ones(self) -> None:
        """`group("a", after=["b"])` holds for the starts of all that is in a."""
        spec = app(
            op("b.g.one"), op("a.g.first"), op("a.h.second"),
            groups=[GroupSpec("a", ("b",)), GroupSpec("a.h", ("a.g",))],
            flows=[FlowSpec("all", ("a", "b"))],
        )  # fmt: skip
        assert edges(build.plans(spec)["all"]) == {("b.g.one", "a.g.first"), ("a.g.first", "a.h.second")}

    def test_after_something_outside_the_flow_is_a_precondition(self) -> None:
        """It adds no edge, and the plan says it."""
        plan = build.plans(app(op("a.g.one", after=["b.g", "b.g.two"]), op("b.g.two"), op("b.g.three")))["a"]
        assert (plan.edges, plan.preconditions) == ((), ("b.g", "b.g.two"))

    def test_what_undoes_or_stands_alone_is_no_step_unless_named(self) -> None:
        """A flow that includes a standalone operation by its own name has it."""
        spec = app(
            op("a.g.do", compensate="a.g.undo"), op("a.g.undo"), op("a.cancel", standalone=True),
            flows=[FlowSpec("cancelling", ("a.cancel",))],
        )  # fmt: skip
        plans = build.plans(spec)
        assert [step.operation for step in plans["a"].steps] == ["a.g.do"]
        assert [step.operation for step in plans["cancelling"].steps] == ["a.cancel"]

    def test_a_class_that_one_returns_and_another_takes_orders_them(self) -> None:
        """Between groups either way, inside a group only as written."""

        class Quote(BaseModel):
            price: int

        plan = build.plans(app(
            op("a.g.use", takes=Quote), op("a.g.make", gives=Quote), op("a.h.use", takes=Quote),
        ))["a"]  # fmt: skip
        assert edges(plan) == {("a.g.make", "a.h.use")}
        assert why(plan, "a.g.make", "a.h.use") == ("type", "a.h.use takes Quote, which a.g.make returns")

    def test_several_reasons_for_an_edge_are_told_together(self) -> None:
        """The rule is the first that gives the edge."""
        plan = build.plans(app(op("a.g.one", writes=["M"]), op("a.g.two", writes=["M"], after=["a.g.one"])))["a"]
        assert why(plan, "a.g.one", "a.g.two") == ("models", "both write M; two is declared after a.g.one")

    def test_a_circle_has_no_plan(self) -> None:
        """Its flow is left out of the plans, and planning it by itself names the circle."""
        spec = app(op("a.g.one", after=["a.h.two"]), op("a.h.two", after=["a.g.one"]))
        assert build.plans(spec) == {}
        with pytest.raises(PulpoError, match=r"a\.g\.one -> a\.h\.two -> a\.g\.one") as caught:
            build.plan(build.graph(spec, flows(spec)[0]))
        assert caught.value.code == "PULPO202"

    def test_a_declared_flow_of_a_domains_name_replaces_it(self) -> None:
        """So that a domain's flow can be one per something."""
        plans = build.plans(app(op("a.g.one", takes={"id": str}), flows=[FlowSpec("a", ("a",), one_per="id")]))
        assert list(plans) == ["a"]
        assert plans["a"].one_per == "id"


class TestWiring:
    def wires(self, spec_app: object, flow: str, step: str) -> list[tuple[str, str | None, str]]:
        plan = build.plans(spec_app)[flow]  # type: ignore[arg-type]
        found = next(entry for entry in plan.steps if entry.operation == step)
        return [(wire.field, wire.step, wire.source) for wire in found.wires]

    def test_the_nearest_step_that_outputs_a_field_provides_it(self) -> None:
        """A later one stands before an earlier one."""
        spec = app(
            op("a.g.one", gives={"x": int}), op("a.h.two", gives={"x": int}, after=["a.g.one"]),
            op("a.i.three", takes={"x": int}, after=["a.h.two"]),
        )  # fmt: skip
        assert self.wires(spec, "a", "a.i.three") == [("x", "a.h.two", "x")]
        assert build.plans(spec)["a"].input == ()

    def test_a_field_that_one_step_needs_from_outside_all_take_from_there(self) -> None:
        """Though a step between outputs it too."""
        spec = app(
            op("a.g.one", takes={"x": int}, gives={"x": int}), op("a.h.two", takes={"x": int}, after=["a.g.one"]),
        )  # fmt: skip
        assert self.wires(spec, "a", "a.h.two") == [("x", None, "x")]

    def test_an_optional_field_of_the_input_falls_back_to_a_step(self) -> None:
        """The last wire that has a value counts, so what is given stands over what a step outputs."""
        spec = app(
            op("a.g.one", takes={"x": (int, 1)}), op("a.h.two", gives={"x": int}),
            op("a.i.three", takes={"x": int}, after=["a.h.two", "a.g.one"]),
        )  # fmt: skip
        assert self.wires(spec, "a", "a.i.three") == [("x", "a.h.two", "x"), ("x", None, "x")]
        assert [(given.name, given.required) for given in build.plans(spec)["a"].input] == [("x", False)]

    def test_a_binding_stands_over_everything(self) -> None:
        """`bind={"x": "a.g.one:y"}` names the step and its output field."""
        spec = app(
            op("a.g.one", takes={"x": int}, gives={"y": int}),
            op("a.h.two", takes={"x": int}, after=["a.g.one"], bind={"x": "a.g.one:y"}),
        )  # fmt: skip
        assert self.wires(spec, "a", "a.h.two") == [("x", "a.g.one", "y")]

    def test_a_binding_to_a_step_outside_the_flow_leaves_the_field_to_the_input(self) -> None:
        """A part of a domain can run as a flow of its own."""
        spec = app(
            op("a.g.one", gives={"x": int}), op("a.h.two", takes={"x": int}, bind={"x": "a.g.one"}, after=["a.g.one"]),
            flows=[FlowSpec("part", ("a.h",))],
        )  # fmt: skip
        assert self.wires(spec, "part", "a.h.two") == [("x", None, "x")]
        assert build.plans(spec)["part"].preconditions == ("a.g.one",)


def test_steps_come_in_stages_and_groups() -> None:
    """What needs nothing first; inside a stage by group, inside a group as written."""
    plan = build.plans(app(
        op("a.z.one"), op("a.b.two", after=["a.z.one"]), op("a.c.b"), op("a.c.a"),
    ))["a"]  # fmt: skip
    assert [step.operation for step in plan.steps] == ["a.c.b", "a.c.a", "a.z.one", "a.b.two"]


def test_an_order_that_is_no_nest_has_no_shape() -> None:
    """One needs a and b, another b alone: neither a sequence nor side by side."""
    plan = build.plans(app(op("x.a.a"), op("x.b.b"), op("x.c.c", after=["x.a", "x.b"]), op("x.d.d", after=["x.b"])))[
        "x"
    ]
    assert shape(plan) is None
    assert order.critical_path({step.operation: step.needs for step in plan.steps}) == ("x.a.a", "x.c.c")
