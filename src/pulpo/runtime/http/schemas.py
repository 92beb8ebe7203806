"""The schemas of the OpenAPI document: models to read and to write, inputs and outputs, runs, plans, problems."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from pulpo.runtime.bodies import STAMPS
from pulpo.runtime.expansion import expandables
from pulpo.runtime.listing import RUN_STATES
from pulpo.runtime.metadata import clean
from pulpo.runtime.shapes import closing, flow_input
from pulpo.spec import AppSpec, FlowPlan, Json, ModelSpec, OperationSpec

_PREFIX = "#/components/schemas/"


def ref(name: str) -> dict[str, Json]:
    """A reference to a component."""
    return {"$ref": _PREFIX + name}


class Schemas:
    """Every schema of an application, in one set of components, so that each class has one name.

    Args:
        app: What is described.
        plans: Its flows.
        more: Components that stand beside these: no class of the application goes by their names.
    """

    def __init__(self, app: AppSpec, plans: Mapping[str, FlowPlan], more: Mapping[str, Json]) -> None:
        self._app, self._plans, self._more = app, plans, {**_own(), **more}
        wanted: list[tuple[str, JsonSchemaMode, TypeAdapter[Any]]] = []
        for model in app.models:
            if model.api:
                wanted.append((model.name, "serialization", TypeAdapter(model.cls)))
                if model.api != ("list", "get"):
                    wanted.append((model.name, "validation", TypeAdapter(model.cls)))
        for operation in app.operations:
            if operation.input.cls is not None:
                wanted.append((operation.name, "validation", TypeAdapter(operation.input.cls)))
            output = operation.output.cls if operation.output.cls is not None else operation.output.annotation
            wanted.append((operation.name, "serialization", TypeAdapter(output)))
        wanted += [(f"flow {name}", "validation", TypeAdapter(flow_input(plans[name], app))) for name in sorted(plans)]
        self._inputs = {each.name: each.input.cls for each in app.operations if each.input.cls is not None}
        found, rest = TypeAdapter.json_schemas(wanted, ref_template=_PREFIX + "{model}")
        defs = clean(rest.get("$defs", {}))
        for name, mode, _ in wanted:
            operation_ = self._inputs.get(name) if mode == "validation" else None
            if operation_ is not None:
                _close(found[name, mode], defs, *closing(operation_))
        named = self._renamed(defs)
        self._found = {key: _with_names(clean(schema), named) for key, schema in found.items()}
        self._defs: dict[str, Json] = {
            named.get(name, name): _with_names(schema, named) for name, schema in defs.items()
        }

    def _renamed(self, defs: Mapping[str, Json]) -> dict[str, str]:
        """Old name -> new one of classes that are called like a component of Pulpo's own."""
        made = {f"{model.name}{what}" for model in self._app.models for what in ("View", "Create", "Replace", "Patch")}
        taken = made | set(self._more)
        found: dict[str, str] = {}
        for name in sorted(taken & set(defs)):
            new = f"App{name}"
            while new in taken or new in defs:
                new += "_"
            found[name] = new
        return found

    def input(self, operation: OperationSpec) -> Json:
        """An operation's input."""
        return self._found[operation.name, "validation"]

    def output(self, operation: OperationSpec) -> Json:
        """An operation's output."""
        return self._found[operation.name, "serialization"]

    @staticmethod
    def flow_input_name(flow: str) -> str:
        """The component that is a flow's input."""
        return f"flow.{flow}.input"

    def components(self) -> dict[str, Json]:
        """All components, sorted by name."""
        found: dict[str, Json] = dict(self._defs)
        for model in self._app.models:
            if not model.api:
                continue
            found[model.name] = self._whole(model, "serialization")
            if "list" in model.api or "get" in model.api:
                found[f"{model.name}View"] = _view(self._app, model, found[model.name])
            if any(action in model.api for action in ("create", "replace", "patch")):
                found.update(_writable(model, self._whole(model, "validation")))
        for name in sorted(self._plans):
            found[self.flow_input_name(name)] = self._found[f"flow {name}", "validation"]
        found.update(self._more)
        return {name: _untitled(found[name]) for name in sorted(found)}

    def _whole(self, model: ModelSpec, mode: JsonSchemaMode) -> Json:
        schema = self._found[model.name, mode]
        name = schema.get("$ref", "").removeprefix(_PREFIX)
        return self._defs[name] if name else schema


