"""A field called anew inside a document's text."""

from __future__ import annotations

import json

from pulpo.store import exact


class BothNamesError(Exception):
    """An object has a renamed field under its old name and under its new one."""


def with_new_name(text: str, path: str, new: str) -> str | None:
    """A document's text with the field at `path` (dotted, its old name last) called `new`; None: it has no such field.

    On lists every entry's field. Every number stays as it is written. Raises BothNamesError.
    """
    *parents, old = path.split(".")
    if json.dumps(old, ensure_ascii=False) not in text and json.dumps(old) not in text:
        return None
    document = exact.decode(text)
    objects = [document]
    for name in parents:
        below = [entry[name] for entry in objects if isinstance(entry, dict) and name in entry]
        objects = [part for entry in below for part in (entry if isinstance(entry, list) else [entry])]
    found = [entry for entry in objects if isinstance(entry, dict) and old in entry]
    if any(new in entry for entry in found):
        raise BothNamesError
    for entry in found:
        items = [(new if name == old else name, value) for name, value in entry.items()]
        entry.clear()
        entry.update(items)
    return exact.encode(document) if found else None


def old_path(path: str, old: str) -> str:
    """Where a renamed field was: `lines.qty` for `lines.quantity`, renamed from `qty`."""
    parent, _, _ = path.rpartition(".")
    old = old.rpartition(".")[2]
    return f"{parent}.{old}" if parent else old
