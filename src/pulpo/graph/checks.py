"""What can be wrong with an application: a flat list of functions, description in, findings out, all reported at once.

These look at the declarations; `flow_checks` looks at the graphs that they make.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import PurePosixPath
from typing import Protocol, TypeAlias

from pydantic import BaseModel

from pulpo import names
from pulpo.errors import Finding, Nearest, Source
from pulpo.graph import build, flow_checks
from pulpo.graph.membership import covered, flows
from pulpo.graph.wiring import parse_binding
from pulpo.spec import AppSpec, FieldSpec, OperationSpec

Check: TypeAlias = Callable[[AppSpec], Iterable[Finding]]


class _Declared(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def source(self) -> Source | None: ...


def check(app: AppSpec) -> tuple[Finding, ...]:
    """Every problem of an application, by file and line."""
    found = [finding for check in CHECKS for finding in check(app)]
    graphs = tuple(build.graph(app, flow) for flow in flows(app))
    found += [finding for flow_check in flow_checks.CHECKS for finding in flow_check(graphs)]
    return by_place(found)


def by_place(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Findings without repetition, by file, line and code."""

    def place(finding: Finding) -> tuple[tuple[str, ...], int, str]:
        source = finding.source
        return (PurePosixPath(source.file).parts, source.line, finding.code) if source else ((), 0, finding.code)

    return tuple(sorted(dict.fromkeys(findings), key=place))


def _undeclared(operation: OperationSpec, name: str) -> str | None:
    """Where an operation's module has a class of this name that only lacks its decorator."""
    found = getattr(operation.function, "__globals__", {}).get(name)
    if not isinstance(found, type) or "__pulpo__" in vars(found) or not issubclass(found, BaseModel):
        return None
    return f"class {name} in {found.__module__.replace('.', '/')}.py has no @datamodel"


def unknown_models(app: AppSpec) -> Iterator[Finding]:
    """PULPO201: an operation names a model that is not declared."""
    known = tuple(model.name for model in app.models)
    for operation in app.operations:
        for verb, given in (("reads", operation.reads), ("writes", operation.writes), ("inserts into", operation.adds)):
            for name in given:
                if name not in known:
                    yield Finding(
                        "PULPO201",
                        f'operation "{operation.name}" {verb} "{name}", which is not a declared model',
                        operation.source,
                        _undeclared(operation, name)
                        or Nearest(known).to(name)
                        or "declare it with @datamodel in models/",
                    )


def unknown_references(app: AppSpec) -> Iterator[Finding]:
    """PULPO201: a `Ref` refers to a class that is no model, nor embedded in one."""
    known = tuple(dict.fromkeys(name for model in app.models for name in (model.name, *_embedded(model.fields))))
    declared = [(f"model {model.name}", model.fields, model.source) for model in app.models]
    declared += [(f'operation "{spec.name}"', spec.input.fields, spec.source) for spec in app.operations]
    for owner, fields, source in declared:
        for field in _all_fields(fields):
            if field.kind == "ref" and field.target not in known:
                message = f'{owner}: field {field.name} refers to "{field.target}", which is not a declared model'
                yield Finding("PULPO201", message, source, Nearest(known).to(str(field.target)))


def unknown_operations(app: AppSpec) -> Iterator[Finding]:
    """PULPO201: `after=` or `includes=` names no operation, group or domain, `compensate=` no operation."""
    operations = tuple(operation.name for operation in app.operations)
    known = Nearest((*operations, *_groups(app)))
    named: list[tuple[str, str, Source | None]] = [
        *(
            (f'operation "{spec.name}" is declared after', name, spec.source)
            for spec in app.operations
            for name in spec.after
        ),
        *((f'group "{spec.name}" is declared after', name, spec.source) for spec in app.groups for name in spec.after),
        *((f'flow "{spec.name}" includes', name, spec.source) for spec in app.flows for name in spec.includes),
    ]
    for what, name, source in named:
        if not covered(name, operations):
            yield Finding("PULPO201", f'{what} "{name}", which is no operation or group', source, known.to(name))
    for operation in app.operations:
        if operation.compensate is not None and operation.compensate not in operations:
            message = f'operation "{operation.name}" is undone by "{operation.compensate}", which is no operation'
            yield Finding("PULPO201", message, operation.source, Nearest(operations).to(operation.compensate))


def empty_groups(app: AppSpec) -> Iterator[Finding]:
    """PULPO201: `group()` speaks of a group that no operation is in."""
    groups = _groups(app)
    for group in app.groups:
        if group.name not in groups:
            yield Finding(
                "PULPO201", f'group "{group.name}" has no operation', group.source, Nearest(groups).to(group.name)
            )


def names_used_twice(app: AppSpec) -> Iterator[Finding]:
    """PULPO206: two declarations would have one name, path, command or identifier."""
    yield from _twice("model", app.models)
    yield from _twice("operation", app.operations)
    yield from _twice("flow", app.flows)
    paths: dict[str, str] = {}
    for model in app.models:
        if (first := paths.setdefault(model.collection, model.name)) != model.name:
            message = f"models {first} and {model.name} would both be served at {model.path}"
            yield Finding("PULPO206", message, model.source, "rename one of them")
    identifiers: dict[str, str] = {}
    groups = _groups(app)
    for operation in app.operations:
        first = identifiers.setdefault(names.identifier(operation.name), operation.name)
        if first != operation.name:
            message = f'operations "{first}" and "{operation.name}" are one identifier in generated code'
            yield Finding("PULPO206", message, operation.source, "rename one of them")
        if operation.name in groups:
            inside = next(other.name for other in app.operations if other.name.startswith(operation.name + "."))
            message = f'operation "{operation.name}" has the name of the group of "{inside}"'
            yield Finding(
                "PULPO206", message, operation.source, "a command cannot be a group of commands too: rename one"
            )


