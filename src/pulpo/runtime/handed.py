"""The documents that a session handed out, so that one that was changed in place is not lost without a word.

Noting a document costs an entry; that it is still what it was is asked once, at the commit, by its text.
"""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json

from pulpo import names
from pulpo.errors import PulpoError
from pulpo.model.model import Model
from pulpo.spec import Json

KEPT = 1000
"""Documents that are watched; of more, the last ones."""


class Handed:
    """Documents by identity, each with the text that it was read from or was written as."""

    __slots__ = ("_texts",)

    def __init__(self) -> None:
        self._texts: dict[int, tuple[Model, str]] = {}

    def note(self, document: Model, text: str) -> None:
        """Watch a document that is the same as this text."""
        texts = self._texts
        texts[id(document)] = (document, text)
        if len(texts) > KEPT:
            del texts[next(iter(texts))]

    def drop(self, document: Model) -> None:
        """Leave off watching a document: what it says now was given to the store, or it is to be deleted."""
        self._texts.pop(id(document), None)

    def refuse_changed(self) -> None:
        """Raise PulpoError PULPO417 where a document says something else than what was read or written."""
        for document, text in self._texts.values():
            if document.model_dump_json() != text and (fields := _changed(document, text)):
                raise _lost(document, fields)


def _changed(document: Model, text: str) -> list[str]:
    """The fields that are different: a text may only be in an older form, and lack what has a default by now."""
    cls = type(document)
    try:
        fresh = cls.model_validate_json(text)
    except ValidationError:
        return []  # it was made around validation, so there is nothing to compare it with
    is_now, was, stored = document.__dict__, fresh.__dict__, from_json(text)
    different = [name for name in cls.model_fields if is_now.get(name) != was.get(name)]
    if not different:
        return []
    new, old = document.model_dump(mode="json"), fresh.model_dump(mode="json")
    made = {name for name, field in cls.model_fields.items() if field.default_factory is not None}
    return [
        name
        for name in different
        if (_differs(new[name], old[name], stored[name]) if name in stored else name not in made)
    ]


def _differs(new: Json, old: Json, stored: Json) -> bool:
    """Whether a value is another one; what a stored object lacks is made anew at every reading and does not count."""
    if isinstance(new, dict) and isinstance(old, dict) and isinstance(stored, dict):
        return new.keys() != old.keys() or any(_differs(new[n], old[n], stored[n]) for n in new if n in stored)
    if isinstance(new, list) and isinstance(old, list) and isinstance(stored, list):
        return len(new) != len(old) or any(map(_differs, new, old, stored))
    return bool(new != old)


def _lost(document: Any, fields: list[str]) -> PulpoError:
    name = type(document).__name__
    variable = names.snake(name)
    given = ", ".join(f"{field}=…" for field in fields)
    return PulpoError(
        "PULPO417",
        f'{name} "{document.id}" was changed in place ({", ".join(fields)}) and not given to the store',
        hint=f"`ctx.store.replace({variable})` after the change, or `ctx.store.patch({variable}, {given})` instead",
    )
