"""What goes over the wire, as TypeScript declarations: documents, what is sent to write them, inputs and outputs.

They are made of the JSON Schemas that Pydantic gives, so that whatever a field can be in Python has a type. A class
that is sent otherwise than it is received (what has a default is always sent, and may be left out of a request) has two
declarations, `Address` and `AddressInput`; one with fields that are not a client's to write has a third.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode

from pulpo.compile.identifiers import Identifiers
from pulpo.compile.typescript import REF, RESERVED, Declaration, Member, Types, literal, pascal, union
from pulpo.runtime import aggregation
from pulpo.runtime.bodies import STAMPS
from pulpo.runtime.expansion import Expandable, expandables
from pulpo.runtime.filters import Fields, Leaf
from pulpo.runtime.metadata import clean
from pulpo.runtime.shapes import flow_input
from pulpo.spec import AppSpec, FieldSpec, FlowPlan, Json, ModelSpec

_VALUES: Mapping[str, str] = {
    "integer": "number", "number": "number", "money": "Money", "boolean": "boolean", "datetime": "Timestamp",
    "date": "IsoDate",
}  # fmt: skip
"""Kinds of fields -> the type of what stands there, where it is not a string."""
_WRITE = "-Write"
"""Behind the name of a definition: without the fields that are not a client's to write."""
_PARTS = ("Create", "Replace", "Patch", "Filter", "Fields", "Expand", "Documents")
"""What is declared for a model besides its documents."""


class AsSent(GenerateJsonSchema):
    """Schemas in which what is sent is whole: a field that has a default is there too."""

    def field_is_required(self, field: Any, total: bool) -> bool:
        """Whether a property is always there."""
        if self.mode == "serialization" and field["type"] != "typed-dict-field":
            return not field.get("serialization_exclude")
        return super().field_is_required(field, total)

    def generate_inner(self, schema: Any) -> dict[str, Any]:
        """A moment that is sent in a form of its own (`Timestamp`) is a moment still."""
        found = super().generate_inner(schema)
        inner = schema.get("schema", schema)
        if self.mode == "serialization" and found == {"type": "string"} and inner.get("type") == "datetime":
            return {**found, "format": "date-time"}
        return found


