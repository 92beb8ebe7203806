"""`Model`: a document with an id, a version and timestamps."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, PlainSerializer, WithJsonSchema
from pydantic._internal._model_construction import ModelMetaclass
from typing_extensions import dataclass_transform

from pulpo import names
from pulpo.model.conditions import Column
from pulpo.model.ids import ulid
from pulpo.model.types import Field

if TYPE_CHECKING:
    from pulpo.spec import ModelSpec


def now() -> datetime:
    """The time in UTC, to the millisecond: what every store can keep."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def to_millisecond(moment: datetime) -> datetime:
    """The moment in UTC, cut to the millisecond.

    Raises:
        ValueError: In UTC it is before the year 1 or after the year 9999.
    """
    try:
        moment = moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("in UTC this is outside of the years 1 to 9999") from None
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def timestamp(moment: datetime) -> str:
    """`2025-10-30T09:15:00.123Z`: one width, so that text order is time order."""
    return f"{moment.astimezone(UTC).isoformat(timespec='milliseconds')[:-6]}Z"


Timestamp = Annotated[
    AwareDatetime,
    AfterValidator(to_millisecond),
    PlainSerializer(timestamp, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""A moment in UTC, to the millisecond."""


def new_id(prefix: str) -> str:
    """A fresh id: prefixed, sortable by time (ULID), unique across machines."""
    return f"{prefix}_{ulid()}"


@dataclass_transform(kw_only_default=True, field_specifiers=(Field,))
class ModelType(ModelMetaclass):
    """Makes `Product.inventory` on the class a column for conditions."""

    def __getattr__(cls, name: str) -> Any:  # noqa: N805 - of a metaclass
        if not name.startswith("_") and name in cls.__dict__.get("__pydantic_fields__", ()):
            return Column(name)
        return super().__getattr__(name)  # type: ignore[misc]  # Pydantic hides it from type checkers


class Embedded(BaseModel, metaclass=ModelType):
    """Part of a document: an order's item, a customer's address. Entries that others refer to have an `id`."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)


class Model(BaseModel, metaclass=ModelType):
    """A document. Subclasses add fields and carry `@datamodel`."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)
    __pulpo__: ClassVar[ModelSpec]

    id: str = Field(default="", max_length=200, pattern=r"^[A-Za-z0-9_.:~-]*$", description="The document's id.")
    version: int = Field(default=0, ge=0, readonly=True, description="Raised by every write.")
    created_at: Timestamp = Field(default_factory=now, readonly=True, index=True)
    updated_at: Timestamp = Field(default_factory=now, readonly=True)

    def model_post_init(self, context: Any, /) -> None:  # noqa: ARG002 - Pydantic's signature
        """Give a new document its id."""
        if not self.id:
            self.__dict__["id"] = new_id(names.id_prefix(type(self).__name__))

    def changed(self, **fields: Any) -> Self:
        """A validated copy with other values."""
        return self.model_validate({**dict(self), **fields})
