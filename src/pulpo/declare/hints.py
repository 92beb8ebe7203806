"""Type hints -> `FieldSpec`: what a field holds, in the words that stores, API and UI share."""

from __future__ import annotations

import types
from collections import abc
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal, NewType, Union, get_args, get_origin

import typing_extensions
from pydantic import (
    AwareDatetime,
    BaseModel,
    FutureDate,
    FutureDatetime,
    NaiveDatetime,
    PastDate,
    PastDatetime,
    PydanticUndefinedAnnotation,
)
from pydantic.fields import FieldInfo

from pulpo import names
from pulpo.model.types import OPTIONS, MoneyType, RefTo
from pulpo.spec import FieldSpec, Kind

_LISTS = (list, tuple, set, frozenset, abc.Sequence, abc.Set, abc.Iterable, abc.Collection)
_SCALARS: tuple[tuple[type, Kind], ...] = (
    (bool, "boolean"),
    (int, "integer"),
    (float, "number"),
    (Decimal, "number"),
    *((moment, "datetime") for moment in (datetime, AwareDatetime, NaiveDatetime, PastDatetime, FutureDatetime)),
    *((day, "date") for day in (date, PastDate, FutureDate)),
    (str, "string"),
    (bytes, "string"),
)


class UnresolvedHint(Exception):
    """A field's type names a class that is not known yet."""

    def __init__(self, cls: type[BaseModel], detail: str) -> None:
        super().__init__(detail)
        self.cls, self.detail = cls, detail


@dataclass(frozen=True, slots=True)
class Hint:
    """An annotation taken apart: the type itself, what `Annotated` says of it, and whether None is a value."""

    type: Any
    metadata: tuple[Any, ...] = ()
    nullable: bool = False

    def marker(self, kind: type) -> Any:
        """The first piece of metadata of a class, or None."""
        return next((entry for entry in self.metadata if isinstance(entry, kind)), None)


def unwrap(annotation: Any, metadata: tuple[Any, ...] = ()) -> Hint:
    """Take `Annotated`, `X | None`, `type X = …` and `NewType` off an annotation."""
    nullable = False
    while True:
        origin = get_origin(annotation)
        if origin is Annotated:
            annotation, *more = get_args(annotation)
            metadata = (*metadata, *more)
        elif origin is Union or origin is types.UnionType:
            rest = [part for part in get_args(annotation) if part is not types.NoneType]
            nullable = nullable or len(rest) < len(get_args(annotation))
            if len(rest) != 1:
                return Hint(annotation, metadata, nullable)
            annotation = rest[0]
        elif isinstance(annotation, typing_extensions.TypeAliasType):
            annotation = annotation.__value__
        elif isinstance(annotation, NewType):
            annotation = annotation.__supertype__
        else:
            return Hint(annotation, metadata, nullable)


def is_model(annotation: Any) -> bool:
    """Whether an annotation is a Pydantic model class."""
    return isinstance(annotation, type) and get_origin(annotation) is None and issubclass(annotation, BaseModel)


def fields_of(cls: type[BaseModel], namespace: Mapping[str, Any] | None = None) -> tuple[FieldSpec, ...]:
    """A class's fields, in their order.

    Args:
        cls: A Pydantic model.
        namespace: Names that forward references may use besides those of the class's module.
    Raises:
        UnresolvedHint: A field's type is not known where the class is declared.
    """
    return _fields(cls, dict(namespace or {}), ())


def _fields(cls: type[BaseModel], namespace: dict[str, Any], inside: tuple[type, ...]) -> tuple[FieldSpec, ...]:
    if not cls.__pydantic_complete__:
        try:
            cls.model_rebuild(_types_namespace={**namespace, cls.__name__: cls})
        except PydanticUndefinedAnnotation as error:
            raise UnresolvedHint(
                cls, f"the name {error.name!r} is not known where {cls.__name__} is declared"
            ) from None
    return tuple(_described(name, info, namespace, inside) for name, info in cls.model_fields.items())


def _described(name: str, info: FieldInfo, namespace: dict[str, Any], inside: tuple[type, ...]) -> FieldSpec:
    spec = _typed(name, unwrap(info.annotation, tuple(info.metadata)), namespace, inside)
    extra = info.json_schema_extra
    options: Any = extra.get(OPTIONS, {}) if isinstance(extra, dict) else {}
    return replace(
        spec,
        required=info.is_required(),
        unique=options.get("unique", False),
        index=options.get("index", False),
        key=options.get("key", False),
        readonly=options.get("readonly", False),
        within=options.get("within"),
        renamed_from=options.get("renamed_from"),
        ui=options.get("ui") or {},
        title=info.title or names.title(name),
        description=info.description or "",
    )


def _typed(name: str, hint: Hint, namespace: dict[str, Any], inside: tuple[type, ...]) -> FieldSpec:
    core, spec = hint.type, FieldSpec(name, "json", nullable=hint.nullable)
    if (get_origin(core) or core) in _LISTS:
        inner = next((part for part in get_args(core) if part is not Ellipsis), Any)
        return replace(spec, kind="list", item=_typed(name, unwrap(inner), namespace, inside))
    if is_model(core):
        if core in inside:  # a tree: its depth is the data's to say, so it stays JSON
            return replace(spec, embedded=core.__name__)
        fields = _fields(core, namespace, (*inside, core))
        return replace(spec, kind="embedded", embedded=core.__name__, fields=fields)
    return _scalar(spec, hint)


def _scalar(spec: FieldSpec, hint: Hint) -> FieldSpec:
    if ref := hint.marker(RefTo):
        declared = vars(ref.target).get("__pulpo__") if isinstance(ref.target, type) else None
        return replace(spec, kind="ref", target=declared.name if declared else ref.name)
    if money := hint.marker(MoneyType):
        return replace(spec, kind="money", decimals=money.decimals)
    if get_origin(hint.type) is Literal:
        values = get_args(hint.type)
        known = tuple(value.value if isinstance(value, Enum) else value for value in values if value is not None)
        return replace(spec, kind="enum", values=known, nullable=hint.nullable or None in values)
    if isinstance(hint.type, type) and issubclass(hint.type, Enum):
        return replace(spec, kind="enum", values=tuple(member.value for member in hint.type))
    if hint.type is None or hint.type is types.NoneType:
        return replace(spec, nullable=True)
    return replace(spec, kind=scalar_kind(hint.type))


def scalar_kind(core: Any) -> Kind:
    """The kind of a plain type; what no table knows is text on the wire (UUID, URL, …), or JSON where it has parts."""
    if core is Any or core is object or not isinstance(core, type) or get_origin(core) is not None:
        return "json"
    known = next((kind for plain, kind in _SCALARS if issubclass(core, plain)), None)
    return known or ("json" if issubclass(core, abc.Mapping | abc.Iterable) else "string")
