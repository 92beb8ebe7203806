"""The OpenAPI document of an application: a pure function of its description, the same bytes every time.

Long because a document is: most of it is the literal JSON of addresses. What every application has is in `built_in`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from pulpo import __version__, names
from pulpo.runtime import aggregation, bulk
from pulpo.runtime.bodies import BESIDE
from pulpo.runtime.http import built_in, parameters
from pulpo.runtime.http.built_in import ASK
from pulpo.runtime.http.parts import JSON, Parts, heads, share_answers
from pulpo.runtime.http.schemas import Schemas, ref
from pulpo.runtime.refusals import Refusal, refusals
from pulpo.settings import Settings
from pulpo.spec import AppSpec, FlowPlan, Json, ModelSpec, OperationSpec

_ONE = ("PULPO404", "PULPO604", "PULPO605")
_BODY = (
    "PULPO601",
    "PULPO602",
    "PULPO603",
    "PULPO606",
    "PULPO607",
    "PULPO608",
    "PULPO610",
    "PULPO507",
    "PULPO512",
    "PULPO505",
    "PULPO612",
)
_STORED = ("PULPO414",)
"""What is stored no longer fits its model."""
_WRITTEN = ("PULPO504", "PULPO510", "PULPO408")
_CHANGED = ("PULPO609", "PULPO611")
_CALLED = (
    *_BODY, "PULPO401", "PULPO402", "PULPO404", "PULPO405", "PULPO408", "PULPO409", "PULPO410", "PULPO411", "PULPO413",
    "PULPO415", "PULPO417",
)  # fmt: skip
_SUMMARY = {
    "list": "List {many}", "create": "Create {a} {one}", "get": "Get {a} {one}", "replace": "Replace {a} {one}",
    "patch": "Change {a} {one}", "delete": "Delete {a} {one}", "aggregate": "Count and sum {many} by groups",
    "export": "Export {many}", "bulk": "Create, change and delete many {many}",
}  # fmt: skip


def openapi(app: AppSpec, plans: Mapping[str, FlowPlan], settings: Settings) -> dict[str, Json]:
    """The OpenAPI 3.1 document: models, operations, flows, runs, and the problems that each can answer with."""
    schemas = Schemas(app, plans, parameters.filter_schemas(app))
    components = schemas.components()
    parts = Parts(components)
    paths: dict[str, Json] = {}
    changed = (*_CHANGED, "PULPO617") if settings.api.require_if_match else _CHANGED
    for model in app.models:
        paths.update(_model_paths(app, model, parts, changed))
    for operation in app.operations:
        paths[operation.path] = {"post": _operation(operation, schemas, parts)}
        if bulk.served(app, operation):
            paths[f"{operation.path}/bulk"] = {"post": _operation_bulk(operation, schemas, parts)}
    for name, plan in sorted(plans.items()):
        paths[f"/flows/{name}/runs"] = {"post": _flow(name, plan, parts)}
    every = {each for operation in app.operations for each in refusals(operation.function, said=operation.refuses)}
    paths.update(built_in.run_paths(parts, sorted(every)))
    paths.update(built_in.system_paths(parts))
    links = {name: each for model in app.models for name, each in _links(model).items()}
    shared = {"parameters": parameters.components(app, settings), **parts.components(), "links": links}
    shared["responses"] = {**shared["responses"], **share_answers(paths)}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": app.name,
            "version": __version__,
            "description": f"The API of {app.name}.\n\n{parameters.WORDS}",
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in _tags(app)],
        "paths": paths,
        "components": {"schemas": _reached(components, [paths, shared]), **shared},
    }


def _tags(app: AppSpec) -> list[str]:
    groups = dict.fromkeys(operation.group for operation in app.operations)
    collections = [model.collection for model in app.models if model.api]
    return [*collections, *(group for group in groups if group not in collections), "flows", "runs", "system"]


def _reached(schemas: Mapping[str, Json], document: Json) -> dict[str, Json]:
    """The schemas that something refers to."""
    found: set[str] = set()
    waiting = [document]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            target = part.get("$ref")
            name = target.rpartition("/")[2] if isinstance(target, str) and "/schemas/" in target else None
            if name is not None and name not in found:
                found.add(name)
                waiting.append(schemas[name])
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part
    return {name: schema for name, schema in schemas.items() if name in found}


# models


def _model_paths(app: AppSpec, model: ModelSpec, parts: Parts, changed: tuple[str, ...]) -> dict[str, Json]:
    one, many = names.snake(model.name), model.collection
    words = {"a": names.article(one), "one": one.replace("_", " "), "many": many.replace("_", " ")}
    served: dict[str, tuple[str, str, Callable[[], dict[str, Json]]]] = {
        "list": ("", "get", lambda: _list(app, model, parts)),
        "create": ("", "post", lambda: _create(model, parts)),
        "aggregate": ("/aggregate", "get", lambda: _aggregate(model, parts)),
        "export": ("/export", "get", lambda: _export(app, model, parts)),
        "bulk": ("/bulk", "post", lambda: _bulk(model, parts)),
        "get": ("/{id}", "get", lambda: _get(app, model, parts)),
        "replace": ("/{id}", "put", lambda: _change(model, "Replace", (JSON,), parts, changed)),
        "patch": (
            "/{id}",
            "patch",
            lambda: _change(model, "Patch", ("application/merge-patch+json", JSON), parts, changed),
        ),
        "delete": ("/{id}", "delete", lambda: _delete(model, parts, changed)),
    }
    paths: dict[str, Json] = {}
    for action, (suffix, method, made) in served.items():
        if any(needed in model.api for needed in BESIDE.get(action, (action,))):
            head = {
                "operationId": _operation_id(model, action),
                "summary": _SUMMARY[action].format(**words),
                "tags": [many],
            }
            if model.description and action == "list":
                head["description"] = model.description
            path = paths.setdefault(model.path + suffix, {"parameters": [_id(model)]} if suffix == "/{id}" else {})
            path[method] = {**head, **made()}
    return paths


def _operation_id(model: ModelSpec, action: str) -> str:
    many = action in ("list", "aggregate", "export", "bulk")
    return f"{action}_{model.collection if many else names.snake(model.name)}"


def _id(model: ModelSpec) -> Json:
    what = f"The id or the {model.key}." if model.key else "The id."
    return {"name": "id", "in": "path", "required": True, "description": what, "schema": {"type": "string"}}


def _list(app: AppSpec, model: ModelSpec, parts: Parts) -> dict[str, Json]:
    one = ref(model.name)
    page = {"type": "array", "items": {"anyOf": [one, ref(f"{model.name}View")]}}
    asked = [*_found(model), parameters.sort(model), *parameters.paging(), parameters.offset()]
    return {
        "parameters": [*asked, *parameters.view(app, model)],
        "responses": parts.answers({200: page}, ASK, headers=("Link", "X-Total-Count")),
    }


def _found(model: ModelSpec) -> list[Json]:
    """What says which documents are meant."""
    return [parameters.filters(model.name), parameters.search(model)]


def _aggregate(model: ModelSpec, parts: Parts) -> dict[str, Json]:
    groups = {"type": "array", "items": ref("Group"), "maxItems": aggregation.MOST}
    return {
        "parameters": [*_found(model), *parameters.figures(model)],
        "responses": parts.answers({200: groups}, ASK),
    }


def _export(app: AppSpec, model: ModelSpec, parts: Parts) -> dict[str, Json]:
    responses = parts.answers({200: None}, ASK, headers=("Content-Disposition",))
    text = {"schema": {"type": "string"}}
    responses["200"]["content"] = {"text/csv": text, "application/x-ndjson": text}
    fields = parameters.view(app, model)[:1]
    asked = [*_found(model), parameters.sort(model), *fields, parameters.format()]
    return {"parameters": asked, "responses": responses}


def _bulk(model: ModelSpec, parts: Parts) -> dict[str, Json]:
    items: dict[str, Json] = {
        "create": _checked_alone(ref(f"{model.name}Create")),
        "patch": {
            "type": "object",
            "properties": {
                "id": {"type": "string"},
                "version": {"type": ["integer", "null"], "minimum": 1},
                "changes": _checked_alone(ref(f"{model.name}Patch")),
            },
            "required": ["id", "changes"],
            "additionalProperties": False,
        },
        "delete": {"type": "string"},
    }
    done = [action for action in bulk.ACTIONS if action in model.api]
    lists = {action: {"type": "array", "items": items[action], "maxItems": bulk.MOST} for action in done}
    sent = {
        "type": "object",
        "description": f"At most {bulk.MOST} items; each is done by itself, in this order.",
        "properties": lists,
        "additionalProperties": False,
    }
    results = {action: {"type": "array", "items": ref("WriteResult")} for action in done}
    answer = {"type": "object", "properties": results, "additionalProperties": False}
    return {
        "parameters": [parameters.KEY],
        "requestBody": {**parts.body(sent), "required": True},
        "responses": parts.answers({200: answer}, _BODY),
    }


def _checked_alone(item: Json) -> Json:
    """An item that is not what it should be is no reason to refuse the others: its own result says so."""
    return {"anyOf": [item, {"type": "object"}]}


def _create(model: ModelSpec, parts: Parts) -> dict[str, Json]:
    codes = (*_BODY, *_WRITTEN, "PULPO501", "PULPO410", "PULPO411")
    created = parts.answers(
        {201: ref(model.name)},
        codes,
        headers=("Location", "ETag", "Idempotency-Replayed"),
        own=_refused(model, "before_create"),
    )
    links = _links(model)
    if links:
        created["201"]["links"] = {name.partition(".")[2]: {"$ref": f"#/components/links/{name}"} for name in links}
    return {
        "parameters": [parameters.KEY],
        "requestBody": parts.body(ref(f"{model.name}Create")),
        "responses": created,
    }


def _links(model: ModelSpec) -> dict[str, Json]:
    """From a document that was created to what can be done with it."""
    if "create" not in model.api:
        return {}
    return {
        f"{model.name}.{action}": {
            "operationId": _operation_id(model, action),
            "parameters": {"id": "$response.body#/id"},
        }
        for action in ("get", "replace", "patch", "delete")
        if action in model.api
    }


def _refused(model: ModelSpec, hook: str) -> tuple[Refusal, ...] | None:
    """What a model's hook refuses with; None where it has no such hook."""
    function = getattr(model.cls, hook, None)
    return None if function is None else refusals(function, model.cls)


