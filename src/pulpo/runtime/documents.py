"""Documents over HTTP and on the command line: create, read, replace, patch and delete, with their rules.

A client may write what the model declares and nothing else: `version`, the timestamps and `readonly` fields are
refused, an `id` is taken on create only. A read-only field therefore needs a default.

One class, one pipeline from body to commit; lists, filters, expansion, export and bulk have modules of their own.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Container, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

import pydantic_core
from pydantic import ValidationError

from pulpo.errors import FieldError, NotFound, PulpoError
from pulpo.model.conditions import Compare, Condition
from pulpo.model.model import Model, now
from pulpo.runtime import shapes
from pulpo.runtime.aggregation import aggregate
from pulpo.runtime.bodies import RESERVED, STAMPS, Closed, merge, parse_object, strangers
from pulpo.runtime.context import Caller
from pulpo.runtime.expansion import Views
from pulpo.runtime.export import Export, export
from pulpo.runtime.filters import Fields
from pulpo.runtime.keys import Answer, Key
from pulpo.runtime.listing import Listing, parse
from pulpo.runtime.references import References, with_ids
from pulpo.spec import Json, ModelSpec
from pulpo.store.port import (
    Batch,
    Delete,
    DuplicateId,
    Insert,
    JsonPage,
    Query,
    Record,
    Replace,
    StaleVersion,
    Store,
    UniqueTaken,
    Write,
    WriteFailed,
)

if TYPE_CHECKING:
    from pulpo.runtime.application import Application
    from pulpo.runtime.context import Context

Raw = bytes | str | Mapping[str, Json]

ATTEMPTS = 20
"""How often a change without a precondition starts again because another got in between."""
EVERYTHING = Caller()
_REMEMBERED = 200
"""Bytes of a list's query string up to which they are read once: clients ask for the same pages again and again."""

log = logging.getLogger("pulpo.documents")


@dataclass(frozen=True, slots=True)
class Written:
    """A document as it was committed; `replayed`: an earlier request with the same idempotency key wrote it."""

    id: str
    version: int
    json: str
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Listed:
    """A page as one JSON array; `total` where it was asked for, `next` and `first` query strings of other pages."""

    body: bytes
    total: int | None
    next: str | None
    first: str | None


