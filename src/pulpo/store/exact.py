"""JSON decoded, changed and written again with every number as it was written: amounts keep all their digits."""

from __future__ import annotations

import json
import re
import secrets

from pulpo.spec import Json

_MARK = secrets.token_hex(8)
"""Begins what stands for a number that is not whole; no document can hold it but by chance."""
_MARKED = re.compile(f'"{_MARK}([^"]*)"')


def decode(text: str) -> Json:
    """A JSON value; a number that is not whole is a text that only `encode` understands."""
    return json.loads(text, parse_float=_MARK.__add__)


def encode(value: Json) -> str:
    """What `decode` gave, as compact text."""
    return _MARKED.sub(r"\1", json.dumps(value, ensure_ascii=False, separators=(",", ":")))
