"""Names for what a generated module defines and imports."""

from __future__ import annotations

import builtins
import keyword
from collections import Counter
from collections.abc import Iterable, Mapping

from pulpo import names
from pulpo.compile.artifact import WIDTH

PYTHON = frozenset({*dir(builtins), *keyword.kwlist})
"""Names that nothing in a generated Python module has."""


class Identifiers:
    """The names taken in one generated module; hands out free ones, always the same for the same questions.

    Args:
        taken: Names that the module has already.
        reserved: Names that nothing in a module of its language has.
    """

    def __init__(self, taken: Iterable[str] = (), reserved: frozenset[str] = PYTHON) -> None:
        self._taken = {*reserved, *taken}

    def free(self, *wanted: str) -> str:
        """The first of these that is free, else the last with a number (`name_2`, …); taken from now on."""
        name = next((name for name in wanted if name not in self._taken), wanted[-1])
        count = 1
        while name in self._taken:
            count += 1
            name = f"{wanted[-1]}_{count}"
        self._taken.add(name)
        return name

    def of_operations(self, operations: Iterable[str]) -> Mapping[str, str]:
        """Operation -> its function: the last segment where that is free and only one has it, else all of them."""
        operations = tuple(operations)
        shorts = Counter(names.short(operation) for operation in operations)
        found: dict[str, str] = {}
        for name in sorted(
            operations, key=lambda name: shorts[names.short(name)]
        ):  # those with a name of their own first
            short, whole = names.short(name), names.identifier(name)
            found[name] = self.free(short, whole) if shorts[short] == 1 else self.free(whole)
        return found


def imports(wanted: Mapping[tuple[str, str], str]) -> list[str]:
    """Import statements, sorted as formatters and linters sort them.

    Args:
        wanted: (module, name in it) -> name here.
    """
    lines: list[str] = []
    for module in sorted({module for module, _ in wanted}):
        plain = sorted((name for (where, name), here in wanted.items() if where == module and name == here), key=_kind)
        if plain:
            line = f"from {module} import {', '.join(plain)}"
            inner = "".join(f"    {name},\n" for name in plain)
            lines.append(line if len(line) <= WIDTH else f"from {module} import (\n{inner})")
        renamed = sorted((name, here) for (where, name), here in wanted.items() if where == module and name != here)
        lines.extend(f"from {module} import {name} as {here}" for name, here in renamed)
    return lines


def _kind(name: str) -> tuple[int, str]:
    """Constants, then classes, then the rest."""
    if name.isupper() and len(name) > 1:
        return 0, name
    return (1 if name[:1].isupper() else 2), name
