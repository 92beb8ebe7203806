"""References between documents: checked and resolved when a document is written, counted before one is deleted.

The checks are plain reads. Two requests at the same moment, one deleting a customer and one placing an order for them,
can both succeed; an application that cannot live with that guards the document both of them write.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pydantic_core
from pydantic import BaseModel

from pulpo.errors import FieldError, PulpoError
from pulpo.model.conditions import All, Compare, Condition, Not
from pulpo.model.model import Model
from pulpo.runtime.filters import Fields
from pulpo.runtime.shapes import pointer
from pulpo.spec import AppSpec, FieldSpec, ModelSpec
from pulpo.store.port import Query, Record, Store


@dataclass(frozen=True, slots=True)
class Reference:
    """A field that refers: `path` through embedded models, `target` the model referred to.

    `entry` is the class of the embedded entry inside the target, `within` the field that names the document it is in.
    """

    path: tuple[str, ...]
    target: ModelSpec
    entry: str | None = None
    within: str | None = None


@dataclass(slots=True)
class _Place:
    """Where a reference's value stands in a document, so that a key can be replaced by the id it leads to."""

    holder: dict[str, Any] | list[Any]
    at: str | int
    location: tuple[str | int, ...]
    value: str

    @property
    def pointer(self) -> str:
        return pointer(self.location)

    def set(self, value: str) -> None:
        self.holder[self.at] = value  # type: ignore[index]  # both are subscriptable


def references(app: AppSpec, spec: ModelSpec) -> tuple[Reference, ...]:
    """Every reference of a model, in the order written."""
    models = {model.name: model for model in app.models}
    holders = {field.name: field.target for field in spec.fields if field.kind == "ref" and field.within is None}
    found = []
    for path, target, within in _refs(spec.fields, ()):
        if within is None:
            if target in models:
                found.append(Reference(path, models[target]))
        elif (holder := holders.get(within)) in models:
            found.append(Reference(path, models[holder], target, within))
    return tuple(found)


def _refs(
    fields: Iterable[FieldSpec], prefix: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], str | None, str | None]]:
    """Path, class referred to, and `within` of each reference; what a list's field says holds for its entries."""
    for field in fields:
        inner = field.item if field.kind == "list" and field.item is not None else field
        path = (*prefix, field.name)
        if inner.kind == "ref":
            yield path, inner.target, field.within
        elif inner.kind == "embedded":
            yield from _refs(inner.fields, path)


