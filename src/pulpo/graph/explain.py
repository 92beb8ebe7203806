"""A plan in words for people, and as JSON for tools."""

from __future__ import annotations

from collections.abc import Iterator

from pulpo.graph.shape import Leaf, Par, Seq, Shape, shape
from pulpo.spec import FlowPlan, InputField, Json, Step


def plan_json(plan: FlowPlan) -> dict[str, Json]:
    """The plan as a JSON object; its edges are transitively reduced."""
    return {
        "flow": plan.flow,
        "steps": [step.operation for step in plan.steps],
        "edges": [{"from": edge.before, "to": edge.after, "rule": edge.rule, "why": edge.why} for edge in plan.edges],
        "critical_path": list(plan.critical_path),
        "preconditions": list(plan.preconditions),
        "input": [{"name": given.name, "required": given.required, "model": given.model} for given in plan.input],
    }


def plan_text(plan: FlowPlan, *, why: bool = False) -> str:
    """The plan for people: steps, what runs side by side, the critical path; with `why` the reason for each edge."""
    return "\n".join(_lines(plan, why=why)) + "\n"


def _lines(plan: FlowPlan, *, why: bool) -> Iterator[str]:
    yield f"{plan.flow}: {_count(len(plan.steps), 'step')}, critical path {len(plan.critical_path)}"
    if plan.description:
        yield plan.description
    yield ""
    steps = {step.operation: step for step in plan.steps}
    form = shape(plan)
    yield from _drawn(form, steps, "  ") if form is not None else _listed(plan)
    yield ""
    yield "Critical path"
    yield f"  {' -> '.join(plan.critical_path)}"
    if plan.input or plan.one_per:
        yield ""
        yield "Input"
        yield from _input(plan)
    if plan.preconditions:
        yield ""
        yield "Preconditions (not part of this flow)"
        yield from (f"  {name}" for name in plan.preconditions)
    if why and plan.edges:
        yield ""
        yield "Why"
        for edge in plan.edges:
            yield f"  {edge.before} -> {edge.after}"
            yield f"    {edge.rule}: {edge.why}"


def _drawn(form: Shape, steps: dict[str, Step], indent: str) -> Iterator[str]:
    """One line per step; what runs side by side stands under `together`, each branch behind a dash."""
    match form:
        case Leaf(step):
            yield f"{indent}{_step(steps[step])}"
        case Seq(parts):
            for part in parts:
                yield from _drawn(part, steps, indent)
        case Par(parts):
            yield f"{indent}together"
            for part in parts:
                lines = list(_drawn(part, steps, ""))
                for place, line in enumerate(lines):
                    yield f"{indent}  {'- ' if place == 0 else '  '}{line}"


def _listed(plan: FlowPlan) -> Iterator[str]:
    """Steps with what each waits for, where the order is no nest of sequences and parallels."""
    for step in plan.steps:
        yield f"  {_step(step)}"
        if step.needs:
            yield f"      after {', '.join(step.needs)}"


def _step(step: Step) -> str:
    notes = [
        *([f'stops the flow unless "{step.gate}"'] if step.gate else []),
        *(["pivot"] if step.pivot else []),
        *(["atomic"] if step.atomic else []),
        *([f"undone by {step.compensate}"] if step.compensate else []),
    ]
    return f"{step.operation}  ({', '.join(notes)})" if notes else step.operation


def _input(plan: FlowPlan) -> Iterator[str]:
    width = max((len(given.name) for given in plan.input), default=0)
    for given in plan.input:
        yield f"  {given.name.ljust(width)}  {_described(given)}"
    if plan.one_per:
        yield f"  one live run per {plan.one_per}"


def _described(given: InputField) -> str:
    words = "required" if given.required else "optional"
    return f"{words}, the id or key of a document of {given.model}" if given.model else words


def _count(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