class Wire:
    """An application's declarations.

    Args:
        app: The application.
        plans: Its flows' plans by name.
        taken: Names that no declaration may have.

    Attributes:
        declarations: All of them, sorted by name.
        documents: Model -> the declaration that the client's `Documents` takes.
        inputs, outputs: Operation -> the type.
        flows: Flow -> the type of its input.
    """

    def __init__(self, app: AppSpec, plans: Mapping[str, FlowPlan], taken: Iterable[str]) -> None:
        self._app = app
        self._served = [model for model in app.models if model.api]
        self._found, self._definitions = _schemas(app, plans, self._served)
        self._taken = Identifiers(taken, RESERVED)
        self._names: dict[str, str] = {}
        self._declared: dict[str, Declaration] = {}
        self._waiting: list[str] = []
        self._types = Types(self._named)
        parts = self._model_names()
        self.documents = {name: each["Documents"] for name, each in parts.items()}
        for model in self._served:
            self._model(model, parts[model.name])
        self.inputs = {
            each.name: self._types.of(self._found[each.name, "validation"]) if each.input.cls is not None else "NoInput"
            for each in app.operations
        }
        self.outputs = {each.name: self._types.of(self._found[each.name, "serialization"]) for each in app.operations}
        self.flows = {name: self._types.of(self._found[f"flow {name}", "validation"]) for name in sorted(plans)}
        while self._waiting:
            definition = self._waiting.pop()
            self._add(self._types.declared(self._names[definition], self._definitions[definition]))
        self.declarations = tuple(self._declared[name] for name in sorted(self._declared))

    def _add(self, declaration: Declaration) -> None:
        self._declared[declaration.name] = declaration

    # names

    def _model_names(self) -> dict[str, dict[str, str]]:
        """Model -> part -> its name. Models have their own names, whatever else is called so."""
        for model in self._served:
            read = _definition(self._found[_of(model), "serialization"])
            name = self._taken.free(model.name, f"{model.name}Model")
            if read is not None:
                self._names[read] = name
                self._waiting.append(read)
        return {
            model.name: {part: self._taken.free(f"{model.name}{part}", f"{model.name}Model{part}") for part in _PARTS}
            for model in self._served
        }

    def _named(self, definition: str) -> str:
        """The name of a definition; from now on it is to be declared."""
        if definition not in self._names:
            base, _, side = definition.removesuffix(_WRITE).partition("-")
            side = "Write" if definition.endswith(_WRITE) else side.removesuffix("Output")
            name = pascal(base) + side
            self._names[definition] = self._taken.free(name, f"{name}Model")
            self._waiting.append(definition)
        return self._names[definition]

    # models

    def _model(self, model: ModelSpec, parts: Mapping[str, str]) -> None:
        fields, served = Fields.of(model.fields), frozenset(model.api)
        document = self._types.of(self._found[_of(model), "serialization"])
        enums = list(self._enums(self._found[_of(model), "serialization"]))
        written = (("Create", "create"), ("Replace", "replace"), ("Patch", "patch"))
        for part, action in written:
            if action in served:
                self._add(self._writable(model, action, parts[part]))
        self._add(_filter(model, fields, enums, parts["Filter"]))
        self._add(_fields(model, fields, enums, parts["Fields"]))
        expand = expandables(self._app, model)
        if expand:
            self._add(self._expand(model, expand, parts["Expand"]))
        members = [
            Member("actions", union(literal(action) for action in model.api)),
            Member("document", document),
            *(Member(action, parts[part] if action in served else "never") for part, action in written),
            Member("filter", parts["Filter"]),
            Member("sorted", parts["Fields"]),
            Member("summed", union(map(literal, aggregation.summed(fields)))),
            Member("timed", union(map(literal, aggregation.timed(fields)))),
            Member("expand", parts["Expand"] if expand else "Record<never, never>"),
        ]
        self._add(Declaration(parts["Documents"], f"What the client knows of `{model.path}`.", tuple(members)))

    def _writable(self, model: ModelSpec, action: str, name: str) -> Declaration:
        """The body of a create, a replace or a patch."""
        whole = self._without_closed(self._followed(self._found[_of(model), "validation"]))
        gone = STAMPS if action == "create" else STAMPS | {"id"}
        properties = {name: part for name, part in whole["properties"].items() if name not in gone}
        members = self._types.members({**whole, "properties": properties})
        if action != "patch":
            what = "A new document of" if action == "create" else "All that a client may write of"
            return Declaration(name, f"{what} `{model.name}`.", members)
        changes = (
            replace(each, type=self._changes(properties[each.name], each), optional=True, doc="") for each in members
        )
        return Declaration(name, f"Changes of `{model.name}`; null takes a field back to its default.", tuple(changes))

    def _changes(self, schema: Json, member: Member) -> str:
        """A field of a merge patch: what is embedded may be sent in part, and what has a default may be null."""
        parts = schema.get("anyOf", [schema])
        types = [
            f"Changes<{self._types.of(part)}>" if self._is_object(part) else self._types.of(part) for part in parts
        ]
        return union([*types, *(["null"] if member.optional else [])])

    def _expand(self, model: ModelSpec, found: Iterable[Expandable], name: str) -> Declaration:
        members = []
        for each in found:
            one = union((self._types.of(self._found[_of(each.target), "serialization"]), "null"))
            many = _field(model.fields, each.path).kind == "list"
            members.append(Member(each.name, f"({one})[]" if many else one))
        return Declaration(name, f"What `expand` puts beside the references in `{model.name}`.", tuple(members))

    # schemas

    def _followed(self, schema: Json) -> Json:
        """The schema, or the definition that it refers to."""
        definition = _definition(schema)
        return schema if definition is None else self._definitions[definition]

    def _is_object(self, schema: Json) -> bool:
        return _definition(schema) is not None and "properties" in self._followed(schema)

    def _enums(self, schema: Json) -> Iterator[tuple[str, list[Json]]]:
        """The definitions with a list of values that a schema leads to, each with its values."""
        seen: set[str] = set()
        waiting = [schema]
        while waiting:
            found = waiting.pop(0)
            definition = _definition(found) if isinstance(found, dict) else None
            if definition is not None and definition not in seen:
                seen.add(definition)
                values = self._definitions[definition].get("enum")
                if values:
                    yield self._named(definition), values
                waiting.append(self._definitions[definition])
            elif isinstance(found, dict):
                waiting += found.values()
            elif isinstance(found, list):
                waiting += found

    def _without_closed(self, schema: Json) -> Json:
        """A schema without the fields that are not a client's to write, inside of what it refers to as well."""
        if isinstance(schema, list):
            return [self._without_closed(part) for part in schema]
        if not isinstance(schema, dict):
            return schema
        definition = _definition(schema)
        if definition is not None:
            return {"$ref": REF + self._open(definition)}
        found = {name: self._without_closed(part) for name, part in schema.items()}
        if schema.get("type") == "object" and "properties" in schema:
            closed = {name for name, part in schema["properties"].items() if part.get("readOnly")}
            found["properties"] = {name: part for name, part in found["properties"].items() if name not in closed}
            found["required"] = [name for name in schema.get("required", ()) if name not in closed]
        return found

    def _open(self, definition: str) -> str:
        """The definition of what a client may write of this one: itself, where that is everything."""
        if not self._has_closed(definition, set()):
            return definition
        written = definition + _WRITE
        if written not in self._definitions:
            self._definitions[written] = {}  # for one that refers to itself
            self._definitions[written] = self._without_closed(self._definitions[definition])
        return written

    def _has_closed(self, definition: str, seen: set[str]) -> bool:
        seen.add(definition)
        waiting = [self._definitions[definition]]
        while waiting:
            found = waiting.pop()
            if isinstance(found, list):
                waiting += found
            elif isinstance(found, dict):
                inner = _definition(found)
                if found.get("readOnly") is True:
                    return True
                if inner is not None and inner not in seen and self._has_closed(inner, seen):
                    return True
                waiting += found.values()
        return False


