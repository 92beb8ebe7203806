"""The OpenAPI document of an application: a pure function of its description, the same bytes every time.

Long because a document is: most of it is the literal JSON of addresses that every application has.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from pulpo import __version__, names
from pulpo.errors import CODES
from pulpo.runtime import aggregation, bulk, export
from pulpo.runtime.expansion import expandables
from pulpo.runtime.filters import CLAUSES, Fields, Leaf
from pulpo.runtime.http.schemas import Schemas, ref
from pulpo.runtime.listing import DEEPEST, PAGE, RUN_FIELDS, SORTED
from pulpo.settings import Settings
from pulpo.spec import AppSpec, FlowPlan, Json, ModelSpec, OperationSpec

_JSON = "application/json"
_READ = ("PULPO404", "PULPO606", "PULPO612")
_BODY = (
    "PULPO601",
    "PULPO602",
    "PULPO603",
    "PULPO606",
    "PULPO607",
    "PULPO608",
    "PULPO610",
    "PULPO507",
    "PULPO505",
    "PULPO612",
)
_ASK = ("PULPO603", "PULPO606", "PULPO610", "PULPO507", "PULPO612")
_SUCCESS = {200: "Done", 201: "Created", 202: "Accepted", 204: "Done; there is no body"}
_SUMMARY = {
    "list": "List {many}", "create": "Create a {one}", "get": "Get a {one}", "replace": "Replace a {one}",
    "patch": "Change a {one}", "delete": "Delete a {one}", "aggregate": "Count and sum {many} by groups",
    "export": "Export {many}", "bulk": "Create, change and delete many {many}",
}  # fmt: skip


_NEEDS: Mapping[str, tuple[str, ...]] = {"aggregate": ("list",), "export": ("list",), "bulk": bulk.ACTIONS}
"""What is served where one of these is."""


def openapi(app: AppSpec, plans: Mapping[str, FlowPlan], settings: Settings) -> dict[str, Json]:
    """The OpenAPI 3.1 document: models, operations, flows, runs, and the problems that each can answer with."""
    schemas = Schemas(app, plans)
    paths: dict[str, Json] = {}
    for model in app.models:
        paths.update(_model_paths(app, model, settings))
    for operation in app.operations:
        paths[operation.path] = {"post": _operation(operation, schemas)}
        if bulk.served(app, operation):
            paths[f"{operation.path}/bulk"] = {"post": _operation_bulk(operation, schemas)}
    for name, plan in sorted(plans.items()):
        paths[f"/flows/{name}/runs"] = {"post": _flow(name, plan)}
    paths.update(_run_paths(settings))
    paths.update(_system_paths())
    return {
        "openapi": "3.1.0",
        "info": {"title": app.name, "version": __version__, "description": f"The API of {app.name}."},
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in _tags(app)],
        "paths": paths,
        "components": {
            "schemas": schemas.components(),
            "parameters": _parameters(app),
            "headers": _headers(),
        },
    }


def _tags(app: AppSpec) -> list[str]:
    groups = dict.fromkeys(operation.group for operation in app.operations)
    collections = [model.collection for model in app.models if model.api]
    return [*collections, *(group for group in groups if group not in collections), "flows", "runs", "system"]


# models


def _model_paths(app: AppSpec, model: ModelSpec, settings: Settings) -> dict[str, Json]:
    one, many = names.snake(model.name), model.collection
    words = {"one": one.replace("_", " "), "many": many.replace("_", " ")}
    named = {
        "list": f"list_{many}", "create": f"create_{one}", "get": f"get_{one}", "replace": f"replace_{one}",
        "patch": f"patch_{one}", "delete": f"delete_{one}", "aggregate": f"aggregate_{many}",
        "export": f"export_{many}", "bulk": f"bulk_{many}",
    }  # fmt: skip
    served: dict[str, tuple[str, str, dict[str, Json]]] = {
        "list": ("", "get", _list(app, model, settings)),
        "create": ("", "post", _create(model)),
        "aggregate": ("/aggregate", "get", _aggregate(model)),
        "export": ("/export", "get", _export(app, model)),
        "bulk": ("/bulk", "post", _bulk(model)),
        "get": ("/{id}", "get", _get(app, model)),
        "replace": ("/{id}", "put", _change(model, "Replace", _JSON)),
        "patch": ("/{id}", "patch", _change(model, "Patch", "application/merge-patch+json")),
        "delete": ("/{id}", "delete", _delete(model)),
    }
    paths: dict[str, Json] = {}
    for action, (suffix, method, made) in served.items():
        if any(needed in model.api for needed in _NEEDS.get(action, (action,))):
            head = {"operationId": named[action], "summary": _SUMMARY[action].format(**words), "tags": [many]}
            if model.description and action == "list":
                head["description"] = model.description
            path = paths.setdefault(model.path + suffix, {"parameters": [_id(model)]} if suffix == "/{id}" else {})
            path[method] = {**head, **made}
    return paths


def _id(model: ModelSpec) -> Json:
    what = f"The id or the {model.key}." if model.key else "The id."
    return {"name": "id", "in": "path", "required": True, "description": what, "schema": {"type": "string"}}


def _list(app: AppSpec, model: ModelSpec, settings: Settings) -> dict[str, Json]:
    one = ref(model.name)
    page = {"type": "array", "items": {"anyOf": [one, ref(f"{model.name}View")]}}
    offset = {"type": "integer", "minimum": 0, "maximum": DEEPEST, "default": 0, "description": "Not with `cursor`."}
    parameters = [*_filters(model), _sort(model), *_paging(settings), _query("offset", offset), *_view(app, model)]
    return {
        "parameters": parameters,
        "responses": _responses({200: page}, (*_ASK,), headers=("Link", "X-Total-Count")),
    }


def _aggregate(model: ModelSpec) -> dict[str, Json]:
    fields = Fields.of(model.fields)
    units = "|".join(aggregation.BUCKETS)
    paths = "|".join(re.escape(path) for path in aggregation.timed(fields))
    buckets = {
        "type": "string",
        "pattern": f"^({paths}):({units})$",
        "description": "A time or date and a stretch (UTC): `created_at:day`. Dates have no hours.",
    }
    numbers = list(aggregation.summed(fields))
    parameters = [
        *_filters(model),
        _names("group", list(aggregation.grouped(fields)), "What makes groups; with `bucket` at most three."),
        _query("bucket", buckets),
        _query("count", {"enum": ["", "true"], "description": "Every group says its count."}),
        _names("sum", numbers, "What is summed; amounts exactly."),
        _names("avg", numbers, "What is averaged: of the values that are there, amounts to their own decimals."),
    ]
    groups = {"type": "array", "items": ref("Group"), "maxItems": aggregation.MOST}
    return {"parameters": parameters, "responses": _responses({200: groups}, _ASK)}


def _export(app: AppSpec, model: ModelSpec) -> dict[str, Json]:
    format = {"enum": list(export.FORMATS), "default": "ndjson"}
    fields = [each for each in _view(app, model) if each["name"] == "fields"]
    responses = _responses({200: None}, _ASK, headers=("Content-Disposition",))
    text = {"schema": {"type": "string"}}
    responses["200"]["content"] = {"text/csv": text, "application/x-ndjson": text}
    return {"parameters": [*_filters(model), _sort(model), *fields, _query("format", format)], "responses": responses}


def _bulk(model: ModelSpec) -> dict[str, Json]:
    parts: dict[str, Json] = {
        "create": ref(f"{model.name}Create"),
        "patch": {
            "type": "object",
            "properties": {
                "id": {"type": "string"},
                "version": {"type": ["integer", "null"], "minimum": 1},
                "changes": ref(f"{model.name}Patch"),
            },
            "required": ["id", "changes"],
            "additionalProperties": False,
        },
        "delete": {"type": "string"},
    }
    done = [action for action in bulk.ACTIONS if action in model.api]
    lists = {action: {"type": "array", "items": parts[action], "maxItems": bulk.MOST} for action in done}
    body = {
        "type": "object",
        "description": f"At most {bulk.MOST} items; each is done by itself, in this order.",
        "properties": lists,
        "additionalProperties": False,
    }
    results = {action: {"type": "array", "items": ref("WriteResult")} for action in done}
    answer = {"type": "object", "properties": results, "additionalProperties": False}
    return {
        "parameters": [_KEY],
        "requestBody": _request(body),
        "responses": _responses({200: answer}, _BODY),
    }


def _operation_bulk(operation: OperationSpec, schemas: Schemas) -> dict[str, Json]:
    inputs = schemas.input(operation) if operation.input.cls is not None else {"type": "object"}
    result = {**ref("CallResult"), "properties": {"output": schemas.output(operation)}}
    return {
        "operationId": f"{operation.name}.bulk",
        "summary": f"{operation.title or names.title(operation.short)}, with many inputs",
        "tags": [operation.group],
        "parameters": [_KEY],
        "requestBody": _request({"type": "array", "items": inputs, "maxItems": bulk.MOST}),
        "responses": _responses({200: {"type": "array", "items": result}}, _BODY),
    }


def _sort(model: ModelSpec) -> Json:
    words = f"Of {', '.join(Fields.of(model.fields).sortable)}; `-` for descending."
    return _query("sort", {"type": "string", "default": SORTED, "description": words})


def _view(app: AppSpec, model: ModelSpec) -> list[Json]:
    """What of a document is asked for."""
    found = [_names("fields", [field.name for field in model.fields], "Only these fields, and the `id`.")]
    names = [each.name for each in expandables(app, model)]
    return [*found, _names("expand", names, "References to put the documents of.")] if names else found


def _names(name: str, values: list[str], description: str) -> Json:
    items = {"type": "array", "items": {"enum": values}, "minItems": 1}
    return {
        "name": name, "in": "query", "description": description, "style": "form", "explode": False, "schema": items,
    }  # fmt: skip


# filters

_MEANING = {
    "eq": "this; given twice, one of these", "ne": "not this", "in": "one of these", "nin": "none of these",
    "gt": "greater", "gte": "this or greater", "lt": "less", "lte": "this or less", "contains": "text with this in it",
    "startswith": "text that begins with this",
}  # fmt: skip


def _filters(model: ModelSpec) -> list[Json]:
    """References to a model's filters, and `q`."""
    found = [{"$ref": f"#/components/parameters/{name}"} for name in _filters_of(model)]
    searched = Fields.of(model.fields).searched
    words = f"A text, in {', '.join(searched)}, whatever its case. A request has at most {CLAUSES} filters."
    return [*found, {**_query("q", {"type": "string"}), "description": words}]


