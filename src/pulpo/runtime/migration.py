"""What a change of models means for documents that are there: shown first, then done.

Columns and indexes are added at every start, and a rename is carried out there too (`renamed_from=`). What remains is
in documents: a new field that they lack, whose default only Python code would see, a field that nothing declares any
more, a value that the field's type does not take, a whole collection without a model. Reading a document that does not
fit fails, so each is found by reading all of them, and mended only with leave to lose what cannot be kept. A migration
that was killed is run again: what was mended is not found again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

from pydantic import BaseModel, ValidationError

from pulpo.errors import PulpoError
from pulpo.runtime.tables import collections
from pulpo.spec import AppSpec, Json, ModelSpec
from pulpo.store import exact, places
from pulpo.store.checksum import canonical
from pulpo.store.port import Batch, Query, Record, Replace
from pulpo.store.renames import BothNamesError, old_path, with_new_name
from pulpo.store.upkeep import Change, Snapshot

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from pulpo.runtime.application import Application

Effect: TypeAlias = Literal["additive", "rename", "default", "form", "loss", "invalid"]
Tell: TypeAlias = Callable[[str, int], None]
"""Is told the collection, and how many documents of it were looked at."""

NAMED = 3
"""Ids that a finding names."""
ROUNDS = 20
"""How often a document is looked at again after something in it was mended."""
BATCH = 200
"""Documents that are rewritten in one commit."""


@dataclass(slots=True)
class Finding:
    """What is different, and where.

    Attributes:
        effect: `additive` and `rename` as in `pulpo.store.upkeep.Change`. `default`: documents lack a field that has
            a default: lists, filters and exports read what is stored, and do not see it. `form`: a value is kept,
            written in the form of its type now. `loss`: it cannot be kept. `invalid`: the document fits its model in
            no way.
        count: How many documents, None where it is not about documents. examples: Ids of the first of them.
    """

    effect: Effect
    collection: str
    what: str
    count: int | None = None
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """All that a migration would do, and how many documents were looked at."""

    findings: tuple[Finding, ...]
    documents: int

    def of(self, *effects: Effect) -> tuple[Finding, ...]:
        """The findings with these effects."""
        return tuple(one for one in self.findings if one.effect in effects)

    @property
    def rewrites(self) -> bool:
        """Whether documents change: then no other process may be at work."""
        return bool(self.of("rename", "default", "form", "loss"))


async def plan(spec: AppSpec, snapshot: Snapshot, tell: Tell = lambda *_: None, *, sample: int | None = None) -> Plan:
    """What a migration of a database to these models would do. Changes nothing.

    Args:
        spec: The models. snapshot: The database. tell: Is told how far it is.
        sample: Documents of each collection that are looked at, about; None for all.
    """
    pending = await snapshot.pending(collections(spec))
    survey = _Survey(pending)
    there = await snapshot.counts()
    for model in spec.models:
        if model.collection not in there:
            continue
        after, seen = None, 0
        while batch := await snapshot.scan(model.collection, after):
            for record in batch:
                survey.look(model, record)
            after, seen = batch[-1].id, seen + len(batch)
            tell(model.collection, seen)
            if sample is not None and seen >= sample:
                break
    return Plan(tuple(survey.findings()), survey.documents)


class _Survey:
    """Gathers what is found, by collection and place."""

    def __init__(self, pending: tuple[Change, ...]) -> None:
        self._changes = pending
        self._found: dict[tuple[Effect, str, str], Finding] = {}
        self._renames: dict[str, list[Change]] = {}
        for change in pending:
            if change.effect == "rename":
                self._renames.setdefault(change.collection, []).append(change)
        self.documents = 0

    def look(self, model: ModelSpec, record: Record) -> None:
        """Count what is to be done with a document."""
        self.documents += 1
        text = record.json
        try:
            for change in self._renames.get(model.collection, ()):
                assert change.path is not None
                assert change.old is not None
                other = with_new_name(text, old_path(change.path, change.old), change.path.rpartition(".")[2])
                if other is not None:
                    text = other
                    self._count("rename", model.collection, change.what, record.id)
        except BothNamesError:
            self._count("invalid", model.collection, "a field under its old name and its new one", record.id)
            return
        fitted = fit(model, text)
        for effect, what in dict.fromkeys(fitted.changes):
            self._count(effect, model.collection, what, record.id)

    def _count(self, effect: Effect, collection: str, what: str, id: str) -> None:
        found = self._found.setdefault((effect, collection, what), Finding(effect, collection, what, 0))
        found.count = (found.count or 0) + 1
        if len(found.examples) < NAMED:
            found.examples = (*found.examples, id)

    def findings(self) -> Iterator[Finding]:
        """All of them: first what the store would change."""
        for change in self._changes:
            # a field that is gone, and a rename, count by the documents that have it
            if change.effect == "rename" and ("rename", change.collection, change.what) not in self._found:
                yield Finding("rename", change.collection, change.what, 0)
            elif change.effect == "additive" or (change.effect == "loss" and change.what.startswith("collection")):
                yield Finding(change.effect, change.collection, change.what)
        order: tuple[Effect, ...] = ("rename", "default", "form", "loss", "invalid")
        yield from sorted(self._found.values(), key=lambda one: (order.index(one.effect), one.collection, one.what))


@dataclass(slots=True)
class Fitted:
    """A document brought into the form of its model: its text (None: it fits as it is, or not at all), and how.

    `unfit` has what was said of values that were taken out.
    """

    text: str | None = None
    changes: list[tuple[Effect, str]] = field(default_factory=list)
    unfit: dict[str, str] = field(default_factory=dict)


def fit(model: ModelSpec, text: str) -> Fitted:
    """Bring a document's text into the form of its model.

    What nothing declares is taken out; a value that does not fit gives way to its field's default.
    """
    fitted = Fitted()
    document: Json = None
    for _ in range(ROUNDS):
        try:
            value = model.cls.model_validate_json(text if document is None else exact.encode(document))
        except ValidationError as error:
            document = exact.decode(text) if document is None else document
            stuck = [
                each
                for each in error.errors(include_url=False, include_context=False)
                if not _mend(document, each, fitted)
            ]
            if stuck:
                return Fitted(None, [("invalid", fitted.unfit.get(_place(each)) or _told(each)) for each in stuck])
        else:
            return _written(fitted, value, text, mended=document is not None)
    return Fitted(None, [("invalid", "it goes on not to fit")])


def _mend(document: Json, error: ErrorDetails, fitted: Fitted) -> bool:
    """Take what is wrong out of a decoded document; False where nothing can be taken out."""
    *path, last = error["loc"] or ("",)
    at = document
    try:
        for part in path:
            at = at[part]
        del at[last]
    except (KeyError, IndexError, TypeError):
        return False
    if not isinstance(at, dict):  # the entries of a list stand for themselves: none is dropped
        return False
    place = _place(error)
    if error["type"] == "extra_forbidden":
        fitted.changes.append(("loss", f"field {place} that the model does not declare"))
    else:
        fitted.unfit[place] = _told(error)
        fitted.changes.append(("loss", f"values of {place} that do not fit ({error['msg']}): the default instead"))
    return True


def _written(fitted: Fitted, value: BaseModel, text: str, *, mended: bool) -> Fitted:
    new = value.model_dump_json()
    if not mended:
        if new == text or canonical(new) == canonical(text):
            return fitted
        before, after = exact.decode(text), exact.decode(new)
        changed = [name for name in before if _differs(before[name], after.get(name))]
        lacking = [*_lacking(before, after)]
        fitted.changes += [("default", f"documents without {name}: its default") for name in lacking]
        fitted.changes += [("form", f"values of {name} in the form of its type") for name in changed]
        if not changed:  # what is there keeps its digits
            fitted.text = exact.encode(_filled(before, after)) if lacking else None
            return fitted
    fitted.text = new
    return fitted


def _differs(before: Json, after: Json) -> bool:
    """Whether a value is another one after it went through its model; what was added to an object does not count."""
    if isinstance(before, dict) and isinstance(after, dict):
        return any(name not in after or _differs(value, after[name]) for name, value in before.items())
    if isinstance(before, list) and isinstance(after, list):
        return len(before) != len(after) or any(map(_differs, before, after))
    return canonical(exact.encode(before)) != canonical(exact.encode(after))


def _lacking(before: Json, after: Json, place: str = "") -> Iterator[str]:
    """The fields that have a default and are not written: `colour`, `items[].note`."""
    if isinstance(before, list) and isinstance(after, list):
        for old, new in zip(before, after, strict=False):
            yield from _lacking(old, new, f"{place}[]")
    elif isinstance(before, dict) and isinstance(after, dict):
        for name, value in after.items():
            path = f"{place}.{name}" if place else name
            if name not in before:
                yield path
            else:
                yield from _lacking(before[name], value, path)


def _filled(before: Json, after: Json) -> Json:
    """What is written, and of what it lacks the default."""
    if isinstance(before, list) and isinstance(after, list):
        return [_filled(old, new) for old, new in zip(before, after, strict=True)]
    if isinstance(before, dict) and isinstance(after, dict):
        return {n: _filled(before[n], value) if n in before else value for n, value in after.items()}
    return before


def _told(error: ErrorDetails) -> str:
    return f"{_place(error)}: {error['msg']}"


def _place(error: ErrorDetails) -> str:
    """`items[].note` for the field `note` of any entry."""
    place = ""
    for part in error["loc"]:
        place += "[]" if isinstance(part, int) else f".{part}" if place else str(part)
    return place or "the document"


async def migrate(application: Application, found: Plan, *, allow_loss: bool, tell: Tell = lambda *_: None) -> int:
    """Do what a plan says; how many documents were rewritten. No other process may be at work if there are any.

    Raises:
        PulpoError: PULPO508, it cannot be done, or would lose something and may not; nothing was changed.
    """
    invalid = found.of("invalid")
    if invalid:
        raise PulpoError("PULPO508", "documents do not fit their model: " + _named(invalid), hint=_CORRECT, status=409)
    losses = found.of("loss")
    if losses and not allow_loss:
        raise PulpoError("PULPO508", "this would lose data: " + _named(losses), hint=_LEAVE, status=409)
    await application.store.open(collections(application.spec))
    try:
        touched = {one.collection for one in found.of("default", "form", "loss")}
        rewritten = sum(one.count or 0 for one in found.of("rename"))
        for model in application.spec.models:
            if model.collection in touched:
                rewritten += await _rewrite(application, model, tell)
    finally:
        await application.store.close()
    declared = {model.collection for model in application.spec.models}
    await _drop(application, touched - declared)
    return rewritten


_CORRECT = "correct these documents, give the field a default, or take the change back"
_LEAVE = "--allow-loss does it all the same; take a backup first: pulpo db backup FILE"


def _named(findings: tuple[Finding, ...]) -> str:
    return "; ".join(f"{one.collection}: {one.what}{_documents(one)}" for one in findings)


def _documents(one: Finding) -> str:
    if not one.count:
        return ""
    return f", {one.count} documents ({', '.join(one.examples)}{', …' if one.count > len(one.examples) else ''})"


async def _rewrite(application: Application, model: ModelSpec, tell: Tell) -> int:
    store = application.store
    query = Query(model.collection, limit=BATCH)
    rewritten = seen = 0
    while True:
        page = await store.query(query)
        writes = []
        for record in page.records:
            text = fit(model, record.json).text
            if text is not None:
                raised = _at_version(text, record.version + 1)
                writes.append(Replace(model.collection, record.id, record.version, raised))
        if writes:
            await store.commit(Batch(tuple(writes)))
        rewritten, seen = rewritten + len(writes), seen + len(page.records)
        tell(model.collection, seen)
        if page.cursor is None:
            return rewritten
        query = replace(query, after=page.cursor)


def _at_version(text: str, version: int) -> str:
    document = exact.decode(text)
    document["version"] = version
    return exact.encode(document)


async def _drop(application: Application, names: set[str]) -> None:
    if not names:
        return
    url = application.settings.database.url.get_secret_value()
    loader = places.loader(url, application.root)
    await loader.open(collections(application.spec))
    try:
        for name in sorted(names):
            await loader.clear(name)
    finally:
        await loader.close()
