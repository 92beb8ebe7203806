"""From declarations to plans: three rules make the edges, each with its reason.

1. Inside a group, in the order written: one comes after another where one of the two writes (or inserts into) a model
   that the other reads or writes.
2. Between groups, only what `after=` says, on an operation or on a `group()`.
3. By type: what takes another's output class as its input comes after it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations

from pulpo.errors import PulpoError
from pulpo.graph import order, wiring
from pulpo.graph.membership import covered, flows, members, set_aside
from pulpo.spec import AppSpec, Edge, FlowPlan, FlowSpec, GroupSpec, InputField, OperationSpec, Rule, Step, Wire


@dataclass(frozen=True)
class Graph:
    """A flow's operations and every edge that the rules give, before the plan keeps only those that are needed.

    Attributes:
        models: The names of the application's models.
        operations: By name, group by group, inside a group as written.
        edges: (before, after) -> the edge with all its reasons.
        preconditions: What an `after=` names that is no part of this flow.
    """

    flow: FlowSpec
    models: frozenset[str]
    operations: Mapping[str, OperationSpec]
    edges: Mapping[tuple[str, str], Edge]
    preconditions: tuple[str, ...] = ()

    @cached_property
    def needs(self) -> dict[str, tuple[str, ...]]:
        """Step -> the steps that it comes after."""
        found: dict[str, list[str]] = {step: [] for step in self.operations}
        for before, after in self.edges:
            found[after].append(before)
        return {step: tuple(needs) for step, needs in found.items()}

    @cached_property
    def circles(self) -> tuple[tuple[str, ...], ...]:
        """Steps that need each other; a graph with any has no order and no plan."""
        return order.circles(self.needs)

    @cached_property
    def ancestors(self) -> dict[str, frozenset[str]]:
        """Step -> every step that is done before it starts. Raises PulpoError PULPO202."""
        return order.ancestors(self.needs)

    @cached_property
    def input(self) -> dict[str, InputField]:
        """What whoever starts the flow gives, by name. Raises PulpoError PULPO202."""
        return wiring.flow_input(self.models, self.operations, self.ancestors)


@dataclass
class _Edges:
    """Edges as the rules give them; several reasons for one edge are told together."""

    found: dict[tuple[str, str], Edge] = field(default_factory=dict)

    def add(self, before: str, after: str, rule: Rule, why: str) -> None:
        known = self.found.get((before, after))
        if known is None:
            self.found[before, after] = Edge(before, after, rule, why)
        elif why not in known.why.split("; "):
            self.found[before, after] = Edge(before, after, known.rule, f"{known.why}; {why}")


def plans(app: AppSpec) -> dict[str, FlowPlan]:
    """The plan of every flow, by name. A flow whose steps stand in a circle has none; `checks.check` reports it."""
    graphs = (graph(app, flow) for flow in flows(app))
    return {found.flow.name: plan(found) for found in graphs if not found.circles}


def graph(app: AppSpec, flow: FlowSpec) -> Graph:
    """A flow's operations and edges."""
    operations = {operation.name: operation for operation in members(app, flow)}
    edges, preconditions = _Edges(), dict[str, None]()
    for before, after, why in _by_models(operations):
        edges.add(before, after, "models", why)
    for operation in operations.values():
        for name in operation.after:
            inside, outside = _targets(app, name, operations, apart=(operation.name,))
            preconditions.update(dict.fromkeys(outside))
            for before in inside:
                edges.add(before, operation.name, "after", f"{operation.short} is declared after {name}")
    for before, after, why in _by_type(operations):
        edges.add(before, after, "type", why)
    for group in sorted(app.groups, key=lambda group: -group.name.count(".")):  # the starts of inner groups come first
        preconditions.update(dict.fromkeys(_by_group(app, group, operations, edges)))
    return Graph(flow, frozenset(model.name for model in app.models), operations, edges.found, tuple(preconditions))