def _parameters(app: AppSpec) -> dict[str, Json]:
    return {name: each for model in app.models if "list" in model.api for name, each in _filters_of(model).items()}


def _filters_of(model: ModelSpec) -> dict[str, Json]:
    """Component -> parameter, of every filter that a model's lists have."""
    found = {}
    for path, leaf in Fields.of(model.fields).leaves.items():
        for operator in leaf.operators:
            suffix = "" if operator == "eq" else f".{operator}"
            found[f"{model.name}.{path}{suffix}"] = _filter(leaf, operator)
    return found


def _filter(leaf: Leaf, operator: str) -> Json:
    several = operator in ("eq", "in", "nin")
    items = _value(leaf)
    schema: Json = {"type": "array", "items": items} if several else items
    if operator in ("in", "nin"):
        schema = {**schema, "minItems": 1}
    name = leaf.path if operator == "eq" else f"{leaf.path}[{operator}]"
    found = {"name": name, "in": "query", "description": f"{leaf.path}: {_MEANING[operator]}.", "schema": schema}
    return {**found, "explode": False} if operator in ("in", "nin") else found


def _value(leaf: Leaf) -> dict[str, Json]:
    types: dict[str, dict[str, Json]] = {
        "integer": {"type": "integer", "minimum": -(10**18) + 1, "maximum": 10**18 - 1},
        "number": {"type": "number"},
        "money": {"type": "number"},
        "boolean": {"type": "boolean"},
        "datetime": {"type": "string", "format": "date-time"},
        "date": {"type": "string", "format": "date"},
        "enum": {"enum": list(leaf.spec.values)},
    }
    return types.get(leaf.spec.kind, {"type": "string"})


