"""What the suite stores: one collection with a column of each kind, and how its documents are written."""

from __future__ import annotations

import json
from typing import Protocol

from pulpo.spec import Json
from pulpo.store.port import QUERY_TIMEOUT, Batch, Collection, Column, Index, Insert, Replace, Store


class Opener(Protocol):
    """Opens a connection to a database, whose queries may take that many seconds."""

    async def __call__(self, url: str, query_timeout: float = QUERY_TIMEOUT) -> Store:
        """Open it."""


THINGS = "things"
NOTES = "_notes"
COLLECTIONS = (
    Collection(
        THINGS,
        columns=(
            Column("name", "text"),
            Column("sku", "text"),
            Column("shelf", "text"),
            Column("place", "integer"),
            Column("stock", "integer"),
            Column("weight", "number"),
            Column("active", "boolean"),
            Column("price", "money"),
            Column("made_at", "datetime"),
            Column("day", "date"),
            Column("maker.city", "text"),
            Column("maker.fee", "money"),
            Column("tags", "text", many=True),
            Column("parts.code", "text", many=True),
            Column("parts.cost", "money", many=True),
            Column("parts.bins.row", "integer", many=True),
        ),
        indexes=(
            Index(("sku",), unique=True),
            Index(("shelf", "place"), unique=True),
            Index(("stock",)),
            Index(("price",)),
            Index(("made_at",)),
            Index(("name", "stock")),
            Index(("tags",)),
            Index(("parts.cost",)),
        ),
    ),
    Collection(NOTES, columns=(Column("text", "text"),)),
)


def text(id: str, version: int = 1, **fields: Json) -> str:
    """A document as JSON text, compact as Pulpo writes it."""
    return json.dumps({"id": id, "version": version, **fields}, ensure_ascii=False, separators=(",", ":"))


def thing(id: str, **fields: Json) -> Insert:
    """The insert of a thing."""
    return Insert(THINGS, id, text(id, **fields))


def replaced(id: str, version: int, **fields: Json) -> Replace:
    """The replace of a thing read at `version`."""
    return Replace(THINGS, id, version, text(id, version + 1, **fields))


async def keep(store: Store, *inserts: Insert) -> None:
    """Commit inserts together."""
    await store.commit(Batch(inserts))


async def read(store: Store, id: str) -> Json:
    """A thing's document, its JSON decoded; None if there is none."""
    record = await store.get(THINGS, id)
    return None if record is None else json.loads(record.json)
