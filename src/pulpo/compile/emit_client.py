"""`generated/clients/typescript/`: a typed client of the API, as TypeScript sources without dependencies.

What is the same for every application stands in the templates as it is written. The rest is made here: the types of
what goes over the wire (by `wire`), the tree of operations, and what the client has.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, get_args

from pulpo import __version__
from pulpo.compile import typescript
from pulpo.compile.artifact import WIDTH, Artifact, render
from pulpo.compile.emit_application import sources
from pulpo.compile.identifiers import Identifiers
from pulpo.compile.typescript import Member, camel, literal, union
from pulpo.compile.wire import Wire
from pulpo.errors import CODES
from pulpo.runtime import bulk
from pulpo.runtime.journal import END_STATES
from pulpo.runtime.listing import RUN_STATES
from pulpo.runtime.metadata import VERSION
from pulpo.settings import Settings
from pulpo.spec import AppSpec, FlowPlan, Kind, OperationSpec

_FOLDER = "generated/clients/typescript"
_EXPORTS: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    (
        "documents",
        (),
        (
            "AggregateGroup", "AggregateOptions", "Bucket", "BulkResults", "BulkWrites", "Created", "Download",
            "ExportOptions", "Found", "GetOptions", "ListOptions", "ModelTypes", "Served", "Shown", "WriteResult",
        ),
    ),
    (
        "http",
        (),
        ("ClientOptions", "HeaderSource", "HttpRequest", "JsonAnswer", "KeyOptions", "MatchOptions", "RequestOptions"),
    ),
    ("meta", (), ("JsonSchema", "Meta", "MetaField", "MetaFlow", "MetaModel", "MetaOperation")),
    ("page", (), ("ListPage",)),
    (
        "problem",
        ("ApiConnectionError", "ApiError", "ApiProblem", "ApiTimeout"),
        ("FieldProblem", "ProblemCode", "ProblemDocument", "PulpoCode"),
    ),
    (
        "runs",
        (),
        (
            "ApplicationEvent", "BulkOperation", "CallResult", "DocumentChanged", "EndState", "Flow", "FlowPlan",
            "NoInput", "Operation", "OperationOutcome", "PlanStep", "Run", "RunChanged", "RunError", "RunEvent",
            "RunFilter", "RunListOptions", "RunSnapshot", "RunState", "RunWithSteps", "Runs", "StepChanged", "StepRun",
            "StepState",
        ),
    ),
    ("stream", (), ("Chunk", "EventOptions", "Message")),
    (
        "values",
        (),
        (
            "Changes", "ChoiceFilter", "ChoiceOperators", "IsoDate", "Money", "OrderedFilter", "OrderedOperators",
            "TextFilter", "TextOperators", "Timestamp",
        ),
    ),
)  # fmt: skip
"""What `index.ts` passes on of each module: values and types."""
_SAME = ("http", "values", "page", "stream", "documents")
"""Modules that are the same for every application and every version."""
_MEMBERS = ("events", "flows", "meta", "operations", "request", "runs", "then")
"""What the client has besides the models' documents; an object with a `then` could not be awaited."""
_NEVER = frozenset({"then"})
"""Names that no property of a tree has: what has a `then` that is a function is taken for a promise."""
_STAGES = "456"
"""The stages whose errors come over HTTP: running, storing, HTTP itself."""


def emit_client(app: AppSpec, plans: Mapping[str, FlowPlan], settings: Settings) -> tuple[Artifact, ...]:
    """The client's modules, its `package.json` and its `tsconfig.json`."""
    del settings  # every emitter is called alike; the client depends on what is declared alone
    wire = Wire(app, plans, ("Client", "createClient", *(name for _, *names in _EXPORTS for name in chain(*names))))
    codes = [(code, CODES[code].title) for code in CODES if code[len("PULPO")] in _STAGES]
    name = re.sub("[^a-z0-9]+", "-", app.name.lower()).strip("-") or "app"
    return (
        *(_module(module) for module in _SAME),
        _module("problem", codes=codes),
        _module("runs", states=RUN_STATES, ends=[state for state in RUN_STATES if state in END_STATES]),
        _module("meta", version_of_meta=VERSION, kind=Member("kind", union(map(literal, get_args(Kind))))),
        _module(
            "models",
            sources=sources((*app.models, *app.operations)),
            imports=_imported("values", wire),
            declarations=wire.declarations,
        ),
        _operations(app, plans, wire),
        _module("client", sources=sources(app.models), name=app.name, collections=_collections(app, wire)),
        _module("index", exports=_EXPORTS),
        _file("package.json", name=f"{name}-client", version=__version__, description=f"The API of {app.name}."),
        _file("tsconfig.json"),
    )


