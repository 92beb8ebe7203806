"""What a group of batches makes of the documents it touches, worked out in memory.

A group is one transaction. Its documents are read in it, every batch is applied to what was read, one after another as
they were submitted, and what they are in the end goes back. The server notices where another transaction has changed a
document meanwhile, and the group begins again; so what is decided here holds at the commit. A hundred updates of one
document are one write, and the text of a document is always made here, never by the server.

A document that is only replaced, deleted or required at a version, or inserted, is not read: the write itself names
the version. Where one then turns out not to be there the group begins again and reads everything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NoReturn, TypeAlias

import pydantic_core

from pulpo.spec import Json
from pulpo.store.mongo_guard import guard
from pulpo.store.mongo_table import REQUIRED, Table
from pulpo.store.port import (
    Batch,
    Delete,
    DuplicateId,
    GuardFailed,
    Insert,
    Replace,
    Require,
    StaleVersion,
    Update,
    Write,
)
from pulpo.store.splice import Members, encode

Key: TypeAlias = tuple[str, str]
"""Collection and id."""

Pending: TypeAlias = Literal["insert", "replace", "delete", "require"] | None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A write with what could be worked out when it was submitted: its guard, its new values as JSON text."""

    write: Write
    table: Table
    holds: Callable[[Json], bool] | None = None
    values: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> Key:
        """The document it is about."""
        return self.write.collection, self.write.id


def prepare(tables: Mapping[str, Table], batch: Batch) -> tuple[Prepared, ...]:
    """A batch's writes.

    Raises:
        PulpoError: PULPO603, a guard's field is not declared.
        ValueError: An update sets `id` or `version`, or something that is no JSON value.
    """
    return tuple(_prepare(tables[write.collection], write) for write in batch.writes)


def _prepare(table: Table, write: Write) -> Prepared:
    if not isinstance(write, Update):
        return Prepared(write, table)
    if not write.set.keys().isdisjoint(("id", "version")) or not write.add.keys().isdisjoint(("id", "version")):
        raise ValueError("an update sets neither id nor version")
    values = {name: encode(value) for name, value in write.set.items()}
    if write.at is not None:
        values["updated_at"] = encode(write.at)
    return Prepared(write, table, guard(table, write.where) if write.where is not None else None, values)


@dataclass(frozen=True, slots=True)
class Held:
    """A document during a group.

    Args:
        there: Whether it exists; None where that was not asked.
        version: Which version it is at, if it exists.
        text: Its text; None where it was not read.
        pending: What the server has yet to be told.
        base: The version it must be at for that, on the server; None for any.
        owner: The place in the group of the batch that began it.
    """

    there: bool | None
    version: int = 0
    text: str | None = None
    pending: Pending = None
    base: int | None = None
    owner: int = 0


@dataclass(slots=True)
class Stage:
    """What goes to the server together, by collection: inserts, then updates in order, then deletes.

    Within one of them no document is touched twice, and in this order nothing succeeds that would fail one by one: an
    insert comes too early for a unique value that is freed, never too late to collide. What fails for that goes again
    alone, write by write.
    """

    inserts: dict[str, list[tuple[Key, Held]]] = field(default_factory=dict)
    updates: dict[str, list[tuple[Key, Held]]] = field(default_factory=dict)
    deletes: dict[str, list[tuple[Key, Held]]] = field(default_factory=dict)

    def add(self, key: Key, held: Held) -> None:
        """Take in what a document is to become."""
        kinds = {"insert": self.inserts, "delete": self.deletes}
        kinds.get(held.pending or "", self.updates).setdefault(key[0], []).append((key, held))


