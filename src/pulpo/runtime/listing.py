"""A list's query parameters: which documents, in which order, from where, and what of them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import quote, urlencode

from pulpo.errors import PulpoError
from pulpo.model.conditions import Condition
from pulpo.runtime.filters import Fields, boolean, read
from pulpo.spec import FieldSpec

PAGE = 50
"""Documents on a page when nothing else is asked for."""
DEEPEST = 100_000
"""The greatest `offset`: further on, cursors cost no more than at the beginning."""
SORTED = "-created_at"
"""The order when none is asked for."""
CONTROLS = ("limit", "cursor", "offset", "sort", "count", "q", "fields", "expand")
_FIXED = ("limit", "cursor", "count")
_NUMBER = re.compile(r"([0-9]{1,9})(?:\.0+)?")
RUN_STATES = (
    "queued", "running", "waiting", "stopped", "completed", "failed", "cancelling", "cancelled", "compensating",
    "compensated",
)  # fmt: skip
TOUCHED = 10
"""How many documents a list of runs can be asked about at once."""
TOUCHING = 200
"""Of how many steps the runs that touched a document are found."""
RUN_FIELDS = Fields.of(
    (
        FieldSpec("state", "enum", values=RUN_STATES),
        FieldSpec("name", "string"),
        FieldSpec("kind", "enum", values=("flow", "operation")),
        FieldSpec("live", "string"),
    )
)
"""What the list of runs can be filtered by."""


@dataclass(frozen=True)
class Listing:
    """What a list request asks for. `fields` and `expand` are as they came, `given` are all the parameters."""

    where: Condition | None
    sort: tuple[tuple[str, bool], ...]
    limit: int
    cursor: str | None
    count: bool
    given: tuple[tuple[str, str], ...]
    offset: int = 0
    fields: str | None = None
    expand: str | None = None

    def next_query(self, cursor: str) -> str:
        """The query string of the next page: the same, from this cursor on."""
        return f"{self._page}{'&' if self._page else ''}cursor={quote(cursor, safe='')}"

    def first_query(self) -> str | None:
        """The query string of the first page; None where this is it."""
        return self._page if self.cursor is not None or self.offset else None

    @cached_property
    def _page(self) -> str:
        return urlencode([(name, value) for name, value in self.given if name not in ("cursor", "offset")])


def parse(
    parameters: Iterable[tuple[str, str]], fields: Fields, *, page_limit: int, sort: str | None = SORTED
) -> Listing:
    """Read a list's parameters.

    Args:
        parameters: Names and values, decoded, in the order given.
        fields: What can be filtered and sorted by.
        page_limit: The greatest `limit`.
        sort: The order when none is given; None where the order, and what of the documents, is not the caller's choice.
    Raises:
        PulpoError: PULPO603, a parameter is unknown or its value is not one of its field.
    """
    given = tuple(parameters)
    asked = read(given, fields, CONTROLS if sort is not None else _FIXED)
    controls = asked.controls
    cursor, offset = controls.get("cursor") or None, controls.get("offset")
    if cursor is not None and offset is not None:
        raise PulpoError("PULPO603", '"cursor" and "offset" do not go together', hint="a cursor says where to begin")
    return Listing(
        asked.where,
        order(controls.get("sort", sort), fields),
        _number("limit", controls.get("limit", str(min(PAGE, page_limit))), 1, page_limit),
        cursor,
        boolean("count", controls.get("count", "false")),
        given,
        _number("offset", offset or "0", 0, DEEPEST),
        controls.get("fields"),
        controls.get("expand"),
    )


def order(text: str | None, fields: Fields) -> tuple[tuple[str, bool], ...]:
    """`-created_at,sku` as paths, each with whether it goes downwards; of a path named twice the first counts.

    Raises:
        PulpoError: PULPO603.
    """
    found: dict[str, bool] = {}
    for part in text.split(",") if text else ():
        path = part.removeprefix("-")
        fields.named(path, fields.sortable, "the list cannot be sorted by that")
        found.setdefault(path, part.startswith("-"))
    return tuple(found.items())


def _number(name: str, text: str, least: int, greatest: int) -> int:
    match = _NUMBER.fullmatch(text)
    if match is None or not least <= int(match[1]) <= greatest:
        raise PulpoError("PULPO603", f'"{name}" is a number from {least} to {greatest}')
    return int(match[1])