def _module(module: str, **values: Any) -> Artifact:
    tools = {name: getattr(typescript, name) for name in ("alias", "comment", "imported", "line")}
    return _file(f"{module}.ts", **tools, exported=_exported, **values)


def _file(file: str, **values: Any) -> Artifact:
    path = f"{_FOLDER}/{file}"
    return Artifact(path, render(f"clients/typescript/{file}.jinja", path=path, **values))


def _exported(module: str, values: Iterable[str], types: Iterable[str]) -> str:
    shown = [*values, *(f"type {name}" for name in types)]
    line = f'export {{ {", ".join(shown)} }} from "./{module}.js";'
    if len(line) <= WIDTH:
        return line
    return "export {\n" + "".join(f"  {name},\n" for name in shown) + f'}} from "./{module}.js";'


def _imported(module: str, wire: Wire) -> list[str]:
    """What `models.ts` needs of a module."""
    members = (member.type for each in wire.declarations for member in each.members or ())
    used = typescript.words((*members, *(each.type for each in wire.declarations)))
    return [name for of, _, types in _EXPORTS if of == module for name in types if name in used]


def _collections(app: AppSpec, wire: Wire) -> list[dict[str, str]]:
    """The models' documents as properties of the client."""
    taken = Identifiers(_MEMBERS, frozenset())
    return [
        {
            "name": taken.free(camel(model.collection)),
            "types": wire.documents[model.name],
            "path": model.path,
            "doc": model.description or f"The documents of {model.name}.",
        }
        for model in app.models
        if model.api
    ]


def _operations(app: AppSpec, plans: Mapping[str, FlowPlan], wire: Wire) -> Artifact:
    """The tree of operations, and the flows."""
    calls = [_Call(app, operation, wire) for operation in app.operations]
    taken = Identifiers((), _NEVER)
    flows = [
        {"name": taken.free(camel(name)), "flow": name, "input": wire.flows[name], "doc": plans[name].description}
        for name in sorted(plans)
    ]
    used = typescript.words((*(each.types for each in calls), *(flow["input"] for flow in flows)))
    imported = {each.function for each in calls} | ({"Flow"} if flows else set())
    return _module(
        "operations",
        sources=sources(app.operations),
        tree="\n".join(_branch(calls, 0)),
        flows=flows,
        models=sorted(used & {each.name for each in wire.declarations}),
        imports=[*sorted(imported), *(["type NoInput"] if "NoInput" in used else [])],
    )


class _Call:
    """An operation as a property of the tree."""

    def __init__(self, app: AppSpec, operation: OperationSpec, wire: Wire) -> None:
        self.operation = operation
        self.function = "bulkOperation" if bulk.served(app, operation) else "operation"
        self.types = f"{wire.inputs[operation.name]}, {wire.outputs[operation.name]}"

    @property
    def segments(self) -> list[str]:
        """`["orders", "checkout", "validate_items"]`."""
        return self.operation.name.split(".")

    def lines(self, name: str, indent: int) -> Iterator[str]:
        """The property, with what the operation says of itself."""
        pad = " " * indent
        if self.operation.description:
            yield typescript.comment(self.operation.description, indent=indent)
        begin, path = f"{pad}{name}: {self.function}<{self.types}>(", literal(self.operation.path)
        line = f"{begin}http, {path}),"
        yield from (line,) if len(line) <= WIDTH else (begin, f"{pad}  http,", f"{pad}  {path},", f"{pad}),")


def _branch(calls: list[_Call], depth: int) -> Iterator[str]:
    """The properties of the operations that have the same first segments: groups, then operations, as declared."""
    taken, indent = Identifiers((), _NEVER), 4 + 2 * depth
    groups: dict[str, list[_Call]] = {}
    for call in calls:
        if len(call.segments) > depth + 1:
            groups.setdefault(call.segments[depth], []).append(call)
    for segment, inside in groups.items():
        yield f"{' ' * indent}{taken.free(camel(segment))}: {{"
        yield from _branch(inside, depth + 1)
        yield f"{' ' * indent}}},"
    for call in calls:
        if len(call.segments) == depth + 1:
            yield from call.lines(taken.free(camel(call.operation.short)), indent)