def _get(app: AppSpec, model: ModelSpec, parts: Parts) -> dict[str, Json]:
    one = {"anyOf": [ref(model.name), ref(f"{model.name}View")]}
    responses = parts.answers({200: one}, (*ASK, *_ONE), headers=("ETag",))
    responses["304"] = {"description": "The client has this version", "headers": heads(("ETag",))}
    return {"parameters": [*parameters.view(app, model), parameters.IF_NONE_MATCH], "responses": responses}


def _change(
    model: ModelSpec, kind: str, media: Iterable[str], parts: Parts, changed: tuple[str, ...]
) -> dict[str, Json]:
    codes = (*_BODY, *_ONE, *_STORED, *_WRITTEN, *changed)
    return {
        "parameters": [parameters.IF_MATCH, parameters.IF_NONE_MATCH],
        "requestBody": {**parts.body(ref(model.name + kind), media), "required": True},
        "responses": parts.answers(
            {200: ref(model.name)}, codes, headers=("ETag",), own=_refused(model, "before_update")
        ),
    }


def _delete(model: ModelSpec, parts: Parts, changed: tuple[str, ...]) -> dict[str, Json]:
    codes = (*ASK, *_ONE, *_STORED, "PULPO408", "PULPO505", *changed)
    return {
        "parameters": [parameters.IF_MATCH, parameters.IF_NONE_MATCH],
        "responses": parts.answers({204: None}, codes, own=_refused(model, "before_delete")),
    }


