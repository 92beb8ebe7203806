"""TypeScript text: identifiers, comments, and types made of JSON Schemas."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from pulpo.compile.artifact import WIDTH
from pulpo.spec import Json

REF = "#/components/schemas/"
RESERVED = frozenset(
    {
        # words of the language, and names of types that cannot be declared again
        "any", "as", "async", "await", "bigint", "boolean", "break", "case", "catch", "class", "const", "continue",
        "debugger", "declare", "default", "delete", "do", "else", "enum", "export", "extends", "false", "finally",
        "for", "from", "function", "get", "if", "implements", "import", "in", "infer", "instanceof", "interface", "is",
        "keyof", "let", "module", "namespace", "never", "new", "null", "number", "object", "of", "package", "private",
        "protected", "public", "readonly", "require", "return", "set", "static", "string", "super", "switch", "symbol",
        "this", "throw", "true", "try", "type", "typeof", "undefined", "unique", "unknown", "var", "void", "while",
        "with", "yield",
        # types of the platform that generated modules use
        "Array", "Date", "Error", "Omit", "Pick", "Promise", "Record", "Set", "Uint8Array", "globalThis",
    }
)  # fmt: skip
"""Names that no declaration of a generated module has."""

_NAME = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")
_ALIASES: Mapping[str, str] = {"money": "Money", "date-time": "Timestamp", "date": "IsoDate"}
_PLAIN: Mapping[str, str] = {
    "string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Member:
    """A property of an interface."""

    name: str
    type: str
    optional: bool = False
    doc: str = ""


@dataclass(frozen=True, slots=True)
class Declaration:
    """An interface, whose `type` is that of further properties; without `members` an alias of `type`."""

    name: str
    doc: str = ""
    members: tuple[Member, ...] | None = None
    type: str = ""


def camel(name: str) -> str:
    """`validate_items` -> `validateItems`."""
    first, *rest = name.split("_")
    return first + "".join(word[:1].upper() + word[1:] for word in rest)


def pascal(name: str) -> str:
    """`orders.validate_items` and `orders-validate__items` -> `OrdersValidateItems`; one word keeps its own case."""
    return "".join(word[:1].upper() + word[1:] for word in re.split(r"[^A-Za-z0-9]+", name))


def literal(value: Json) -> str:
    """A value as TypeScript writes it."""
    return json.dumps(value, ensure_ascii=False)


def key(name: str) -> str:
    """A property's name, in quotes where it needs them."""
    return name if _NAME.fullmatch(name) else literal(name)


def union(types: Iterable[str]) -> str:
    """One of these types, null last; `never` of none."""
    found = sorted(dict.fromkeys(types), key="null".__eq__)
    return "unknown" if "unknown" in found else " | ".join(found) or "never"


def words(types: Iterable[str]) -> frozenset[str]:
    """The names in the text of types; what stands in literals is none."""
    return frozenset(re.findall(r"[A-Za-z_]\w*", re.sub(r'"(?:[^"\\]|\\.)*"', "", " ".join(types))))


def comment(text: str, *, indent: int = 0) -> str:
    """A JSDoc comment: its paragraphs, wrapped."""
    pad = " " * indent
    safe = text.strip().replace("*/", "*\\/")
    paragraphs = [" ".join(part.split()) for part in re.split(r"\n\s*\n", safe)]
    if len(paragraphs) == 1 and indent + len(paragraphs[0]) + 7 <= WIDTH:
        return f"{pad}/** {paragraphs[0]} */"
    lines: list[str] = []
    for paragraph in paragraphs:
        lines += [*([""] if lines else []), *textwrap.wrap(paragraph, WIDTH - indent - 3, break_on_hyphens=False)]
    return "\n".join([f"{pad}/**", *(f"{pad} * {line}".rstrip() for line in lines), f"{pad} */"])


def imported(names: Iterable[str], module: str, *, types: bool = False) -> str:
    """An import, a name a line where it is long."""
    begin, listed = "import type" if types else "import", list(names)
    line = f'{begin} {{ {", ".join(listed)} }} from "./{module}.js";'
    if len(line) <= WIDTH:
        return line
    return "\n".join([f"{begin} {{", *(f"  {name}," for name in listed), f'}} from "./{module}.js";'])


def line(member: Member, *, indent: int = 2) -> str:
    """A property's line, or the lines of one whose union is long."""
    begin = f"{' ' * indent}{key(member.name)}{'?' if member.optional else ''}:"
    return _typed(begin, member.type, indent)