class Plan:
    """The state of a group's documents, and the stages that bring it about."""

    def __init__(self, known: Mapping[Key, Held]) -> None:
        self._held: dict[Key, Held] = dict(known)
        self.stages: list[Stage] = []
        self.tried: list[Stage] = []  # of the last batch that failed: what its writes before that were to do
        self._touched: dict[Key, None] = {}  # in order: what is pending
        # How to undo the batch that is being applied: states before it, what it was the first to touch, and what was
        # pending before it if that was made a stage.
        self._log: dict[Key, Held | None] = {}
        self._added: list[Key] = []
        self._before: dict[Key, None] | None = None

    def apply(self, writes: Iterable[Prepared], owner: int, *, singly: bool = False) -> tuple[int, ...]:
        """A batch's writes, all of them or, where it raises, none; `singly` makes a stage of each.

        Raises:
            DuplicateId, StaleVersion, GuardFailed: With the write's place in the batch.
        """
        self._log, self._added, self._before = {}, [], None
        stages = len(self.stages)
        versions: list[int] = []
        try:
            for index, prepared in enumerate(writes):
                versions.append(self._apply(prepared, index, owner))
                if singly:
                    self.flush(always=True)
        except BaseException:
            self._undo(stages)
            raise
        return tuple(versions)

    def _undo(self, stages: int) -> None:
        self.tried = self.stages[stages:]
        for key, held in self._log.items():
            if held is None:
                del self._held[key]
            else:
                self._held[key] = held
        del self.stages[stages:]
        if self._before is not None:
            self._touched = self._before
        else:
            for key in self._added:
                del self._touched[key]

    def flush(self, *, always: bool = False) -> None:
        """Make a stage of what is pending, if anything is (or `always`)."""
        if not self._touched and not always:
            return
        stage = Stage()
        for key in self._touched:
            held = self._held[key]
            stage.add(key, held)
            self._put(key, Held(held.there, held.version, held.text))
        if self._before is None:
            added = set(self._added)
            self._before = {key: None for key in self._touched if key not in added}
        self._touched = {}
        self.stages.append(stage)

    def _put(self, key: Key, held: Held) -> None:
        self._log.setdefault(key, self._held.get(key))
        self._held[key] = held

    def _become(self, key: Key, held: Held) -> None:
        self._put(key, held)
        if key not in self._touched:
            self._touched[key] = None
            self._added.append(key)

    def _apply(self, prepared: Prepared, index: int, owner: int) -> int:
        write, key = prepared.write, prepared.key
        held = self._held.get(key, _UNKNOWN)
        match write:
            case Insert():
                if held.there:
                    raise DuplicateId("PULPO501", f"{write.collection} {write.id} exists", index)
                if held.pending == "delete":
                    self.flush()
                self._become(key, Held(True, 1, write.json, "insert", None, owner))
                return 1
            case Replace():
                self._expect(write, held, index)
                self._text(prepared, held, write.version + 1, write.json, owner)
                return write.version + 1
            case Update():
                return self._update(prepared, write, held, index, owner)
            case Delete():
                self._expect(write, held, index)
                base = held.version if held.there else write.version
                if held.pending in ("insert", "replace"):
                    self.flush()
                self._become(key, Held(False, 0, None, "delete", base, owner))
                return 0
            case Require():
                self._expect(write, held, index)
                if held.pending is None:
                    self._become(key, Held(True, write.version, held.text, "require", write.version, owner))
                return write.version

    def _update(self, prepared: Prepared, write: Update, held: Held, index: int, owner: int) -> int:
        place = f"{write.collection} {write.id}"
        if not held.there or held.text is None:
            raise GuardFailed("PULPO503", f"{place} is not there", index, missing=True)
        self._expect(write, held, index)
        members = Members(held.text)
        if prepared.holds is not None and not prepared.holds(members.document):
            raise GuardFailed("PULPO503", f"{place} does not meet the update's condition", index)
        version = held.version + 1
        values = {"version": str(version)}
        for name, amount in write.add.items():
            values[name] = encode((members.document.get(name) or 0) + amount)
        text = members.changed({**values, **prepared.values})
        self._text(prepared, held, version, text, owner)
        return version

    def _expect(self, write: Replace | Update | Delete | Require, held: Held, index: int) -> None:
        """Refuse a write at a version that the document is known not to be at."""
        if held.there is None:
            return
        if not held.there:
            _missing(write, index)
        if write.version is not None and write.version != held.version:
            raise StaleVersion(
                "PULPO502",
                f"{write.collection} {write.id} is at version {held.version}, not {write.version}",
                index,
                hint="read it again and repeat the change",
            )

    def _text(self, prepared: Prepared, held: Held, version: int, text: str, owner: int) -> None:
        """Give a document a new text."""
        key, table = prepared.key, prepared.table
        if held.pending in ("insert", "replace"):
            if table.unique and held.text is not None and _moves(table, held.text, text):
                self.flush()  # the server is to see the values in between
                self._become(key, Held(True, version, text, "replace", held.version, owner))
            else:
                self._become(key, Held(True, version, text, held.pending, held.base, held.owner))
            return
        base = held.version if held.there else version - 1
        if held.pending == "require" and table.unique and (held.text is None or _moves(table, held.text, text)):
            self.flush()  # in the place of what was required, its old values would be free too soon
        self._become(key, Held(True, version, text, "replace", base, owner))


