"""Conditions on documents: a small tree that every store understands.

`Product.inventory >= 2` on a model class makes a `Compare`; `&`, `|` and `~` combine. Paths into embedded models are
dotted (`items.product_id`); on a list of embedded models a comparison holds when it holds for one entry.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

Operator: TypeAlias = Literal["eq", "ne", "gt", "gte", "lt", "lte", "in", "nin", "contains", "startswith"]


class Condition:
    """A node of the tree; immutable."""

    __slots__ = ()

    def __and__(self, other: Condition) -> Condition:
        return All((self, other))

    def __or__(self, other: Condition) -> Condition:
        return Some((self, other))

    def __invert__(self) -> Condition:
        return Not(self)

    def __bool__(self) -> bool:
        raise TypeError("a condition has no truth value; combine conditions with &, | and ~")


@dataclass(frozen=True, slots=True)
class Compare(Condition):
    """`field operator value`. `value` is a Python value of the field's type (for `in` and `nin` a tuple of them).

    `eq`/`ne` with None mean missing or null / present. A null field satisfies no other comparison than `ne` and `nin`.
    """

    field: str
    operator: Operator
    value: Any


@dataclass(frozen=True, slots=True)
class All(Condition):
    """Every part holds; of no parts: true."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Some(Condition):
    """At least one part holds; of no parts: false."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Not(Condition):
    """The part does not hold."""

    part: Condition


class Column:
    """A field of a model as it appears in a condition: `Product.inventory`, `col(Order.status)`."""

    __slots__ = ("path",)
    __hash__ = None  # type: ignore[assignment]  # == makes a condition, so a column is no key of a dict

    def __init__(self, path: str) -> None:
        self.path = path

    def __getattr__(self, name: str) -> Column:
        if name.startswith("__"):
            raise AttributeError(name)
        return Column(f"{self.path}.{name}")

    def __eq__(self, other: object) -> Condition:  # type: ignore[override]
        return Compare(self.path, "eq", other)

    def __ne__(self, other: object) -> Condition:  # type: ignore[override]
        return Compare(self.path, "ne", other)

    def __gt__(self, other: object) -> Condition:
        return Compare(self.path, "gt", other)

    def __ge__(self, other: object) -> Condition:
        return Compare(self.path, "gte", other)

    def __lt__(self, other: object) -> Condition:
        return Compare(self.path, "lt", other)

    def __le__(self, other: object) -> Condition:
        return Compare(self.path, "lte", other)

    def in_(self, values: Iterable[object]) -> Condition:
        """The field is one of these."""
        return Compare(self.path, "in", tuple(values))

    def not_in(self, values: Iterable[object]) -> Condition:
        """The field is none of these."""
        return Compare(self.path, "nin", tuple(values))

    def contains(self, text: str) -> Condition:
        """The text field contains this, case-insensitively in ASCII."""
        return Compare(self.path, "contains", text)

    def startswith(self, text: str) -> Condition:
        """The text field begins with this."""
        return Compare(self.path, "startswith", text)


def col(field: object) -> Column:
    """A model's field as a column, where a type checker sees only the field's type: `col(Order.status).in_(…)`."""
    if not isinstance(field, Column):
        raise TypeError("col() takes a field of a model class, such as Order.status")
    return field


def condition(parts: Iterable[Condition | bool]) -> Condition | None:
    """All the parts as one condition, or None for no parts.

    A type checker takes `Product.inventory >= 2` for a bool, so bools are let through to here, and refused.
    """
    found = []
    for part in parts:
        if not isinstance(part, Condition):
            raise TypeError(f"a condition on a model's fields is needed, not {part!r}")
        found.append(part)
    return None if not found else found[0] if len(found) == 1 else All(tuple(found))
