"""A collection as an SQLite table: documents as text, with virtual columns and indexes computed from them.

What a table is and how one that is there is brought to it stay together: each is read off the other.
"""

# ruff: noqa: S608 - the texts are made of declared names, every value is bound

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from typing import Any

import apsw

from pulpo.errors import PulpoError
from pulpo.spec import Json
from pulpo.store.port import Collection, Column, ColumnKind, Index
from pulpo.store.renames import BothNamesError, old_path, with_new_name
from pulpo.store.upkeep import Change

_EVENTS = ("insert", "update", "delete")


def quoted(name: str) -> str:
    """An SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """An SQL text literal; for names out of declarations, never for values."""
    return "'" + text.replace("'", "''") + "'"


@lru_cache(maxsize=4096)
def json_path(path: str) -> str:
    """A dotted path as the SQL literal of a JSON path: `'$."customer"."name"'`."""
    return literal("$" + "".join(f'."{segment}"' for segment in path.split(".")))


def scaled(value: str, kind: ColumnKind, decimals: int) -> str:
    """The SQL expression that compares like the value: minor units for money, else the value itself.

    The plus takes away the type of the cast: SQLite would not take a column that has one from an index.
    """
    return f"+CAST(round({value}*{10**decimals}) AS INTEGER)" if kind == "money" else value


@dataclass(frozen=True, slots=True)
class ColumnSql:
    """A declared column in SQL; `sql` is what a filter, a sort or an index uses for it (not where `many`).

    `entries`: of one with `many` that has an index, the table of its entries, as SQL.
    """

    path: str
    kind: ColumnKind
    decimals: int
    many: bool
    sql: str
    values: int = 0
    entries: str = ""


@dataclass(frozen=True, slots=True)
class Layout:
    """What a collection's table is computed to have besides its documents.

    `lists`: tables of entries, kept by triggers, with the script that makes each.
    """

    virtual: Mapping[str, str]
    indexes: Mapping[str, str]
    renamed: Mapping[str, str]
    lists: Mapping[str, str] = field(default_factory=dict)


_FEW = {1: 1, 2: 2, 3: 4, 4: 4, 5: 8, 6: 8, 7: 8, 8: 8}
"""How many places the statement for so few ids has, a third faster than the one for any number."""


@dataclass(frozen=True, slots=True)
class Table:
    """A collection's statements. `taken` gives a broken unique index's fields for what SQLite says of it.

    `indexed`: what each index holds, as `ColumnSql.sql`. `chosen`: which of them was found best for what.
    """

    name: str
    columns: Mapping[str, ColumnSql]
    layout: Layout
    unique: Mapping[str, tuple[str, ...]]
    taken: Mapping[str, tuple[str, ...]]
    indexed: Mapping[str, tuple[str, ...]]
    chosen: dict[Any, Any] = field(init=False, default_factory=dict, compare=False, repr=False)
    sql: str = field(init=False)
    get: str = field(init=False)
    get_many: str = field(init=False)
    get_few: Mapping[int, str] = field(init=False)
    version_of: str = field(init=False)
    insert: str = field(init=False)
    replace: str = field(init=False)
    delete: str = field(init=False)
    delete_at: str = field(init=False)
    require: str = field(init=False)

    def __post_init__(self) -> None:
        sql = quoted(self.name)
        for name, text in {
            "sql": sql,
            "get": f"SELECT version,doc FROM {sql} WHERE id=?",
            "get_many": f"id,version,doc FROM {sql} WHERE id IN (SELECT value FROM json_each(?))",
            "version_of": f"SELECT version FROM {sql} WHERE id=?",
            "insert": f"INSERT INTO {sql}(id,version,doc) VALUES(?,1,?)",
            "replace": f"UPDATE {sql} SET version=?,doc=? WHERE id=? AND version=?",
            "delete": f"DELETE FROM {sql} WHERE id=?",
            "delete_at": f"DELETE FROM {sql} WHERE id=? AND version=?",
            "require": f"SELECT version FROM {sql} WHERE id=? AND version=?",
        }.items():
            object.__setattr__(self, name, text)
        few = {n: f"id,version,doc FROM {sql} WHERE id IN ({','.join('?' * n)})" for n in set(_FEW.values())}
        object.__setattr__(self, "get_few", few)

    def many(self, ids: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
        """What follows `SELECT` for the documents with these ids, and its arguments: a few singly, more as a list."""
        count = _FEW.get(len(ids))
        if count is None:
            return self.get_many, (json.dumps(ids),)
        return self.get_few[count], ids + ids[-1:] * (count - len(ids))

    def column(self, path: str) -> ColumnSql:
        """The column at this path. Raises PulpoError PULPO603 where none is declared."""
        try:
            return self.columns[path]
        except KeyError:
            raise PulpoError("PULPO603", f"{self.name} has no field {path} to filter or sort by") from None


def table_of(collection: Collection) -> Table:
    """The table that a collection is kept in.

    Raises:
        PulpoError: PULPO102, an index names a field that is no scalar column.
    """
    columns = {
        "id": ColumnSql("id", "text", 0, many=False, sql="id"),
        "version": ColumnSql("version", "integer", 0, many=False, sql="version"),
    }
    virtual: dict[str, str] = {}
    renamed: dict[str, str] = {}
    used = {"id", "version", "doc", "rowid", "oid", "_rowid_"}
    for column in collection.columns:
        if column.renamed_from and column.renamed_from != column.path:
            renamed[column.path] = column.renamed_from
        if column.path not in columns:
            columns[column.path] = _column(column, virtual, used)
    indexes: dict[str, str] = {}
    unique: dict[str, tuple[str, ...]] = {}
    taken: dict[str, tuple[str, ...]] = {}
    indexed: dict[str, tuple[str, ...]] = {}
    lists: dict[str, str] = {}
    for index in collection.indexes:
        alone = columns.get(index.fields[0]) if len(index.fields) == 1 and not index.unique else None
        if alone is not None and alone.many and alone.kind != "json":
            name = f"{collection.name}/{alone.path}*"
            columns[alone.path] = replace(alone, entries=quoted(name))
            lists[name] = _list_sql(collection.name, name, alone)
            continue
        parts = [_indexed(columns.get(name), collection, name) for name in index.fields]
        name = f"{collection.name}/{'+'.join(index.fields)}{'!' if index.unique else ''}"
        if name.lower() in {other.lower() for other in indexes}:
            name += str(len(indexes))
        indexes[name] = _index_sql(collection.name, index, name, parts)
        indexed[name] = tuple(parts) if index.unique else (*parts, "id")
        if index.unique:
            unique[name] = index.fields
            named = ", ".join(f"{collection.name}.{part[1:-1]}" for part in parts)
            taken[f"UNIQUE constraint failed: {named}"] = index.fields
            taken[f"UNIQUE constraint failed: index '{name}'"] = index.fields
    return Table(collection.name, columns, Layout(virtual, indexes, renamed, lists), unique, taken, indexed)


def _column(column: Column, virtual: dict[str, str], used: set[str]) -> ColumnSql:
    value = f"json_extract(doc,{json_path(column.path)})"
    sql = scaled(value, column.kind, column.decimals)
    simple = not column.many and column.kind != "json" and "." not in column.path
    # SQL does not tell names apart by case, documents do: a name that is taken is reached by its expression instead.
    if simple and column.path.lower() not in used:
        virtual[column.path] = value
        used.add(column.path.lower())
        if column.kind != "money":
            sql = quoted(column.path)
        elif f"{column.path}_minor".lower() not in used:
            virtual[f"{column.path}_minor"] = sql
            used.add(f"{column.path}_minor".lower())
            sql = quoted(f"{column.path}_minor")
    return ColumnSql(column.path, column.kind, column.decimals, column.many, sql, column.values)


def _indexed(column: ColumnSql | None, collection: Collection, name: str) -> str:
    if column is None or column.many or column.kind == "json":
        raise PulpoError("PULPO102", f"{collection.name}: {name} cannot be indexed, it is no single scalar field")
    return column.sql


def _index_sql(collection: str, index: Index, name: str, parts: list[str]) -> str:
    if not index.unique and parts[-1] != "id":
        parts = [*parts, "id"]  # lists go by the field, then by id: the index gives both
    kind = "UNIQUE INDEX" if index.unique else "INDEX"
    return f"CREATE {kind} {quoted(name)} ON {quoted(collection)}({','.join(parts)})"


def entries(column: ColumnSql, document: str = "doc") -> tuple[str, str]:
    """What a FROM reads the entries of a column with `many` from, and the expression of one.

    Each segment of the path is walked through its list, or taken as a list of one.
    """
    sources: list[str] = []
    for level, segment in enumerate(column.path.split(".")):
        holder, path = (f"e{level - 1}.value", json_path(segment)) if level else (document, json_path(segment))
        inside = (
            f"CASE WHEN json_type({holder},{path})='array' THEN json_extract({holder},{path}) "
            f"ELSE json_array({holder}->{path}) END"
        )
        if level:
            inside = f"CASE WHEN e{level - 1}.type='object' THEN {inside} ELSE '[null]' END"
        sources.append(f"json_each({inside}) AS e{level}")
    return ",".join(sources), scaled(f"e{len(sources) - 1}.value", column.kind, column.decimals)


def _list_sql(collection: str, name: str, column: ColumnSql) -> str:
    """A table of a column's entries, (value, id), filled, and the triggers that keep it."""
    table, listed, path = quoted(collection), quoted(name), json_path(column.path.partition(".")[0])

    def found(document: str, more: str) -> str:
        source, entry = entries(column, document)
        return f"SELECT {entry}{more} FROM {source} WHERE {entry} IS NOT NULL"

    source, entry = entries(column)
    add = f"INSERT OR IGNORE INTO {listed} {found('NEW.doc', ',NEW.id')}"
    remove = f"DELETE FROM {listed} WHERE id=OLD.id AND value IN ({found('OLD.doc', '')})"
    changed = f"json_extract(OLD.doc,{path}) IS NOT json_extract(NEW.doc,{path})"
    on_insert, on_update, on_delete = (f"CREATE TRIGGER {quoted(name + event)} AFTER" for event in _EVENTS)
    return ";".join(
        (
            f"CREATE TABLE {listed}(value NOT NULL,id TEXT NOT NULL,PRIMARY KEY(value,id)) WITHOUT ROWID",
            f"{on_insert} INSERT ON {table} BEGIN {add}; END",
            f"{on_update} UPDATE OF doc ON {table} WHEN {changed} BEGIN {remove};{add}; END",
            f"{on_delete} DELETE ON {table} BEGIN {remove}; END",
            f"INSERT OR IGNORE INTO {listed} SELECT {entry},{table}.id FROM {table},{source} WHERE {entry} IS NOT NULL",
        )
    )