def _paging(settings: Settings) -> list[Json]:
    most = settings.api.page_limit
    return [
        _query("limit", {"type": "integer", "minimum": 1, "maximum": most, "default": min(PAGE, most)}),
        _query("cursor", {"type": "string", "description": "From the `Link` of the page before."}),
        _query("count", {"type": "boolean", "default": False, "description": "Answer with `X-Total-Count`."}),
    ]


def _query(name: str, schema: dict[str, Json]) -> Json:
    return {"name": name, "in": "query", "schema": schema}


def _header(name: str, description: str) -> Json:
    return {"name": name, "in": "header", "description": description, "schema": {"type": "string"}}


_KEY = _header("Idempotency-Key", "Asked again with the same key and body, the first answer is given again.")
_IF_NONE_MATCH = _header("If-None-Match", "304 if the document is at this version: its ETag. Not with `expand`.")
_IF_MATCH = _header("If-Match", "Only if the document is at this version: its ETag.")
_UNLESS = _header("If-None-Match", "Not if the document is at this version, or `*`: not if it is there.")


def _create(model: ModelSpec) -> dict[str, Json]:
    codes = (*_BODY, "PULPO501", "PULPO504", "PULPO510", "PULPO408", "PULPO410", "PULPO411")
    return {
        "parameters": [_KEY],
        "requestBody": _request(ref(f"{model.name}Create")),
        "responses": _responses({201: ref(model.name)}, codes, headers=("Location", "ETag", "Idempotency-Replayed")),
    }