class References:
    """The references of one model's documents: those they hold, and those that others hold to them."""

    def __init__(self, app: AppSpec, spec: ModelSpec) -> None:
        self._spec = spec
        self.outgoing = references(app, spec)
        self.incoming = tuple(
            (model, reference)
            for model in app.models
            for reference in references(app, model)
            if reference.target.name == spec.name
        )
        self._guarded = {reference.entry for _, reference in self.incoming if reference.entry is not None}

    async def resolve(
        self, store: Store, document: Model, before: Model | None = None, *, also: str | None = None
    ) -> Record | None:
        """Check what a document refers to, putting ids where keys were given; what `before` refers to holds.

        Args:
            store: Where to look.
            document: The one that is about to be written.
            before: What it was.
            also: An id of a document of this model, which is read in the same look.

        Returns:
            The document with the id `also`, if there is one.

        Raises:
            PulpoError: PULPO510 with a pointer to every reference that leads nowhere.
        """
        asked = [(each, self._asked(document, each, before)) for each in self.outgoing if each.entry is None]
        wanted: dict[str, tuple[ModelSpec, set[str]]] = {}
        for reference, places in asked:
            if places:
                values = wanted.setdefault(reference.target.name, (reference.target, set()))[1]
                values.update(place.value for place in places)
        own = {self._spec.collection: {also}} if also is not None else {}
        records, read_too = await _records(store, wanted, own)
        errors: list[FieldError] = []
        for reference, places in asked:
            if places:
                errors += _put_ids(reference, places, records[reference.target.name])
        for reference in self.outgoing:
            if reference.entry is not None and not errors:
                read = {record.id: record for record in records.get(reference.target.name, {}).values()}
                errors += await self._check_entries(store, document, reference, before, read)
        if errors:
            detail = f"{errors[0].pointer}: {errors[0].message}"
            raise PulpoError("PULPO510", detail, errors=errors)
        return next((record for record in read_too if record.id == also), None)

    def _asked(self, document: Model, reference: Reference, before: Model | None) -> list[_Place]:
        """Where the document refers to something that `before` did not refer to."""
        known: set[str] = set()
        within = reference.within
        if before is not None and (within is None or getattr(document, within) == getattr(before, within)):
            known = {place.value for place in _places(before, reference.path)}
        if reference.entry is None and reference.target is self._spec:
            known.add(document.id)
        return [place for place in _places(document, reference.path) if place.value not in known]

    async def _check_entries(
        self,
        store: Store,
        document: Model,
        reference: Reference,
        before: Model | None,
        read: Mapping[str, Record],
    ) -> list[FieldError]:
        """Check what leads to an entry of a document; `read` are those of its model that were read just now, by id."""
        assert reference.within is not None
        places = self._asked(document, reference, before)
        if not places:
            return []
        holder = getattr(document, reference.within)
        record = None
        if holder is not None:
            record = read.get(holder) or await store.get(reference.target.collection, holder)
        data = pydantic_core.from_json(record.json) if record is not None else {}
        entries = set(_entry_ids(reference.target, data, reference.entry))
        message = f"the {reference.target.name} in {reference.within} has no {reference.entry} with this id"
        return [FieldError(place.pointer, "reference", message) for place in places if place.value not in entries]

    async def refuse_while_referred(self, store: Store, id: str, leaving: Iterable[tuple[str, str]] = ()) -> None:
        """Refuse to delete a document that others refer to; `leaving` are (collection, id) of those deleted with it.

        Raises:
            PulpoError: PULPO611, naming the model that refers to it and how many of its documents do.
        """
        gone: dict[str, list[str]] = {self._spec.collection: [id]}
        for collection, other in leaving:
            gone.setdefault(collection, []).append(other)
        for model, reference in self.incoming:
            if reference.entry is not None:
                continue
            parts: list[Condition] = [Compare(".".join(reference.path), "eq", id)]
            if model.collection in gone:
                parts.append(Not(Compare("id", "in", tuple(gone[model.collection]))))
            await self._refuse(store, model, All(tuple(parts)), f'{self._spec.name} "{id}"')

    async def refuse_lost_entries(self, store: Store, before: Model, after: Model) -> None:
        """Refuse to take an embedded entry away that other documents refer to (PULPO611)."""
        if not self._guarded:
            return
        old, new = before.model_dump(mode="json"), after.model_dump(mode="json")
        for model, reference in self.incoming:
            if reference.entry is None or reference.within is None:
                continue
            kept = set(_entry_ids(self._spec, new, reference.entry))
            for entry in _entry_ids(self._spec, old, reference.entry):
                if entry not in kept:
                    path = ".".join(reference.path)
                    where = All((Compare(path, "eq", entry), Compare(reference.within, "eq", before.id)))
                    await self._refuse(store, model, where, f'{reference.entry} "{entry}"')

    async def _refuse(self, store: Store, model: ModelSpec, where: Condition, what: str) -> None:
        count = await store.count(model.collection, where)
        if count:
            raise PulpoError(
                "PULPO611",
                f"{count} {model.name} document{'s' if count > 1 else ''} refer{'' if count > 1 else 's'} to {what}",
                hint=f"change or delete {'those' if count > 1 else 'that one'} first",
            )


async def ids_of(store: Store, target: ModelSpec, values: set[str]) -> dict[str, str]:
    """Each value that is an id or key of a document -> the id. Ids win."""
    return {value: record.id for value, record in (await records_of(store, target, values)).items()}


async def records_of(store: Store, target: ModelSpec, values: set[str]) -> dict[str, Record]:
    """Each value that is an id or key of a document -> the document. Ids win."""
    return (await _records(store, {target.name: (target, values)}, {}))[0][target.name]


