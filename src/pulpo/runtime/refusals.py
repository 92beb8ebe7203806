"""The codes in which an application refuses, read from its source: what `Refused` and `NotReady` are made with.

Followed are the functions and classes of the project that a function names, and that those name. What is only known
when it runs (a code out of a variable, a function chosen by its object) is not found: a list of codes is therefore
never said to be complete.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from pulpo.errors import NotReady, PulpoError, Refused

STATUS = 409
"""What a refusal is answered with unless it says otherwise."""


@dataclass(frozen=True, slots=True, order=True)
class Refusal:
    """One way in which a function refuses."""

    status: int
    code: str


def refusals(function: Any, owner: type | None = None, said: Mapping[str, int] | None = None) -> tuple[Refusal, ...]:
    """What a function of a project may refuse with, sorted: what its source shows, and what it says of itself.

    Args:
        function: An operation, or a hook.
        owner: The class whose hook it is.
        said: Code -> HTTP status, as declared.
    """
    found = {Refusal(status, code) for code, status in (said or {}).items()}
    return tuple(sorted(found | set(_Reading(_root(function)).of(function, owner))))


def _root(function: Any) -> Path | None:
    """The folder that a function's project is imported from."""
    file = _namespace(function).get("__file__")
    return Path(file).parents[function.__module__.count(".")] if file is not None else None


def _namespace(thing: Any) -> Mapping[str, Any]:
    """The names of the module that a function or class was written in: its own, whatever is imported by now."""
    if isinstance(thing, type):
        thing = next((each for each in vars(thing).values() if isinstance(each, FunctionType)), None)
    return getattr(inspect.unwrap(thing), "__globals__", {}) if callable(thing) else {}


class _Reading:
    """One walk from a function through what it names; nothing is read twice."""

    def __init__(self, root: Path | None) -> None:
        self._root = root
        self._seen: set[int] = set()

    def of(self, thing: Any, owner: type | None = None) -> Iterator[Refusal]:
        """What this function or class may refuse with."""
        thing = inspect.unwrap(thing) if callable(thing) else thing
        names = _namespace(thing)
        if id(thing) in self._seen or not self._ours(names):
            return
        self._seen.add(id(thing))
        for part in _parts(thing, names):
            if isinstance(part, ast.Call):
                made = _resolve(part.func, names, owner)
                if isinstance(made, type) and issubclass(made, PulpoError):
                    yield from _made(part, made)
            if isinstance(part, ast.Name | ast.Attribute):
                found = _resolve(part, names, owner)
                if isinstance(found, FunctionType):
                    yield from self.of(found, owner if owner is not None and hasattr(owner, found.__name__) else None)
                elif isinstance(found, type) and not hasattr(found, "__pulpo__"):  # a model's hooks run elsewhere
                    yield from self.of(found, found)

    def _ours(self, names: Mapping[str, Any]) -> bool:
        file = names.get("__file__")
        if file is None or self._root is None or "site-packages" in Path(file).parts:
            return False
        return Path(file).is_relative_to(self._root)


def _parts(thing: Any, names: Mapping[str, Any]) -> Iterator[ast.AST]:
    """Everything that is written in a function or class; nothing where there is no source."""
    file = Path(names.get("__file__", ""))
    if not file.is_file():
        return
    node = _definitions(file, file.stat().st_mtime_ns).get(thing.__qualname__)
    if node is not None:
        yield from ast.walk(node)


@lru_cache(maxsize=256)
def _definitions(file: Path, changed: int) -> Mapping[str, ast.AST]:
    """The functions and classes of a file by their qualified names; `changed` is when it was, in nanoseconds."""
    del changed
    found: dict[str, ast.AST] = {}

    def gather(node: ast.AST, prefix: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                found[prefix + child.name] = child
                inner = "." if isinstance(child, ast.ClassDef) else ".<locals>."
                gather(child, prefix + child.name + inner)

    gather(ast.parse(file.read_bytes()), "")
    return found


def _resolve(node: ast.expr, names: Mapping[str, Any], owner: type | None) -> Any:
    """What a name, or a name with dots, stands for in its module; None where that is not known before it runs."""
    if isinstance(node, ast.Name):
        if node.id in ("self", "cls") and owner is not None:
            return owner
        return names.get(node.id)
    if isinstance(node, ast.Attribute):
        base = _resolve(node.value, names, owner)
        return inspect.getattr_static(base, node.attr, None) if isinstance(base, ModuleType | type) else None
    return None


def _made(call: ast.Call, made: type) -> Iterator[Refusal]:
    if made not in (Refused, NotReady):
        yield from _by_itself(made)
        return
    given = {word.arg: word.value for word in call.keywords}
    status = given.get("status")
    numbers = [each for each in _constants(status) if isinstance(each, int)] if status is not None else [STATUS]
    for code in _constants(call.args[0] if call.args else given.get("code")):
        if isinstance(code, str):
            yield from (Refusal(number, code) for number in numbers)


def _by_itself(made: type) -> Iterator[Refusal]:
    """What an application's own class of error says where it is made: `super().__init__("code", …, status=503)`."""
    for part in _parts(made, _namespace(made)):
        if isinstance(part, ast.Call) and isinstance(part.func, ast.Attribute) and part.func.attr == "__init__":
            yield from _made(part, NotReady if issubclass(made, NotReady) else Refused)


def _constants(node: ast.expr | None) -> Iterator[object]:
    if isinstance(node, ast.Constant):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from _constants(node.body)
        yield from _constants(node.orelse)
