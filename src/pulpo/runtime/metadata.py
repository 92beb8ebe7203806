"""What the UI draws from, as one JSON document: models, operations, flows. docs/api.md tells its shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from pulpo import __version__, names
from pulpo.model.types import BOUNDS, OPTIONS
from pulpo.runtime.expansion import expandables
from pulpo.runtime.filters import Fields
from pulpo.runtime.presentation import presentation
from pulpo.runtime.shapes import flow_fields, flow_input
from pulpo.settings import Settings
from pulpo.spec import AppSpec, FieldSpec, FlowPlan, Json, ModelSpec, OperationSpec, Shape

VERSION = 1

_DEFAULTS = FieldSpec("", "string")
_OPTIONAL = (
    "nullable", "unique", "index", "key", "readonly", "target", "within", "embedded", "description", "renamed_from",
)  # fmt: skip


def metadata(app: AppSpec, plans: Mapping[str, FlowPlan], settings: Settings) -> dict[str, Json]:
    """The application, described: the same bytes for the same application.

    What the caller may do stands with each model (`actions`) and operation (`may`); in development mode everything.
    """
    return {
        "version": VERSION,
        "name": app.name,
        "mode": settings.project.mode,
        "pulpo": __version__,
        "ui": presentation(app, settings.ui),
        "runs": {"may": ["list", "get", "cancel", "retry", "wake"]},
        "models": [_model(app, model) for model in app.models],
        "operations": [_operation(app, operation) for operation in app.operations],
        "flows": [
            {
                "name": name,
                "title": names.title(name),
                "may": ["start"],
                "plan": plan.as_json(),
                "fields": [_field(field) for field in flow_fields(plan, app)],
                "input": clean(TypeAdapter(flow_input(plan, app)).json_schema(mode="validation")),
            }
            for name, plan in sorted(plans.items())
        ],
    }


def _model(app: AppSpec, model: ModelSpec) -> dict[str, Json]:
    return {
        "name": model.name,
        "title": model.title or names.title(names.snake(model.name)),
        "plural": names.title(model.collection),
        "description": model.description,
        "path": model.path,
        "key": model.key,
        "label": _label(model),
        "actions": list(model.api),
        "unique": [list(fields) for fields in model.unique],
        "fields": [_field(field) for field in model.fields],
        **_lists(app, model),
        "referred_by": [
            {"model": other.name, "field": path}
            for other in app.models
            for path, field in _references(other.fields, "")
            if field.target == model.name
        ],
        "input": clean(TypeAdapter(model.cls).json_schema(mode="validation")),
        "ui": dict(model.ui),
    }


def _lists(app: AppSpec, model: ModelSpec) -> dict[str, Json]:
    """How lists of a model can be asked for."""
    fields = Fields.of(model.fields)
    return {
        "filters": [{"path": leaf.path, "operators": list(leaf.operators)} for leaf in fields.leaves.values()],
        "sorts": list(fields.sortable),
        "searched": list(fields.searched),
        "expands": [each.name for each in expandables(app, model)],
    }


def _field(field: FieldSpec) -> dict[str, Json]:
    found: dict[str, Json] = {
        "name": field.name,
        "title": field.title or names.title(field.name),
        "kind": field.kind,
        "required": field.required,
    }
    for name in _OPTIONAL:
        value = getattr(field, name)
        if value != getattr(_DEFAULTS, name):
            found[name] = value
    if field.kind == "money":
        found["decimals"] = field.decimals
    if field.kind == "enum":
        found["values"] = list(field.values)
    if field.fields:
        found["fields"] = [_field(inner) for inner in field.fields]
    if field.item is not None:
        found["item"] = _field(field.item)
    if field.ui:
        found["ui"] = dict(field.ui)
    return found


def _label(model: ModelSpec) -> str:
    """The field that stands for a document where there is room for one: as declared, its key, a name, else the id."""
    fields = {field.name for field in model.fields}
    return (
        model.ui.get("label")
        or model.key
        or next((name for name in ("name", "title", "label", "email") if name in fields), "id")
    )


def _references(fields: tuple[FieldSpec, ...], prefix: str) -> list[tuple[str, FieldSpec]]:
    found = []
    for field in fields:
        inner = field.item if field.kind == "list" and field.item is not None else field
        if inner.kind == "ref":
            found.append((prefix + field.name, inner))
        elif inner.kind == "embedded":
            found += _references(inner.fields, f"{prefix}{field.name}.")
    return found


def _operation(app: AppSpec, operation: OperationSpec) -> dict[str, Json]:
    undoes = [other.name for other in app.operations if other.compensate == operation.name]
    return {
        "name": operation.name,
        "title": operation.title or names.title(operation.short),
        "description": operation.description,
        "domain": operation.domain,
        "group": operation.group,
        "path": operation.path,
        "may": ["call"],
        "reads": list(operation.reads),
        "writes": list(operation.writes),
        "adds": list(operation.adds),
        "compensate": operation.compensate,
        "undoes": undoes,
        "gate": operation.gate,
        "pivot": operation.pivot,
        "atomic": operation.atomic,
        "retries": operation.retries,
        "timeout": operation.timeout,
        "wait": operation.wait,
        "fields": [_field(field) for field in operation.input.fields],
        "input": schema_of(operation.input, "validation"),
        "output": schema_of(operation.output, "serialization"),
        "ui": dict(operation.ui),
    }


def schema_of(shape: Shape, mode: JsonSchemaMode) -> dict[str, Json]:
    """The JSON Schema of an input or output, with its definitions inside."""
    if shape.cls is None and mode == "validation":
        return {"type": "object", "properties": {}, "additionalProperties": False}
    subject: Any = shape.cls if shape.cls is not None else shape.annotation
    return clean(TypeAdapter(subject).json_schema(mode=mode))  # type: ignore[no-any-return]  # an object stays one


def clean(schema: Json) -> Json:
    """A schema in standard words: what Pulpo noted for itself becomes `readOnly`, or goes."""
    if isinstance(schema, list):
        return [clean(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: clean(part) for name, part in schema.items() if name != OPTIONS}
    if found.get("format") == "money":  # what Pydantic calls the bounds of an amount that may be null
        found.update({word: found.pop(name) for name, word in BOUNDS.items() if name in found})
    options = schema.get(OPTIONS)
    if isinstance(found.get("default"), str) and any(part.get("format") == "money" for part in _alternatives(found)):
        found["default"] = float(found["default"])  # an amount's default is a number too
    if isinstance(options, dict) and options.get("readonly"):
        found["readOnly"] = True
    return found


def _alternatives(schema: Mapping[str, Json]) -> list[Mapping[str, Json]]:
    return [schema, *schema.get("anyOf", [])]
