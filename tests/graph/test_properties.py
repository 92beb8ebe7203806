"""What holds for every set of declarations."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from pulpo.errors import Finding
from pulpo.graph import build, checks, order
from pulpo.graph.shape import Leaf, Par, Seq, Shape, linear, shape
from pulpo.spec import AppSpec, FlowPlan, OperationSpec

from .specs import app, op

MODELS = ("M", "N", "O")
some_models = st.lists(st.sampled_from(MODELS), max_size=2, unique=True)


@st.composite
def applications(draw: st.DrawFn, *, backward: bool = False) -> AppSpec:
    """One domain, up to four groups; `after=` names what stands before it, so that there is no circle."""
    places = draw(st.lists(st.integers(0, 3), min_size=1, max_size=9))
    made: list[OperationSpec] = []
    listed = [f"d.g{group}.op{number}" for number, group in enumerate(places)]
    for number, name in enumerate(listed):
        known = listed if backward else listed[:number]
        after = draw(st.lists(st.sampled_from(known), max_size=2, unique=True)) if known else []
        written, read, added = draw(some_models), draw(some_models), draw(some_models)
        made.append(op(name, writes=written, reads=read, adds=added, after=[other for other in after if other != name]))
    return app(*made)


def before(plan: FlowPlan) -> dict[str, frozenset[str]]:
    return order.ancestors({step.operation: step.needs for step in plan.steps})


@given(applications())
def test_steps_come_after_what_they_need(spec: AppSpec) -> None:
    """The steps' order is one in which they could run one by one, and each is there once."""
    plan = build.plans(spec)["d"]
    seen: set[str] = set()
    for step in plan.steps:
        assert seen.issuperset(step.needs)
        seen.add(step.operation)
    assert seen == {operation.name for operation in spec.operations}


@given(applications())
def test_conflicts_inside_a_group_are_ordered_as_written(spec: AppSpec) -> None:
    """Of two operations of a group that share a model one of them changes, the earlier is done first."""
    ancestors = before(build.plans(spec)["d"])
    for first, second in combinations(spec.operations, 2):
        changes = [
            {*one.writes, *one.adds} & {*two.reads, *two.writes} for one, two in ((first, second), (second, first))
        ]
        if first.group == second.group and any(changes):
            assert first.name in ancestors[second.name]


@given(applications())
def test_no_edge_can_be_left_out(spec: AppSpec) -> None:
    """Every edge is needed, and together they order what all the rules order."""
    (flow,) = build.flows(spec)
    graph = build.graph(spec, flow)
    plan = build.plan(graph)
    ancestors = before(plan)
    assert ancestors == graph.ancestors
    for step in plan.steps:
        for need in step.needs:
            assert not any(need in ancestors[other] for other in step.needs)
    assert {(edge.before, edge.after) for edge in plan.edges} == {
        (need, step.operation) for step in plan.steps for need in step.needs
    }


@given(applications(), st.randoms(use_true_random=False))
def test_the_order_of_files_changes_nothing(spec: AppSpec, random: object) -> None:
    """As long as each group's operations stay in their order, the plan and its hash are the same."""
    groups: dict[str, list[OperationSpec]] = {}
    for operation in spec.operations:
        groups.setdefault(operation.group, []).append(operation)
    shuffled: list[OperationSpec] = []
    while queues := [queue for queue in groups.values() if queue]:
        shuffled.append(random.choice(queues).pop(0))  # type: ignore[attr-defined]
    assert build.plans(replace(spec, operations=tuple(shuffled)))["d"].hash == build.plans(spec)["d"].hash


@given(applications())
def test_no_chain_is_longer_than_the_critical_path(spec: AppSpec) -> None:
    """It is a chain of needs, and as long as the depth of the graph."""
    plan = build.plans(spec)["d"]
    needs = {step.operation: step.needs for step in plan.steps}
    depth: dict[str, int] = {}
    for step in plan.steps:
        depth[step.operation] = 1 + max((depth[need] for need in step.needs), default=0)
    assert len(plan.critical_path) == max(depth.values())
    assert all(
        first in needs[second] for first, second in zip(plan.critical_path, plan.critical_path[1:], strict=False)
    )


def pairs(form: Shape) -> set[tuple[str, str]]:
    """Which step of a shape comes before which."""
    if isinstance(form, Leaf):
        return set()
    inside = {pair for part in form.parts for pair in pairs(part)}
    if isinstance(form, Par):
        return inside
    across = combinations(form.parts, 2)
    return inside | {(one, two) for first, second in across for one in linear(first) for two in linear(second)}


@given(applications())
def test_a_shape_says_exactly_the_plans_order(spec: AppSpec) -> None:
    """Where there is one; its steps from left to right could run one by one."""
    plan = build.plans(spec)["d"]
    form = shape(plan)
    if form is None:
        return
    ancestors = before(plan)
    assert pairs(form) == {(need, step) for step in ancestors for need in ancestors[step]}
    assert sorted(linear(form)) == sorted(ancestors)


@st.composite
def shapes(draw: st.DrawFn) -> Shape:
    """Nested sequences and parallels, no sequence directly in a sequence."""
    count = [0]

    def make(depth: int, *, sequence: bool) -> Shape:
        size = draw(st.integers(1, 3)) if depth else 1
        if size == 1:
            count[0] += 1
            return Leaf(f"d.g{count[0]}.op")
        parts = tuple(make(depth - 1, sequence=not sequence) for _ in range(size))
        return Seq(parts) if sequence else Par(parts)

    return make(3, sequence=draw(st.booleans()))


@given(shapes())
def test_every_nest_of_sequences_and_parallels_is_found(form: Shape) -> None:
    """A plan made from a shape has that shape again, whatever the order inside its parallels."""
    order_of = pairs(form)
    operations = [op(step, after=[one for one, two in order_of if two == step]) for step in linear(form)]
    found = shape(build.plans(app(*operations))["d"])
    assert found is not None
    assert pairs(found) == order_of


@settings(max_examples=60)
@given(applications(backward=True))
def test_a_circle_is_found_exactly_where_there_is_one(spec: AppSpec) -> None:
    """Either the flow has a plan, or a finding names steps that really wait for each other."""
    (flow,) = build.flows(spec)
    graph = build.graph(spec, flow)
    found: list[Finding] = [finding for finding in checks.check(spec) if finding.code == "PULPO202"]
    assert bool(found) == bool(graph.circles) == (build.plans(spec) == {})
    for circle in graph.circles:
        assert circle[0] == circle[-1]
        assert all(pair in graph.edges for pair in pairwise(circle))
