"""The port every store adapter implements: documents as JSON text, and one way to write.

Promises that the conformance suite (`pulpo.testing.conformance.StoreConformance`) holds every adapter to:

* `commit` is all or nothing, durable when it returns, and batches are applied one after another; a batch that fails
  leaves nothing and does not disturb others that were committed together with it.
* Every write raises the document's version by one, from 1. `Replace`, `Delete` and `Require` with a version hold
  only at that version.
* What a commit wrote is seen by every read that begins after the commit returned, in this process and in others.
* A batch's events appear when it is committed and only then, in commit order, each under a cursor of its own.
* Plain reads protect nothing: absence is guarded only by a unique key or a document that both sides write, a condition
  over two documents only by `Require`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal, Protocol, TypeAlias

from pulpo.errors import PulpoError
from pulpo.model.conditions import Condition
from pulpo.spec import Json

QUERY_TIMEOUT = 10.0
"""Seconds that one query may take, unless a store was made with another limit."""
Bucket: TypeAlias = Literal["hour", "day", "week", "month", "year"]
ColumnKind: TypeAlias = Literal["text", "integer", "number", "boolean", "money", "datetime", "date", "json"]


@dataclass(frozen=True, slots=True)
class Column:
    """A field that stores may filter, sort and index. `path` is dotted; `many`: some part of the path is a list.

    `values`: how many different values there can be, where few are declared (enums, booleans); 0 for any number.
    """

    path: str
    kind: ColumnKind
    decimals: int = 2
    many: bool = False
    renamed_from: str | None = None
    values: int = 0


@dataclass(frozen=True, slots=True)
class Index:
    """An index over top-level columns. A unique one does not hold documents where a field is null.

    Over one column with `many`, and nothing else, it finds the documents that have some value among the entries.
    """

    fields: tuple[str, ...]
    unique: bool = False


@dataclass(frozen=True, slots=True)
class Collection:
    """A kind of document: its name, its columns and its indexes. Names that begin with `_` are Pulpo's own."""

    name: str
    columns: tuple[Column, ...] = ()
    indexes: tuple[Index, ...] = ()


@dataclass(frozen=True, slots=True)
class Record:
    """A document as stored: `json` is its whole text, its id and version included."""

    id: str
    version: int
    json: str


@dataclass(frozen=True, slots=True)
class Insert:
    """A new document; `json` already says `"id"` and `"version":1`."""

    collection: str
    id: str
    json: str


@dataclass(frozen=True, slots=True)
class Replace:
    """A whole new text in place of the one at `version`; `json` already says `version + 1`."""

    collection: str
    id: str
    version: int
    json: str


@dataclass(frozen=True, slots=True)
class Update:
    """Change top-level fields where `where` holds, whatever the version is (unless `version` is given).

    Args:
        add: Integer field -> what is added to it (a null field counts as 0).
        set: Field -> its new JSON value.
        at: The document's new `updated_at`.
    """

    collection: str
    id: str
    where: Condition | None = None
    add: Mapping[str, int] = field(default_factory=dict)
    set: Mapping[str, Json] = field(default_factory=dict)
    at: str | None = None
    version: int | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove a document, at a version where one is given. One that is not there is `StaleVersion`."""

    collection: str
    id: str
    version: int | None = None


@dataclass(frozen=True, slots=True)
class Require:
    """Nothing changes, but the batch holds only while this document is at this version."""

    collection: str
    id: str
    version: int


Write: TypeAlias = Insert | Replace | Update | Delete | Require


@dataclass(frozen=True, slots=True)
class Batch:
    """Writes that happen together or not at all, and the events that tell of them (JSON objects with a `type`)."""

    writes: tuple[Write, ...]
    events: tuple[Mapping[str, Json], ...] = ()


@dataclass(frozen=True, slots=True)
class Query:
    """Which documents of a collection, in which order, from where.

    `sort` is (path, descending) pairs; ties go by id in the direction of the last pair, an empty sort by id upwards.
    Null sorts before every value, texts by code point, false before true.
    `after` is a cursor that `Page.cursor` gave for the same filter and sort.
    """

    collection: str
    where: Condition | None = None
    sort: tuple[tuple[str, bool], ...] = ()
    limit: int = 50
    after: str | None = None
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Page:
    """Documents found, and the cursor of the next page, or None on the last."""

    records: tuple[Record, ...]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class JsonPage:
    """The same as ready bytes: a JSON array, for the socket."""

    body: bytes
    cursor: str | None


@dataclass(frozen=True, slots=True)
class GroupBy:
    """A field whose values make groups; with a bucket, of a time or a date, the stretch of UTC time that it falls into.

    A bucket's key is the beginning of its stretch: `2025-10-30T09:00Z`, `2025-10-30` (of a week its Monday), `2025-10`,
    `2025`.
    """

    path: str
    bucket: Bucket | None = None


@dataclass(frozen=True, slots=True)
class Aggregate:
    """Documents counted and summed by groups: `by` fields of one value, `of` numbers; by nothing they are one group."""

    collection: str
    by: tuple[GroupBy, ...] = ()
    of: tuple[str, ...] = ()
    where: Condition | None = None
    limit: int = 1000


@dataclass(frozen=True, slots=True)
class Total:
    """A field summed in a group: in how many documents it is not null, and the sum (exact, but for floats)."""

    count: int
    sum: Decimal | int | float


@dataclass(frozen=True, slots=True)
class Group:
    """A group: the value of each field that it is made by (amounts as Decimal), its size, its totals."""

    key: tuple[Any, ...]
    count: int
    totals: tuple[Total, ...]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that was committed; `cursor` is opaque and resumes right after it."""

    cursor: str
    data: dict[str, Any]


