"""The HTTP API: a module per model and per group of operations, the ASGI application, and its OpenAPI document.

What is emitted is thin: it says which addresses there are and calls `pulpo.runtime.http`, where the work is done.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pulpo import names
from pulpo.compile.artifact import Artifact, call, json_lines, quoted, render
from pulpo.compile.identifiers import Identifiers
from pulpo.runtime import bulk
from pulpo.runtime.http.custom import merged
from pulpo.runtime.http.openapi import openapi
from pulpo.settings import Settings
from pulpo.spec import Action, AppSpec, FlowPlan, ModelSpec, OperationSpec

_FOLDER = "generated/api"
_APP_NAMES = ("app", "annotations", "application", "create_app", "generated")
_ROUTE_NAMES = ("APIRouter", "Request", "Response", "annotations", "application", "router")
_MODEL_NAMES = (*_ROUTE_NAMES, "ModelRoutes")
_GROUP_NAMES = (*_ROUTE_NAMES, "OperationRoutes", "operations")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A route as a function: its decorator, its signature, and the call it makes, each as written."""

    route: str
    signature: str
    doc: str
    body: str


@dataclass(frozen=True, slots=True)
class _Served:
    """How an action of a model is served; `needs`: it is served where one of these is, by default where itself is."""

    method: str
    function: str
    by_id: bool
    doc: str
    needs: tuple[Action, ...] = ()
    suffix: str = ""


# The addresses beside the documents come before those of the documents.
_ACTIONS: Mapping[str, _Served] = {
    "list": _Served("get", "list_{many}", by_id=False, doc="List {many}, a page at a time."),
    "create": _Served("post", "create_{one}", by_id=False, doc="Add {a} {one}."),
    "aggregate": _Served(
        "get",
        "aggregate_{many}",
        by_id=False,
        doc="Count and sum {many} by groups.",
        needs=("list",),
        suffix="/aggregate",
    ),
    "export": _Served(
        "get", "export_{many}", by_id=False, doc="Export {many} as CSV or NDJSON.", needs=("list",), suffix="/export"
    ),
    "bulk": _Served(
        "post",
        "bulk_{many}",
        by_id=False,
        doc="Create, change and remove many {many}.",
        needs=bulk.ACTIONS,
        suffix="/bulk",
    ),
    "get": _Served("get", "get_{one}", by_id=True, doc="Get the {one} with this id{key}."),
    "replace": _Served("put", "replace_{one}", by_id=True, doc="Put a whole new {one} in place."),
    "patch": _Served("patch", "patch_{one}", by_id=True, doc="Change fields of {a} {one} (RFC 7386)."),
    "delete": _Served("delete", "delete_{one}", by_id=True, doc="Remove {a} {one} that nothing refers to."),
}


def emit_api(app: AppSpec, plans: Mapping[str, FlowPlan], settings: Settings) -> tuple[Artifact, ...]:
    """`generated/api/` and `openapi.json`."""
    taken = Identifiers(_APP_NAMES)
    models = {model.name: taken.free(model.collection) for model in app.models if model.api}
    groups: dict[str, list[OperationSpec]] = {}
    for operation in app.operations:
        groups.setdefault(operation.group, []).append(operation)
    modules = {group: _group_module(group, taken) for group in sorted(groups)}
    package = f"{_FOLDER}/__init__.py"
    return (
        _application(app, (*models.values(), *modules.values())),
        *(_model(app.model(name), module) for name, module in models.items()),
        *(_group(app, groups[group], module) for group, module in modules.items()),
        Artifact(package, render("api/package.py.jinja", path=package, name=app.name)),
        Artifact("openapi.json", json_lines(merged(openapi(app, plans, settings), app.routes))),
    )


def _group_module(group: str, taken: Identifiers) -> str:
    """`orders_checkout`; `orders_operations` where a model's module has the group's name."""
    wanted = names.identifier(group)
    free = taken.free(wanted)
    return free if free == wanted else taken.free(f"{wanted}_operations")


