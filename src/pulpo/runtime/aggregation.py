"""Figures for dashboards: how many documents there are, sums and averages, by field and by stretch of time.

`group=status&bucket=created_at:day&sum=total&avg=total` over the same filters that lists have.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterable
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import pydantic_core

from pulpo.errors import Nearest, PulpoError
from pulpo.model.conditions import Condition
from pulpo.runtime.filters import Asked, Fields, Leaf, read
from pulpo.store.port import Aggregate, Bucket, Group, GroupBy, Store, Total

CONTROLS = ("q", "group", "bucket", "count", "sum", "avg")
BUCKETS: tuple[Bucket, ...] = ("hour", "day", "week", "month", "year")
MOST = 1000
"""How many groups an answer may have."""
KEYS = 3
"""How many fields `group` takes."""
_SUMMED = ("integer", "number", "money")


def grouped(fields: Fields) -> tuple[str, ...]:
    """What groups can be made by."""
    return fields.sortable


def summed(fields: Fields) -> tuple[str, ...]:
    """What can be summed and averaged."""
    return tuple(path for path in fields.sortable if fields.leaves[path].spec.kind in _SUMMED)


def timed(fields: Fields) -> tuple[str, ...]:
    """What falls into stretches of time."""
    return tuple(path for path in fields.sortable if fields.leaves[path].spec.kind in ("datetime", "date"))


async def aggregate(
    store: Store,
    collection: str,
    fields: Fields,
    parameters: Iterable[tuple[str, str]],
    resolve: Callable[[Condition | None], Awaitable[Condition | None]],
) -> bytes:
    """The groups that query parameters ask for, as a JSON array.

    Args:
        store: Where the documents are.
        collection: Which they are.
        fields: What they have.
        parameters: Names and values, decoded, in the order given.
        resolve: Puts ids in a filter where it has keys.
    Raises:
        PulpoError: PULPO603, a parameter makes no sense, or there are more than `MOST` groups.
    """
    asked = read(parameters, fields, CONTROLS)
    if asked.controls.get("count", "true") not in ("", "true"):
        raise PulpoError("PULPO603", '"count" takes no value', hint="every group says its count")
    by = _by(asked, fields)
    sums, averages = _named(asked, "sum", fields), _named(asked, "avg", fields)
    of = tuple(dict.fromkeys((*sums, *averages)))
    wanted = Aggregate(collection, by, of, await resolve(asked.where), MOST + 1)
    groups = await store.aggregate(wanted)
    if len(groups) > MOST:
        raise PulpoError("PULPO603", f"there are more than {MOST} groups", hint="filter, or take greater stretches")
    leaves = [fields.leaves[path] for path in of]
    return ("[" + ",".join(_group(group, by, leaves, sums, averages) for group in groups) + "]").encode()


def _by(asked: Asked, fields: Fields) -> tuple[GroupBy, ...]:
    found: dict[str, GroupBy] = {}
    text = asked.controls.get("group")
    paths = text.split(",") if text is not None else []
    for path in paths:
        fields.named(path, grouped(fields), "there are no groups by that")
        found[path] = GroupBy(path)
    if len(paths) > KEYS:
        raise PulpoError("PULPO603", f'"group" takes at most {KEYS} fields')
    if "bucket" in asked.controls:
        path, _, unit = asked.controls["bucket"].partition(":")
        kind = fields.named(path, timed(fields), '"bucket" takes a time or a date').spec.kind
        bucket = next((each for each in BUCKETS if each == unit and (each != "hour" or kind == "datetime")), None)
        if bucket is None:
            hint = Nearest(BUCKETS).to(unit) or f"for instance {path}:day"
            raise PulpoError("PULPO603", f'"bucket" is a field, ":" and one of {", ".join(BUCKETS)}', hint=hint)
        if path in found:
            raise PulpoError("PULPO603", f'"group" and "bucket" both name {path}')
        found[path] = GroupBy(path, bucket)
    return tuple(found.values())


def _named(asked: Asked, control: str, fields: Fields) -> tuple[str, ...]:
    text = asked.controls.get(control)
    if text is None:
        return ()
    found = tuple(dict.fromkeys(text.split(",")))
    for path in found:
        fields.named(path, summed(fields), f'"{control}" takes numbers and amounts')
    return found


def _group(
    group: Group, by: tuple[GroupBy, ...], leaves: list[Leaf], sums: tuple[str, ...], averages: tuple[str, ...]
) -> str:
    """A group as JSON text; amounts are written digit by digit, never by way of a float."""
    totals = {leaf.path: (leaf, total) for leaf, total in zip(leaves, group.totals, strict=True)}
    keys = _object((each.path, _text(value)) for each, value in zip(by, group.key, strict=True))
    found = [("group", keys), ("count", str(group.count))]
    if sums:
        found.append(("sum", _object((path, _text(totals[path][1].sum)) for path in sums)))
    if averages:
        found.append(("avg", _object((path, _text(_average(*totals[path]))) for path in averages)))
    return _object(found)


def _average(leaf: Leaf, total: Total) -> Decimal | float | None:
    """The mean of the values that are there; an amount to its own decimals."""
    if not total.count:
        return None
    if isinstance(total.sum, Decimal):
        exact = Decimal(1).scaleb(-leaf.spec.decimals)
        return (total.sum / total.count).quantize(exact, rounding=ROUND_HALF_EVEN)
    return total.sum / total.count


def _object(members: Iterable[tuple[str, str]]) -> str:
    return "{" + ",".join(f"{_text(name)}:{text}" for name, text in members) + "}"


def _text(value: Any) -> str:
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, float) and not math.isfinite(value):
        return "null"  # JSON has no such number
    return pydantic_core.to_json(value).decode()