def drop_lists(db: apsw.Connection, names: Iterable[str]) -> None:
    """Take tables of entries away, and the triggers that keep them."""
    for name in names:
        for event in _EVENTS:
            db.execute(f"DROP TRIGGER IF EXISTS {quoted(name + event)}")
        db.execute(f"DROP TABLE {quoted(name)}")


def bring_up_to_date(db: apsw.Connection, tables: Mapping[str, Table]) -> None:
    """Bring the tables into the form wanted, all or nothing; documents stay as they are but for renamed fields.

    Raises:
        PulpoError: PULPO508, documents there break a new unique index, or have a field under both its names.
    """
    if not _outdated(db, tables):
        return
    db.create_scalar_function("pulpo_renamed", _with_new_name, 3, deterministic=True)
    db.execute("BEGIN IMMEDIATE")
    try:
        for table, had in _outdated(db, tables):  # asked again: another process may have been faster
            _change(db, table, had)
        db.execute("COMMIT")
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")


def _outdated(db: apsw.Connection, tables: Mapping[str, Table]) -> list[tuple[Table, Json]]:
    """The tables to make or change, each with the layout that it has (None: it is not there)."""
    rows: list[Any] = db.execute("SELECT name,layout FROM _collections").fetchall()
    kept = {name: json.loads(layout) for name, layout in rows}
    return [(table, kept.get(name)) for name, table in tables.items() if kept.get(name) != asdict(table.layout)]


