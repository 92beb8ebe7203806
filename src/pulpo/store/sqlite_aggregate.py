"""Groups of documents, counted and summed in SQL; amounts and integers exactly."""

# ruff: noqa: S608 - the texts are made of declared names, every value is bound

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pulpo.errors import PulpoError
from pulpo.store.port import Aggregate, Bucket, Group, Total
from pulpo.store.sqlite_filter import where
from pulpo.store.sqlite_indexes import holding
from pulpo.store.sqlite_schema import ColumnSql, Table

_BUCKETS: dict[Bucket, Callable[[str], str]] = {
    "hour": lambda sql: f"substr({sql},1,13)||':00Z'",
    "day": lambda sql: f"substr({sql},1,10)",
    "week": lambda sql: f"date(substr({sql},1,10),'weekday 0','-6 days')",
    "month": lambda sql: f"substr({sql},1,7)",
    "year": lambda sql: f"substr({sql},1,4)",
}
_SUMMED = ("integer", "number", "money")


@dataclass(frozen=True, slots=True)
class Aggregation:
    """The statement, and how its rows are read. A sum takes three places: how many, and two parts of it."""

    sql: str
    args: tuple[Any, ...]
    keys: tuple[Callable[[Any], Any], ...]
    sums: tuple[ColumnSql, ...]

    def groups(self, rows: Sequence[Any]) -> tuple[Group, ...]:
        """The rows as groups."""
        return tuple(self._group(row) for row in rows)

    def _group(self, row: tuple[Any, ...]) -> Group:
        at = len(self.keys)
        key = tuple(None if value is None else read(value) for read, value in zip(self.keys, row[:at], strict=True))
        totals = [
            Total(row[place], _sum(column, row[place + 1], row[place + 2]))
            for place, column in zip(range(at + 1, len(row), 3), self.sums, strict=True)
        ]
        return Group(key, row[at], tuple(totals))


def aggregation(table: Table, wanted: Aggregate) -> Aggregation:
    """What is wanted, in SQL. Raises PulpoError PULPO603."""
    keys: list[str] = []
    columns: list[ColumnSql] = []
    reads: list[Callable[[Any], Any]] = []
    for by in wanted.by:
        column = _single(table, by.path)
        columns.append(column)
        if by.bucket is None:
            keys.append(column.sql)
            reads.append(_reading(column))
        elif column.kind == "datetime" or (column.kind == "date" and by.bucket != "hour"):
            keys.append(_BUCKETS[by.bucket](column.sql))
            reads.append(str)
        else:
            raise PulpoError("PULPO603", f"{by.path} does not fall into stretches of one {by.bucket}")
    sums = tuple(_single(table, path) for path in wanted.of)
    selected = [*keys, "count(*)"]
    for column in sums:
        if column.kind not in _SUMMED:
            raise PulpoError("PULPO603", f"{column.path} is {column.kind}, that cannot be summed")
        selected += [f"count({column.sql})", *_parts(column)]
    args: list[Any] = []
    condition = f" WHERE {where(table, wanted.where, args)}" if wanted.where is not None else ""
    places = ",".join(str(number + 1) for number in range(len(keys)))
    grouped = f" GROUP BY {places} ORDER BY {places}" if keys else ""
    source = f"{table.sql}{holding(table, (*columns, *sums), wanted.where)}"
    sql = f"SELECT {','.join(selected)} FROM {source}{condition}{grouped} LIMIT ?"
    return Aggregation(sql, (*args, wanted.limit), tuple(reads), sums)


def _single(table: Table, path: str) -> ColumnSql:
    column = table.column(path)
    if column.many or column.kind == "json":
        raise PulpoError("PULPO603", f"{path} is no single scalar field")
    return column


def _reading(column: ColumnSql) -> Callable[[Any], Any]:
    if column.kind == "money":
        return lambda value: Decimal(value).scaleb(-column.decimals)
    return bool if column.kind == "boolean" else lambda value: value


def _parts(column: ColumnSql) -> tuple[str, str]:
    """The sum in two parts, each far from the end of 64 bits; of a float in one."""
    if column.kind == "number":
        return f"total({column.sql})", "0"
    return f"sum({column.sql}>>32)", f"sum({column.sql}&4294967295)"


def _sum(column: ColumnSql, high: Any, low: Any) -> Decimal | int | float:
    if column.kind == "number":
        return float(high)
    whole = ((high or 0) << 32) + (low or 0)
    return Decimal(whole).scaleb(-column.decimals) if column.kind == "money" else whole
