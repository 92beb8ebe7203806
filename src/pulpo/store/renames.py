"""A renamed field in a document's text."""

from __future__ import annotations

import json


class BothNamesError(Exception):
    """An object has a renamed field under its old name and under its new one."""


def with_new_name(text: str, path: str, new: str) -> str | None:
    """The document's text with the field at `path` called anew, or None where it has no such field.

    Raises:
        BothNamesError: An object in it has both names.
    """
    *parents, old = path.split(".")
    if json.dumps(old) not in text:
        return None
    document = json.loads(text)
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
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")) if found else None
