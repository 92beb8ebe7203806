"""What can be wrong with a flow: checks of the graph that the declarations make, each for all flows at once.

What two flows have in common is reported once, with the names of the flows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TypeAlias

from pulpo.errors import Finding, Nearest, Source
from pulpo.graph import order, wiring
from pulpo.graph.build import Graph
from pulpo.spec import OperationSpec

Graphs: TypeAlias = Sequence[Graph]
FlowCheck: TypeAlias = Callable[[Graphs], Iterable[Finding]]


class _Found:
    """Findings by what they are about, with the flows that each was found in."""

    def __init__(self) -> None:
        self.flows: dict[Finding, list[str]] = {}

    def add(self, graph: Graph, code: str, message: str, source: Source | None, hint: str | None) -> None:
        self.flows.setdefault(Finding(code, message, source, hint), []).append(f'"{graph.flow.name}"')

    def __iter__(self) -> Iterator[Finding]:
        for finding, flows in self.flows.items():
            where = f"in flow {flows[0]}" if len(flows) == 1 else f"in flows {', '.join(flows)}"
            yield Finding(finding.code, f"{where}: {finding.message}", finding.source, finding.hint)


def circles(graphs: Graphs) -> Iterable[Finding]:
    """PULPO202: steps that wait for each other never start."""
    found = _Found()
    for graph in graphs:
        for circle in graph.circles:
            reasons = "; ".join(dict.fromkeys(graph.edges[pair].why for pair in pairwise(circle)))
            message = f"steps depend on each other in a circle: {' -> '.join(circle)}"
            source = graph.operations[circle[0]].source
            found.add(graph, "PULPO202", message, source, f"take one of these away: {reasons}")
    return found


def unordered_writers(graphs: Graphs) -> Iterable[Finding]:
    """PULPO203: of two steps side by side that write one model, nobody can say whose write stays."""
    found = _Found()
    for graph, first, second in _side_by_side(graphs):
        models = [model for model in first.writes if model in second.writes]
        if models:
            message = f'"{first.name}" and "{second.name}" both write {", ".join(models)}, and nothing orders them'
            found.add(
                graph,
                "PULPO203",
                message,
                second.source,
                f"{_order(first, second)}, or standalone=True on one that is no step of a flow",
            )
    return found


def unordered_gates(graphs: Graphs) -> Iterable[Finding]:
    """PULPO204: a gate that stops a flow comes before what would have to be undone, or after it, but not beside it."""
    found = _Found()
    for graph, first, second in _side_by_side(graphs):
        for gate, other in ((first, second), (second, first)):
            if gate.gate is not None and other.compensate is not None:
                message = (
                    f'the gate "{gate.name}" runs beside "{other.name}", which would have to be undone by '
                    f'"{other.compensate}"'
                )
                found.add(graph, "PULPO204", message, other.source, _order(gate, other))
    return found


def unordered_pivots(graphs: Graphs) -> Iterable[Finding]:
    """PULPO205: whether a step lies before or after the point of no return is not a matter of luck."""
    found = _Found()
    for graph, first, second in _side_by_side(graphs):
        if first.pivot or second.pivot:
            pivot, other = (first, second) if first.pivot else (second, first)
            message = f'"{other.name}" runs beside the pivot "{pivot.name}"'
            found.add(graph, "PULPO205", message, other.source, f"{_order(pivot, other)}, or the other way round")
    return found


def two_providers(graphs: Graphs) -> Iterable[Finding]:
    """PULPO211: a field that two unordered steps output has two values for the step that takes it."""
    found = _Found()
    for graph in _sound(graphs):
        for step, operation in graph.operations.items():
            for field in operation.input.fields:
                if field.name in graph.input and graph.input[field.name].required:
                    continue
                if wiring.binding(graph.operations, graph.ancestors, step, field.name):
                    continue
                providers = wiring.nearest(graph.operations, graph.ancestors, step, field.name)
                if len(providers) > 1:
                    named = " and ".join(f'"{provider}"' for provider in providers)
                    message = f'"{step}" takes "{field.name}", which {named} both output'
                    hint = f'choose one: bind={{"{field.name}": "{providers[0]}"}}'
                    found.add(graph, "PULPO211", message, operation.source, hint)
    return found


def unordered_bindings(graphs: Graphs) -> Iterable[Finding]:
    """PULPO213: a step is bound to what has run before it."""
    found = _Found()
    for graph in _sound(graphs):
        for step, operation in graph.operations.items():
            for field, bound in operation.bind.items():
                provider, _ = wiring.parse_binding(bound, field)
                if provider in graph.operations and provider != step and provider not in graph.ancestors[step]:
                    message = f'"{step}" binds "{field}" to "{provider}", which does not run before it'
                    found.add(graph, "PULPO213", message, operation.source, f'declare after=["{provider}"] on it')
    return found


def unknown_one_per(graphs: Graphs) -> Iterable[Finding]:
    """PULPO201: `one_per=` is a field of the flow's input."""
    for graph in _sound(graphs):
        one_per = graph.flow.one_per
        if one_per is not None and one_per not in graph.input:
            message = f'flow "{graph.flow.name}" has one_per="{one_per}", which is no field of its input'
            hint = Nearest(tuple(graph.input)).to(one_per) or f"its input has {', '.join(graph.input) or 'no field'}"
            yield Finding("PULPO201", message, graph.flow.source, hint)


CHECKS: Sequence[FlowCheck] = (
    circles,
    unordered_writers,
    unordered_gates,
    unordered_pivots,
    two_providers,
    unordered_bindings,
    unknown_one_per,
)


def _sound(graphs: Graphs) -> Iterator[Graph]:
    """Graphs that have an order."""
    return (graph for graph in graphs if not graph.circles)


def _side_by_side(graphs: Graphs) -> Iterator[tuple[Graph, OperationSpec, OperationSpec]]:
    for graph in _sound(graphs):
        for first, second in order.unordered(graph.needs):
            yield graph, graph.operations[first], graph.operations[second]


def _order(first: OperationSpec, second: OperationSpec) -> str:
    return f'declare after=["{first.name}"] on "{second.name}"'
