"""Import a project's modules and gather what they declare."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from importlib.machinery import ModuleSpec as ImportSpec
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import Any, TypeVar

from pulpo.declare.site import DECLARED, FINDINGS, SPEC
from pulpo.errors import Finding, PulpoError, Source
from pulpo.imports import import_from
from pulpo.spec import AppSpec, FlowSpec, GroupSpec, ModelSpec, OperationSpec

FOLDERS = ("models", "operations")
OWNED = frozenset({"models", "operations", "flows", "seed", "routes", "bench", "generated", "overrides"})
"""Top-level module names that belong to the project at hand, wherever they were imported from."""

_ROOTS: set[Path] = set()
"""The roots that projects were loaded from: what was imported from any but the one at hand is forgotten."""
_STAMP = "__pulpo_stamp__"
_D = TypeVar("_D", ModelSpec, OperationSpec, GroupSpec, FlowSpec)


def load_app(root: Path, name: str) -> tuple[AppSpec, tuple[Finding, ...]]:
    """Import `models/`, `operations/`, `flows.py` and `routes.py`, and gather their declarations.

    The project's root becomes the first entry of `sys.path`. Modules that are imported already are kept where none of
    the project's files changed since; after a change all of them are imported again.

    Args:
        root: The project's folder.
        name: The application's name.
    Returns:
        The description, in the order of file path, then line, of what could be imported; and the findings: a PULPO101
        for each module that could not, and what the decorators found.
    """
    root = root.resolve()
    _enter(root)
    modules: list[ModuleType] = []
    findings: list[Finding] = []
    with _no_bytecode():
        for file in _files(root):
            imported = _import(root, file)
            if isinstance(imported, ModuleType):
                modules.append(imported)
            else:
                findings.append(imported)
    declared = [_located(root, spec) for module in modules for spec in vars(module).get(DECLARED, ())]
    findings += [
        replace(finding, source=_relative(root, finding.source))
        for module in modules
        for finding in vars(module).get(FINDINGS, ())
    ]
    routes = _routes(root, findings)
    app = AppSpec(
        name,
        models=_of(ModelSpec, declared),
        operations=_of(OperationSpec, declared),
        groups=_of(GroupSpec, declared),
        flows=_of(FlowSpec, declared),
        routes=routes,
    )
    return app, tuple(dict.fromkeys(findings))


def _files(root: Path) -> Iterator[Path]:
    """The modules to import, in the order of their paths; tests that lie beside them are left out."""
    for folder in FOLDERS:
        found = (root / folder).rglob("*.py")
        for file in sorted(found, key=lambda file: file.relative_to(root).parts):
            hidden = any(part.startswith(".") or part == "__pycache__" for part in file.relative_to(root).parts)
            if not hidden and not file.name.startswith("test_") and file.name != "conftest.py":
                yield file
    if (root / "flows.py").is_file():
        yield root / "flows.py"


def _routes(root: Path, findings: list[Finding]) -> Mapping[str, Any]:
    """What `routes.py` adds to the API; what is wrong with it goes to the findings."""
    if not (root / "routes.py").is_file():
        return {}
    with _no_bytecode():
        module = _import(root, root / "routes.py")
    if isinstance(module, Finding):
        findings.append(module)
        return {}
    from pulpo.runtime.http import custom  # noqa: PLC0415 - brings FastAPI, which few projects need here

    try:
        return custom.described(custom.router_of(module))
    except PulpoError as error:
        findings.append(Finding(error.code, error.detail, Source("routes.py", 1), error.hint))
        return {}


def _import(root: Path, file: Path) -> ModuleType | Finding:
    path = file.relative_to(root)
    parts = path.with_suffix("").parts
    if not all(part.isidentifier() for part in parts):
        hint = "use letters, digits and underscores in file and folder names"
        return Finding(
            "PULPO101", f"{path.as_posix()} has a name that Python cannot import", Source(path.as_posix(), 1), hint
        )
    module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    try:
        for depth in range(1, len(parts)):
            _ensure_package(root, parts[:depth])
        imported = importlib.import_module(module)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - user code may raise anything; all of it is reported
        return _import_finding(root, path, error)
    vars(imported).setdefault(_STAMP, _stamp(file))
    return imported


def _ensure_package(root: Path, parts: tuple[str, ...]) -> None:
    """Make a folder without `__init__.py` a package of this project, whatever else on the path has its name."""
    name, folder = ".".join(parts), root.joinpath(*parts)
    if name in sys.modules or (folder / "__init__.py").exists():
        return
    spec = ImportSpec(name, None, is_package=True)
    spec.submodule_search_locations = [str(folder)]
    sys.modules[name] = package = importlib.util.module_from_spec(spec)
    if len(parts) > 1:
        setattr(sys.modules[".".join(parts[:-1])], parts[-1], package)


def _import_finding(root: Path, path: PurePosixPath | Path, error: BaseException) -> Finding:
    source, reason = Source(path.as_posix(), 1), f"{type(error).__name__}: {error}"
    for frame, line in traceback.walk_tb(error.__traceback__):
        if _is_own(root, frame.f_code.co_filename):
            source = Source(Path(frame.f_code.co_filename).relative_to(root).as_posix(), line)
    if isinstance(error, SyntaxError) and error.filename and _is_own(root, error.filename):
        source = Source(Path(error.filename).relative_to(root).as_posix(), error.lineno or 1)
        reason = f"{type(error).__name__}: {error.msg}"
    hint = None
    if isinstance(error, ModuleNotFoundError) and error.name:
        top = error.name.partition(".")[0]
        hint = f"is there a file for {error.name}?" if top in OWNED else f"is {top} installed in this environment?"
        if top == "generated":
            hint = "what is generated comes later: in routes.py take request.app.state.application"
    reason = reason.partition("\n")[0].replace(f"{root}{os.sep}", "").rstrip(": ")
    return Finding("PULPO101", f"{source.file} does not import: {reason}", source, hint)


def _is_own(root: Path, file: str) -> bool:
    """Whether a file is the project's, rather than of an environment that lies inside its folder."""
    path = Path(file)
    if not path.is_relative_to(root):
        return False
    return not any(map(_is_hidden, path.relative_to(root).parts))


