"""Writes as statements: what each one runs, and why it failed if it did."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import apsw
import pydantic_core

from pulpo.spec import Json
from pulpo.store.port import (
    Batch,
    Delete,
    DuplicateId,
    GuardFailed,
    Insert,
    Replace,
    Require,
    StaleVersion,
    UniqueTaken,
    Update,
    Write,
    WriteFailed,
)
from pulpo.store.sqlite_filter import where
from pulpo.store.sqlite_schema import Table, json_path

PLAIN, CHANGING, ANSWERING = range(3)
"""How a statement says that it failed: by an error only, by changing no row, by answering no row."""


class Statement(NamedTuple):
    """A write to run: its text, what it binds, how it fails, and the version it makes (ANSWERING: answered instead)."""

    sql: str
    args: tuple[Any, ...]
    answer: int
    version: int


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def encode(value: Json) -> str:
    """A JSON value as text."""
    return _ENCODER.encode(value)


def encode_events(batch: Batch) -> str | None:
    """A batch's events as the entries of a JSON array, or None if it has none."""
    return pydantic_core.to_json(batch.events)[1:-1].decode() if batch.events else None


def statement(tables: Mapping[str, Table], write: Write) -> Statement:
    """The statement of a write.

    Raises:
        PulpoError: PULPO603, a guard's field is not declared.
        ValueError: An update sets `id` or `version`, or something that is no JSON value.
    """
    table = tables[write.collection]
    match write:
        case Insert():
            return Statement(table.insert, (write.id, write.json), PLAIN, 1)
        case Replace():
            version = write.version + 1
            return Statement(table.replace, (version, write.json, write.id, write.version), CHANGING, version)
        case Update():
            return _update(table, write)
        case Delete(version=None):
            return Statement(table.delete, (write.id,), CHANGING, 0)
        case Delete():
            return Statement(table.delete_at, (write.id, write.version), CHANGING, 0)
        case Require():
            return Statement(table.require, (write.id, write.version), ANSWERING, 0)


def _update(table: Table, write: Update) -> Statement:
    """One UPDATE edits the text in place: the JSON functions keep every other value as it is written there."""
    if not write.set.keys().isdisjoint(("id", "version")) or not write.add.keys().isdisjoint(("id", "version")):
        raise ValueError("an update sets neither id nor version")
    edits = "'$.version',version+1"
    args: list[Any] = []
    for name, amount in write.add.items():
        path = json_path(name)
        edits += f",{path},ifnull(json_extract(doc,{path}),0)+?"
        args.append(amount)
    for name, value in write.set.items():
        if value is None:
            edits += f",{json_path(name)},NULL"
        else:
            edits += f",{json_path(name)},json(?)"
            args.append(encode(value))
    if write.at is not None:
        edits += ",'$.updated_at',?"
        args.append(write.at)
    sql = f"UPDATE {table.sql} SET version=version+1,doc=json_set(doc,{edits}) WHERE id=?"  # noqa: S608 - values are bound
    args.append(write.id)
    if write.version is not None:
        sql += " AND version=?"
        args.append(write.version)
    if write.where is not None:
        sql += f" AND {where(table, write.where, args)}"
    return Statement(sql + " RETURNING version", tuple(args), ANSWERING, 0)


def refused(db: apsw.Connection, table: Table, write: Write, index: int) -> WriteFailed:
    """Why a write found nothing to do, asked in the same transaction."""
    place = f"{write.collection} {write.id}"
    version = db.execute(table.version_of, (write.id,)).get
    if version is None:
        kind = GuardFailed if isinstance(write, Update) else StaleVersion
        code = "PULPO503" if isinstance(write, Update) else "PULPO502"
        return kind(code, f"{place} is not there", index, missing=True)
    wanted = getattr(write, "version", None)
    if wanted is not None and wanted != version:
        detail = f"{place} is at version {version}, not {wanted}"
        return StaleVersion("PULPO502", detail, index, hint="read it again and repeat the change")
    return GuardFailed("PULPO503", f"{place} does not meet the update's condition", index)


def violated(error: apsw.ConstraintError, table: Table, write: Write, index: int) -> WriteFailed | None:
    """Which promise a constraint stands for, or None for one that no write of ours can break."""
    place = f"{write.collection} {write.id}"
    if getattr(error, "extendedresult", 0) == apsw.SQLITE_CONSTRAINT_PRIMARYKEY:
        return DuplicateId("PULPO501", f"{place} exists", index)
    fields = table.taken.get(str(error))
    if fields is None:
        return None
    return UniqueTaken(f"another document of {write.collection} has the same {' and '.join(fields)}", index, fields)