def _application(app: AppSpec, modules: tuple[str, ...]) -> Artifact:
    path = f"{_FOLDER}/app.py"
    return Artifact(
        path,
        render(
            "api/app.py.jinja",
            path=path,
            sources=_sources((*app.models, *app.operations)),
            name=app.name,
            modules=sorted(modules),
            routers=[f"{module}.router" for module in modules],
        ),
    )


def _model(model: ModelSpec, module: str) -> Artifact:
    path = f"{_FOLDER}/{module}.py"
    taken = Identifiers(_MODEL_NAMES)
    documents = taken.free(model.collection)
    return Artifact(
        path,
        render(
            "api/model.py.jinja",
            path=path,
            sources=_sources((model,)),
            doc=f"The addresses under `{model.path}`: the documents of {model.name}.",
            tag=model.collection,
            documents=documents,
            model=model.name,
            endpoints=[_action(model, action, documents, taken) for action in _ACTIONS if _is_served(model, action)],
        ),
    )


def _is_served(model: ModelSpec, action: str) -> bool:
    return any(needed in model.api for needed in _ACTIONS[action].needs or (action,))


def _action(model: ModelSpec, action: str, documents: str, taken: Identifiers) -> Endpoint:
    served = _ACTIONS[action]
    one, many = names.snake(model.name), model.collection
    path = model.path + ("/{id}" if served.by_id else served.suffix)
    operation_id = served.function.format(one=one, many=many)
    key = f" or {model.key}" if model.key else ""
    words = {"a": names.article(one), "one": one.replace("_", " "), "many": many.replace("_", " "), "key": key}
    arguments = ("request", "id") if served.by_id else ("request",)
    return Endpoint(
        _route(served.method, path, operation_id, status=_STATUS.get(action)),
        _signature(taken.free(operation_id), by_id=served.by_id),
        served.doc.format(**words),
        call(f"{documents}.{action}", arguments, indent=4, prefix="return await "),
    )


_STATUS: Mapping[str, int] = {"create": 201, "delete": 204}


def _group(app: AppSpec, operations: Iterable[OperationSpec], module: str) -> Artifact:
    path = f"{_FOLDER}/{module}.py"
    operations = tuple(operations)
    bulks = {operation.name: f"{operation.name}.bulk" for operation in operations if bulk.served(app, operation)}
    taken = Identifiers(_GROUP_NAMES)
    functions = taken.of_operations(operation.name for operation in operations)
    endpoints = []
    for operation in operations:
        doc = operation.description or operation.title or names.title(operation.short)
        endpoints.append(_call(operation, operation.path, operation.name, functions[operation.name], doc, "call"))
        if operation.name in bulks:
            id, doc = bulks[operation.name], f"Call `{operation.name}` with many inputs."
            function = taken.free(f"{functions[operation.name]}_bulk")
            endpoints.append(_call(operation, f"{operation.path}/bulk", id, function, doc, "call_many"))
    group = operations[0].group
    return Artifact(
        path,
        render(
            "api/group.py.jinja",
            path=path,
            sources=_sources(operations),
            doc=f"The addresses of the operations in `{group}`.",
            tag=group,
            endpoints=endpoints,
        ),
    )


def _call(operation: OperationSpec, path: str, id: str, function: str, doc: str, method: str) -> Endpoint:
    arguments = (quoted(operation.name), "request")
    return Endpoint(
        _route("post", path, id),
        _signature(function, by_id=False),
        doc,
        call(f"operations.{method}", arguments, indent=4, prefix="return await "),
    )


def _route(method: str, path: str, operation_id: str, status: int | None = None) -> str:
    arguments = [quoted(path), f"operation_id={quoted(operation_id)}"]
    if status is not None:
        arguments.append(f"status_code={status}")
    return call(f"@router.{method}", arguments)


def _signature(function: str, *, by_id: bool) -> str:
    parameters = ["request: Request", "id: str"] if by_id else ["request: Request"]
    return call(f"async def {function}", parameters, suffix=" -> Response:")


def _sources(specs: Iterable[ModelSpec | OperationSpec]) -> tuple[str, ...]:
    return tuple(sorted({spec.source.file for spec in specs if spec.source is not None}))
