"""The parameters of the OpenAPI document: filters, pages, views, preconditions.

A model's filters are one parameter, an object whose members are parameters of their own in the address (`style: form`,
`explode: true`): it is described once and used by the list, the figures and the export, and says how many filters a
request may have.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from pulpo.runtime import aggregation, export
from pulpo.runtime.expansion import expandables
from pulpo.runtime.filters import CLAUSES, SEVERAL, VALUES, Fields
from pulpo.runtime.http.schemas import ref
from pulpo.runtime.listing import DEEPEST, PAGE, RUN_FIELDS, SORTED, TOUCHED, TOUCHING
from pulpo.settings import Settings
from pulpo.spec import AppSpec, Json, ModelSpec

WORDS = """Lists are filtered by parameters that are called like fields, `status=pending&total[gte]=10`: the name \
alone for equal, `[ne]` not equal, `[in]` and `[nin]` one or none of these, `[gt]`, `[gte]`, `[lt]`, `[lte]` greater \
or less, `[contains]` and `[startswith]` for texts. Several values: the parameter several times; of `[in]` and `[nin]` \
also with commas between them."""
"""How filters are written, for the document's description."""
RUNS = "Run"
"""What the filters of runs are named after."""


def query(name: str, schema: dict[str, Json]) -> Json:
    """A parameter of the query string."""
    return {"name": name, "in": "query", "schema": schema}


def header(name: str, description: str, schema: Mapping[str, Json] | None = None) -> Json:
    """A parameter in a header."""
    return {"name": name, "in": "header", "description": description, "schema": schema or {"type": "string"}}


def _shared(name: str) -> Json:
    return {"$ref": f"#/components/parameters/{name}"}


_KEY_SCHEMA = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"\S"}
KEY = _shared("Idempotency-Key")
IF_NONE_MATCH = _shared("If-None-Match")
IF_MATCH = _shared("If-Match")
_SHARED = (
    header("Idempotency-Key", "Asked again with the same key and body, the first answer is given again.", _KEY_SCHEMA),
    header(
        "If-None-Match",
        "Not if the document is at this version, its ETag, or `*`: a read answers 304, a write 412. Not with `expand`.",
    ),
)


def components(app: AppSpec, settings: Settings) -> dict[str, Json]:
    """The parameters that several addresses have."""
    listed = [model for model in app.models if "list" in model.api]
    filters = {f"{name}Filter": _filter(name) for name in (*(model.name for model in listed), RUNS)}
    views = {f"{model.name}.{each['name']}": each for model in app.models for each in _views(app, model)}
    sorts = {f"{model.name}.sort": _sort(model) for model in listed}
    shared = {each["name"]: each for each in (*_SHARED, _if_match(settings), *_pages(settings))}
    searches = {f"{model.name}.q": _search(model) for model in listed}
    found = {**filters, **views, **searches, **sorts, **shared}
    return {name: found[name] for name in sorted(found)}


def _if_match(settings: Settings) -> Json:
    said = header("If-Match", "Only if the document is at this version: its ETag.")
    return {**said, "required": True} if settings.api.require_if_match else said


# lists


def filters(name: str) -> Json:
    """What a model's lists can be filtered by."""
    return _shared(f"{name}Filter")


def search(model: ModelSpec) -> Json:
    """`q`."""
    return _shared(f"{model.name}.q")


def sort(model: ModelSpec) -> Json:
    """`sort`."""
    return _shared(f"{model.name}.sort")


def paging() -> list[Json]:
    """`limit`, `cursor` and `count`."""
    return [_shared("limit"), _shared("cursor"), _shared("count")]


def touched() -> Json:
    """`touched`, of runs."""
    words = f"Only runs that wrote to this document, of its last {TOUCHING} changes; given twice, to one of these."
    items = {"type": "string", "examples": ["Order/order_01JBDC4M5E8X7Z2Q9V3N6T1R0P"]}
    return {
        **query("touched", {"type": "array", "items": items, "minItems": 1, "maxItems": TOUCHED}),
        "description": words,
    }


def offset() -> Json:
    """`offset`."""
    return _shared("offset")


def view(app: AppSpec, model: ModelSpec) -> list[Json]:
    """What of a document is asked for: `fields`, and `expand` where it has references."""
    return [_shared(f"{model.name}.{each['name']}") for each in _views(app, model)]


def figures(model: ModelSpec) -> list[Json]:
    """What an aggregation is made by and of."""
    fields = Fields.of(model.fields)
    numbers = list(aggregation.summed(fields))
    group = _names("group", list(aggregation.grouped(fields)), "What makes groups.", most=aggregation.KEYS)
    counted = {"enum": ["", "true"], "description": "Every group says its count."}
    made = [
        _names("sum", numbers, "What is summed; amounts exactly."),
        _names("avg", numbers, "What is averaged; amounts to their own decimals."),
    ]
    return [group, query("bucket", _buckets(fields)), query("count", counted), *(made if numbers else ())]