class Documents:
    """The documents of one model, as clients may use them."""

    def __init__(self, application: Application, spec: ModelSpec) -> None:
        self.spec = spec
        self._application = application
        self._asked = lru_cache(maxsize=256)(self._read)
        self._cls: type[Model] = spec.cls  # type: ignore[assignment]  # a ModelSpec's class is a Model
        self._references = References(application.spec, spec)
        self.fields = Fields.of(spec.fields)
        self._views = Views(application.spec, spec)
        self._on_create = Closed.of(spec.fields, STAMPS)
        self._on_change = Closed.of(spec.fields, STAMPS | {"id"})
        self._kept = tuple(name for name in self._cls.model_fields if name in self._on_change.names)

    @property
    def _store(self) -> Store:
        return self._application.store

    # reading

    async def get_json(self, id: str) -> tuple[bytes, int]:
        """A document's text by id or key, and its version; ids win. Raises NotFound."""
        found = await self._store.get_json(self.spec.collection, id)
        if found is None and self.spec.key is not None:
            record = await self._by_key(id)
            if record is not None:
                return record.json.encode(), record.version
        if found is None:
            raise NotFound(self.spec.name, id)
        return found

    async def view_json(self, id: str, fields: str | None, expand: str | None) -> tuple[bytes, int]:
        """As `get_json`, of the document what is asked for. Raises NotFound and PulpoError PULPO603."""
        view = self._views.view(fields, expand)
        found, version = await self.get_json(id)
        if view is None:
            return found, version
        return pydantic_core.to_json((await view.of(self._store, (found,)))[0]), version

    async def list_json(self, asked: bytes) -> Listed:
        """A page of documents, as a query string asks for it. Raises PulpoError PULPO603."""
        listing = self._asked(asked) if len(asked) <= _REMEMBERED else self._read(asked)
        view = self._views.view(listing.fields, listing.expand)
        where = await self.resolved(listing.where)
        query = Query(self.spec.collection, where, listing.sort, listing.limit, listing.cursor, listing.offset)
        if view is None:
            whole: JsonPage = await self._store.query_json(query)
            body, cursor = whole.body, whole.cursor
        else:
            page = await self._store.query(query)
            shown = await view.of(self._store, (record.json for record in page.records))
            body, cursor = pydantic_core.to_json(shown), page.cursor
        total = await self._store.count(self.spec.collection, where) if listing.count else None
        return Listed(body, total, None if cursor is None else listing.next_query(cursor), listing.first_query())

    def _read(self, asked: bytes) -> Listing:
        given = parse_qsl(asked.decode("latin-1"), keep_blank_values=True)
        return parse(given, self.fields, page_limit=self._application.settings.api.page_limit)

    async def aggregate_json(self, parameters: Iterable[tuple[str, str]]) -> bytes:
        """Groups of documents, counted and summed, as query parameters ask for it. Raises PulpoError PULPO603."""
        return await aggregate(self._store, self.spec.collection, self.fields, parameters, self.resolved)

    async def export(self, parameters: Iterable[tuple[str, str]]) -> Export:
        """All documents that query parameters ask for, page by page. Raises PulpoError PULPO603."""
        return await export(self._store, self.spec, self.fields, parameters, self.resolved, self._views)

    async def resolved(self, where: Condition | None) -> Condition | None:
        """A filter with ids where references were given as keys."""
        if where is None:
            return None
        return await with_ids(self._store, self._application.spec, self.fields, where)

    # writing

    async def create(self, raw: Raw, caller: Caller = EVERYTHING, key: str | None = None) -> Written:
        """Add a document.

        Args:
            raw: The body; it may carry an `id`.
            caller: Who asks.
            key: The client's idempotency key: a second request with it gets the first one's answer.
        Raises:
            PulpoError: PULPO601, PULPO602 the body; PULPO510 a reference; PULPO501, PULPO504 taken; a hook's own.
        """
        document = self._validated(raw, self._on_create)
        claim = self._claim(document, caller, key)
        for attempt in range(ATTEMPTS):
            # before references and hooks: what the first request needed may be gone by now
            if claim is not None and (answer := await claim.stored(self._store)) is not None:
                return self._replayed(answer)
            try:
                if attempt:  # a hook may have changed the document: begin with what came, which costs less than copies
                    document = self._validated(raw, self._on_create)
                return await self._create(document, caller, claim)
            except _Again:
                continue
            except PulpoError:
                # a twin with the same key may have been first, and it is its document that was in the way
                if claim is not None and (answer := await claim.stored(self._store)) is not None:
                    return self._replayed(answer)
                raise
        raise _kept_changing(self.spec.name)

    async def _create(self, document: Model, caller: Caller, claim: Key | None) -> Written:
        also = self._new_key(document, None)
        await self._refuse_ambiguous(document, None, await self._references.resolve(self._store, document, also=also))
        context = await self._hook("before_create", document, caller)
        moment = now()
        document.__dict__.update(version=1, created_at=moment, updated_at=moment)
        text = document.model_dump_json()
        write = Insert(self.spec.collection, document.id, text)
        more: tuple[Write, ...] = ()
        if claim is not None:
            more = (claim.answered(Answer(201, pydantic_core.from_json(text)), claimed=False),)
        await self._commit(context, write, self._event("created", document.id, 1), more)
        await self._after_commit(document, caller)
        return Written(document.id, 1, text)

    async def replace(
        self, id: str, raw: Raw, caller: Caller = EVERYTHING, versions: Container[int] | None = None
    ) -> Written:
        """Put a whole new body in place; read-only fields keep their values.

        Args:
            id: The document's id or key.
            raw: The body, without `id`.
            caller: Who asks.
            versions: Only if the document is at one of these.
        Raises:
            PulpoError: as `create`; NotFound; PULPO609 another version; PULPO408 it kept changing.
        """
        fresh = [self._validated(raw, self._on_change)]

        async def change(old: Model, _: Record) -> Model:
            document = fresh.pop() if fresh else self._validated(raw, self._on_change)
            document.__dict__.update({name: getattr(old, name) for name in self._kept})
            return document

        return await self._change(id, change, caller, versions)

    async def patch(
        self, id: str, raw: Raw, caller: Caller = EVERYTHING, versions: Container[int] | None = None
    ) -> Written:
        """Merge a body into a document (RFC 7386: null takes a field back to its default). Arguments as `replace`."""
        text = shapes.text_of(raw)
        body = parse_object(text)
        breaches = (*self._on_change.breaches(body), *strangers(self.spec.fields, body))
        if breaches:
            raise shapes.places(breaches)

        async def change(_: Model, record: Record) -> Model:
            merged = pydantic_core.to_json(merge(pydantic_core.from_json(record.json), body))
            try:
                return shapes.received(self._cls, merged)
            except ValidationError as error:
                raise shapes.invalid(error, self._cls) from None

        return await self._change(id, change, caller, versions)

    async def _change(
        self,
        id: str,
        change: Callable[[Model, Record], Awaitable[Model]],
        caller: Caller,
        versions: Container[int] | None,
    ) -> Written:
        for _ in range(ATTEMPTS):
            record = await self._record(id, versions)
            old = self._stored(record)
            document = await change(old, record)
            also = self._new_key(document, old)
            same = await self._references.resolve(self._store, document, old, also=also)
            await self._references.refuse_lost_entries(self._store, old, document)
            await self._refuse_ambiguous(document, old, same)
            context = await self._hook("before_update", document, caller, old)
            version = record.version + 1
            document.__dict__.update(id=record.id, version=version, created_at=old.created_at, updated_at=now())
            text = document.model_dump_json()
            write = Replace(self.spec.collection, record.id, record.version, text)
            try:
                await self._commit(context, write, self._event("changed", record.id, version))
            except _Again:
                continue
            await self._after_commit(document, caller)
            return Written(record.id, version, text)
        raise _kept_changing(self.spec.name)

    async def delete(self, id: str, caller: Caller = EVERYTHING, versions: Container[int] | None = None) -> None:
        """Remove a document, unless others refer to it.

        Raises:
            PulpoError: NotFound; PULPO611 others refer to it; PULPO609 another version; what a hook refuses.
        """
        for _ in range(ATTEMPTS):
            record = await self._record(id, versions)
            document = self._stored(record)
            context = await self._hook("before_delete", document, caller)
            gathered = context.store.batch().writes if context is not None else ()
            leaving = tuple((write.collection, write.id) for write in gathered if isinstance(write, Delete))
            await self._references.refuse_while_referred(self._store, record.id, leaving)
            write = Delete(self.spec.collection, record.id, record.version)
            try:
                await self._commit(context, write, self._event("deleted", record.id, None))
            except _Again:
                continue
            await self._after_commit(document, caller)
            return
        raise _kept_changing(self.spec.name)

    # inside

    def _validated(self, raw: Raw, closed: Closed) -> Model:
        """A body as a document: one validation, from its text."""
        text = shapes.text_of(raw)
        breaches = tuple(closed.breaches(parse_object(text)))
        try:
            document = shapes.received(self._cls, text)
        except ValidationError as error:
            if not breaches:
                raise shapes.invalid(error, self._cls) from None
            named = {breach.pointer for breach in breaches}
            others = (e for e in shapes.invalid(error, self._cls).errors if e.pointer not in named)
            raise shapes.places((*breaches, *others)) from None
        if breaches:
            raise shapes.places(breaches)
        return document

    async def _record(self, id: str, versions: Container[int] | None) -> Record:
        record = await self._store.get(self.spec.collection, id) or await self._by_key(id)
        if record is None:
            raise NotFound(self.spec.name, id)
        if versions is not None and record.version not in versions:
            raise PulpoError(
                "PULPO609",
                f'{self.spec.name} "{record.id}" is at version {record.version}',
                hint="read it again and decide on what is there now",
            )
        return record

    def _stored(self, record: Record) -> Model:
        try:
            return self._cls.model_validate_json(record.json)
        except ValidationError as error:
            raise shapes.unfit(self._cls, error, record.id) from None

    async def _by_key(self, value: str) -> Record | None:
        if self.spec.key is None:
            return None
        page = await self._store.query(Query(self.spec.collection, Compare(self.spec.key, "eq", value), limit=1))
        return page.records[0] if page.records else None

    def _new_key(self, document: Model, old: Model | None) -> str | None:
        """A document's key where it is new and not its id: no other document may have that as its id."""
        key = self.spec.key
        if key is None:
            return None
        value = getattr(document, key)
        new = isinstance(value, str) and value != document.id and (old is None or value != getattr(old, key))
        return value if new else None

    async def _refuse_ambiguous(self, document: Model, old: Model | None, same: Record | None) -> None:
        """An id and a key must lead to one document, and to a document; `same` has the new key as its id."""
        key = self.spec.key
        for name in ("id",) if key is None else ("id", key):
            value = getattr(document, name)
            if value in RESERVED and (old is None or value != getattr(old, name)):
                raise shapes.places((FieldError(f"/{name}", "reserved", "This is an address beside the documents"),))
        if key is None:
            return
        if same is not None:
            raise _taken("PULPO504", f"/{key}", f"another {self.spec.name} has this value as its id")
        if old is None and "id" in document.model_fields_set and document.id:
            record = await self._by_key(document.id)
            if record is not None:
                raise _taken("PULPO501", "/id", f"another {self.spec.name} has this value as its {key}")

    async def _hook(self, name: str, document: Model, caller: Caller, *more: Model) -> Context | None:
        if not _has(type(document), name):
            return None
        context = self._application.context(caller)
        await getattr(document, name)(*more, context)
        return context

    async def _commit(
        self, context: Context | None, write: Write, event: Mapping[str, Json], more: tuple[Write, ...] = ()
    ) -> None:
        gathered = context.store.batch() if context is not None else Batch(())
        own = len(gathered.writes)
        try:
            await self._store.commit(Batch((*gathered.writes, write, *more), (*gathered.events, event)))
        except WriteFailed as error:
            if error.index < own and context is not None:
                refusal = context.store.refusal(error)
                if isinstance(refusal, StaleVersion):
                    raise _Again from error
                raise refusal from (None if refusal is error else error)
            if error.index > own or isinstance(error, StaleVersion):
                raise _Again from error  # the key's row is there now, or another change came first
            if isinstance(error, DuplicateId):
                raise _taken("PULPO501", "/id", f"another {self.spec.name} has this id") from None
            if isinstance(error, UniqueTaken):
                message = "another document has this value"
                places = tuple(FieldError(f"/{name}", "unique", message) for name in error.fields)
                names = " and ".join(error.fields)
                raise PulpoError("PULPO504", f"another {self.spec.name} has this {names}", errors=places) from None
            raise

    async def _after_commit(self, document: Model, caller: Caller) -> None:
        """Run the hook; what is committed is committed, so its failure goes to the log."""
        if not _has(type(document), "after_commit"):
            return
        context = self._application.context(caller)
        try:
            await document.after_commit(context)  # type: ignore[attr-defined]  # it has the hook
            if context.store.pending:
                await self._store.commit(context.store.batch())
        except Exception:
            log.exception("after_commit of %s %s failed", self.spec.name, document.id)

    def _event(self, what: str, id: str, version: int | None) -> dict[str, Json]:
        event: dict[str, Json] = {"type": f"document.{what}", "model": self.spec.name, "id": id}
        if version is not None:
            event["version"] = version
        return event

    def _claim(self, document: Model, caller: Caller, key: str | None) -> Key | None:
        if key is None:
            return None
        body = document.model_dump_json(exclude_unset=True)
        return Key.of(caller, f"POST {self.spec.path}", key, body)

    def _replayed(self, answer: Answer) -> Written:
        text = pydantic_core.to_json(answer.body).decode()
        return Written(answer.body["id"], answer.body["version"], text, replayed=True)


def _has(model: type[Model], hook: str) -> bool:
    """Whether a model has a hook. Pydantic takes ten times as long to say that it has not."""
    return any(hook in each.__dict__ for each in model.__mro__)


class _Again(Exception):
    """Another write came in between."""


def _taken(code: str, place: str, message: str) -> PulpoError:
    return PulpoError(code, message, errors=(FieldError(place, "unique", message),))


def _kept_changing(model: str) -> PulpoError:
    return PulpoError("PULPO408", f"the {model} kept changing", hint="try again", headers={"Retry-After": "1"})