@dataclass(slots=True)
class Commits:
    """What a store counts of its commits: one holds a group of batches, whose sizes fall below the bounds or above."""

    bounds: tuple[int, ...] = (1, 2, 5, 10, 20, 50, 100, 200)
    sizes: list[int] = field(default_factory=lambda: [0] * 9)
    batches: int = 0
    seconds: float = 0.0

    def add(self, batches: int, seconds: float) -> None:
        """Count a commit, and how long it took to be durable."""
        self.sizes[bisect_left(self.bounds, batches)] += 1
        self.batches += batches
        self.seconds += seconds


class WriteFailed(PulpoError):
    """A batch was not applied; `index` is the place of the write that failed, `missing`: its document is not there."""

    def __init__(self, code: str, detail: str, index: int, *, hint: str | None = None, missing: bool = False) -> None:
        super().__init__(code, detail, hint=hint)
        self.index = index
        self.missing = missing


class DuplicateId(WriteFailed):
    """PULPO501: an insert's id is there already."""


class StaleVersion(WriteFailed):
    """PULPO502: a document is not at the version that a write names (or is gone)."""


class GuardFailed(WriteFailed):
    """PULPO503: an update's `where` does not hold, or its document is not there."""


class UniqueTaken(WriteFailed):
    """PULPO504: another document has the same value in a unique index; `fields` are its fields."""

    def __init__(self, detail: str, index: int, fields: tuple[str, ...]) -> None:
        super().__init__("PULPO504", detail, index)
        self.fields = fields


class NoRoom(PulpoError):
    """PULPO505: the disk or the database file is full; nothing of the batch was kept, later ones may fit."""


class Unreachable(PulpoError):
    """PULPO507: nothing can be read or written now, but perhaps soon (a server is away, another is being elected).

    Where a write meets this, `detail` says whether it is certain that nothing of it was kept.
    """

    def __init__(self, detail: str, *, hint: str | None = None) -> None:
        super().__init__("PULPO507", detail, hint=hint, headers={"Retry-After": "1"})


def too_long(seconds: float) -> PulpoError:
    """PULPO512: a query was stopped, since it took longer than that."""
    return PulpoError(
        "PULPO512",
        f"a query may take {seconds:g} s, and this one was stopped",
        hint="ask for less, filter and sort by indexed fields, or raise query_timeout of [database]",
    )


class Store(Protocol):
    """A database of JSON documents.

    `query`, `query_json`, `count` and `aggregate` are stopped with PULPO512 when they take longer than the store was
    told that a query may.
    """

    async def open(self, collections: tuple[Collection, ...]) -> None:
        """Connect and make collections, columns and indexes what is declared. Additive changes only.

        Raises:
            PulpoError: PULPO506 the file is not ours, PULPO507 not reachable, PULPO508 a change would lose data.
        """

    async def close(self) -> None:
        """Finish what was begun and let go of the database."""

    async def get(self, collection: str, id: str) -> Record | None:
        """The document with this id."""

    async def get_many(self, collection: str, ids: tuple[str, ...]) -> tuple[Record, ...]:
        """The documents with these ids that exist, in no particular order."""

    async def get_each(self, wanted: Mapping[str, tuple[str, ...]]) -> Mapping[str, tuple[Record, ...]]:
        """As `get_many`, of several collections at once."""

    async def get_json(self, collection: str, id: str) -> tuple[bytes, int] | None:
        """The document's text as bytes, and its version."""

    async def query(self, query: Query) -> Page:
        """A page of documents. Raises PulpoError PULPO603 for a cursor that is not of this query."""

    async def query_json(self, query: Query) -> JsonPage:
        """The same page as one JSON array."""

    async def count(self, collection: str, where: Condition | None = None) -> int:
        """How many documents there are where the condition holds."""

    async def aggregate(self, wanted: Aggregate) -> tuple[Group, ...]:
        """The first `limit` groups, in the order of their keys (null first).

        Raises:
            PulpoError: PULPO603, a field is unknown, has several values, or cannot be summed or divided into stretches.
        """

    async def commit(self, batch: Batch) -> tuple[int, ...]:
        """Write a batch: all of it, durably, or nothing and the first reason why.

        Returns:
            Each write's new version (0 for a delete, the version itself for a require).
        Raises:
            DuplicateId, StaleVersion, GuardFailed, UniqueTaken, NoRoom.
        """

    async def events(self, after: str | None, limit: int = 500) -> tuple[Event, ...]:
        """Committed events after a cursor (None: from the oldest kept).

        Raises:
            PulpoError: PULPO509 for an expired cursor, PULPO603 for what is none.
        """

    async def last_event(self) -> str:
        """A cursor right after the newest event, from which `events` and `follow` give only what comes."""

    def follow(self, after: str | None) -> AsyncIterator[Event]:
        """Events after a cursor as they are committed, by any process, without end."""
