"""A checksum of documents that does not depend on their order, on how their JSON is written, or on the store.

Two texts count the same where they are the same JSON: order of names, white space, escapes and the way a number is
written (19.9, 19.90, 1.99e1) do not matter, its exact value does.
"""

from __future__ import annotations

import json
from decimal import Decimal
from functools import lru_cache
from hashlib import blake2b

from pulpo.spec import Json
from pulpo.store.port import Record

_BYTES = 32
_WRAP = 1 << (8 * _BYTES)
_LONGEST = 400  # digits up to which a whole number is written out
_NUMBER = "\0"  # begins what stands for a number that is not whole


class Checksum:
    """Adds up records: equal sums mean equal sets of ids, versions and documents.

    The sum of the records' hashes: a record that is there twice counts twice, unlike with exclusive or. It finds
    accidents; it is no proof against somebody who forges documents to fit.
    """

    __slots__ = ("_sum", "count")

    def __init__(self) -> None:
        self.count = 0
        self._sum = 0

    def add(self, record: Record) -> None:
        """Count a record. Raises ValueError where its text is no JSON."""
        head = json.dumps([record.id, record.version])
        found = blake2b(f"{head}{canonical(record.json)}".encode("utf-8", "surrogatepass"), digest_size=_BYTES)
        self._sum = (self._sum + int.from_bytes(found.digest(), "big")) % _WRAP
        self.count += 1

    def hexdigest(self) -> str:
        """The sum so far, 64 hexadecimal digits."""
        return f"{self._sum:0{2 * _BYTES}x}"


_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode


def canonical(text: str) -> str:
    """One text for all that are the same JSON."""
    if "\\u0000" in text:  # a value may hold what marks a number: mark what is no number as well
        return _encode(_marked(json.loads(text, parse_float=_exact)))
    return _encode(json.loads(text, parse_float=_tagged))


@lru_cache(maxsize=8192)
def _exact(number: str) -> Decimal:
    return Decimal(number)


@lru_cache(maxsize=8192)
def _tagged(number: str) -> Json:
    return _plain(Decimal(number))


def _plain(number: Decimal) -> Json:
    """A whole number as int, another one as its digits and its exponent, without zeros at the end."""
    sign, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int)  # JSON has neither infinity nor NaN
    text = "".join(map(str, digits))
    bare = text.rstrip("0")
    if not bare:
        return 0
    exponent += len(text) - len(bare)
    if exponent >= 0 and len(bare) + exponent <= _LONGEST:
        return int(bare) * 10**exponent * (-1 if sign else 1)
    return f"{_NUMBER}{'-' if sign else ''}{bare.lstrip('0')}e{exponent}"


def _marked(value: Json) -> Json:
    """The value with every text that begins like a mark told apart from a mark."""
    if isinstance(value, dict):
        return {_text(name): _marked(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_marked(part) for part in value]
    if isinstance(value, str):
        return _text(value)
    return _plain(value) if isinstance(value, Decimal) else value


def _text(text: str) -> str:
    return f"{_NUMBER}{text}" if text.startswith(_NUMBER) else text
