"""What of a document goes out: some of its fields, and the documents that it refers to in their place.

`expand=customer` puts the document that `customer_id` refers to beside it, under the name without `_id`;
`expand=items.product` does so in every entry of a list. Each model referred to costs one query, however many documents
there are. References to embedded entries, those whose name does not end in `_id`, and those to models that are not
served are not expanded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pydantic_core

from pulpo.errors import Nearest, PulpoError
from pulpo.runtime.references import references
from pulpo.spec import AppSpec, FieldSpec, Json, ModelSpec
from pulpo.store.port import Store

_SUFFIX = "_id"


@dataclass(frozen=True, slots=True)
class Expandable:
    """A reference that can be expanded: `name` as asked for, `path` to the reference, `under` beside it."""

    name: str
    path: tuple[str, ...]
    under: str
    target: ModelSpec


def expandables(app: AppSpec, model: ModelSpec) -> tuple[Expandable, ...]:
    """The references of a model that can be expanded, in the order written."""
    found = []
    for reference in references(app, model):
        last = reference.path[-1]
        under = last.removesuffix(_SUFFIX)
        if reference.entry is None and under and under != last and "get" in reference.target.api:
            siblings = {field.name for field in _level(model.fields, reference.path[:-1])}
            if under not in siblings:
                name = ".".join((*reference.path[:-1], under))
                found.append(Expandable(name, reference.path, under, reference.target))
    return tuple(found)


def _level(fields: tuple[FieldSpec, ...], path: tuple[str, ...]) -> tuple[FieldSpec, ...]:
    """The fields beside a reference."""
    for name in path:
        field = next(each for each in fields if each.name == name)
        fields = field.item.fields if field.item is not None else field.fields
    return fields


class Views:
    """The views of one model's documents that requests may ask for."""

    def __init__(self, app: AppSpec, model: ModelSpec) -> None:
        self._names = tuple(field.name for field in model.fields)
        self._expandable = {each.name: each for each in expandables(app, model)}

    def view(self, fields: str | None, expand: str | None) -> View | None:
        """What `fields=` and `expand=` ask for; None for whole documents. Raises PulpoError PULPO603."""
        kept = frozenset(_named(fields, self._names, "fields")) | {"id"} if fields is not None else None
        names = _named(expand, tuple(self._expandable), "expand") if expand is not None else ()
        wanted = tuple(self._expandable[name] for name in names)
        return View(kept, wanted) if kept is not None or wanted else None


def _named(text: str, known: tuple[str, ...], what: str) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(text.split(",")))
    for name in found:
        if name not in known:
            hint = Nearest(known).to(name) or ("known are: " + ", ".join(known) if known else None)
            raise PulpoError("PULPO603", f'"{what}" has a name that is not known here', hint=hint)
    return found


@dataclass(frozen=True, slots=True)
class View:
    """Some fields (None: all), and references expanded."""

    fields: frozenset[str] | None
    expand: tuple[Expandable, ...]

    async def of(self, store: Store, texts: Iterable[str | bytes]) -> list[dict[str, Json]]:
        """Documents as this view shows them."""
        documents: list[dict[str, Json]] = [pydantic_core.from_json(text) for text in texts]
        if self.expand:
            found = await self._referred(store, documents)
            for each in self.expand:
                there = found[each.target.collection]
                for holder in _holders(documents, each.path[:-1]):
                    if each.path[-1] in holder:
                        holder[each.under] = _resolved(holder[each.path[-1]], there)
        if self.fields is None:
            return documents
        kept = self.fields | {each.path[0] if len(each.path) > 1 else each.under for each in self.expand}
        return [{name: value for name, value in document.items() if name in kept} for document in documents]

    async def _referred(self, store: Store, documents: list[dict[str, Json]]) -> dict[str, Mapping[str, Json]]:
        """Collection -> id -> document, for everything that is referred to: a query per collection."""
        wanted: dict[str, set[str]] = {}
        for each in self.expand:
            ids = wanted.setdefault(each.target.collection, set())
            for holder in _holders(documents, each.path[:-1]):
                value = holder.get(each.path[-1])
                ids.update(id for id in (value if isinstance(value, list) else [value]) if isinstance(id, str))
        return {
            collection: {
                record.id: pydantic_core.from_json(record.json)
                for record in (await store.get_many(collection, tuple(sorted(ids))) if ids else ())
            }
            for collection, ids in wanted.items()
        }


def _holders(documents: Iterable[Any], path: tuple[str, ...]) -> Iterator[dict[str, Json]]:
    """The objects that hold a reference: the documents themselves, or what is embedded in them."""
    for document in documents:
        if not isinstance(document, dict):
            continue
        if not path:
            yield document
        else:
            inner = document.get(path[0])
            yield from _holders(inner if isinstance(inner, list) else [inner], path[1:])


def _resolved(value: Json, there: Mapping[str, Json]) -> Json:
    """The document referred to; null where there is none."""
    if isinstance(value, list):
        return [there.get(id) for id in value]
    return there.get(value) if isinstance(value, str) else None
