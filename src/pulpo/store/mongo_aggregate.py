"""Groups of documents, counted and summed by the server; amounts and integers exactly, as decimals of 34 digits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from bson.decimal128 import Decimal128

from pulpo.errors import PulpoError
from pulpo.model.model import timestamp
from pulpo.store.mongo_filter import where
from pulpo.store.mongo_table import Field, Table
from pulpo.store.port import Aggregate, Bucket, Group, GroupBy, Total

_FORMATS: dict[Bucket, str] = {
    "hour": "%Y-%m-%dT%H:00Z",
    "day": "%Y-%m-%d",
    "week": "%Y-%m-%d",
    "month": "%Y-%m",
    "year": "%Y",
}
_LENGTHS: dict[Bucket, int] = {"day": 10, "month": 7, "year": 4}
_SUMMED = ("integer", "number", "money")


@dataclass(frozen=True, slots=True)
class Aggregation:
    """The pipeline, and how its results are read."""

    pipeline: list[dict[str, Any]]
    keys: int
    sums: tuple[Field, ...]

    def groups(self, found: Sequence[Mapping[str, Any]]) -> tuple[Group, ...]:
        """The results as groups."""
        if not found and not self.keys:
            found = ({"_id": {}, "count": 0},)
        return tuple(self._group(one) for one in found)

    def _group(self, found: Mapping[str, Any]) -> Group:
        key = tuple(_read(found["_id"][f"k{place}"]) for place in range(self.keys))
        totals = tuple(
            Total(found.get(f"c{place}", 0), _sum(column, found.get(f"s{place}", 0)))
            for place, column in enumerate(self.sums)
        )
        return Group(key, found["count"], totals)


def aggregation(table: Table, wanted: Aggregate) -> Aggregation:
    """What is wanted, as a pipeline. Raises PulpoError PULPO603."""
    keys = {f"k{place}": _key(table, by) for place, by in enumerate(wanted.by)}
    sums = tuple(_single(table, path) for path in wanted.of)
    group: dict[str, Any] = {"_id": keys, "count": {"$sum": 1}}
    for place, column in enumerate(sums):
        if column.kind not in _SUMMED:
            raise PulpoError("PULPO603", f"{column.path} is {column.kind}, that cannot be summed")
        value = f"${column.key}"
        group[f"c{place}"] = {"$sum": {"$cond": [{"$gt": [value, None]}, 1, 0]}}
        group[f"s{place}"] = {"$sum": {"$toDecimal": value} if column.kind == "integer" else value}
    stages: list[dict[str, Any]] = [{"$match": where(table, wanted.where)}] if wanted.where is not None else []
    stages.append({"$group": group})
    if keys:
        stages.append({"$sort": {f"_id.{name}": 1 for name in keys}})
    return Aggregation([*stages, {"$limit": wanted.limit}], len(keys), sums)


def _single(table: Table, path: str) -> Field:
    column = table.column(path)
    if column.many or column.kind == "json":
        raise PulpoError("PULPO603", f"{path} is no single scalar field")
    return column


def _key(table: Table, by: GroupBy) -> dict[str, Any]:
    column = _single(table, by.path)
    value, bucket = f"${column.key}", by.bucket
    if bucket is None:
        return {"$ifNull": [value, None]}
    if column.kind == "date" and bucket in _LENGTHS:
        return _unless_null(value, {"$substrBytes": [value, 0, _LENGTHS[bucket]]})
    if column.kind == "datetime" or (column.kind == "date" and bucket == "week"):
        moment: Any = value if column.kind == "datetime" else {"$dateFromString": {"dateString": value}}
        if bucket == "week":
            moment = {"$dateTrunc": {"date": moment, "unit": "week", "startOfWeek": "monday"}}
        return _unless_null(value, {"$dateToString": {"date": moment, "format": _FORMATS[bucket]}})
    raise PulpoError("PULPO603", f"{by.path} does not fall into stretches of one {bucket}")


def _unless_null(value: str, made: Mapping[str, Any]) -> dict[str, Any]:
    return {"$cond": [{"$gt": [value, None]}, made, None]}


def _read(value: Any) -> Any:
    if isinstance(value, Decimal128):
        return value.to_decimal()
    return timestamp(value) if isinstance(value, datetime) else value


def _sum(column: Field, value: Any) -> Decimal | int | float:
    exact = value.to_decimal() if isinstance(value, Decimal128) else value
    if column.kind == "money":
        return exact if isinstance(exact, Decimal) else Decimal(exact).scaleb(-column.decimals)
    return float(exact) if column.kind == "number" else int(exact)
