"""The only writer to disk: decides what changes, refuses to lose a person's edits, and writes all of it or nothing."""

from __future__ import annotations

import difflib
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from pulpo.compile import overrides
from pulpo.compile.artifact import Artifact
from pulpo.compile.lock import FILE as LOCK
from pulpo.compile.lock import Lock, digest, plan_changes, plan_record
from pulpo.compile.overrides import Overridden
from pulpo.compile.record import FILE as RECORD
from pulpo.compile.record import OUTPUT, OVERRIDES, Record, Stamp, stamp
from pulpo.errors import Finding, Nearest, ProjectErrors, PulpoError

if TYPE_CHECKING:
    from pulpo.spec import FlowPlan

_COMMITTED = frozenset({"openapi.json"})
"""Generated files outside `generated/`."""
_SHOWN_LINES = 200
_SHOWN_FILES = 8


@dataclass(frozen=True, slots=True)
class Edited:
    """A file that Pulpo would write or delete, but that is not as Pulpo left it; `new` is None where it would go."""

    path: str
    new: str | None
    disk: bytes
    ours: bool

    @property
    def finding(self) -> Finding:
        """PULPO302 with the difference between Pulpo's text and the file."""
        what = "was edited by hand" if self.ours else "is there, and pulpo did not write it"
        difference = _diff(self.path, self.new or "", _text(self.disk), ("{} (as compiled)", "{} (on disk)"))
        keep = f"`pulpo eject {self.path}` keeps the edit, " if self.path.startswith(f"{OUTPUT}/") else ""
        return Finding(
            "PULPO302",
            f"{self.path} {what}\n{difference}".rstrip(),
            hint=f"{keep}`pulpo compile --force` throws it away",
        )


