"""Where a step's input comes from, and what is left for whoever starts the flow to give."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from pulpo.spec import FieldSpec, InputField, OperationSpec, Wire

Operations = Mapping[str, OperationSpec]
Ancestors = Mapping[str, frozenset[str]]


def flow_input(models: Collection[str], operations: Operations, ancestors: Ancestors) -> dict[str, InputField]:
    """The fields that some step takes and no step before it outputs; required where such a step requires it.

    Required fields come first, otherwise they are in the order of the steps (and of each step's fields). `models` are
    the names of the models that a reference can be resolved in.
    """
    found: dict[str, InputField] = {}
    for step in ancestors:
        for field in operations[step].input.fields:
            if binding(operations, ancestors, step, field.name) or nearest(operations, ancestors, step, field.name):
                continue
            known = found.get(field.name)
            found[field.name] = InputField(field.name, field.required or bool(known and known.required))
    for step in ancestors:
        for field in operations[step].input.fields:
            target = referred(field)
            if field.name in found and found[field.name].model is None and target in models:
                found[field.name] = InputField(field.name, found[field.name].required, target)
    return {given.name: given for given in sorted(found.values(), key=lambda given: not given.required)}


def wires(operations: Operations, ancestors: Ancestors, given: Mapping[str, InputField], step: str) -> tuple[Wire, ...]:
    """A step's wires, in the order of its fields.

    Of two wires for one field the last that has a value counts: what the flow's input may leave out comes from the
    nearest step that outputs it, unless it was given.
    """
    found: list[Wire] = []
    for field in operations[step].input.fields:
        if bound := binding(operations, ancestors, step, field.name):
            found.append(Wire(field.name, *bound))
            continue
        if field.name not in given or not given[field.name].required:
            providers = nearest(operations, ancestors, step, field.name)
            found += [Wire(field.name, provider, field.name) for provider in providers[:1]]
        if field.name in given:
            found.append(Wire(field.name, None, field.name))
    return tuple(found)


def binding(operations: Operations, ancestors: Ancestors, step: str, field: str) -> tuple[str, str] | None:
    """The step and output field that `bind=` names for a field, where that step is an earlier one of this flow."""
    bound = operations[step].bind.get(field)
    if bound is None:
        return None
    provider, source = parse_binding(bound, field)
    return (provider, source) if provider in ancestors[step] else None


def parse_binding(bound: str, field: str) -> tuple[str, str]:
    """`orders.checkout.quote:id` -> the operation and its output field; without one, the field of the same name."""
    provider, _, source = bound.partition(":")
    return provider, source or field


def nearest(operations: Operations, ancestors: Ancestors, step: str, field: str) -> tuple[str, ...]:
    """The earlier steps that output a field, but for those that another such step comes after. In the steps' order."""
    found = [other for other in ancestors if other in ancestors[step] and operations[other].output.field(field)]
    return tuple(other for other in found if not any(other in ancestors[later] for later in found))


def referred(field: FieldSpec) -> str | None:
    """The model whose id or key a field holds, or None; an entry inside a document is found by its own field alone."""
    return field.target if field.kind == "ref" and field.within is None else None