_UNKNOWN = Held(None)


def to_read(batches: Iterable[tuple[Prepared, ...]], *, everything: bool = True) -> dict[str, list[str]]:
    """The documents that have to be read before batches are applied, by collection; `everything`: all they touch."""
    found: dict[str, dict[str, None]] = {}
    for writes in batches:
        for prepared in writes:
            if everything or isinstance(prepared.write, Update):
                found.setdefault(prepared.write.collection, {}).setdefault(prepared.write.id)
    return {name: list(ids) for name, ids in found.items()}


def stored(table: Table, key: Key, held: Held) -> dict[str, Any]:
    """A document as it is sent."""
    assert held.text is not None
    return table.stored(key[1], held.version, held.text, pydantic_core.from_json(held.text))


def changes(table: Table, key: Key, held: Held) -> dict[str, Any]:
    """An update statement: the document anew, or its counter raised, where it is at the version expected.

    An insert is an upsert of a version that there never is: a document with this id does not match it, and collides.
    """
    if held.pending == "require":
        return {"q": {"_id": key[1], "version": held.base}, "u": {"$inc": {REQUIRED: 1}}}
    if held.pending == "insert":
        return {"q": {"_id": key[1], "version": 0}, "u": stored(table, key, held), "upsert": True}
    return {"q": {"_id": key[1], "version": held.base}, "u": stored(table, key, held)}


def removal(key: Key, held: Held) -> dict[str, Any]:
    """A delete statement."""
    return {"q": {"_id": key[1]} if held.base is None else {"_id": key[1], "version": held.base}, "limit": 1}


Claim: TypeAlias = tuple[str, tuple[str, ...], tuple[Any, ...]]
"""A value in a unique index: the collection, the index's fields, what a document has there."""


def claims_of(table: Table, document: Json) -> list[Claim]:
    """What a document has in unique indexes."""
    held = zip(table.unique, table.taken(document), strict=True)
    return [(table.name, keys, values) for keys, values in held if None not in values]


def claimed(prepared: Prepared) -> list[Claim]:
    """The unique values of a whole document that is written."""
    write, table = prepared.write, prepared.table
    if table.unique and isinstance(write, Insert | Replace):
        return claims_of(table, pydantic_core.from_json(write.json))
    return []


def moves(prepared: Prepared) -> bool:
    """Whether an update may give its document another unique value."""
    write, table = prepared.write, prepared.table
    return isinstance(write, Update) and any(
        name in write.set or name in write.add for fields in table.unique.values() for name in fields
    )


def takes(prepared: Prepared) -> bool:
    """Whether a write may collide with a unique value."""
    return moves(prepared) or bool(claimed(prepared))


def _moves(table: Table, before: str, after: str) -> bool:
    return table.taken(pydantic_core.from_json(before)) != table.taken(pydantic_core.from_json(after))


def _missing(write: Write, index: int) -> NoReturn:
    place = f"{write.collection} {write.id}"
    if isinstance(write, Update):
        raise GuardFailed("PULPO503", f"{place} is not there", index, missing=True)
    raise StaleVersion("PULPO502", f"{place} is not there", index, missing=True)