def _close(schema: Json, defs: Mapping[str, Json], closed: bool, whole: bool) -> None:
    """Say of an input what is refused: fields that nobody declares."""
    seen: set[str] = set()

    def close(part: Json, depth: int) -> None:
        if isinstance(part, list):
            for each in part:
                close(each, depth)
        if not isinstance(part, dict):
            return
        name = str(part.get("$ref", "")).removeprefix(_PREFIX)
        if name in defs and name not in seen:
            seen.add(name)
            close(defs[name], depth)
        if part.get("type") == "object" and "properties" in part:
            if closed if depth == 0 else whole:
                part.setdefault("additionalProperties", False)
            depth += 1
            for member in part["properties"].values():
                close(member, depth)
            return
        for word in ("anyOf", "oneOf", "allOf", "items", "prefixItems", "additionalProperties"):
            close(part.get(word), depth)

    close(schema, 0)


def _view(app: AppSpec, model: ModelSpec, whole: Mapping[str, Json]) -> dict[str, Json]:
    """A document in part, or with references expanded: the `id` is always there."""
    properties = dict(whole["properties"])
    for each in expandables(app, model):
        if len(each.path) > 1:  # what is embedded has more in it than its own schema says
            properties[each.path[0]] = {"description": f"With `{each.name}`, where it is expanded."}
        else:
            one = ref(each.target.name)
            lists = properties[each.path[0]].get("type") == "array"
            properties[each.under] = {"type": "array", "items": one} if lists else {"anyOf": [one, {"type": "null"}]}
    title = f"{model.name}View"
    return {
        "type": "object",
        "title": title,
        "properties": properties,
        "required": ["id"],
        "additionalProperties": False,
    }


def _writable(model: ModelSpec, whole: Mapping[str, Json]) -> dict[str, Json]:
    """The bodies of create, replace and patch: what is not a client's to write is not in them."""
    closed = STAMPS | {field.name for field in model.fields if field.readonly}
    create = _without(whole, closed, f"{model.name}Create")
    replace = _without(whole, closed | {"id"}, f"{model.name}Replace")
    required = replace.get("required", [])
    patch = {name: part for name, part in replace.items() if name != "required"}
    patch["title"] = f"{model.name}Patch"
    patch["properties"] = {
        name: _partial(part, nullable=name not in required) for name, part in replace["properties"].items()
    }
    found = {"create": create, "replace": replace, "patch": patch}
    return {schema["title"]: schema for action, schema in found.items() if action in model.api}


def _without(schema: Mapping[str, Json], closed: Iterable[str], title: str) -> dict[str, Any]:
    gone = frozenset(closed)
    found = {**schema, "title": title}
    found["properties"] = {name: part for name, part in schema["properties"].items() if name not in gone}
    required = [name for name in schema.get("required", []) if name not in gone]
    if required:
        found["required"] = required
    else:
        found.pop("required", None)
    return found


def _partial(part: Mapping[str, Json], *, nullable: bool) -> Json:
    """A field of a merge patch: null takes it back to its default, which a required field does not have."""
    plain = {name: value for name, value in part.items() if name != "default"}
    if not nullable or {"type": "null"} in plain.get("anyOf", []):
        return plain
    return {"anyOf": [plain, {"type": "null"}]}


