"""Which operations a name stands for, and which operations are steps of a flow."""

from __future__ import annotations

from collections.abc import Iterable

from pulpo.spec import AppSpec, FlowSpec, OperationSpec


def covers(name: str, operation: str) -> bool:
    """Whether a domain's, a group's or an operation's name stands for this operation."""
    return operation == name or operation.startswith(name + ".")


def covered(name: str, operations: Iterable[str]) -> tuple[str, ...]:
    """Those of the operations that a name stands for."""
    return tuple(operation for operation in operations if covers(name, operation))


def flows(app: AppSpec) -> tuple[FlowSpec, ...]:
    """Every flow by name: the declared ones, and one per domain that has steps and no declared flow of its name."""
    declared = {flow.name: flow for flow in reversed(app.flows)}
    for operation in app.operations:
        name = operation.domain
        if name not in declared and members(app, implicit := FlowSpec(name, (name,))):
            declared[name] = implicit
    return tuple(declared[name] for name in sorted(declared))


def members(app: AppSpec, flow: FlowSpec) -> tuple[OperationSpec, ...]:
    """A flow's operations, group by group, inside a group as written.

    Operations that undo another and those that stand alone are steps only where a flow includes them by their own name.
    """
    aside = set_aside(app)
    found: dict[str, OperationSpec] = {}
    for operation in sorted(app.operations, key=lambda spec: spec.group):
        for name in flow.includes:
            if operation.name == name or (covers(name, operation.name) and operation.name not in aside):
                found.setdefault(operation.name, operation)
    return tuple(found.values())


def set_aside(app: AppSpec) -> frozenset[str]:
    """Operations that are no steps of a flow by themselves."""
    undoing = {operation.compensate for operation in app.operations if operation.compensate is not None}
    return frozenset(
        operation.name for operation in app.operations if operation.standalone or operation.name in undoing
    )
