"""Names that TypeScript, or the client, has for something else, and types of every kind."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Literal
from uuid import UUID

from pydantic import ConfigDict

from pulpo import Embedded, Field, Model, Money, Ref, Timestamp, datamodel


class Level(IntEnum):
    """Numbers with names."""

    LOW = 1
    HIGH = 2


class Tone(Enum):
    """Words with names; one has a "quote" in it."""

    PLAIN = "plain"
    LOUD = 'lo"ud'


class Record(Embedded):
    """Named like a type of the platform. It may not end: */ nor begin a tree."""

    default: str = "new"
    seen_at: Timestamp | None = Field(default=None, readonly=True)
    by: Ref[Author] | None = None


class ListPage(Embedded):
    """Named like a type of the client, and refers to itself."""

    title: str
    children: list[ListPage] = Field(default_factory=list)
    record: Record = Field(default_factory=Record)


@datamodel
class Author(Model):
    """Who writes."""

    name: str
    born: date | None = None


@datamodel
class Post(Model):
    """What is read."""

    model_config = ConfigDict(extra="forbid")

    author_id: Ref[Author]
    editor_ids: list[Ref[Author]] = Field(default_factory=list)
    page: ListPage
    record: Record | None = None
    tone: Tone = Tone.PLAIN
    level: Level | None = None
    kind: Literal["long", "short"] = "long"
    tags: set[str] = Field(default_factory=set)
    size: tuple[int, int] = (1, 1)
    weights: dict[str, float] = Field(default_factory=dict)
    either: int | str | None = None
    anything: object = None
    rate: Decimal = Decimal(1)
    price: Money = Decimal(0)
    token: UUID | None = None
    sort: str = ""


@datamodel(api=["get", "create"])
class Request(Model):
    """A collection named like a method of the client."""

    text: str