def _get(app: AppSpec, model: ModelSpec) -> dict[str, Json]:
    one = {"anyOf": [ref(model.name), ref(f"{model.name}View")]}
    responses = _responses({200: one}, (*_ASK, *_READ), headers=("ETag",))
    responses["304"] = {
        "description": "The client has this version",
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in ("ETag", "X-Request-ID")},
    }
    return {"parameters": [*_view(app, model), _IF_NONE_MATCH], "responses": responses}


def _change(model: ModelSpec, kind: str, media: str) -> dict[str, Json]:
    codes = (*_BODY, "PULPO404", "PULPO504", "PULPO510", "PULPO408", "PULPO609", "PULPO611")
    schema = ref(model.name + kind)
    content = {media: {"schema": schema}} if media == _JSON else {media: {"schema": schema}, _JSON: {"schema": schema}}
    return {
        "parameters": [_IF_MATCH, _UNLESS],
        "requestBody": {"required": True, "content": content},
        "responses": _responses({200: ref(model.name)}, codes, headers=("ETag",)),
    }


def _delete(model: ModelSpec) -> dict[str, Json]:
    del model
    codes = (*_ASK, "PULPO404", "PULPO408", "PULPO505", "PULPO609", "PULPO611")
    return {"parameters": [_IF_MATCH, _UNLESS], "responses": _responses({204: None}, codes)}


# operations, flows, runs


def _operation(operation: OperationSpec, schemas: Schemas) -> dict[str, Json]:
    codes = (*_BODY, "PULPO401", "PULPO402", "PULPO404", "PULPO408", "PULPO409", "PULPO410", "PULPO411")
    described: dict[str, Json] = {
        "operationId": operation.name,
        "summary": operation.title or names.title(operation.short),
        "tags": [operation.group],
        "parameters": [_KEY],
        "responses": _responses(
            {200: schemas.output(operation)},
            (*codes, "application"),
            headers=("Pulpo-Run", "Pulpo-Already", "Idempotency-Replayed"),
        ),
    }
    if operation.description:
        described["description"] = operation.description
    if operation.input.cls is not None:
        described["requestBody"] = _request(schemas.input(operation))
    return described


def _flow(name: str, plan: FlowPlan) -> dict[str, Json]:
    codes = (*_BODY, "PULPO404", "PULPO406", "PULPO410", "PULPO411")
    described: dict[str, Json] = {
        "operationId": f"start_{name}",
        "summary": f"Start {names.title(name).lower()}",
        "tags": ["flows"],
        "parameters": [_KEY],
        "requestBody": _request(ref(Schemas.flow_input_name(name))),
        "responses": _responses({202: ref("Run")}, codes, headers=("Location",)),
    }
    if plan.description:
        described["description"] = plan.description
    return described


def _run_paths(settings: Settings) -> dict[str, Json]:
    id_parameter = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
    name_parameter = {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}
    plan, run = ref("Plan"), ref("Run")
    acts = {"cancel": "Cancel a run", "retry": "Retry a run", "wake": "Try a waiting run now"}
    paths: dict[str, Json] = {
        "/flows": {"get": _plain("list_flows", "List the flows", "flows", {"type": "array", "items": plan}, _ASK)},
        "/flows/{name}": {
            "parameters": [name_parameter],
            "get": _plain("get_flow", "Get a flow's plan", "flows", plan, (*_ASK, "PULPO404")),
        },
        "/runs": {
            "get": {
                "operationId": "list_runs",
                "summary": "List runs, the newest first",
                "tags": ["runs"],
                "parameters": [*_run_filters(), *_paging(settings)],
                "responses": _responses(
                    {200: {"type": "array", "items": run}}, _ASK, headers=("Link", "X-Total-Count")
                ),
            }
        },
        "/runs/{id}": {
            "parameters": [id_parameter],
            "get": _plain("get_run", "Get a run with its steps", "runs", run, (*_ASK, "PULPO404")),
        },
        "/runs/{id}/events": {
            "parameters": [id_parameter],
            "get": _events("run_events", "Watch a run until it ends", "runs", (*_ASK, "PULPO404", "PULPO509")),
        },
    }
    for act, summary in acts.items():
        body = {"cancel": "Cancelling", "retry": "Retrying", "wake": "Waking"}[act]
        paths[f"/runs/{{id}}/{act}"] = {
            "parameters": [id_parameter],
            "post": {
                "operationId": f"{act}_run",
                "summary": summary,
                "tags": ["runs"],
                "requestBody": {**_request(ref(body)), "required": False},
                "responses": _responses(
                    {202: run}, (*_BODY, "PULPO404", "PULPO406", "PULPO407", "PULPO408"), headers=("Location",)
                ),
            },
        }
    return paths


