"""Which index a statement goes by, where SQLite would choose badly.

SQLite takes all indexes for equally good unless it has counted (ANALYZE), and then plans change with the data: an index
that holds nothing but null on the day of counting is not used on the day after. What is declared says enough: that a
status narrows a search down less than a reference does, and that an index gives a list in its order, so that a page
costs the same however many documents there are. Where none of this applies nothing is said, and SQLite chooses.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from pulpo.model.conditions import All, Compare, Condition, Not, Some
from pulpo.store.sqlite_filter import bound
from pulpo.store.sqlite_schema import ColumnSql, Table, quoted

MERGED = 20
"""The most values of one field whose lists are merged."""
KEPT = 500
"""How many choices are remembered of a table."""


def narrowing(table: Table, condition: Condition | None, order: Sequence[tuple[str, bool]] = ()) -> str:
    """`INDEXED BY …` for a list: the index to look in for the values that fields must equal, or nothing.

    Args:
        table: Where the documents are.
        condition: Which are wanted.
        order: The sort keys in SQL, each with whether it goes downwards.
    """
    if condition is None:
        return ""
    best = _best(table, _equal(table, condition), order)
    return f" INDEXED BY {quoted(best[1])}" if best is not None else ""


def merged(
    table: Table, condition: Condition | None, order: Sequence[tuple[str, bool]]
) -> tuple[str, tuple[Condition, ...]] | None:
    """A list of a few values of one field as a list for each, if an index gives each of them in order.

    Returns:
        `INDEXED BY …`, and a condition for each value; None where the list is better looked up in another way.
    """
    lists = [part for part in _parts(condition) if isinstance(part, Compare) and part.operator == "in"]
    if condition is None or not lists:
        return None
    equal = _equal(table, condition)
    plain = _best(table, equal, order)
    if plain is not None and plain[0][0]:
        return None
    for part in lists:
        column = table.column(part.field)
        if column.many or None in part.value:
            continue
        singles = {bound(column, value): Compare(part.field, "eq", value) for value in part.value}
        best = _best(table, {**equal, column.sql: column}, order, within=column.sql)
        if 1 < len(singles) <= MERGED and best is not None and best[0][1]:
            conditions = tuple(_replaced(condition, part, single) for single in singles.values())
            return f" INDEXED BY {quoted(best[1])}", conditions
    return None


def holding(table: Table, wanted: Iterable[ColumnSql], condition: Condition | None) -> str:
    """`INDEXED BY …` for figures: an index in which all that is asked for stands, or nothing.

    SQLite would read the text of every document: it does not see that a computed column can be taken from an index.
    """
    filtered = {table.column(path).sql for path in _paths(condition)} if condition is not None else set()
    asked = {column.sql for column in wanted} | filtered
    found = [name for name, parts in table.indexed.items() if asked <= set(parts)]
    if not asked or "id" in filtered:
        return ""
    beginning = [name for name, parts in table.indexed.items() if parts[0] in filtered]
    chosen = next((name for name in found if name in beginning), found[0] if found and not beginning else None)
    return f" INDEXED BY {quoted(chosen)}" if chosen is not None else narrowing(table, condition)


def _ordered(parts: Sequence[str], order: Sequence[tuple[str, bool]], equal: Iterable[str]) -> bool:
    """Whether an index gives documents in this order, after the fields that have one value each."""
    keys = [key for key in order if key[0] not in equal]
    uniform = len({descending for _, descending in keys}) <= 1
    return bool(keys) and uniform and [sql for sql, _ in keys] == list(parts[: len(keys)])


def _best(
    table: Table, equal: Mapping[str, ColumnSql], order: Sequence[tuple[str, bool]], within: str | None = None
) -> tuple[tuple[bool, bool, int], str] | None:
    """The best index that begins with fields that have one value each (`within` among them), and why it is.

    First one with a field of many values, then one that gives the order, then the one with the most such fields. Asked
    for every list, so what was found is kept.
    """
    if not equal:
        return None
    asked = (tuple(equal), tuple(order), within)
    if asked in table.chosen:
        found: tuple[tuple[bool, bool, int], str] | None = table.chosen[asked]
        return found
    best: tuple[tuple[bool, bool, int], str] | None = None
    for name, parts in table.indexed.items():
        width = next((place for place, part in enumerate(parts) if part not in equal), len(parts))
        if not width or (within is not None and within not in parts[:width]):
            continue
        many = any(not equal[part].values for part in parts[:width])
        rank = (many, _ordered(parts[width:], order, equal), width)
        if best is None or rank > best[0]:
            best = rank, name
    if len(table.chosen) >= KEPT:  # clients choose what they ask for
        table.chosen.clear()
    table.chosen[asked] = best
    return best


def _parts(condition: Condition | None) -> Iterator[Condition]:
    """What has to hold, each by itself."""
    if isinstance(condition, All):
        for part in condition.parts:
            yield from _parts(part)
    elif condition is not None:
        yield condition


def _equal(table: Table, condition: Condition | None) -> dict[str, ColumnSql]:
    """The fields that have to equal a value, whatever else holds."""
    found: dict[str, ColumnSql] = {}
    for part in _parts(condition):
        match part:
            case Compare(path, "eq", value) if value is not None and not table.column(path).many:
                found[table.column(path).sql] = table.column(path)
    return found


def _replaced(condition: Condition, old: Condition, new: Condition) -> Condition:
    if condition is old:
        return new
    return (
        All(tuple(_replaced(part, old, new) for part in condition.parts)) if isinstance(condition, All) else condition
    )


def _paths(condition: Condition) -> Iterator[str]:
    match condition:
        case Compare(path):
            yield path
        case All(parts) | Some(parts):
            for part in parts:
                yield from _paths(part)
        case Not(part):
            yield from _paths(part)