def reserved_names(app: AppSpec) -> Iterator[Finding]:
    """PULPO207: a model's path or an operation's domain is one that Pulpo uses."""
    for model in app.models:
        if model.collection in names.RESERVED_PATHS:
            message = f"model {model.name} would be served at {model.path}, which is Pulpo's own"
            yield Finding(
                "PULPO207", message, model.source, f'give it another name: @datamodel(name="App{model.name}")'
            )
    for operation in app.operations:
        if operation.domain in names.RESERVED_COMMANDS:
            message = f'operation "{operation.name}": "pulpo {operation.domain}" is a command of Pulpo\'s own'
            yield Finding(
                "PULPO207", message, operation.source, f'name the domain otherwise, such as "app_{operation.domain}"'
            )


def compensations(app: AppSpec) -> Iterator[Finding]:
    """PULPO210: a compensation is called with the step's input, and its output where there is one."""
    operations = {operation.name: operation for operation in app.operations}
    for operation in app.operations:
        undo = operations.get(operation.compensate or "")
        if undo is None or (operation.takes != "nothing" and not operation.input.fields):
            continue
        for field in undo.input.fields:
            if not field.required or operation.input.field(field.name):
                continue
            given = operation.output.field(field.name)
            if given is not None and (operation.atomic or field.nullable):
                continue
            message = (
                f'"{undo.name}" undoes "{operation.name}" and requires "{field.name}", which its input does not have'
            )
            known = Nearest(tuple(spec.name for spec in operation.input.fields))
            yield Finding(
                "PULPO210",
                message,
                undo.source,
                "give the field a default: of a step in doubt there is no output" if given else known.to(field.name),
            )


def gates(app: AppSpec) -> Iterator[Finding]:
    """PULPO212: a gate is a boolean field of the output."""
    for operation in app.operations:
        if operation.gate is None:
            continue
        field = operation.output.field(operation.gate)
        if field is None or field.kind != "boolean":
            booleans = tuple(spec.name for spec in operation.output.fields if spec.kind == "boolean")
            hint = Nearest(booleans).to(operation.gate) or f"add `{operation.gate}: bool` to what it returns"
            message = (
                f'operation "{operation.name}" has gate="{operation.gate}", which is no boolean field of its output'
            )
            yield Finding("PULPO212", message, operation.source, hint)


def bindings(app: AppSpec) -> Iterator[Finding]:
    """PULPO213: a binding says input field -> operation and output field, all of which exist."""
    operations = {operation.name: operation for operation in app.operations}
    for operation in app.operations:
        for field, bound in operation.bind.items():
            provider, source = parse_binding(bound, field)
            yield from _binding(operations, operation, field, provider, source)


CHECKS: Sequence[Check] = (
    unknown_models,
    unknown_references,
    unknown_operations,
    empty_groups,
    names_used_twice,
    reserved_names,
    compensations,
    gates,
    bindings,
)


def _binding(
    operations: dict[str, OperationSpec], operation: OperationSpec, field: str, provider: str, source: str
) -> Iterator[Finding]:
    def wrong(message: str, hint: str | None) -> Finding:
        return Finding("PULPO213", f'operation "{operation.name}" binds "{field}"{message}', operation.source, hint)

    if operation.input.field(field) is None:
        yield wrong(", which is no field of its input", Nearest(_fields(operation.input.fields)).to(field))
    if provider not in operations:
        yield wrong(f' to "{provider}", which is no operation', Nearest(tuple(operations)).to(provider))
    elif provider == operation.name:
        yield wrong(" to its own output", "bind it to an earlier operation")
    else:
        output = operations[provider].output
        if output.field(source) is None and (output.cls is not None or not _is_open(output.annotation)):
            yield wrong(
                f' to "{source}" of "{provider}", which outputs no such field',
                Nearest(_fields(output.fields)).to(source),
            )


def _is_open(annotation: object) -> bool:
    """Whether an output is a plain dict, whose fields nobody declares."""
    return annotation is dict or getattr(annotation, "__origin__", None) is dict


def _twice(what: str, declared: Sequence[_Declared]) -> Iterator[Finding]:
    first: dict[str, _Declared] = {}
    for spec in declared:
        if (known := first.setdefault(spec.name, spec)) is not spec:
            message = f'{what} "{spec.name}" is declared twice'
            yield Finding("PULPO206", message, spec.source, f"the first is at {known.source}; rename one of them")


def _groups(app: AppSpec) -> tuple[str, ...]:
    """Every domain and group, outer ones too."""
    found: dict[str, None] = {}
    for operation in app.operations:
        parts = operation.name.split(".")
        found.update(dict.fromkeys(".".join(parts[:count]) for count in range(1, len(parts))))
    return tuple(found)


def _fields(fields: Iterable[FieldSpec]) -> tuple[str, ...]:
    return tuple(field.name for field in fields)


def _all_fields(fields: Iterable[FieldSpec]) -> Iterator[FieldSpec]:
    """Fields, those of embedded classes and the entries of lists."""
    for field in fields:
        yield field
        yield from _all_fields((*field.fields, *((field.item,) if field.item else ())))


def _embedded(fields: Iterable[FieldSpec]) -> Iterator[str]:
    return (field.embedded for field in _all_fields(fields) if field.embedded)
