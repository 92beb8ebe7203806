"""The typed store that an operation sees: reads at once, writes that gather and commit together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

import pydantic_core
from pydantic import ValidationError

from pulpo.errors import NotFound, PulpoError
from pulpo.model.conditions import Compare, Condition, condition
from pulpo.model.model import Model, now, timestamp
from pulpo.runtime import shapes
from pulpo.runtime.handed import Handed
from pulpo.spec import Json, ModelSpec
from pulpo.store.port import (
    Batch,
    Delete,
    Insert,
    Query,
    Record,
    Replace,
    Require,
    Store,
    Update,
    Write,
    WriteFailed,
)

M = TypeVar("M", bound=Model)


@dataclass(frozen=True, slots=True)
class Access:
    """Which models, by name, an operation may read, write, and only insert into."""

    operation: str
    reads: frozenset[str]
    writes: frozenset[str]
    adds: frozenset[str]

    @staticmethod
    @lru_cache(maxsize=4096)
    def of(name: str, reads: tuple[str, ...], writes: tuple[str, ...], adds: tuple[str, ...]) -> Access:
        """What an operation's decorator declares; what it writes it may read too."""
        return Access(
            name, frozenset(reads) | frozenset(writes), frozenset(writes), frozenset(adds) | frozenset(writes)
        )