async def _records(
    store: Store, wanted: Mapping[str, tuple[ModelSpec, set[str]]], more: Mapping[str, set[str]]
) -> tuple[dict[str, dict[str, Record]], tuple[Record, ...]]:
    """As `records_of`, of several models at once; and what else was read for `more`, which are ids by collection."""
    ids = {target.collection: values for target, values in wanted.values()}
    for name, values in more.items():
        ids[name] = ids.get(name, set()) | values
    if not ids:
        return {}, ()
    read = await store.get_each({name: tuple(sorted(values)) for name, values in ids.items()})
    found = {
        name: await _with_keys(store, target, values, {record.id: record for record in read[target.collection]})
        for name, (target, values) in wanted.items()
    }
    return found, tuple(record for name in more for record in read[name])


async def _with_keys(store: Store, target: ModelSpec, values: set[str], found: dict[str, Record]) -> dict[str, Record]:
    """What was found by id, and under the rest of the values what has them as its key."""
    rest = tuple(sorted(values - found.keys()))
    if rest and target.key is not None:
        page = await store.query(Query(target.collection, Compare(target.key, "in", rest), limit=len(rest)))
        for record in page.records:
            found[pydantic_core.from_json(record.json)[target.key]] = record
    return found


async def with_ids(store: Store, app: AppSpec, fields: Fields, where: Condition) -> Condition:
    """A condition with ids in place of keys, wherever it compares a reference to a document that has a key."""
    match where:
        case Compare(path, operator, value) if (target := _with_key(app, fields, path)) is not None:
            values = value if isinstance(value, tuple) else (value,)
            ids = await ids_of(store, target, set(values))
            found = tuple(ids.get(each, each) for each in values)
            return Compare(path, operator, found if isinstance(value, tuple) else found[0])
        case All(parts):
            return All(tuple([await with_ids(store, app, fields, part) for part in parts]))
        case Not(part):
            return Not(await with_ids(store, app, fields, part))
    return where


def _with_key(app: AppSpec, fields: Fields, path: str) -> ModelSpec | None:
    """The model that a field refers to, if its documents have a key."""
    leaf = fields.leaves.get(path)
    if leaf is None or leaf.spec.kind != "ref" or leaf.within is not None:
        return None
    return next((model for model in app.models if model.name == leaf.spec.target and model.key is not None), None)


def _put_ids(reference: Reference, places: Iterable[_Place], records: Mapping[str, Record]) -> list[FieldError]:
    """Put ids where keys were given; what leads nowhere."""
    missing = []
    for place in places:
        record = records.get(place.value)
        if record is None:
            missing.append(FieldError(place.pointer, "reference", f"no {reference.target.name} has this id or key"))
        elif record.id != place.value:
            place.set(record.id)
    return missing


def _places(document: Model, path: tuple[str, ...]) -> Iterable[_Place]:
    """Where the values of a reference stand; null ones are left out."""
    holder, name = document.__dict__, path[0]
    if len(path) == 1 and isinstance(value := holder.get(name), str):
        return (_Place(holder, name, path, value),)
    return _walk(holder, path, ())


def _walk(holder: dict[str, Any], path: tuple[str, ...], at: tuple[str | int, ...]) -> Iterator[_Place]:
    name, rest = path[0], path[1:]
    value, here = holder.get(name), (*at, name)
    if isinstance(value, list):
        for index, entry in enumerate(value):
            if rest and isinstance(entry, BaseModel):
                yield from _walk(entry.__dict__, rest, (*here, index))
            elif not rest and isinstance(entry, str):
                yield _Place(value, index, (*here, index), entry)
    elif rest and isinstance(value, BaseModel):
        yield from _walk(value.__dict__, rest, here)
    elif not rest and isinstance(value, str):
        yield _Place(holder, name, here, value)


def _entry_ids(spec: ModelSpec, data: dict[str, Any], entry: str | None) -> Iterator[str]:
    """The ids of a document's embedded entries of a class."""
    for field in spec.fields:
        inner = field.item if field.kind == "list" and field.item is not None else field
        if inner.kind == "embedded" and inner.embedded == entry:
            value = data.get(field.name)
            for each in value if isinstance(value, list) else [value]:
                if isinstance(each, dict) and isinstance(each.get("id"), str):
                    yield each["id"]
