"""What `ui=` may say of a model, a field or an operation: names and values are checked where they are written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from pulpo.errors import Nearest
from pulpo.runtime.filters import Fields
from pulpo.runtime.presentation import ICONS
from pulpo.spec import FieldSpec

COLOURS = ("gray", "blue", "cyan", "teal", "green", "yellow", "orange", "red", "pink", "violet")
WIDGETS = ("text", "textarea", "code", "email", "url", "phone", "percent", "duration", "bytes", "rating")

Check: TypeAlias = Callable[[Any], bool]
Of: TypeAlias = Literal["model", "field", "operation"]


@dataclass(frozen=True, slots=True)
class Problem:
    """A hint that says nothing, and what would."""

    message: str
    hint: str | None


def _text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _icon(value: Any) -> bool:
    return value in ICONS


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


def _number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _texts(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(_text(entry) for entry in value)


def _colours(value: Any) -> bool:
    return isinstance(value, Mapping) and all(colour in COLOURS for colour in value.values())


def _widget(value: Any) -> bool:
    return value in WIDGETS


_KNOWN: Mapping[Of, Mapping[str, tuple[Check, str]]] = {
    "model": {
        "icon": (_icon, "the name of an icon that docs/ui.md lists, such as `package`"),
        "group": (_text, "the heading in the sidebar that it stands under"),
        "order": (_number, "a whole number: its place among the others"),
        "label": (_text, "the field that stands for a document"),
        "status": (_text, "the field that says what state a document is in"),
        "columns": (_texts, "the fields that a list shows at first"),
        "filters": (_texts, "the fields that a list offers filters of"),
        "sort": (_text, "how a list is ordered at first, such as `-created_at`"),
        "hidden": (_flag, "True leaves it out of the sidebar"),
    },
    "field": {
        "widget": (_widget, f"one of {', '.join(WIDGETS)}"),
        "colours": (_colours, f"value -> one of {', '.join(COLOURS)}"),
        "unit": (_text, "what stands after a number"),
        "currency": (_text, "the field beside it that holds an amount's currency"),
        "order": (_number, "a whole number: its place among the others"),
        "hidden": (_flag, "True shows it in JSON only"),
        "low": (_number, "a number at which a quantity is too low"),
    },
    "operation": {
        "icon": (_icon, "the name of an icon that docs/ui.md lists, such as `truck`"),
        "order": (_number, "a whole number: its place among the others"),
        "confirm": (_text, "what is asked before it runs"),
        "danger": (_flag, "True marks it as one that cannot be taken back"),
        "hidden": (_flag, "True leaves it out of menus"),
    },
}


def problems(of: Of, hints: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong with the hints of one declaration."""
    known = _KNOWN[of]
    for name, value in hints.items():
        if name not in known:
            yield Problem(
                f'there is no hint "{name}"', Nearest(tuple(known)).to(name) or f"known are {', '.join(known)}"
            )
        elif not known[name][0](value):
            yield Problem(f'the hint "{name}" cannot be {value!r}', known[name][1])


def model_problems(hints: Mapping[str, Any], fields: tuple[FieldSpec, ...]) -> Iterator[Problem]:
    """What is wrong with a model's hints, those of its fields among them."""
    yield from problems("model", hints)
    known = tuple(dict.fromkeys((*(field.name for field in fields), *Fields.of(fields).leaves)))
    for path in _named(hints):
        if path not in known:
            yield Problem(f'a hint names the field "{path}", which is not there', Nearest(known).to(path))
    for field in fields:
        yield from _field_problems(field, "")


def _named(hints: Mapping[str, Any]) -> Iterator[str]:
    for name in ("label", "status", "sort"):
        if _text(hints.get(name)):
            yield hints[name].removeprefix("-")
    for name in ("columns", "filters"):
        if _texts(hints.get(name, ())):
            yield from hints.get(name, ())


def _field_problems(field: FieldSpec, prefix: str) -> Iterator[Problem]:
    path = prefix + field.name
    for found in problems("field", field.ui):
        yield Problem(f"field {path}: {found.message}", found.hint)
    for inner in field.item.fields if field.item is not None else field.fields:
        yield from _field_problems(inner, path + ".")