@dataclass(frozen=True, slots=True)
class Changes:
    """What a compile would do to the disk; while something is `edited` it does nothing."""

    write: tuple[Artifact, ...] = ()
    unchanged: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    edited: tuple[Edited, ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """What a compile did, or with `check` and `diff` would do; paths are relative to the project's root.

    Attributes:
        overridden: Generated files that one under `overrides/` stands in for.
        unused: Files under `overrides/` that stand in for nothing.
        findings: What `check` found; empty when all is current.
        diff: What would change, as a unified diff.
    """

    written: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    overridden: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    diff: str = ""


def plan_writes(
    artifacts: Iterable[Artifact], known: Mapping[str, frozenset[str]], disk: Mapping[str, bytes]
) -> Changes:
    """Decide what to write and delete.

    Args:
        artifacts: What the project compiles to.
        known: Path -> digests that the file has where nobody edited it: what Pulpo wrote there.
        disk: Path -> content, of the files that exist among the artifacts' and the known.
    """
    write: list[Artifact] = []
    unchanged: list[str] = []
    edited: list[Edited] = []
    wanted = {artifact.path for artifact in artifacts}
    for artifact in artifacts:
        content = disk.get(artifact.path)
        if content == artifact.text.encode():
            unchanged.append(artifact.path)
        elif content is None or digest(content) in known.get(artifact.path, ()):
            write.append(artifact)
        else:
            edited.append(Edited(artifact.path, artifact.text, content, artifact.path in known))
    stale = [path for path in sorted(known.keys() - wanted) if path in disk and _deletable(path)]
    remove = [path for path in stale if digest(disk[path]) in known[path]]
    edited += [Edited(path, None, disk[path], ours=True) for path in stale if path not in remove]
    return Changes(tuple(write), tuple(unchanged), tuple(remove), tuple(edited))


def apply(
    root: Path, artifacts: Iterable[Artifact], plans: Mapping[str, FlowPlan], *, force: bool = False, inputs: str = ""
) -> Result:
    """Make the project's generated files what they should be.

    Args:
        root: The project's root.
        artifacts: What `emit` gave.
        plans: For the lock.
        force: Overwrite and delete what was edited by hand.
        inputs: `record.inputs(root)` from before the project was loaded; with it the next compile can be skipped.

    Raises:
        ProjectErrors: PULPO302, files were edited by hand; nothing was written.
        PulpoError: PULPO304, the disk refuses.
    """
    work = _Work(root, artifacts, plans)
    changes = work.changes
    if changes.edited and not force:
        raise ProjectErrors(edited.finding for edited in changes.edited)
    write = changes.write + tuple(Artifact(one.path, one.new) for one in changes.edited if one.new is not None)
    remove = changes.remove + tuple(one.path for one in changes.edited if one.new is None)
    try:
        locked = work.write(sorted(write), sorted(remove), inputs)
    except OSError as error:
        raise PulpoError(
            "PULPO304", f"{error.filename or root} cannot be written: {error.strerror or error}", hint="compile again"
        ) from error
    return Result(
        written=(*sorted(artifact.path for artifact in write), *((LOCK,) if locked else ())),
        unchanged=(*changes.unchanged, *(() if locked else (LOCK,))),
        removed=tuple(sorted(remove)),
        overridden=tuple(sorted(work.overridden.replaced)),
        unused=work.overridden.unused,
    )


def check(root: Path, artifacts: Iterable[Artifact], plans: Mapping[str, FlowPlan]) -> Result:
    """Compare what the project compiles to with what is there; writes nothing.

    Without `generated/` (a fresh clone) the comparison is with `pulpo.lock` alone.
    """
    work = _Work(root, artifacts, plans)
    hint = f"run `pulpo compile` and commit {LOCK}"
    sentences: list[str] = []
    if work.lock is None:
        sentences.append(f"{LOCK} {'cannot be read' if work.lock_text else 'is missing'}")
    else:
        sentences += plan_changes(work.lock.plans, work.new_lock.plans)
        sentences += _stale(work)
        if not sentences and not work.changes.edited and work.lock_text != work.new_lock.dump():
            sentences.append(f"{LOCK} is stale")
    findings = tuple(edited.finding for edited in work.changes.edited)
    findings += tuple(Finding("PULPO303", sentence, hint=hint) for sentence in sentences)
    return Result(
        unchanged=work.changes.unchanged,
        overridden=tuple(sorted(work.overridden.replaced)),
        unused=work.overridden.unused,
        findings=findings,
    )


def diff(root: Path, artifacts: Iterable[Artifact], plans: Mapping[str, FlowPlan]) -> Result:
    """What a forced compile would change, as one unified diff; writes nothing."""
    work = _Work(root, artifacts, plans)
    changes = work.changes
    after = {artifact.path: artifact.text for artifact in changes.write} | {
        edited.path: edited.new or "" for edited in changes.edited
    }
    after |= dict.fromkeys(changes.remove, "")
    if work.lock_text != work.new_lock.dump():
        after[LOCK] = work.new_lock.dump()
    before = {path: _text(content) for path, content in work.disk.items()} | {LOCK: work.lock_text}
    return Result(
        unchanged=changes.unchanged,
        overridden=tuple(sorted(work.overridden.replaced)),
        unused=work.overridden.unused,
        diff="".join(
            _diff(path, before.get(path, ""), after[path], ("a/{}", "b/{}"), limit=None) for path in sorted(after)
        ),
    )


def unchanged(root: Path, inputs: str) -> Result | None:
    """The result of a compile that has nothing to do, or None where one is needed. Imports nothing of the project.

    Args:
        root: The project's root.
        inputs: `record.inputs(root)`.
    """
    record = Record.read(root)
    if not record.inputs or record.inputs != inputs:
        return None
    if any(stamp(root / path) != expected for path, expected in record.stamps.items()):
        return None
    return Result(unchanged=tuple(sorted(record.stamps)))


def eject(root: Path, file: str) -> str:
    """Copy a generated file, edits included, to `overrides/`, where it is the user's own from now on.

    Args:
        root: The project's root.
        file: `generated/flows/orders.py`, relative to the root.

    Returns:
        The path of the copy, relative to the root.

    Raises:
        PulpoError: PULPO802, the project has not been compiled; PULPO801, no such file is generated, or it was ejected
            before; PULPO304, the disk refuses.
    """
    lock = Lock.parse(_text(_content(root / LOCK) or b""))
    path = PurePosixPath(file).as_posix()
    if lock is None:
        raise PulpoError("PULPO802", "the project has not been compiled", hint="run `pulpo compile`", status=400)
    known = tuple(path for path in lock.files if path.startswith(f"{OUTPUT}/"))
    if path not in known:
        raise PulpoError("PULPO801", f"{path} is no generated file", hint=Nearest(known).to(path))
    content = _content(root / path)
    if content is None:
        raise PulpoError("PULPO802", f"{path} is not there", hint="run `pulpo compile`", status=400)
    target = path.replace(OUTPUT, OVERRIDES, 1)
    if (root / target).exists():
        raise PulpoError("PULPO801", f"{target} exists", hint="edit it, or delete it first")
    text = overrides.honest(path, _text(content))
    try:
        for place in (
            target,
            path,
        ):  # the copy in generated/ too, so that the next compile does not take it for an edit
            _write_all(root, (Artifact(place, text),))
    except OSError as error:
        raise PulpoError("PULPO304", f"{target} cannot be written: {error.strerror}") from error
    return target


class _Work:
    """What is there, what should be, and the difference."""

    def __init__(self, root: Path, artifacts: Iterable[Artifact], plans: Mapping[str, FlowPlan]) -> None:
        self.root = root
        self.overridden: Overridden = overrides.override(artifacts, overrides.read(root))
        self.artifacts = self.overridden.artifacts
        self.lock_text = _text(_content(root / LOCK) or b"")
        self.lock = Lock.parse(self.lock_text)
        self.new_lock = Lock(
            {artifact.path: digest(artifact.text) for artifact in self.artifacts},
            self.overridden.replaced,
            {name: plan_record(plan) for name, plan in plans.items()},
        )
        self.record = Record.read(root)
        known = {path: {value} for path, value in (self.lock.files if self.lock else {}).items()}
        for path, digests in self.record.files.items():
            known.setdefault(path, set()).update(digests)
        self.known = {path: frozenset(digests) for path, digests in known.items()}
        paths = self.known.keys() | {artifact.path for artifact in self.artifacts}
        found = {path: _content(root / path) for path in paths if _inside(path)}
        self.disk = {path: content for path, content in found.items() if content is not None}
        self.changes = plan_writes(self.artifacts, self.known, self.disk)

    def write(self, write: list[Artifact], remove: list[str], inputs: str) -> bool:
        """Write, delete, and note it; the lock comes last. Returns whether the lock changed."""
        from pulpo.settings import state_folder  # noqa: PLC0415 - where nothing has changed it is not needed

        root, files = self.root, self.new_lock.files
        state_folder(root)
        if write or remove:
            # until all is done a file may be the old or the new one, and neither is anybody's edit
            paths = self.known.keys() | files.keys()
            either = {path: tuple(sorted({*self.known.get(path, ()), *_one(files.get(path))})) for path in paths}
            _write_all(root, (Artifact(RECORD.as_posix(), Record(either).dump()),))
        _write_all(root, write)
        for path in remove:
            (root / path).unlink(missing_ok=True)
            _prune(root, path)
        lock = self.new_lock.dump()
        if changed := lock != self.lock_text:
            _write_all(root, (Artifact(LOCK, lock),))
        stamps: dict[str, Stamp] = {
            path: found for path in (*sorted(files), LOCK) if (found := stamp(root / path)) is not None
        }
        record = Record({path: (value,) for path, value in files.items()}, stamps, inputs)
        if record != Record.read(root):
            _write_all(root, (Artifact(RECORD.as_posix(), record.dump()),))
        return changed


def _stale(work: _Work) -> list[str]:
    """Which files are not what they should be, in words."""
    assert work.lock is not None
    if (work.root / OUTPUT).is_dir():
        differing = [artifact.path for artifact in work.changes.write]
        gone = list(work.changes.remove)
    else:
        new, old = work.new_lock.files, work.lock.files
        differing = [path for path in sorted(new) if new[path] != old.get(path)]
        differing += [
            path for path in sorted(_COMMITTED & new.keys()) if path not in work.disk and path not in differing
        ]
        gone = sorted(old.keys() - new.keys())
    return [
        *([f"{_counted(differing)} out of date: {_some(differing)}"] if differing else []),
        *([f"{_counted(gone)} no longer generated: {_some(gone)}"] if gone else []),
    ]


def _write_all(root: Path, artifacts: Iterable[Artifact]) -> None:
    """Write whole files: first all under other names, then each into its place at once."""
    ready: list[tuple[Path, Path]] = []
    try:
        for artifact in artifacts:
            target = root / artifact.path
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary = target.with_name(f".{target.name}.{os.getpid()}.new")
            ready.append((temporary, target))
            temporary.write_bytes(artifact.text.encode())
        while ready:
            temporary, target = ready[0]
            temporary.replace(target)
            ready.pop(0)
    finally:
        for temporary, _ in ready:
            temporary.unlink(missing_ok=True)


def _prune(root: Path, path: str) -> None:
    """Remove the folders that a deleted file leaves empty, up to `generated/`; what Python cached does not count."""
    for parent in PurePosixPath(path).parents:
        folder = root / parent
        if parent.parts[:1] != (OUTPUT,) or {entry.name for entry in folder.iterdir()} - {"__pycache__"}:
            return
        shutil.rmtree(folder)


def _deletable(path: str) -> bool:
    """Whether a lock may have this file deleted: only what is certainly Pulpo's."""
    return _inside(path) and (path.startswith(f"{OUTPUT}/") or path in _COMMITTED)


def _inside(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return bool(parts) and ".." not in parts and not PurePosixPath(path).is_absolute()


def _content(path: Path) -> bytes | None:
    """A file's bytes, or None where there is no file."""
    return path.read_bytes() if path.is_file() else None


def _text(content: bytes) -> str:
    return content.decode(errors="replace")


def _diff(path: str, before: str, after: str, titles: tuple[str, str], limit: int | None = _SHOWN_LINES) -> str:
    """A unified diff, cut where it is long; `titles` are the headers of both sides, with `{}` for the path."""
    lines = list(
        difflib.unified_diff(
            before.splitlines(keepends=True),
            after.splitlines(keepends=True),
            titles[0].format(path),
            titles[1].format(path),
        )
    )
    cut = len(lines) - limit if limit is not None and len(lines) > limit else 0
    shown = [line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines[:limit]]
    return "".join(shown) + (f"… {cut} more lines\n" if cut else "")


def _counted(paths: list[str]) -> str:
    return "1 generated file is" if len(paths) == 1 else f"{len(paths)} generated files are"


def _some(paths: list[str]) -> str:
    rest = len(paths) - _SHOWN_FILES
    return ", ".join(paths[:_SHOWN_FILES]) + (f" and {rest} more" if rest > 0 else "")


def _one(value: str | None) -> tuple[str, ...]:
    return () if value is None else (value,)
