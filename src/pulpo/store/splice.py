"""Changes in a document's JSON text that leave every other value as it is written there."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from json.decoder import scanstring
from typing import Any

from pulpo.spec import Json

_scan = json.JSONDecoder().scan_once
_space = re.compile(r"[ \t\n\r]*").match
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def encode(value: Json) -> str:
    """A JSON value as compact text. Raises ValueError for what is none."""
    return _encode(value)


class Members:
    """A JSON object's text, its value, and where the value of each of its names stands."""

    __slots__ = ("_end", "_places", "document", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.document: dict[str, Any] = {}
        self._places: dict[str, tuple[int, int]] = {}
        at = _skip(text, text.index("{") + 1)
        while text[at] != "}":
            name, at = scanstring(text, at + 1)
            begin = _skip(text, _skip(text, at) + 1)
            self.document[name], end = _scan(text, begin)
            self._places[name] = begin, end
            at = _skip(text, end)
            if text[at] == ",":
                at = _skip(text, at + 1)
        self._end = at

    def changed(self, values: Mapping[str, str]) -> str:
        """The text with other values, given as JSON text, under some names; new names go to the end."""
        parts: list[str] = []
        at = 0
        places = self._places
        for begin, end, name in sorted((*places[name], name) for name in values if name in places):
            parts += (self.text[at:begin], values[name])
            at = end
        parts.append(self.text[at : self._end].rstrip())
        comma = "," if places else ""
        for name, value in values.items():
            if name not in places:
                parts.append(f"{comma}{_encode(name)}:{value}")
                comma = ","
        return "".join([*parts, "}"])


def _skip(text: str, at: int) -> int:
    found = _space(text, at)
    return found.end() if found is not None else at