def _run_filters() -> list[Json]:
    return [_filter(leaf, operator) for leaf in RUN_FIELDS.leaves.values() for operator in leaf.operators]


def _system_paths() -> dict[str, Json]:
    status = {"type": "object", "properties": {"status": {"type": "string"}}, "required": ["status"]}
    ready = {
        "type": "object",
        "properties": {"status": {"enum": ["ok", "down"]}, "down": {"type": "array", "items": {"type": "string"}}},
        "required": ["status", "down"],
    }
    readyz = _plain("readyz", "Whether requests can be served", "system", ready, ("PULPO606",))
    readyz["responses"]["503"] = {"description": "Something is down", "content": {_JSON: {"schema": ready}}}
    text = {"application/openmetrics-text": {"schema": {"type": "string"}}}
    metrics = _plain("metrics", "Counters, as OpenMetrics", "system", {}, ("PULPO606", "PULPO507"))
    metrics["responses"]["200"]["content"] = text
    anything = {"type": "object", "additionalProperties": True}
    meta = {**anything, "properties": {"version": {"type": "integer"}}, "required": ["version"]}
    return {
        "/events": {"get": _events("events", "Watch everything", "system", (*_ASK, "PULPO509"))},
        "/meta": {"get": _plain("meta", "The application, described", "system", meta, _ASK)},
        "/openapi.json": {"get": _plain("openapi", "This document", "system", anything, ("PULPO606",))},
        "/livez": {"get": _plain("livez", "Whether the process lives", "system", status, ("PULPO606",))},
        "/readyz": {"get": readyz},
        "/metrics": {"get": metrics},
    }


def _plain(id: str, summary: str, tag: str, schema: Json, codes: Iterable[str]) -> dict[str, Json]:
    return {"operationId": id, "summary": summary, "tags": [tag], "responses": _responses({200: schema}, codes)}


def _events(id: str, summary: str, tag: str, codes: Iterable[str]) -> dict[str, Json]:
    responses = _responses({200: None}, codes)
    responses["200"]["content"] = {"text/event-stream": {"schema": {"type": "string"}}}
    if tag == "runs":
        responses["204"] = {"description": "The run has ended, and nothing came after the cursor"}
    parameters = [_query("cursor", {"type": "string"}), _header("Last-Event-ID", "The cursor, as browsers send it.")]
    return {"operationId": id, "summary": summary, "tags": [tag], "parameters": parameters, "responses": responses}


# parts


def _request(schema: Json) -> dict[str, Json]:
    return {"required": True, "content": {_JSON: {"schema": schema}}}


def _responses(success: Mapping[int, Json], codes: Iterable[str], headers: Iterable[str] = ()) -> dict[str, Any]:
    """The answers: what success looks like, and a problem per status with the codes that it can have."""
    found: dict[str, Any] = {}
    for status, schema in success.items():
        answer: dict[str, Json] = {"description": _SUCCESS[status]}
        answer["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in (*headers, "X-Request-ID")}
        if schema is not None:
            answer["content"] = {_JSON: {"schema": schema}}
        found[str(status)] = answer
    by_status: dict[int, list[str]] = {}
    codes = tuple(dict.fromkeys(codes))
    for code in codes:
        if code != "application":
            by_status.setdefault(CODES[code].status, []).append(code)
    if "application" in codes:
        found["4XX"] = _problem("Refused by the application, in a code of its own")
    for status in sorted(by_status):
        titles = "; ".join(f"{code}: {CODES[code].title}" for code in by_status[status])
        found[str(status)] = _problem(titles)
    return found


def _problem(description: str) -> dict[str, Json]:
    return {"description": description, "content": {"application/problem+json": {"schema": ref("Problem")}}}


def _headers() -> dict[str, Json]:
    words = {
        "Content-Disposition": "The name of the file.",
        "ETag": "The document's version, for If-Match.",
        "Idempotency-Replayed": "`true`: the answer to an earlier request with the same key.",
        "Link": 'The next page, as `rel="next"`; missing on the last one.',
        "Location": "Where what was made can be read.",
        "Pulpo-Already": "`true`: the effect was there before, and nothing was changed.",
        "Pulpo-Run": "The run that the operation was.",
        "X-Request-ID": "The id under which the log knows this request.",
        "X-Total-Count": "How many there are on all pages, where `count=true` asked for it.",
    }
    return {name: {"description": text, "schema": {"type": "string"}} for name, text in words.items()}