def changes(db: apsw.Connection, tables: Mapping[str, Table]) -> list[Change]:
    """What `bring_up_to_date` would change, and what it would leave behind; see `Snapshot.pending`."""
    found: list[Change] = []
    for table, had in _outdated(db, tables):
        if had is None:
            found.append(Change("additive", table.name, "new collection"))
        else:
            found += _differences(table, had)
    names: list[Any] = db.execute("SELECT name FROM _collections ORDER BY name").fetchall()
    for (name,) in names:
        if name not in tables and not name.startswith("_"):
            count = db.execute(f"SELECT count(*) FROM {quoted(name)}").get
            if count:
                found.append(Change("loss", name, f"collection that no model declares, {count} documents"))
    return found


def _differences(table: Table, had: Json) -> list[Change]:
    layout, name = table.layout, table.name
    found = [
        Change("rename", name, f"field {path}, renamed from {old}", path, old)
        for path, old in layout.renamed.items()
        if had["renamed"].get(path) != old
    ]
    gone = set(map(old_path, layout.renamed, layout.renamed.values()))
    for column in sorted(_fields(layout.virtual) | _fields(had["virtual"])):
        before, after = had["virtual"].get(column), layout.virtual.get(column)
        minor = had["virtual"].get(f"{column}_minor"), layout.virtual.get(f"{column}_minor")
        if before is None:
            found.append(Change("additive", name, f"new column {column}"))
        elif after is None:
            if column not in gone:
                found.append(Change("loss", name, f"field {column} that the model does not declare"))
        elif minor[0] != minor[1]:
            found.append(Change("additive", name, f"column {column} of another kind"))
    for index in sorted({*layout.indexes, *had["indexes"]}):
        shown = index.partition("/")[2].replace("+", ", ").replace("!", " (unique)")
        if index not in had["indexes"]:
            found.append(Change("additive", name, f"new index {shown}"))
        elif index not in layout.indexes:
            found.append(Change("additive", name, f"index {shown} is not needed any more"))
    fresh = sorted(layout.lists.keys() - had.get("lists", {}).keys())
    paths = [index.partition("/")[2].removesuffix("*") for index in fresh]
    return [*found, *(Change("additive", name, f"new index {path}") for path in paths)]