def format() -> Json:
    """The form of an export."""
    return query("format", {"enum": list(export.FORMATS), "default": "ndjson"})


def _buckets(fields: Fields) -> dict[str, Json]:
    units = "|".join(aggregation.BUCKETS)
    days = "|".join(unit for unit in aggregation.BUCKETS if unit != "hour")
    timed = aggregation.timed(fields)
    dates = [path for path in timed if fields.leaves[path].spec.kind == "date"]
    words = [f"({_either(path for path in timed if path not in dates)}):({units})"]
    if dates:
        words.append(f"({_either(dates)}):({days})")
    return {
        "type": "string",
        "pattern": f"^({'|'.join(words)})$",
        "description": "A time or date that is not in `group`, and a stretch (UTC): `created_at:day`.",
    }


def _either(paths: Iterable[str]) -> str:
    return "|".join(re.escape(path) for path in paths)


def _search(model: ModelSpec) -> Json:
    searched = Fields.of(model.fields).searched
    return {
        **query("q", {"type": "string"}),
        "description": f"A text, in {', '.join(searched)}, whatever its case.",
    }


def _sort(model: ModelSpec) -> Json:
    paths = Fields.of(model.fields).sortable
    words = "In which order, `-` for descending; of a field named twice the first counts."
    named = _names("sort", [each for path in paths for each in (path, f"-{path}")], words)
    return {**named, "schema": {**named["schema"], "default": [SORTED]}}


def _views(app: AppSpec, model: ModelSpec) -> list[Json]:
    if not {"list", "get"}.intersection(model.api):
        return []
    found = [_names("fields", [field.name for field in model.fields], "Only these fields, and the `id`.")]
    expanded = [each.name for each in expandables(app, model)]
    return [*found, _names("expand", expanded, "References to put the documents of.")] if expanded else found


def _names(name: str, values: list[str], description: str, *, most: int | None = None) -> Json:
    items: dict[str, Json] = {"type": "array", "items": {"enum": values}, "minItems": 1}
    if most is not None:
        items["maxItems"] = most
    return {
        "name": name, "in": "query", "description": description, "style": "form", "explode": False, "schema": items,
    }  # fmt: skip


def _pages(settings: Settings) -> list[Json]:
    most = settings.api.page_limit
    skipped = {"type": "integer", "minimum": 0, "maximum": DEEPEST, "default": 0, "description": "Not with `cursor`."}
    return [
        query("limit", {"type": "integer", "minimum": 1, "maximum": most, "default": min(PAGE, most)}),
        query("cursor", {"type": "string", "description": "From the `Link` of the page before."}),
        query("count", {"type": "boolean", "default": False, "description": "Answer with `X-Total-Count`."}),
        query("offset", skipped),
    ]


# filters


def filter_schemas(app: AppSpec) -> dict[str, Json]:
    """Component -> schema: what each model's lists can be filtered by, and the values that filters take."""
    listed = {model.name: Fields.of(model.fields) for model in app.models if "list" in model.api}
    found: dict[str, Json] = {}
    for name, fields in {**listed, RUNS: RUN_FIELDS}.items():
        found.update(_filters(f"{name}Filter", fields))
    for name, one in _VALUES.items():
        found[name] = one
        found[f"{name}s"] = _several(ref(name))
    return found


def _filter(name: str) -> Json:
    return {
        "name": "filter",
        "in": "query",
        "description": f"At most {CLAUSES} filters, each a parameter by its own name.",
        "style": "form",
        "explode": True,
        "schema": ref(f"{name}Filter"),
    }


def _filters(name: str, fields: Fields) -> dict[str, Json]:
    """A model's filters, and beside them what its enumerations are compared with."""
    members: dict[str, Json] = {}
    found: dict[str, Json] = {}
    for path, leaf in fields.leaves.items():
        several = f"{_KINDS.get(leaf.spec.kind, 'Text')}s"
        if leaf.spec.kind == "enum":
            several = f"{name}.{path}"
            found[several] = _several({"enum": list(leaf.spec.values)})
        for operator in leaf.operators:
            member = path if operator == "eq" else f"{path}[{operator}]"
            members[member] = ref(several if operator in SEVERAL else several.removesuffix("s"))
    found[name] = {
        "type": "object",
        "properties": members,
        "additionalProperties": False,
        "maxProperties": CLAUSES,
    }
    return found


def _several(one: Json) -> Json:
    return {"anyOf": [one, {"type": "array", "items": one, "minItems": 1, "maxItems": VALUES}]}


_KINDS = {
    "integer": "Integer", "number": "Number", "money": "Number", "boolean": "Boolean",
    "datetime": "Time", "date": "Date",
}  # fmt: skip
_VALUES: Mapping[str, Json] = {
    "Text": {"type": "string"},
    "Integer": {"type": "integer", "minimum": -(10**18) + 1, "maximum": 10**18 - 1},
    "Number": {"type": "number"},
    "Boolean": {"type": "boolean"},
    "Time": {"type": "string", "format": "date-time"},
    "Date": {"type": "string", "format": "date"},
}