class Session:
    """Typed access to the documents of an application.

    Reads go to the store at once; writes gather until the operation returns or calls `ctx.commit()`, and then land
    together or not at all. `get` sees what is pending; a query of a model with pending writes is refused (PULPO415).
    What the operation does not declare is refused (PULPO405), and so is a commit after a document was changed in place
    and not given to `replace` or `patch` (PULPO417).
    """

    def __init__(self, store: Store, access: Access | None = None) -> None:
        self._store = store
        self._access = access
        self._writes: list[Write] = []
        self._otherwise: dict[int, PulpoError] = {}
        self._whole: dict[tuple[str, str], int] = {}  # the last write of a document's whole text, if nothing came after
        self._events: list[dict[str, Json]] = []
        self._handed = Handed()

    # reading

    async def get(self, model: type[M], id: str) -> M:
        """The document with this id or key, with what is pending applied. Raises NotFound."""
        found = await self.lookup(model, id)
        if found is None:
            raise NotFound(model.__name__, id)
        return found

    async def lookup(self, model: type[M], id: str) -> M | None:
        """As `get`, or None where nothing has this id or key."""
        spec = self._may(model, "read")
        pending = [write for write in self._writes if write.collection == spec.collection and write.id == id]
        if pending:
            return await self._pending(model, spec, id, pending)
        record = await self._store.get(spec.collection, id)
        if record is None and spec.key is not None:
            page = await self._store.query(Query(spec.collection, Compare(spec.key, "eq", id), limit=1))
            record = page.records[0] if page.records else None
            if record is not None and any(w.collection == spec.collection and w.id == record.id for w in self._writes):
                return await self.lookup(model, record.id)
        return None if record is None else self._read(model, record.json)

    async def find(
        self, model: type[M], *where: Condition | bool, sort: str | None = None, limit: int = 100
    ) -> list[M]:
        """The first `limit` documents where every condition holds; `sort` is a field, `-field` for descending."""
        spec = self._may(model, "read")
        self._unwritten(spec)
        order = tuple((part.lstrip("-"), part.startswith("-")) for part in sort.split(",")) if sort else ()
        page = await self._store.query(Query(spec.collection, condition(where), order, limit))
        return [self._read(model, record.json) for record in page.records]

    async def first(self, model: type[M], *where: Condition | bool, sort: str | None = None) -> M | None:
        """The first document where every condition holds, or None."""
        found = await self.find(model, *where, sort=sort, limit=1)
        return found[0] if found else None

    async def count(self, model: type[M], *where: Condition | bool) -> int:
        """How many documents there are where every condition holds."""
        spec = self._may(model, "read")
        self._unwritten(spec)
        return await self._store.count(spec.collection, condition(where))

    # writing

    def insert(self, document: M) -> M:
        """Add a new document."""
        spec = self._may(type(document), "add")
        document.__dict__["version"] = 1
        text = document.model_dump_json()
        self._put(spec, Insert(spec.collection, document.id, text), "created", 1)
        self._handed.note(document, text)
        return document

    def replace(self, document: M) -> M:
        """Write a changed document; holds only if it is still at the version that was read."""
        spec = self._may(type(document), "write")
        document.__dict__["updated_at"] = now()
        at = self._whole.get((spec.collection, document.id))
        if at is not None:
            pending = self._writes[at]
            text = document.model_dump_json()
            held = 1 if isinstance(pending, Insert) else pending.version + 1 if isinstance(pending, Replace) else None
            if held is not None and document.version != held:
                raise PulpoError(
                    "PULPO502",
                    f"this {spec.name} {document.id} is a copy from before what is pending",
                    hint="go on with the document that patch or get returns",
                )
            self._handed.note(document, text)
            if isinstance(pending, Insert):
                self._writes[at] = Insert(spec.collection, document.id, text)
                return document
            if isinstance(pending, Replace):
                self._writes[at] = Replace(spec.collection, document.id, pending.version, text)
                return document
        version = document.version
        document.__dict__["version"] = version + 1
        text = document.model_dump_json()
        self._put(spec, Replace(spec.collection, document.id, version, text), "changed", version + 1)
        self._handed.note(document, text)
        return document

    def patch(self, document: M, **fields: Any) -> M:
        """Write a document with other values in some fields, validated; returns the changed copy."""
        self._handed.drop(document)
        return self.replace(document.changed(**fields))

    def update(
        self,
        model: type[Model],
        id: str,
        where: Condition | bool | None = None,
        *,
        add: Mapping[str, int] | None = None,
        set: Mapping[str, Any] | None = None,
        otherwise: PulpoError | None = None,
    ) -> None:
        """Change fields of a document where a guard holds at the moment of the commit, whatever its version.

        Args:
            model: The document's class. id: Its id (not its key).
            where: The guard.
            add: Integer field -> what is added to it.
            set: Field -> its new value.
            otherwise: What the operation fails with when the guard does not hold (default: PULPO503).
        """
        spec = self._may(model, "write")
        values = pydantic_core.to_jsonable_python(dict(set or {}), inf_nan_mode="strings")
        guard = None if where is None else condition([where])
        if otherwise is not None:
            self._otherwise[len(self._writes)] = otherwise
        write = Update(spec.collection, id, guard, dict(add or {}), values, timestamp(now()))
        self._put(spec, write, "changed", None)

    def delete(self, document: Model) -> None:
        """Remove a document; holds only if it is still at the version that was read."""
        spec = self._may(type(document), "write")
        self._put(spec, Delete(spec.collection, document.id, document.version), "deleted", None)
        self._handed.drop(document)

    def require(self, document: Model) -> None:
        """Commit only if this document, which was only read, is still at the version that was read."""
        spec = self._may(type(document), "read")
        self._writes.append(Require(spec.collection, document.id, document.version))

    # committing: for those who run operations

    def batch(self) -> Batch:
        """What has gathered. Raises PulpoError PULPO417: a document was changed in place and not written."""
        self._handed.refuse_changed()
        return Batch(tuple(self._writes), tuple(self._events))

    @property
    def pending(self) -> bool:
        """Whether anything has gathered."""
        return bool(self._writes)

    def refusal(self, error: WriteFailed) -> PulpoError:
        """The error to raise for a failed commit: the write's own `otherwise`, if it has one."""
        return self._otherwise.get(error.index, error)

    def landed(self) -> None:
        """Note that what gathered was committed."""
        self._writes, self._otherwise, self._whole, self._events = [], {}, {}, []

    # inside

    def _read(self, model: type[M], text: str) -> M:
        try:
            document = model.model_validate_json(text)
        except ValidationError as error:
            raise shapes.unfit(model, error, pydantic_core.from_json(text).get("id")) from None
        self._handed.note(document, text)
        return document

    def _put(self, spec: ModelSpec, write: Write, what: str, version: int | None) -> None:
        key = (write.collection, write.id)
        if isinstance(write, Insert | Replace):
            self._whole[key] = len(self._writes)
        else:
            self._whole.pop(key, None)
        self._writes.append(write)
        event: dict[str, Json] = {"type": f"document.{what}", "model": spec.name, "id": write.id}
        if version is not None:
            event["version"] = version
        self._events.append(event)

    def _may(self, model: type[Model], action: str) -> ModelSpec:
        spec: ModelSpec | None = model.__dict__.get("__pulpo__")
        if spec is None:
            raise TypeError(f"{model.__name__} is not a @datamodel")
        access = self._access
        if access is None:
            return spec
        allowed = access.reads if action == "read" else access.writes if action == "write" else access.adds
        if spec.name not in allowed:
            option = {"read": "models_in", "write": "models_out", "add": "models_add"}[action]
            verb = {"read": "reads", "write": "writes", "add": "inserts"}[action]
            raise PulpoError(
                "PULPO405",
                f'operation "{access.operation}" {verb} "{spec.name}", which it does not declare',
                hint=f"add {spec.name} to {option}= of the operation",
            )
        return spec

    def _unwritten(self, spec: ModelSpec) -> None:
        if any(write.collection == spec.collection and not isinstance(write, Require) for write in self._writes):
            raise PulpoError(
                "PULPO415",
                f"a query of {spec.name} would not see what is pending",
                hint="query before the first write, or get by id",
            )

    async def _pending(self, model: type[M], spec: ModelSpec, id: str, pending: list[Write]) -> M | None:
        text: str | None = None
        if not isinstance(pending[0], Insert):
            record: Record | None = await self._store.get(spec.collection, id)
            text = None if record is None else record.json
        for write in pending:
            match write:
                case Insert(json=text) | Replace(json=text):
                    pass
                case Delete():
                    text = None
                case Update(add=add, set=values) if text is not None:
                    data = pydantic_core.from_json(text)
                    data.update(values)
                    data.update({name: (data.get(name) or 0) + amount for name, amount in add.items()})
                    data["version"] += 1
                    text = pydantic_core.to_json(data).decode()
                case _:
                    pass
        return None if text is None else self._read(model, text)
