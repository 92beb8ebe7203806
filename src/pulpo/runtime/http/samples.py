"""Examples made from schemas: the same every time, and valid against the schema that they are made from.

What a field says itself counts first (`Field(examples=["ORD-1"])`), then its default, its values, its format, its
name. A text whose pattern none of these meets has no example, and neither has what requires it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from pulpo import names
from pulpo.spec import Json

ULID = "01JBDC4M5E8X7Z2Q9V3N6T1R0P"
REQUEST = ULID
"""A request's id."""
MOMENT = "2025-10-30T09:15:00.000Z"
"""When everything in an example happens."""
_FORMATS = {
    "date-time": MOMENT, "date": "2025-10-30", "time": "09:15:00", "email": "ada@example.com", "duration": "PT15M",
    "uuid": "0b8f2f0e-6a53-4b7a-9d39-2f2f5b1c7c11", "uri": "https://example.com/", "uri-reference": "/",
}  # fmt: skip
_NAMES = {
    "email": "ada@example.com", "phone": "+1 555 0100", "zip": "90210", "zip_code": "90210", "postal_code": "90210",
    "country": "US", "currency": "USD", "url": "https://example.com/", "name": "Ada Lovelace",
}  # fmt: skip
_TEXTS = ("USD", "US", "90210", "A-1", "a1", "a", "1", "2027-01", "12/27", "ada@example.com", "+15550100")
_DEEP = 8


class NoSample(Exception):
    """Nothing that is known fits a schema."""


class Samples:
    """Makes examples of schemas.

    Args:
        components: What `$ref` leads to.
        sent: Make what a client sends: required fields, and what has a default worth seeing.
    """

    def __init__(self, components: Mapping[str, Json], *, sent: bool) -> None:
        self._components, self._sent = components, sent

    def of(self, schema: Json) -> Json:
        """An example of a schema. Raises NoSample."""
        return self._of(schema, "", 0)

    def _of(self, schema: Json, name: str, depth: int) -> Json:
        if depth > _DEEP:
            raise NoSample
        if "$ref" in schema:
            target = self._components[schema["$ref"].rpartition("/")[2]]
            return self._of({**target, **{key: value for key, value in schema.items() if key != "$ref"}}, name, depth)
        if schema.get("examples"):
            return schema["examples"][0]
        for word in ("const", "default"):
            if schema.get(word) not in (None, "", [], {}):
                return schema[word]
        if "enum" in schema:
            return schema["enum"][0]
        for word in ("anyOf", "oneOf", "allOf"):
            if word in schema:
                return self._first(schema[word], name, depth)
        kind = schema.get("type")
        kinds = kind if isinstance(kind, list) else [kind]
        return self._typed(next((each for each in kinds if each != "null"), "null"), schema, name, depth)

    def _first(self, choices: list[Json], name: str, depth: int) -> Json:
        for choice in choices:
            if choice.get("type") != "null":
                try:
                    return self._of(choice, name, depth + 1)
                except NoSample:
                    continue
        raise NoSample

    def _typed(self, kind: str | None, schema: Json, name: str, depth: int) -> Json:
        if kind == "object":
            return self._object(schema, depth)
        if kind == "array":
            count = max(1, schema.get("minItems", 0)) if schema.get("maxItems") != 0 else 0
            return [self._of(schema.get("items", {}), name, depth + 1)] * count
        if kind == "string":
            return _text(schema, name)
        if kind in ("integer", "number"):
            return _number(schema, whole=kind == "integer")
        return True if kind == "boolean" else {} if kind is None else None

    def _object(self, schema: Json, depth: int) -> Json:
        members: dict[str, Json] = {}
        required = schema.get("required", ())
        properties: Mapping[str, Json] = schema.get("properties", {})
        for name, member in properties.items():
            if name not in required and self._sent and not self._worth(member):
                continue
            try:
                members[name] = self._of(member, name, depth + 1)
            except NoSample:
                if name in required:
                    raise
        if not members and properties and self._sent:  # nothing is required: a change of one field
            name = next(iter(properties))
            members[name] = self._of(properties[name], name, depth + 1)
        return members

    def _worth(self, member: Json) -> bool:
        return member.get("default") not in (None, "", [], {}) or bool(member.get("examples"))


def _text(schema: Json, name: str) -> str:
    for text in _candidates(schema, name):
        if schema.get("minLength", 0) <= len(text) <= schema.get("maxLength", math.inf):
            pattern = schema.get("pattern")
            if pattern is None or re.search(pattern, text):
                return text
    raise NoSample


def _candidates(schema: Json, name: str) -> Iterator[str]:
    target = schema.get("x-ref")
    if target is not None:
        yield f"{names.id_prefix(target)}_{ULID}"
    if schema.get("format") in _FORMATS:
        yield _FORMATS[schema["format"]]
    if name == "id" or name.endswith("_id"):
        yield f"{names.id_prefix(name.removesuffix('_id')) or 'id'}_{ULID}"
    if name in _NAMES:
        yield _NAMES[name]
    if name.endswith("_at"):
        yield MOMENT
    words = name.replace("_", " ") or "text"
    yield words
    yield from _TEXTS
    yield words[: schema.get("maxLength", len(words))]
    yield "a" * schema.get("minLength", 1)


def _number(schema: Json, *, whole: bool) -> Any:
    """19.99 or 1, or what is nearest to it within the bounds."""
    step = schema.get("multipleOf", 1 if whole else 0.01)
    places = max(0, -math.floor(math.log10(step))) if step else 0
    least = max(schema.get("minimum", -math.inf), schema.get("exclusiveMinimum", -math.inf) + step)
    most = min(schema.get("maximum", math.inf), schema.get("exclusiveMaximum", math.inf) - step)
    value = min(max(1 if whole else 19.99, least), most)
    value = round(round(value / step) * step, places) if step else value
    if not least <= value <= most:
        raise NoSample
    return int(value) if whole or places == 0 else value
