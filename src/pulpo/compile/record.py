"""What was last written into this working copy, and from which inputs: `.pulpo/compiled.json`, never committed.

`pulpo.lock` says what a compile gives, and may come from a colleague; this says what stands in `generated/` here. With
both, a file that is merely old is told from one that was edited, and a compile with nothing to do is known without
importing the project.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import pulpo
from pulpo.compile.lock import FILE as LOCK
from pulpo.compile.lock import digest

FILE = Path(".pulpo", "compiled.json")
OUTPUT = "generated"
OVERRIDES = "overrides"
_READ = frozenset({".py", ".toml", ".json", ".yaml", ".yml", ".csv", ".txt"})
_SKIPPED = frozenset({OUTPUT, "__pycache__", "node_modules", "dist", "build"})
_WRITTEN = frozenset({LOCK, "openapi.json"})

Stamp = tuple[int, int]
"""A file's size in bytes and its time of change in nanoseconds."""


@dataclass(frozen=True, slots=True)
class Record:
    """What Pulpo wrote here.

    Attributes:
        files: Path -> the digests that it may have: one, or while a compile is under way the old and the new.
        stamps: Path -> size and time of change, of the last complete compile.
        inputs: The fingerprint of what that was made from; empty while a compile is under way.
    """

    files: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    stamps: Mapping[str, Stamp] = field(default_factory=dict)
    inputs: str = ""

    @classmethod
    def read(cls, root: Path) -> Self:
        """The record of a working copy; an empty one where there is none that can be read."""
        try:
            data = json.loads((root / FILE).read_text(encoding="utf-8"))
            return cls(
                {path: tuple(digests) for path, digests in data["files"].items()},
                {path: (int(size), int(changed)) for path, (size, changed) in data["stamps"].items()},
                str(data["inputs"]),
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return cls()

    def dump(self) -> str:
        """The text of the file."""
        return json.dumps({"inputs": self.inputs, "files": self.files, "stamps": self.stamps}, sort_keys=True) + "\n"


def inputs(root: Path) -> str:
    """A fingerprint of all that a compile depends on: the project's files, Pulpo, Python and what is installed."""
    made = hashlib.sha256(f"{pulpo.__version__} {sys.version}\n".encode())
    for path in sorted(_sources(root)):
        made.update(f"{path.relative_to(root).as_posix()} {digest(path.read_bytes())}\n".encode())
    package = Path(pulpo.__file__).parent
    for path in sorted(package.rglob("*.*")):
        if path.suffix != ".pyc":
            made.update(f"{path.relative_to(package)} {stamp(path)}\n".encode())
    for folder in sys.path:
        if folder.endswith("site-packages"):
            made.update(f"{stamp(Path(folder))}\n".encode())
    return made.hexdigest()


def stamp(path: Path) -> Stamp | None:
    """A file's size and time of change, or None where there is no file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


def _sources(root: Path) -> Iterator[Path]:
    """The files that declarations can depend on."""
    for folder, inner, files in os.walk(root):
        here = Path(folder)
        top = here == root
        inner[:] = [
            name
            for name in inner
            if not name.startswith(".") and name not in _SKIPPED and not (here / name / "pyvenv.cfg").exists()
        ]
        taken = here.relative_to(root).parts[:1] == (OVERRIDES,)
        for name in files:
            if name.startswith("."):  # an editor's, such as the lock `.#order.py` that leads nowhere
                continue
            if (taken or Path(name).suffix in _READ) and not (top and name in _WRITTEN):
                yield here / name


def is_newer(root: Path, *, than: Path) -> bool:
    """Whether the last compile that wrote anything came after a file was written; False where either is not there."""
    try:
        return (root / FILE).stat().st_mtime_ns > than.stat().st_mtime_ns
    except OSError:
        return False
