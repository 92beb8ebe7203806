"""Everything that a filter finds, as CSV or NDJSON, page by page: memory does not grow with the table."""

from __future__ import annotations

import csv
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import pydantic_core

from pulpo.errors import PulpoError
from pulpo.model.conditions import Condition
from pulpo.runtime.expansion import View, Views
from pulpo.runtime.filters import Fields, read
from pulpo.runtime.listing import SORTED, order
from pulpo.spec import FieldSpec, Json, ModelSpec
from pulpo.store.port import Page, Query, Store

CONTROLS = ("q", "sort", "fields", "format")
FORMATS = ("csv", "ndjson")
PAGE = 200
"""Documents read at a time."""
DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What a text must not begin with in a spreadsheet, which would take it for a formula."""


@dataclass(frozen=True, slots=True)
class Export:
    """An export that has begun: what was asked for makes sense, and its first page is there."""

    format: Literal["csv", "ndjson"]
    chunks: AsyncIterator[bytes]


async def export(
    store: Store,
    spec: ModelSpec,
    fields: Fields,
    parameters: Iterable[tuple[str, str]],
    resolve: Callable[[Condition | None], Awaitable[Condition | None]],
    views: Views,
) -> Export:
    """Begin an export.

    Args:
        store: Where the documents are.
        spec: Their model.
        fields: What they have.
        parameters: Names and values, decoded, in the order given.
        resolve: Puts ids in a filter where it has keys.
        views: What of them can be asked for.
    Raises:
        PulpoError: PULPO603, a parameter makes no sense.
    """
    asked = read(parameters, fields, CONTROLS)
    format = asked.controls.get("format", "ndjson")
    if format not in ("csv", "ndjson"):
        raise PulpoError("PULPO603", f'"format" is one of {", ".join(FORMATS)}')
    view = views.view(asked.controls.get("fields"), None)
    sort = order(asked.controls.get("sort", SORTED), fields)
    query = Query(spec.collection, await resolve(asked.where), sort, PAGE)
    pages = _pages(store, query, await store.query(query))
    if format == "ndjson":
        return Export("ndjson", _lines(store, pages, view))
    columns = [field for field in spec.fields if view is None or view.fields is None or field.name in view.fields]
    return Export("csv", _csv(pages, columns))


async def _pages(store: Store, query: Query, page: Page) -> AsyncIterator[Page]:
    while True:
        yield page
        if page.cursor is None:
            return
        page = await store.query(Query(query.collection, query.where, query.sort, query.limit, page.cursor))


async def _lines(store: Store, pages: AsyncIterator[Page], view: View | None) -> AsyncIterator[bytes]:
    async for page in pages:
        if view is None:
            yield "".join(f"{record.json}\n" for record in page.records).encode()
        else:
            shown = await view.of(store, (record.json for record in page.records))
            yield b"".join(pydantic_core.to_json(document) + b"\n" for document in shown)


async def _csv(pages: AsyncIterator[Page], columns: Sequence[FieldSpec]) -> AsyncIterator[bytes]:
    yield _rows([[field.name for field in columns]])
    amounts = {field.name: field.decimals for field in columns if field.kind == "money"}
    async for page in pages:
        documents = (pydantic_core.from_json(record.json) for record in page.records)
        yield _rows(
            [cell(document.get(field.name), amounts.get(field.name)) for field in columns] for document in documents
        )


def _rows(rows: Iterable[Sequence[str]]) -> bytes:
    lines = _Lines()
    csv.writer(lines).writerows(rows)
    return "".join(lines.written).encode()


class _Lines:
    """What a CSV writer writes to; a `StringIO` would take four bytes a character."""

    def __init__(self) -> None:
        self.written: list[str] = []

    def write(self, line: str) -> None:
        """Keep a line."""
        self.written.append(line)


def cell(value: Json, decimals: int | None = None) -> str:
    """A value as a cell: nothing for null, JSON for what is nested, all decimals of an amount, and never a formula."""
    if value is None:
        return ""
    if decimals is not None and isinstance(value, int | float):
        return f"{value:.{decimals}f}"
    if isinstance(value, str):
        return f"'{value}" if value.startswith(DANGEROUS) else value
    return pydantic_core.to_json(value).decode()