def _fields(virtual: Mapping[str, str]) -> set[str]:
    """The columns that stand for fields: not those that hold an amount in minor units besides."""
    return {name for name in virtual if not (name.endswith("_minor") and name.removesuffix("_minor") in virtual)}


def _change(db: apsw.Connection, table: Table, had: Json) -> None:
    layout = table.layout
    if had is None:
        columns = "id TEXT PRIMARY KEY NOT NULL, version INTEGER NOT NULL, doc TEXT NOT NULL"
        db.execute(f"CREATE TABLE {table.sql}({columns})")
        had = {"virtual": {}, "indexes": {}}
    virtual_changed = {name for name, sql in had["virtual"].items() if layout.virtual.get(name) != sql}
    # Computed columns and indexes hold no data of their own. One over a column that changes is made anew.
    stale = {
        name
        for name, sql in had["indexes"].items()
        if layout.indexes.get(name) != sql or any(quoted(column) in sql for column in virtual_changed)
    }
    for name in stale:
        db.execute(f"DROP INDEX {quoted(name)}")
    for name in virtual_changed:
        db.execute(f"ALTER TABLE {table.sql} DROP COLUMN {quoted(name)}")
    for path, old in layout.renamed.items():
        _rename(db, table, path, old)
    for name, sql in layout.virtual.items():
        if name not in had["virtual"] or name in virtual_changed:
            db.execute(f"ALTER TABLE {table.sql} ADD COLUMN {quoted(name)} GENERATED ALWAYS AS ({sql}) VIRTUAL")
    for name, sql in layout.indexes.items():
        if name not in had["indexes"] or name in stale:
            _create_index(db, table, name, sql)
    _change_lists(db, layout.lists, had.get("lists", {}))
    db.execute(
        "INSERT INTO _collections VALUES(?,?) ON CONFLICT DO UPDATE SET layout=excluded.layout",
        (table.name, json.dumps(asdict(layout))),
    )


def _change_lists(db: apsw.Connection, wanted: Mapping[str, str], had: Mapping[str, str]) -> None:
    drop_lists(db, [name for name, sql in had.items() if wanted.get(name) != sql])
    for name, sql in wanted.items():
        if had.get(name) != sql:
            db.execute(sql)


def _create_index(db: apsw.Connection, table: Table, name: str, sql: str) -> None:
    try:
        db.execute(sql)
    except apsw.ConstraintError:
        fields = table.unique[name]
        keys = ",".join(table.columns[path].sql for path in fields)
        present = " AND ".join(f"{table.columns[path].sql} IS NOT NULL" for path in fields)
        groups: list[Any] = db.execute(
            f"SELECT group_concat(id,', ') FROM {table.sql} WHERE {present} GROUP BY {keys} HAVING count(*)>1 LIMIT 3"
        ).fetchall()
        raise PulpoError(
            "PULPO508",
            f"{table.name}: {' and '.join(fields)} cannot become unique, documents have the same value: "
            + "; ".join(ids for (ids,) in groups),
            hint="change these documents, or take the uniqueness away",
        ) from None


def _rename(db: apsw.Connection, table: Table, path: str, old: str) -> None:
    new, before = path.rpartition(".")[2], old_path(path, old)
    old = old.rpartition(".")[2]
    if before in table.columns:
        raise PulpoError(
            "PULPO508",
            f"{table.name}: {path} was {old}, but a field {old} is declared still",
            hint="rename in one version, and use the old name again in a later one",
        )
    try:
        db.execute(
            f"UPDATE {table.sql} SET version=version+1, "
            "doc=json_set(pulpo_renamed(doc,?1,?2),'$.version',version+1) WHERE pulpo_renamed(doc,?1,?2) IS NOT NULL",
            (before, new),
        )
    except BothNamesError:
        raise PulpoError("PULPO508", f"{table.name}: there are documents with both {old} and {new}") from None


def _with_new_name(*given: Any) -> str | None:
    text, path, new = given
    return with_new_name(text, path, new)
