"""Types of fields: exact money, checked references, and what `Field` says beyond Pydantic's own."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, TypeVar

import pydantic
from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema
from typing_extensions import TypeAliasType

from pulpo.errors import Nearest

T = TypeVar("T")
OPTIONS = "x-pulpo"  # where Field keeps its options inside json_schema_extra


@dataclass(frozen=True, slots=True)
class MoneyType:
    """Marks a `Decimal` field as an amount: exact, a JSON number on the wire, never a float inside.

    Finer amounts than the currency has (`19.999`, `39.980000000000004`) and `NaN` are refused, and so is text in what a
    client sends as JSON (in Python and in what is stored it is taken). The wire form is exact
    below 10^13 units, which is also the greatest amount that is taken.
    """

    decimals: int = 2

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        amount = core_schema.decimal_schema(
            decimal_places=self.decimals, allow_inf_nan=False, lt=Decimal(10) ** 13, gt=-(Decimal(10) ** 13)
        )
        unit = Decimal(1).scaleb(-self.decimals)
        given = handler(source)  # what `Field(ge=0)` says of the amount is in it
        narrowed = _narrowed(amount, given)
        sent = core_schema.no_info_before_validator_function(_number, narrowed)
        strict = core_schema.json_or_python_schema(sent, narrowed)
        return core_schema.no_info_after_validator_function(
            lambda value: value.quantize(unit),
            core_schema.lax_or_strict_schema(lax_schema=narrowed, strict_schema=strict),
            serialization=core_schema.plain_serializer_function_ser_schema(float, when_used="json"),
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        inner: Any = schema.get("schema", {}).get("lax_schema", {})
        bounds = {word: float(inner[name]) for name, word in BOUNDS.items() if inner.get(name) is not None}
        least = float(Decimal(1).scaleb(-self.decimals))
        return {"type": "number", "format": "money", "multipleOf": least, **bounds}


BOUNDS = {"gt": "exclusiveMinimum", "ge": "minimum", "lt": "exclusiveMaximum", "le": "maximum"}
"""What JSON Schema calls the bounds of a number."""


def _number(sent: Any) -> Any:
    """A JSON number as it was written, shortest form; text is none."""
    if type(sent) is float:
        return Decimal(repr(sent))
    if type(sent) is int:
        return Decimal(sent)
    raise PydanticCustomError("decimal_type", "Input should be a number")


def _narrowed(amount: core_schema.DecimalSchema, given: CoreSchema) -> CoreSchema:
    """An amount within the bounds of its field too."""
    if given["type"] != "decimal":
        return core_schema.chain_schema([amount, given])
    found: dict[str, Any] = {**given, **amount}
    if "gt" in given:
        found["gt"] = max(given["gt"], amount["gt"])
    if "lt" in given:
        found["lt"] = min(given["lt"], amount["lt"])
    return typing.cast("CoreSchema", found)


Money: TypeAlias = Annotated[Decimal, MoneyType()]
"""An exact amount with two decimals; `Annotated[Decimal, MoneyType(0)]` for a currency without."""


@dataclass(frozen=True, slots=True)
class RefTo:
    """Marks a text field as the id of a document, or of an embedded entry (see `Field(within=…)`)."""

    target: type | str

    @property
    def name(self) -> str:
        """The name of the class referred to."""
        return self.target if isinstance(self.target, str) else self.target.__name__

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(schema), "x-ref": self.name}


if TYPE_CHECKING:
    Ref = TypeAliasType("Ref", str, type_params=(T,))
else:

    class Ref:
        """`Ref[Customer]`: a checked reference, in Python the id as text."""

        def __class_getitem__(cls, target: type | str) -> Any:
            return Annotated[str, RefTo(target)]


_PYDANTIC = tuple(name for name in inspect.signature(pydantic.Field).parameters if name not in ("default", "extra"))


def Field(  # noqa: N802 - named as Pydantic's, which it extends
    default: Any = ...,
    *,
    default_factory: Callable[[], Any] | None = None,
    unique: bool = False,
    index: bool = False,
    key: bool = False,
    readonly: bool = False,
    within: str | None = None,
    renamed_from: str | None = None,
    ui: dict[str, Any] | None = None,
    **options: Any,
) -> Any:
    """A field of a model: Pydantic's `Field` with what stores, API and UI need to know.

    Args:
        unique: No two documents have the same value (null values do not count).
        index: Lists are filtered or sorted by it often.
        key: A second address of the document besides its id (implies unique).
        readonly: Not a client's to write; only operations and hooks do.
        within: For a `Ref` to an embedded entry: the field of this model that refers to the document it is inside of.
        renamed_from: The name the field had before; stored documents are carried over.
        ui: Hints for the UI (`widget`, `colours`, …; docs/ui.md).
        options: Everything that `pydantic.Field` takes.
    """
    given = {
        "unique": unique or key,
        "index": index,
        "key": key,
        "readonly": readonly,
        "within": within,
        "renamed_from": renamed_from,
        "ui": ui,
    }
    for name in options:
        if name not in _PYDANTIC:
            near = Nearest(_PYDANTIC).to(name) or "see Pydantic's Field and pulpo's"
            raise TypeError(f"Field() has no option {name!r}; {near}")
    chosen = {name: value for name, value in given.items() if value}
    extra: Any = {OPTIONS: chosen} if chosen else None
    if default_factory is not None:
        return pydantic.Field(default_factory=default_factory, json_schema_extra=extra, **options)
    return pydantic.Field(default, json_schema_extra=extra, **options)