def plan(graph: Graph) -> FlowPlan:
    """A graph's plan: the steps in order, the fewest edges that hold it, where each input field comes from.

    Raises:
        PulpoError: PULPO202, the steps stand in a circle.
    """
    if graph.circles:
        raise PulpoError("PULPO202", f'flow "{graph.flow.name}": {" -> ".join(graph.circles[0])}')
    needs = order.reduced(graph.needs)
    return FlowPlan(
        flow=graph.flow.name,
        steps=tuple(
            _step(
                graph.operations[name], needs[name], wiring.wires(graph.operations, graph.ancestors, graph.input, name)
            )
            for name in needs
        ),
        edges=tuple(graph.edges[before, after] for after in needs for before in needs[after]),
        critical_path=order.critical_path(needs),
        preconditions=graph.preconditions,
        input=tuple(graph.input.values()),
        one_per=graph.flow.one_per,
        description=graph.flow.description,
    )


def _step(operation: OperationSpec, needs: tuple[str, ...], wires: tuple[Wire, ...]) -> Step:
    return Step(
        operation=operation.name,
        needs=needs,
        wires=wires,
        gate=operation.gate,
        pivot=operation.pivot,
        atomic=operation.atomic,
        compensate=operation.compensate,
        retries=operation.retries,
        timeout=operation.timeout,
        wait=operation.wait,
    )


def _by_models(operations: Mapping[str, OperationSpec]) -> Iterator[tuple[str, str, str]]:
    """Rule 1. The operations come group by group, as written."""
    for first, second in combinations(operations.values(), 2):
        if first.group == second.group and (reasons := _conflicts(first, second)):
            yield first.name, second.name, "; ".join(reasons)


def _conflicts(first: OperationSpec, second: OperationSpec) -> list[str]:
    """Why two operations of a group cannot run side by side; two that only insert into a model can."""
    together = [model for model in first.writes if model in second.writes]
    reasons = [f"both write {', '.join(together)}"] if together else []
    for one, other in ((first, second), (second, first)):
        for verb, models in (("writes", one.writes), ("inserts into", one.adds)):
            for model in (model for model in models if model not in together):
                if model in other.writes:
                    reasons.append(f"{one.short} {verb} {model}, which {other.short} writes")
                elif model in other.reads:
                    reasons.append(f"{one.short} {verb} {model}, which {other.short} reads")
    return reasons


def _by_type(operations: Mapping[str, OperationSpec]) -> Iterator[tuple[str, str, str]]:
    """Rule 3. Models say nothing of order: many operations return the document they changed."""
    listed = tuple(operations.values())
    for place, first in enumerate(listed):
        cls = first.output.cls
        if cls is None or "__pulpo__" in vars(cls):
            continue
        for other, second in enumerate(listed):
            written = first.group != second.group or place < other
            if second is not first and second.input.cls is cls and written:
                yield first.name, second.name, f"{second.name} takes {cls.__name__}, which {first.name} returns"


def _by_group(
    app: AppSpec, group: GroupSpec, operations: Mapping[str, OperationSpec], edges: _Edges
) -> tuple[str, ...]:
    """Rule 2 for a group: its operations that come after no other of it. Returns what its `after=` has outside."""
    own = covered(group.name, operations)
    followers = {after for before, after in edges.found if before in own and after in own}
    preconditions: list[str] = []
    for name in group.after if own else ():
        inside, outside = _targets(app, name, operations, apart=own)
        preconditions += outside
        for after in own:
            for before in inside if after not in followers else ():
                edges.add(before, after, "group", f"group {group.name} is declared after {name}")
    return tuple(preconditions)


def _targets(
    app: AppSpec, name: str, operations: Mapping[str, OperationSpec], apart: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What an `after=` means in a flow: the steps to wait for, and what it names that is no part of the flow."""
    inside = tuple(step for step in covered(name, operations) if step not in apart)
    aside = set_aside(app)
    known = covered(name, (operation.name for operation in app.operations))
    outside = tuple(
        operation
        for operation in known
        if operation not in operations and operation not in apart and (operation == name or operation not in aside)
    )
    if outside and not inside:
        return (), (name,)
    return inside, outside
