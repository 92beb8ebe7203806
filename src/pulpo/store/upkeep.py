"""The port's other half: what `pulpo db` needs of a database beyond what an application does with it.

A `Snapshot` looks at a database as it is, whatever the application declares, and changes nothing. A `Loader` fills one
with documents that were written elsewhere. No running application uses either; every adapter implements both, and the
conformance suite (`pulpo.testing.conformance.upkeep`) holds it to what is said here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from pulpo.store.port import Collection, Record

TRANSFERS = "_transfers"
"""The collection that holds one record while a database is being filled: from where, and whether it is complete."""
MARKER = "transfer"
"""That record's id; `state` is `copying` or `complete`, `from` tells where the documents come from."""
LEASES = "_workers"
"""The collection with the leases of processes at work on a database: they are never carried to another one."""
STAYS = frozenset({TRANSFERS, LEASES})
"""What belongs to one database and is neither copied nor backed up."""

SCAN = 500
"""Documents that one call reads at most."""
SCAN_BYTES = 4_194_304
"""Bytes of text after which a call gives what it has."""

Effect: TypeAlias = Literal["additive", "rename", "loss"]


@dataclass(frozen=True, slots=True)
class Facts:
    """What a database says of itself: its size on disk in bytes, and of how many commits it keeps events.

    Commits that were written together may count as one.
    """

    size: int
    events: int


@dataclass(frozen=True, slots=True)
class Change:
    """A difference between a database and what is declared.

    Attributes:
        effect: `additive`: `Store.open` makes it, documents stay as they are. `rename`: `Store.open` makes it, and
            rewrites the documents that have the old name. `loss`: documents hold what nothing declares any more;
            `open` leaves them alone.
        collection: Where. what: What changes, for people: `index sku (unique)`.
        path, old: Of a rename: the field's declared path, and its old name (not a path).
    """

    effect: Effect
    collection: str
    what: str
    path: str | None = None
    old: str | None = None


class Snapshot(Protocol):
    """A database at the moment it was opened. Writes of others, which go on meanwhile, are never seen."""

    async def open(self) -> bool:
        """Take the snapshot. False where there is no database yet; none is made, and nothing is changed.

        Raises:
            PulpoError: PULPO506 it is not ours, PULPO507 it is not reachable.
        """

    async def close(self) -> None:
        """Let go of it."""

    async def facts(self) -> Facts:
        """Size and commits whose events are kept."""

    async def counts(self) -> Mapping[str, int]:
        """Each collection that is there, declared or not, Pulpo's own too, and how many documents it has."""

    async def scan(
        self, collection: str, after: str | None = None, limit: int = SCAN, size: int = SCAN_BYTES
    ) -> tuple[Record, ...]:
        """The documents whose id comes after this one, by id upwards (code points), at most `limit`.

        It gives fewer once their texts are more than `size` bytes, but at least one where there is one. Each `json` is
        the text as it was written. A collection that is not there has no documents.

        Raises:
            PulpoError: PULPO507, it cannot be read, or the server has given the snapshot up.
        """

    async def tally(self, collection: str, field: str) -> Mapping[str, int]:
        """How many documents have each value of a declared top-level text field; null is not counted."""

    async def pending(self, collections: tuple[Collection, ...]) -> tuple[Change, ...]:
        """What `Store.open` of these collections would change, and what it would leave behind.

        Additive: a collection, a column or an index that is new, an index that is gone, a column of another kind.
        A rename for each `renamed_from` that has not been carried out. Loss: a column that is gone and was not
        renamed, and a collection that is not among these and has documents, unless its name begins with `_`. What is
        no column in this store (SQLite has none for what is inside of lists and parts) makes no difference.
        """


class Loader(Protocol):
    """A way to fill a database that no application uses meanwhile."""

    async def open(self, collections: tuple[Collection, ...]) -> None:
        """As `Store.open`: made where it is not there, with these collections, columns and indexes."""

    async def close(self) -> None:
        """Let go of it. Closing twice does nothing."""

    async def last_id(self, collection: str) -> str | None:
        """The greatest id (by code points) in a collection, None where it is empty or not there."""

    async def load(self, collection: str, records: tuple[Record, ...]) -> None:
        """Write documents as they are, each at its own version: text, id and version as given, no events.

        What has the same id is replaced: all of that is gone before the first is written, so that two documents of one
        call may exchange a unique value. All of them durably, or none. Columns and indexes hold for them as for
        documents that `commit` wrote.

        Raises:
            UniqueTaken: PULPO504, `index` is the place among the records. NoRoom: PULPO505.
        """

    async def clear(self, collection: str) -> None:
        """Take all documents of a collection away, without events; one that was not declared goes away itself."""

    async def forget_events(self) -> None:
        """Take all events away: every cursor that this database gave before is expired from now on (PULPO509).

        So are those that another database of this kind gave, as far as this one would take them for its own: whoever
        followed the documents that were here before has to read anew.
        """
