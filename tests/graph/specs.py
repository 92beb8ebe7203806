"""Small descriptions, made without files, for tests of the planner."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, create_model

from pulpo.declare.hints import fields_of
from pulpo.spec import AppSpec, FlowSpec, GroupSpec, OperationSpec, Shape


async def nothing(*_: Any) -> None:
    """What every operation of these tests does."""


def shape_of(name: str, fields: Mapping[str, Any] | type[BaseModel] | None) -> Shape:
    """An input or output with these fields: a type, or a (type, default) pair for an optional one."""
    if fields is None:
        return Shape(None, None)
    if isinstance(fields, type):
        return Shape(fields, fields, fields_of(fields))
    given: dict[str, Any] = {key: kind if isinstance(kind, tuple) else (kind, ...) for key, kind in fields.items()}
    cls: type[BaseModel] = create_model(name, **given)
    return Shape(cls, cls, fields_of(cls))


def op(
    name: str,
    *,
    takes: Mapping[str, Any] | type[BaseModel] | None = None,
    gives: Mapping[str, Any] | type[BaseModel] | None = None,
    reads: Iterable[str] = (),
    writes: Iterable[str] = (),
    adds: Iterable[str] = (),
    after: Iterable[str] = (),
    **options: Any,
) -> OperationSpec:
    """An operation."""
    return OperationSpec(
        name=name,
        function=nothing,
        module=__name__,
        input=shape_of("Input", takes),
        output=shape_of("Output", gives),
        reads=tuple(reads),
        writes=tuple(writes),
        adds=tuple(adds),
        after=tuple(after),
        **options,
    )


def app(*operations: OperationSpec, groups: Iterable[GroupSpec] = (), flows: Iterable[FlowSpec] = ()) -> AppSpec:
    """An application without models."""
    return AppSpec("test", operations=operations, groups=tuple(groups), flows=tuple(flows))