def _untitled(schema: Json) -> Json:
    """A schema without the titles of fields that only repeat their names."""
    if isinstance(schema, list):
        return [_untitled(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: _untitled(part) for name, part in schema.items()}
    for name, member in found.get("properties", {}).items():
        if isinstance(member, dict) and member.get("title") == name.replace("_", " ").title():
            del member["title"]
    return found


def _with_names(schema: Json, named: Mapping[str, str]) -> Json:
    """A schema whose references follow the classes that have another name now."""
    if isinstance(schema, list):
        return [_with_names(part, named) for part in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: _with_names(part, named) for name, part in schema.items()}
    target = found.get("$ref")
    if isinstance(target, str) and (name := target.removeprefix(_PREFIX)) in named:
        found["$ref"] = _PREFIX + named[name]
    return found


_TEXT: Json = {"type": "string"}
_TIME: Json = {"type": ["string", "null"], "format": "date-time"}
_MAYBE: Json = {"type": ["string", "null"]}
_MOMENTS = {"created_at": _TIME, "updated_at": _TIME, "started_at": _TIME, "finished_at": _TIME, "wake_at": _TIME}


def _object(properties: dict[str, Json], required: Iterable[str], *, more: bool = True) -> dict[str, Json]:
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": more}


def _own() -> dict[str, Json]:
    """What is the same in every application."""
    line = _object(
        {"at": _TEXT, "level": _TEXT, "message": _TEXT, "attempt": {"type": "integer"}}, ["at", "level", "message"]
    )
    failure = _object({"code": _TEXT, "detail": _TEXT, "hint": _MAYBE, "step": _MAYBE}, ["code", "detail"])
    step = _object(
        {
            "id": _TEXT,
            "run": _TEXT,
            "operation": _TEXT,
            "kind": {"enum": ["step", "compensation"]},
            "state": {"enum": [*RUN_STATES, "skipped"]},
            "generation": {"type": "integer"},
            "attempts": {"type": "integer"},
            "input": {},
            "output": {},
            "error": {"anyOf": [ref("RunError"), {"type": "null"}]},
            "already": {"type": "boolean"},
            "log": {"type": "array", "items": line, "description": "What it logged: the newest hundred lines."},
            **_MOMENTS,
        },
        ["id", "run", "operation", "kind", "state"],
    )
    run = _object(
        {
            "id": _TEXT,
            "version": {"type": "integer"},
            "kind": {"enum": ["flow", "operation"]},
            "name": _TEXT,
            "state": {"enum": list(RUN_STATES)},
            "input": {},
            "output": {},
            "error": {"anyOf": [ref("RunError"), {"type": "null"}]},
            "live": {**_MAYBE, "description": "The value of `one_per` while the run has not ended."},
            "retry_of": _MAYBE,
            "retried_by": _MAYBE,
            "trace": {
                "type": ["object", "null"],
                "additionalProperties": {"type": "string"},
                "description": "`traceparent` and `tracestate` of what began the run, where telemetry is on.",
            },
            "prefect": {**_MAYBE, "description": "The flow run in Prefect, where the run's engine is Prefect."},
            "cancel_requested": {"type": "boolean"},
            **_MOMENTS,
            "steps": {"type": "array", "items": ref("StepRun"), "description": "Where one run is asked for."},
        },
        ["id", "version", "kind", "name", "state"],
    )
    place = _object({"pointer": _TEXT, "code": _TEXT, "message": _TEXT}, ["pointer", "code", "message"], more=False)
    problem = _object(
        {
            "type": {"type": "string", "format": "uri-reference"},
            "title": _TEXT,
            "status": {"type": "integer"},
            "code": {"type": "string", "description": "Pulpo's or the application's own, in snake_case."},
            "detail": _TEXT,
            "hint": _TEXT,
            "request_id": _TEXT,
            "errors": {"type": "array", "items": place},
        },
        ["type", "title", "status", "code", "detail", "request_id"],
    )
    plan = _object(
        {"flow": _TEXT, "steps": {"type": "array", "items": {"type": "object"}}, "one_per": _MAYBE}, ["flow", "steps"]
    )
    numbers: Json = {"type": "object", "additionalProperties": {"type": ["number", "null"]}}
    group = _object(
        {
            "group": {"type": "object", "description": "The value of each field that the group is made by."},
            "count": {"type": "integer"},
            "sum": numbers,
            "avg": numbers,
        },
        ["group", "count"],
        more=False,
    )
    status = {"type": "integer", "description": "As the request for this one item would have been answered."}
    write = _object(
        {
            "status": status,
            "id": _TEXT,
            "version": {"type": "integer"},
            "replayed": {"type": "boolean"},
            "problem": ref("Problem"),
        },
        ["status"],
        more=False,
    )
    told = {"already": {"type": "boolean"}, "replayed": {"type": "boolean"}}
    result = _object({"status": status, "output": {}, "run": _TEXT, **told, "problem": ref("Problem")}, ["status"])
    return {
        "CallResult": result,
        "Cancelling": _object({"reason": _TEXT}, (), more=False),
        "Group": group,
        "OwnCode": {
            "type": "string",
            "pattern": "^[a-z][a-z0-9_]*$",
            "description": "A word of the application's own: beside those listed, any that its operations refuse with.",
        },
        "Plan": plan,
        "Problem": problem,
        "Retrying": _object({"input": {"type": ["object", "null"]}}, (), more=False),
        "Run": run,
        "RunError": failure,
        "StepRun": step,
        "WriteResult": write,
        "Waking": _object({}, (), more=False),
    }
