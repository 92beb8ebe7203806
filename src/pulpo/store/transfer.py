"""Carrying all documents from one database, or from a backup, into another: resumable, and checked at the end.

Documents go in the order of their ids, so what is there of a collection says where to go on. A record in the target
tells what fills it and whether that came to its end: an application does not start on half a database, and only the
same source may go on. Memory is bounded by a batch or two.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

from pulpo.errors import PulpoError
from pulpo.store import places
from pulpo.store.checksum import Checksum
from pulpo.store.port import Collection, Record, UniqueTaken
from pulpo.store.upkeep import MARKER, STAYS, TRANSFERS, Loader, Snapshot

_ITS_OWN = STAYS | {"_plans"}
"""What a database has that was opened once and never worked with."""

State: TypeAlias = Literal["filled", "resumed", "already"]


class Source(Protocol):
    """Documents to carry over. `place` is what people see, `identity` what it must be to go on with a transfer."""

    place: str
    identity: str
    counts: Mapping[str, int]

    def batches(self, collection: str) -> AsyncGenerator[tuple[Record, ...], None]:
        """A collection's documents by id upwards; it may be asked for again."""


@dataclass(frozen=True, slots=True)
class Target:
    """A database to fill: its address, the project's root, and what the application declares."""

    url: str
    root: Path
    collections: tuple[Collection, ...]

    @property
    def place(self) -> str:
        """The address without secrets."""
        return places.shown(self.url, self.root)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a pass is: which, the collection, documents done and in all, seconds since it began."""

    work: Literal["copying", "verifying"]
    collection: str
    done: int
    total: int
    seconds: float


Tell: TypeAlias = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Sum:
    """A collection's number of documents and their checksum."""

    count: int
    checksum: str


@dataclass(frozen=True, slots=True)
class Transferred:
    """What a transfer did: documents written (the rest were there), each collection's sum on both sides, seconds."""

    state: State
    written: int
    sums: Mapping[str, Sum]
    seconds: float

    @property
    def documents(self) -> int:
        """All documents."""
        return sum(each.count for each in self.sums.values())


class SnapshotSource:
    """A database's snapshot as a source."""

    def __init__(self, snapshot: Snapshot, place: str, counts: Mapping[str, int]) -> None:
        self.place = self.identity = place
        self.counts: Mapping[str, int] = {name: count for name, count in counts.items() if name not in STAYS}
        self._snapshot = snapshot

    async def batches(self, collection: str) -> AsyncGenerator[tuple[Record, ...], None]:
        """A collection's documents; the next ones are read while these are worked with."""
        coming = asyncio.ensure_future(self._snapshot.scan(collection))
        try:
            while batch := await coming:
                coming = asyncio.ensure_future(self._snapshot.scan(collection, batch[-1].id))
                yield batch
        finally:
            if not coming.done():
                await asyncio.wait((coming,))  # the snapshot answers one call at a time


async def transfer(source: Source, target: Target, *, force: bool = False, tell: Tell = lambda _: None) -> Transferred:
    """Carry everything over, and verify that both sides have the same documents.

    Args:
        force: Take away whatever the target holds first.
        tell: Is told now and then how far it is.

    Raises:
        PulpoError: PULPO515, the target holds something else; PULPO517, both sides differ at the end; PULPO504,
            documents break a unique index of the target; those of both databases.
    """
    began = time.monotonic()
    state, there = await _found(source, target, force=force)
    if state == "already":
        return Transferred("already", 0, there, time.monotonic() - began)
    declared = {collection.name for collection in target.collections}
    bare = tuple(Collection(name) for name in (*source.counts, TRANSFERS) if name not in declared)
    loader = places.loader(target.url, target.root)
    try:
        await loader.open((*target.collections, *bare))
        await _mark(loader, source, complete=False)
        if state == "filled":
            for name in there:
                await loader.clear(name)
        work = _Work(source, loader, tell)
        sums = {name: await work.fill(name, resume=state == "resumed") for name in source.counts}
        differing = await _differing(target, sums, tell)
        if differing and state == "resumed":  # what was there already is from another state of the source
            for name in differing:
                await loader.clear(name)
                if name in sums:
                    sums[name] = await work.fill(name, resume=False)
            differing = await _differing(target, sums, tell)
        if differing:
            raise _differ(source, target, differing)
        await loader.forget_events()
        await _mark(loader, source, complete=True)
    finally:
        await loader.close()
    return Transferred(state, work.written, sums, time.monotonic() - began)


class _Work:
    """The pass over the source: fills collection by collection and counts."""

    def __init__(self, source: Source, loader: Loader, tell: Tell) -> None:
        self._source, self._loader, self._tell = source, loader, tell
        self._total, self._done = sum(source.counts.values()), 0
        self._began = time.monotonic()
        self.written = 0

    async def fill(self, collection: str, *, resume: bool) -> Sum:
        """Load a collection, or what comes after its last document there, and give the source's sum."""
        done = self._done
        try:
            return await self._fill(collection, await self._loader.last_id(collection) if resume else None)
        except UniqueTaken:
            if not resume:
                raise
        await self._loader.clear(collection)  # what is there is older, and is in the way of what came later
        self._done = done
        return await self._fill(collection, None)

    async def _fill(self, collection: str, after: str | None) -> Sum:
        checksum = Checksum()
        async with aclosing(self._source.batches(collection)) as batches:
            async for batch in batches:
                new = batch if after is None or batch[0].id > after else tuple(one for one in batch if one.id > after)
                writing = asyncio.ensure_future(self._loader.load(collection, new))
                try:
                    for record in batch:
                        checksum.add(record)
                finally:
                    await writing
                self.written += len(new)
                self._done += len(batch)
                self._tell(Progress("copying", collection, self._done, self._total, time.monotonic() - self._began))
        return Sum(checksum.count, checksum.hexdigest())