def _schemas(
    app: AppSpec, plans: Mapping[str, FlowPlan], served: Iterable[ModelSpec]
) -> tuple[dict[tuple[str, JsonSchemaMode], Json], dict[str, Json]]:
    """The schemas of models, operations and flows in both directions, and the definitions that they refer to."""
    wanted: list[tuple[str, JsonSchemaMode, TypeAdapter[Any]]] = []
    for model in served:
        adapter = TypeAdapter(model.cls)
        wanted += [(_of(model), "serialization", adapter), (_of(model), "validation", adapter)]
    for operation in app.operations:
        if operation.input.cls is not None:
            wanted.append((operation.name, "validation", TypeAdapter(operation.input.cls)))
        output = operation.output.cls if operation.output.cls is not None else operation.output.annotation
        wanted.append((operation.name, "serialization", TypeAdapter(output)))
    wanted += [(f"flow {name}", "validation", TypeAdapter(flow_input(plans[name], app))) for name in sorted(plans)]
    found, rest = TypeAdapter.json_schemas(wanted, ref_template=f"{REF}{{model}}", schema_generator=AsSent)
    return {at: clean(schema) for at, schema in found.items()}, clean(rest.get("$defs", {}))


def _of(model: ModelSpec) -> str:
    return f"model {model.name}"


def _definition(schema: Json) -> str | None:
    """The definition that a schema refers to."""
    reference = schema.get("$ref") if isinstance(schema, dict) else None
    return reference.removeprefix(REF) if isinstance(reference, str) else None


def _filter(model: ModelSpec, fields: Fields, enums: list[tuple[str, list[Json]]], name: str) -> Declaration:
    members = (
        Member(path, f"{_comparisons(leaf, enums)} | undefined", optional=True) for path, leaf in fields.leaves.items()
    )
    return Declaration(name, f"What lists of `{model.path}` are filtered by.", tuple(members))


def _comparisons(leaf: Leaf, enums: list[tuple[str, list[Json]]]) -> str:
    """The type of a filter, by the operators that the field has."""
    value = _value(leaf, enums)
    if "contains" in leaf.operators:
        return "TextFilter"
    if "gt" in leaf.operators:
        return f"OrderedFilter<{value} | Date>" if leaf.spec.kind == "datetime" else f"OrderedFilter<{value}>"
    return f"ChoiceFilter<{value}>"


def _fields(model: ModelSpec, fields: Fields, enums: list[tuple[str, list[Json]]], name: str) -> Declaration:
    members = []
    for path in fields.sortable:
        missing = ["null"] if _is_nullable(model.fields, path) else []
        members.append(Member(path, union([_value(fields.leaves[path], enums), *missing])))
    return Declaration(name, f"What `{model.path}` are sorted and grouped by, and what stands there.", tuple(members))


def _value(leaf: Leaf, enums: list[tuple[str, list[Json]]]) -> str:
    """The type of what stands in a field."""
    if leaf.spec.kind != "enum":
        return _VALUES.get(leaf.spec.kind, "string")
    values = list(leaf.spec.values)
    return next((name for name, known in enums if known == values), None) or union(map(literal, values))


def _field(fields: tuple[FieldSpec, ...], path: Iterable[str]) -> FieldSpec:
    """The field at a path."""
    *above, last = path
    for name in above:
        field = next(each for each in fields if each.name == name)
        fields = field.item.fields if field.item is not None else field.fields
    return next(each for each in fields if each.name == last)


def _is_nullable(fields: tuple[FieldSpec, ...], path: str) -> bool:
    """Whether there may be nothing at a path."""
    parts = path.split(".")
    return any(_field(fields, parts[: length + 1]).nullable for length in range(len(parts)))
