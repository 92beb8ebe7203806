"""What the store has to keep: a collection per model, and the journal's own."""

from __future__ import annotations

from collections.abc import Iterator

from pulpo.spec import AppSpec, FieldSpec, ModelSpec
from pulpo.store.port import Collection, Column, ColumnKind, Index
from pulpo.store.upkeep import LEASES, TRANSFERS

_KINDS: dict[str, ColumnKind] = {
    "string": "text",
    "ref": "text",
    "enum": "text",
    "integer": "integer",
    "number": "number",
    "boolean": "boolean",
    "money": "money",
    "datetime": "datetime",
    "date": "date",
}

RUNS = "_runs"
STEPS = "_steps"
WORKERS = LEASES
KEYS = "_keys"
PLANS = "_plans"
SCHEDULES = "_schedules"

JOURNAL: tuple[Collection, ...] = (
    Collection(
        RUNS,
        columns=(
            Column("name", "text"),
            Column("kind", "text", values=2),
            Column("state", "text", values=10),
            Column("live", "text"),
            Column("worker", "text"),
            Column("wake_at", "text"),
            Column("created_at", "datetime"),
        ),
        indexes=(
            Index(("name", "live"), unique=True),
            Index(("live",)),
            Index(("worker",)),
            Index(("wake_at",)),
            Index(("created_at",)),
            Index(("state", "created_at")),  # a list of some state, and how many are in each
        ),
    ),
    Collection(
        STEPS,
        columns=(
            Column("run", "text"),
            Column("operation", "text"),
            Column("state", "text"),
            Column("touches", "text", many=True),
        ),
        indexes=(Index(("touches",)),),
    ),
    Collection(WORKERS),
    Collection(KEYS, columns=(Column("expires_at", "text"),), indexes=(Index(("expires_at",)),)),
    Collection(PLANS),
    Collection(SCHEDULES, columns=(Column("next_at", "text"),), indexes=(Index(("next_at",)),)),
    Collection(TRANSFERS),
)


def collections(app: AppSpec) -> tuple[Collection, ...]:
    """Every collection of an application, the journal's included."""
    return (*(collection(model) for model in app.models), *JOURNAL)


def collection(model: ModelSpec) -> Collection:
    """A model's collection: columns for what can be filtered, indexes for what is unique, referred to or asked for.

    An index on a field ends with `created_at`, so that a page of a filtered list, newest first, is read in order.
    """
    indexes = [Index(fields, unique=True) for fields in model.unique]
    indexes += [Index(fields) for fields in model.indexes]
    for spec in model.fields:
        if spec.name in ("id", "version"):
            continue
        if spec.unique or spec.key:
            indexes.append(Index((spec.name,), unique=True))
        elif spec.name == "created_at":
            indexes.append(Index((spec.name,)))
        elif spec.index or spec.kind == "ref":
            indexes.append(Index((spec.name, "created_at")))  # filtered by it, lists come newest first
    return Collection(model.collection, tuple(_columns(model.fields, "", many=False)), tuple(dict.fromkeys(indexes)))


def _columns(fields: tuple[FieldSpec, ...], prefix: str, *, many: bool) -> Iterator[Column]:
    for spec in fields:
        path = prefix + spec.name
        inner, lists = (spec.item, True) if spec.kind == "list" and spec.item is not None else (spec, many)
        if spec.renamed_from and inner.kind not in _KINDS:
            yield Column(path, "json", many=lists, renamed_from=spec.renamed_from)  # a whole part has another name
        if inner.kind == "embedded":
            yield from _columns(inner.fields, path + ".", many=lists)
        elif inner.kind in _KINDS:
            few = 2 if inner.kind == "boolean" else len(inner.values or ())
            yield Column(path, _KINDS[inner.kind], inner.decimals, lists, spec.renamed_from, few)