async def sums_of(source: Source, tell: Tell = lambda _: None) -> dict[str, Sum]:
    """The count and the checksum of each collection of a source."""
    found: dict[str, Sum] = {}
    total, done, began = sum(source.counts.values()), 0, time.monotonic()
    for name in source.counts:
        checksum = Checksum()
        async with aclosing(source.batches(name)) as batches:
            async for batch in batches:
                for record in batch:
                    checksum.add(record)
                done += len(batch)
                tell(Progress("verifying", name, done, total, time.monotonic() - began))
        found[name] = Sum(checksum.count, checksum.hexdigest())
    return found


async def unfinished(snapshot: Snapshot) -> str | None:
    """From where a database is being filled, where that did not come to its end."""
    marker = await _marker(snapshot)
    return marker["from"] if marker is not None and marker["state"] != "complete" else None


async def _found(source: Source, target: Target, *, force: bool) -> tuple[State, dict[str, Sum]]:
    """What there is to do, and what the target has: `already` its sums; else its collections, to be cleared first."""
    snapshot = places.snapshot(target.url, target.root)
    try:
        if not await snapshot.open():
            return "filled", {}
        counts = await snapshot.counts()
        there = {name: Sum(count, "") for name, count in counts.items() if name != TRANSFERS}
        if force:
            return "filled", there
        marker = await _marker(snapshot)
        same = marker is not None and marker["from"] == source.identity
        if marker is not None and same and marker["state"] != "complete":
            return "resumed", there
        empty = not any(count for name, count in counts.items() if name not in _ITS_OWN)
        if empty and (marker is None or marker["state"] == "complete"):
            return "filled", there
        if same:
            sums = await sums_of(SnapshotSource(snapshot, target.place, counts))
            if _filled(sums) == _filled(await sums_of(source)):
                return "already", sums
        raise _holds_something(target, counts, marker, same=same)
    finally:
        await snapshot.close()


async def _marker(snapshot: Snapshot) -> dict[str, str] | None:
    for record in await snapshot.scan(TRANSFERS):
        if record.id == MARKER:
            found: dict[str, str] = json.loads(record.json)
            return found
    return None


async def _mark(loader: Loader, source: Source, *, complete: bool) -> None:
    text = {
        "id": MARKER,
        "version": 1,
        "from": source.identity,
        "state": "complete" if complete else "copying",
        "at": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
    await loader.load(TRANSFERS, (Record(MARKER, 1, json.dumps(text, separators=(",", ":"))),))


async def _differing(target: Target, wanted: Mapping[str, Sum], tell: Tell) -> dict[str, tuple[Sum, Sum]]:
    """The collections whose sums are not those wanted: of both sides."""
    snapshot = places.snapshot(target.url, target.root)
    try:
        await snapshot.open()
        found = await sums_of(SnapshotSource(snapshot, target.place, await snapshot.counts()), tell)
    finally:
        await snapshot.close()
    nothing = Sum(0, Checksum().hexdigest())
    return {
        name: (wanted.get(name, nothing), found.get(name, nothing))
        for name in (*wanted, *(name for name in found if name not in wanted))
        if wanted.get(name, nothing) != found.get(name, nothing)
    }


def _filled(sums: Mapping[str, Sum]) -> dict[str, Sum]:
    return {name: each for name, each in sums.items() if each.count}


def _differ(source: Source, target: Target, differing: Mapping[str, tuple[Sum, Sum]]) -> PulpoError:
    told = "; ".join(
        f"{name} has {here.count} documents ({here.checksum[:12]}) there and {there.count} ({there.checksum[:12]}) here"
        for name, (here, there) in differing.items()
    )
    return PulpoError(
        "PULPO517",
        f"what was carried from {source.place} to {target.place} is not the same: {told}",
        hint="another process writes to the target, or a disk or a store does not keep what it was given; "
        "run it again with --force",
    )


def _holds_something(
    target: Target, counts: Mapping[str, int], marker: Mapping[str, str] | None, *, same: bool
) -> PulpoError:
    held = ", ".join(f"{count} in {name}" for name, count in counts.items() if count and name not in _ITS_OWN)
    if marker is not None and marker["state"] != "complete":
        why = f"holds a part of a copy from {marker['from']}"
    elif same:
        why = f"was filled from there before, and the two have gone apart since: {held}"
    else:
        why = f"holds documents: {held}"
    return PulpoError(
        "PULPO515", f"{target.place} {why}", hint="choose an empty database; --force takes away what is there first"
    )