def alias(name: str, type: str) -> str:
    """`export type Status = …;`."""
    return _typed(f"export type {name} =", type, 0)


def _typed(begin: str, type: str, indent: int) -> str:
    whole = f"{begin} {type};"
    parts = type.split(" | ")
    if len(whole) <= WIDTH or len(parts) == 1 or any(part.count("<") != part.count(">") for part in parts):
        return whole
    below = f"{' ' * (indent + 2)}{type};"
    if len(below) <= WIDTH:
        return f"{begin}\n{below}"
    return "\n".join([begin, *(f"{' ' * (indent + 2)}| {part}" for part in parts)]) + ";"


class Types:
    """The types of schemas; `named` gives the name in TypeScript of a definition that a schema refers to."""

    def __init__(self, named: Callable[[str], str]) -> None:
        self._named = named

    def of(self, schema: Json) -> str:
        """The type of what a schema allows."""
        if not isinstance(schema, dict):
            return "never" if schema is False else "unknown"
        if "$ref" in schema:
            return self._named(schema["$ref"].removeprefix(REF))
        if "enum" in schema or "const" in schema:
            return union(map(literal, schema.get("enum") or [schema["const"]]))
        if "allOf" in schema:
            return " & ".join(_closed(self.of(part)) for part in schema["allOf"])
        kind, parts = schema.get("type"), schema.get("anyOf", schema.get("oneOf"))
        if parts is None and isinstance(kind, list):
            parts = [{**schema, "type": each} for each in kind]
        return self._plain(schema) if parts is None else union(map(self.of, parts))

    def members(self, schema: Mapping[str, Json]) -> tuple[Member, ...]:
        """The properties of an object."""
        required = schema.get("required", ())
        return tuple(
            Member(name, self.of(part), name not in required, _about(part, optional=name not in required))
            for name, part in schema.get("properties", {}).items()
        )

    def rest(self, schema: Mapping[str, Json]) -> str:
        """The type of properties that an object does not name; empty where it has none."""
        more = schema.get("additionalProperties", False)
        if more is False:
            return ""
        named = bool(schema.get("properties"))  # whose types an index signature has to take in
        return "unknown" if named else self.of(more)

    def declared(self, name: str, schema: Mapping[str, Json], doc: str = "") -> Declaration:
        """A definition as an interface, or as an alias where it is no object."""
        about = doc or str(schema.get("description", ""))
        if schema.get("type") != "object":
            return Declaration(name, about, type=self.of(schema))
        return Declaration(name, about, self.members(schema), self.rest(schema))

    def _plain(self, schema: Mapping[str, Json]) -> str:
        """The type of a schema with one `type`, or none."""
        kind = schema.get("type")
        if kind == "array":
            return self._array(schema)
        if kind == "object":
            return self._object(schema)
        if kind in ("string", "number") and schema.get("format") in _ALIASES:
            return _ALIASES[schema["format"]]
        return _PLAIN.get(str(kind), "unknown")

    def _array(self, schema: Mapping[str, Json]) -> str:
        first = schema.get("prefixItems")
        if first is not None and schema.get("maxItems") == len(first):
            return f"[{', '.join(self.of(part) for part in first)}]"
        return f"{_closed(self.of(schema.get('items', {})))}[]"

    def _object(self, schema: Mapping[str, Json]) -> str:
        members, rest = self.members(schema), self.rest(schema)
        if not members:
            return f"Record<string, {rest or ('never' if 'properties' in schema else 'unknown')}>"
        parts = [f"{key(each.name)}{'?' if each.optional else ''}: {each.type}" for each in members]
        return f"{{ {'; '.join([*parts, *([f'[more: string]: {rest}'] if rest else [])])} }}"


def _closed(type: str) -> str:
    """The type in brackets, where it would fall apart otherwise."""
    return f"({type})" if " | " in type or " & " in type else type


def _about(schema: Json, *, optional: bool) -> str:
    """What there is to say of a property: its description, what it refers to, what it is where nothing is given."""
    if not isinstance(schema, dict):
        return ""
    said = str(schema.get("description", "")).strip()
    found = [said if not said or said[-1] in ".!?…:" else f"{said}."]
    alternatives = [part for part in (schema, *schema.get("anyOf", ())) if isinstance(part, dict)]
    found += [f"Refers to {part['x-ref']}." for part in alternatives if "x-ref" in part]
    if optional and schema.get("default") not in (None, "", []):
        found.append(f"Default: {literal(schema['default'])}.")
    return " ".join(filter(None, found))