def _is_hidden(part: str) -> bool:
    return part.startswith(".") or part == "site-packages"


def _enter(root: Path) -> None:
    """Put the root first on the path, and forget what is of other projects, and modules of files that changed since."""
    own: list[str] = []
    foreign: list[str] = []
    here, others = str(root), {str(other) for other in _ROOTS}
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in OWNED:
            (own if here in _owners(module) else foreign).append(name)
        elif others and name != "__main__":  # a package of a project's own, such as `shop`
            owners = _owners(module)
            if here in owners:
                own.append(name)
            elif not others.isdisjoint(owners):
                foreign.append(name)
    if any(_changed(sys.modules[name]) for name in own):
        foreign += own
    for name in foreign:
        del sys.modules[name]
    left = {str(other) for other in _ROOTS - {root}}
    sys.path[:] = [entry for entry in sys.path if entry not in left]
    _ROOTS.add(root)
    import_from(root)
    importlib.invalidate_caches()


def _owners(module: ModuleType) -> frozenset[str]:
    """The folders that, as a project's root, would own a module, or each folder of a package without a file."""
    file = getattr(module, "__file__", None)
    places = [file] if file else list(getattr(module, "__path__", ()))
    return frozenset.intersection(*map(_owners_of, places)) if places else frozenset()


@lru_cache(maxsize=16_384)  # a thousand modules are looked at for each project, and following links is slow
def _owners_of(place: str) -> frozenset[str]:
    path = Path(os.path.realpath(place))
    found = [str(path)]
    while path != path.parent and not _is_hidden(path.name):
        path = path.parent
        found.append(str(path))
    return frozenset(found)


def _changed(module: ModuleType) -> bool:
    stamp, file = vars(module).get(_STAMP), getattr(module, "__file__", None)
    return stamp is not None and (file is None or not Path(file).exists() or _stamp(Path(file)) != stamp)


def _stamp(file: Path) -> tuple[int, int]:
    state = file.stat()
    return state.st_mtime_ns, state.st_size


@contextmanager
def _no_bytecode() -> Iterator[None]:
    """Checking a project writes nothing into it."""
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = before


def _relative(root: Path, source: Source | None) -> Source | None:
    if source is None or not Path(source.file).is_relative_to(root):
        return source
    return replace(source, file=Path(source.file).relative_to(root).as_posix())


def _located(root: Path, spec: Any) -> Any:
    """The same description with its file relative to the root, on the object that carries it too."""
    located = replace(spec, source=_relative(root, spec.source))
    if isinstance(spec, ModelSpec):
        spec.cls.__pulpo__ = located  # type: ignore[attr-defined]  # @datamodel takes nothing but models
    elif isinstance(spec, OperationSpec):
        spec.function.__dict__[SPEC] = located
    return located


def _of(kind: type[_D], declared: Iterable[Any]) -> tuple[_D, ...]:
    """The declarations of a kind by file path, then line (then as written)."""
    found = [spec for spec in declared if isinstance(spec, kind)]
    return tuple(
        sorted(
            found,
            key=lambda spec: (PurePosixPath(spec.source.file).parts, spec.source.line) if spec.source else ((), 0),
        )
    )
