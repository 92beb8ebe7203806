"""What a client sends: which fields are not theirs to write, and how a partial body merges into a whole one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pydantic_core

from pulpo.errors import FieldError, PulpoError
from pulpo.runtime import shapes
from pulpo.spec import Action, FieldSpec, Json, ModelSpec

STAMPS = frozenset({"version", "created_at", "updated_at"})
"""Fields that Pulpo writes."""
BESIDE: Mapping[str, tuple[Action, ...]] = {
    "aggregate": ("list",),
    "export": ("list",),
    "bulk": ("create", "patch", "delete"),
}
"""The addresses beside a model's documents, each served where one of these actions is."""
RESERVED = frozenset(BESIDE)
"""No document's id or key."""


def beside(model: ModelSpec) -> Mapping[str, str]:
    """The addresses beside a model's documents, as far as they are served, with their methods."""
    served = (name for name, needed in BESIDE.items() if any(action in model.api for action in needed))
    return {f"{model.path}/{name}": "POST" if name == "bulk" else "GET" for name in served}


@dataclass(frozen=True, slots=True)
class Closed:
    """Fields that are not a client's to write, at one level of a body."""

    names: frozenset[str]
    inside: Mapping[str, Closed]

    @staticmethod
    def of(fields: Iterable[FieldSpec], more: frozenset[str] = frozenset()) -> Closed:
        """What is closed among these fields, and inside of those that are embedded."""
        names, inside = set(more), {}
        for field in fields:
            if field.readonly:
                names.add(field.name)
            inner = field.item if field.kind == "list" and field.item is not None else field
            if inner.kind == "embedded":
                closed = Closed.of(inner.fields)
                if closed.names or closed.inside:
                    inside[field.name] = closed
        return Closed(frozenset(names), inside)

    def breaches(self, data: Mapping[str, Any], at: tuple[str | int, ...] = ()) -> Iterator[FieldError]:
        """A complaint for every closed field in a body."""
        for name in data.keys() & self.names:
            yield FieldError(shapes.pointer((*at, name)), "readonly", "This field is not a client's to write")
        for name, closed in self.inside.items():
            value = data.get(name)
            if isinstance(value, dict):
                yield from closed.breaches(value, (*at, name))
            elif isinstance(value, list):
                for index, entry in enumerate(value):
                    if isinstance(entry, dict):
                        yield from closed.breaches(entry, (*at, name, index))


def strangers(
    fields: Iterable[FieldSpec], data: Mapping[str, Any], at: tuple[str | int, ...] = ()
) -> Iterator[FieldError]:
    """A complaint for every name that a partial body takes away and that is no field: merged, nothing is left of it."""
    known = {field.name: field for field in fields}
    for name, value in data.items():
        field = known.get(name)
        if field is None:
            if value is None:
                yield FieldError(shapes.pointer((*at, name)), "extra_forbidden", "There is no such field")
        elif field.kind == "embedded" and isinstance(value, dict):
            yield from strangers(field.fields, value, (*at, name))


def merge(target: Json, patch: Json) -> Json:
    """RFC 7386: objects merge, null takes away, anything else replaces."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge(merged.get(name), value)
    return merged


def parse_object(text: str) -> dict[str, Any]:
    """A body as a JSON object. Raises PulpoError PULPO601 (not JSON) or PULPO602 (not an object)."""
    try:
        data = pydantic_core.from_json(text, allow_inf_nan=False)
    except ValueError as error:
        raise PulpoError("PULPO601", f"the body is not valid JSON: {error}") from None
    if not isinstance(data, dict):
        raise shapes.places((FieldError("", "object_type", "Input should be an object"),))
    return data
