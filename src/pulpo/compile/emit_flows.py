"""`generated/flows/`: an async Prefect flow per flow, a task per operation, shaped as the plan is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pulpo import names
from pulpo.compile.artifact import Artifact, call, header, one_line, quoted, render
from pulpo.compile.emit_application import package, sources
from pulpo.compile.identifiers import Identifiers
from pulpo.graph.shape import Leaf, Par, Seq, Shape, linear, shape
from pulpo.spec import AppSpec, FlowPlan, OperationSpec, Step

GRACE = 5
"""Seconds that Prefect waits beyond an operation's own timeout, so that it is Pulpo that ends and records it."""

_OWN = ("Any", "FlowRun", "Path", "ROOT", "STEP", "annotations", "asyncio", "data", "flow", "open_run", "run",
        "run_script", "submit", "submitting", "task")  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Branch:
    """A function of its own for what runs one after another beside something else."""

    name: str
    doc: str
    body: tuple[str, ...]


class _Body:
    """Prints a plan's shape as nested awaits; what does not fit into one expression becomes a branch."""

    def __init__(self, functions: Mapping[str, str], taken: Identifiers) -> None:
        self.branches: list[_Branch] = []
        self._functions, self._taken = functions, taken

    def statements(self, part: Shape, indent: int) -> list[str]:
        """The statements that run a part of the plan to its end."""
        match part:
            case Leaf(step):
                return [f"{' ' * indent}await {self._functions[step]}(run)"]
            case Seq(parts):
                return [line for inner in parts for line in self.statements(inner, indent)]
            case Par(parts):
                return [
                    call("asyncio.gather", [self._expression(inner) for inner in parts], indent=indent, prefix="await ")
                ]

    def _expression(self, part: Shape) -> str:
        """One side of a `gather`."""
        if isinstance(part, Leaf):
            return f"{self._functions[part.step]}(run)"
        steps = linear(part)
        name = self._taken.free(f"{self._functions[steps[0]]}_branch")
        body = tuple(self.statements(part, 4))  # first, so that inner branches are defined above
        words = ", ".join(names.short(step) for step in steps)
        self.branches.append(_Branch(name, f"One branch: {words}.", body))
        return f"{name}(run)"


def emit_flows(app: AppSpec, plans: Mapping[str, FlowPlan]) -> tuple[Artifact, ...]:
    """A module per flow that has steps."""
    modules = tuple(_flow(app, plans[name]) for name in sorted(plans) if plans[name].steps)
    return (*modules, package("generated/flows/__init__.py", "Prefect flows, one per module."))


def _flow(app: AppSpec, plan: FlowPlan) -> Artifact:
    path = f"generated/flows/{names.flow_module(plan.flow)}.py"
    taken = Identifiers((*_OWN, names.flow_function(plan.flow)))
    functions = taken.of_operations(step.operation for step in plan.steps)
    operations = tuple(app.operation(step.operation) for step in plan.steps)
    body = _Body(functions, taken)
    form = shape(plan)
    lines = body.statements(form, 8) if form is not None else _graph(plan, functions, taken)
    text = render(
        "flows/flow.py.jinja",
        header=header(path, sources(operations)),
        plan=plan,
        summary=plan.description or _summary(plan),
        tasks=[_task(step, app.operation(step.operation), functions[step.operation]) for step in plan.steps],
        branches=body.branches,
        function=names.flow_function(plan.flow),
        takes=_takes(plan),
        lines=lines,
        uses_asyncio=any(
            "asyncio." in line for line in (*lines, *(line for each in body.branches for line in each.body))
        ),
        helper=", submitting" if form is None else "",
    )
    return Artifact(path, text)


def _task(step: Step, operation: OperationSpec, function: str) -> Mapping[str, str]:
    """What the template prints of a step: its decorator, its function's name and its docstring."""
    options = [f"name={quoted(step.operation)}", f"tags=[{quoted(names.group(step.operation))}]"]
    if step.retries:
        options.append(f"retries={step.retries}")
    if step.timeout is not None:
        options.append(f"timeout_seconds={step.timeout + GRACE:g}")
    return {
        "decorator": call("@task", [*options, "**STEP"]),
        "function": function,
        "operation": quoted(step.operation),
        "doc": one_line(
            operation.description, indent=4, fallback=f"{operation.title or names.title(operation.short)}."
        ),
    }


def _graph(plan: FlowPlan, functions: Mapping[str, str], taken: Identifiers) -> list[str]:
    """A plan that no nesting of awaits expresses: a future per step, which waits for those of its predecessors."""
    future = {step.operation: taken.free(f"{functions[step.operation]}_future") for step in plan.steps}
    waited = {need for step in plan.steps for need in step.needs}
    lines = [f"{' ' * 8}async with submitting(run) as submit:"]
    for step in plan.steps:
        needs = ", ".join(future[need] for need in step.needs)
        given = [functions[step.operation], *([f"wait_for=[{needs}]"] if needs else [])]
        name = f"{future[step.operation]} = " if step.operation in waited else ""
        lines.append(call("submit", given, indent=12, prefix=name))
    return lines


def _summary(plan: FlowPlan) -> str:
    count, deep = len(plan.steps), len(plan.critical_path)
    if count == 1:
        return "Run one operation."
    manner = {1: " side by side", count: " one after another"}.get(deep, f", {deep} of them one after another")
    return f"Run {count} operations{manner}."


def _takes(plan: FlowPlan) -> str:
    """The input in words, for the flow's docstring."""
    words = ", ".join(f"`{given.name}`{'' if given.required else ' (optional)'}" for given in plan.input)
    return f"Takes {words}." if words else "Takes no input."
