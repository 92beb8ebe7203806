"""A backup: one compressed file of lines that either store can be filled from.

The first line says what the file is, who wrote it when, and how many documents of which collection follow. Then, for
each collection, comes a line with its name and a line for each document, as it was written. The last line has each
collection's checksum and the SHA-256 of all lines before it: a file that was cut off or damaged is noticed before
anything is restored from it. Each collection is a gzip member of its own, so that reading can begin with any of them;
`zcat` shows the whole file.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import time
import zlib
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, cast

from pulpo.errors import PulpoError
from pulpo.store.checksum import Checksum
from pulpo.store.port import Record
from pulpo.store.transfer import Progress, SnapshotSource, Sum, Tell
from pulpo.store.upkeep import SCAN, SCAN_BYTES

FORMAT = 1
"""What this version writes; it reads nothing newer."""
_LEVEL = 4  # of compression: half the time of the usual 6 for a few percent more bytes


@dataclass(frozen=True, slots=True)
class Written:
    """A backup that was written: its size in bytes, and what is in it."""

    size: int
    sums: Mapping[str, Sum]


async def write(
    source: SnapshotSource, file: Path, *, version: str, force: bool = False, tell: Tell = lambda _: None
) -> Written:
    """Write a backup, readable by its owner alone; it has its name only when it is whole and on the disk.

    Args:
        source: A snapshot.
        file: Where to.
        version: Pulpo's.
        force: Take the place of a file that is there.
        tell: Is told now and then how far it is.

    Raises:
        PulpoError: PULPO518, the file is there already, or cannot be written; PULPO507, the snapshot was given up.
    """
    with _draft(file, force=force) as stream:
        sums = await _Writing(stream).whole(source, version, tell)
        return Written(stream.tell(), sums)


@contextmanager
def _draft(file: Path, *, force: bool) -> Iterator[BinaryIO]:
    """A file that has another name until everything is in it."""
    if file.exists() and not force:
        raise PulpoError("PULPO518", f"{file} is there already", hint="choose another name, or give --force")
    draft = file.with_name(f"{file.name}.{os.getpid()}.part")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(file)
        _keep_name(file.parent)
    except OSError as error:
        raise PulpoError("PULPO518", f"{file} cannot be written: {error.strerror or error}") from None
    finally:
        draft.unlink(missing_ok=True)


def _keep_name(folder: Path) -> None:
    """Have the folder's entry on the disk as well."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class _Writing:
    """A backup on its way to a file."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._digest = hashlib.sha256()

    async def whole(self, source: SnapshotSource, version: str, tell: Tell) -> dict[str, Sum]:
        at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        with self._member() as packed:
            head = {"pulpo": "backup", "format": FORMAT, "version": version, "at": at, "collections": source.counts}
            self._put(packed, json.dumps(head))
        total, done, began = sum(source.counts.values()), 0, time.monotonic()
        sums: dict[str, Sum] = {}
        told: dict[str, Any] = {}
        for name, count in source.counts.items():
            begins, checksum = self._stream.tell(), Checksum()
            with self._member() as packed:
                self._put(packed, json.dumps({"collection": name}))
                async with aclosing(source.batches(name)) as batches:
                    async for batch in batches:
                        for record in batch:
                            checksum.add(record)
                        self._put(packed, *(record.json for record in batch))
                        done += len(batch)
                        tell(Progress("copying", name, done, total, time.monotonic() - began))
            if checksum.count != count:
                raise PulpoError("PULPO507", f"the snapshot had {count} documents of {name} and gave {checksum.count}")
            sums[name] = Sum(count, checksum.hexdigest())
            told[name] = {"count": count, "checksum": sums[name].checksum, "begins": begins}
        with self._member() as packed:
            self._put(packed, json.dumps({"collections": told, "sha256": self._digest.hexdigest()}))
        return sums

    @contextmanager
    def _member(self) -> Iterator[gzip.GzipFile]:
        with gzip.GzipFile("", "wb", _LEVEL, self._stream) as packed:
            yield packed

    def _put(self, packed: gzip.GzipFile, *texts: str) -> None:
        # a line break in JSON is white space: inside of a text it is escaped
        lines = b"".join(text.replace("\n", " ").encode() + b"\n" for text in texts)
        self._digest.update(lines)
        packed.write(lines)


class Archive:
    """A backup as a source; `verify` it first."""

    def __init__(self, file: Path) -> None:
        self.place = f"the backup {file}"
        self.identity = ""
        self.counts: Mapping[str, int] = {}
        self.header: Mapping[str, Any] = {}
        self._file = file
        self._begins: Mapping[str, int] = {}

    def verify(self, tell: Tell = lambda _: None) -> Mapping[str, Sum]:
        """Read all of it and compare every checksum; what is in it.

        Raises:
            PulpoError: PULPO518, it is not there, no backup, of a newer format, cut off, or damaged.
        """
        try:
            with self._file.open("rb") as stream:
                return self._verify(stream, tell)
        except (EOFError, zlib.error, gzip.BadGzipFile, ValueError, KeyError, TypeError, AttributeError):
            raise self._unusable("is damaged or cut off, or no backup of Pulpo") from None
        except OSError as error:
            raise self._unusable(f"cannot be read: {error.strerror}") from None

    def _verify(self, stream: BinaryIO, tell: Tell) -> Mapping[str, Sum]:
        digest = hashlib.sha256()
        found: dict[str, Sum] = {}
        began, done = time.monotonic(), 0
        with gzip.GzipFile(fileobj=stream) as lines:
            first = lines.readline()
            digest.update(first)
            self.header = self._header(first)
            counts: Mapping[str, int] = self.header["collections"]
            total = sum(counts.values())
            for name, count in counts.items():
                line = lines.readline()
                digest.update(line)
                if json.loads(line) != {"collection": name}:
                    raise ValueError(name)
                checksum = Checksum()
                for _ in range(count):
                    line = lines.readline()
                    digest.update(line)
                    checksum.add(_record(line))
                    done += 1
                    if done % SCAN == 0:
                        tell(Progress("verifying", name, done, total, time.monotonic() - began))
                found[name] = Sum(count, checksum.hexdigest())
            end = json.loads(lines.readline())
            rest = lines.read(1)
        told = {name: Sum(each["count"], each["checksum"]) for name, each in end["collections"].items()}
        if rest or end["sha256"] != digest.hexdigest() or told != found:
            raise ValueError(digest.hexdigest())
        self.counts = dict(counts)
        self.identity = f"backup sha256:{end['sha256']}"
        self._begins = {name: each["begins"] for name, each in end["collections"].items()}
        return found

    def _header(self, line: bytes) -> Mapping[str, Any]:
        head: Mapping[str, Any] = json.loads(line)
        if head["pulpo"] != "backup":
            raise ValueError(line)
        if head["format"] > FORMAT:
            raise self._unusable("was written by a newer Pulpo", hint="upgrade pulpo-core")
        return head

    async def batches(self, collection: str) -> AsyncGenerator[tuple[Record, ...], None]:
        """A collection's documents, as they were written."""
        with self._file.open("rb") as stream:
            stream.seek(self._begins[collection])
            with gzip.GzipFile(fileobj=stream) as lines:
                lines.readline()
                left = self.counts[collection]
                while left:
                    batch: list[Record] = []
                    size = 0
                    while left and len(batch) < SCAN and size < SCAN_BYTES:
                        line = lines.readline()
                        batch.append(_record(line))
                        size += len(line)
                        left -= 1
                    yield tuple(batch)

    def _unusable(self, why: str, *, hint: str | None = None) -> PulpoError:
        return PulpoError(
            "PULPO518", f"{self._file} {why}", hint=hint or "nothing was restored from it; take another backup"
        )


def _record(line: bytes) -> Record:
    text = line[:-1].decode()
    document = json.loads(text)
    if not line.endswith(b"\n"):
        raise ValueError(text)
    return Record(cast("str", document["id"]), cast("int", document["version"]), text)