# operations and flows


def _operation(operation: OperationSpec, schemas: Schemas, parts: Parts) -> dict[str, Json]:
    described: dict[str, Json] = {
        "operationId": operation.name,
        "summary": operation.title or names.title(operation.short),
        "tags": [operation.group],
        "parameters": [parameters.KEY],
        "responses": parts.answers(
            {200: schemas.output(operation)},
            _CALLED,
            headers=("Pulpo-Run", "Pulpo-Already", "Idempotency-Replayed"),
            own=refusals(operation.function, said=operation.refuses),
        ),
    }
    if operation.description:
        described["description"] = operation.description
    if operation.input.cls is not None:
        described["requestBody"] = parts.body(schemas.input(operation))
    return described


def _operation_bulk(operation: OperationSpec, schemas: Schemas, parts: Parts) -> dict[str, Json]:
    inputs = _checked_alone(schemas.input(operation)) if operation.input.cls is not None else {"type": "object"}
    result = {**ref("CallResult"), "properties": {"output": schemas.output(operation)}}
    return {
        "operationId": f"{operation.name}.bulk",
        "summary": f"{operation.title or names.title(operation.short)}, with many inputs",
        "tags": [operation.group],
        "parameters": [parameters.KEY],
        "requestBody": parts.body({"type": "array", "items": inputs, "maxItems": bulk.MOST}),
        "responses": parts.answers({200: {"type": "array", "items": result}}, _BODY),
    }


def _flow(name: str, plan: FlowPlan, parts: Parts) -> dict[str, Json]:
    started = parts.answers(
        {202: ref("Run")}, (*_BODY, "PULPO404", "PULPO406", "PULPO410", "PULPO411"), headers=("Location",)
    )
    started["202"]["links"] = built_in.run_links()
    described: dict[str, Json] = {
        "operationId": f"start_{name}",
        "summary": f"Start {names.title(name).lower()}",
        "tags": ["flows"],
        "parameters": [parameters.KEY],
        "requestBody": parts.body(ref(Schemas.flow_input_name(name))),
        "responses": started,
    }
    if plan.description:
        described["description"] = plan.description
    return described
