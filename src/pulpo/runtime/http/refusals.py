"""Answers of a connection itself, made without a request: what was sent is none, or there is no room for it."""

from __future__ import annotations

import re

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from pulpo.errors import PulpoError
from pulpo.model.ids import ulid
from pulpo.runtime.http import limits, problems
from pulpo.runtime.http.middleware import HEADERS

ALWAYS = frozenset(path.encode() for path in limits.ALWAYS)
_PARTICULAR = re.compile(rb"transfer-|upgrade|close|x-request-id")
"""Words in a head that the parser has to look at."""
_ULID = 26
_ID = re.compile(rb"[A-Za-z0-9_.:-]{1,128}")


def is_whole(data: bytes) -> bool:
    """Whether these bytes are one whole request and no more, of those that can be turned away without being parsed.

    That halves what a refusal costs. Where this says no, the parser decides.
    """
    end = data.find(b"\r\n\r\n") + 4
    head = data[:end].lower()
    first = head.find(b" http/1.1\r\n")
    if (
        first < 0
        or head.startswith(b"head ")
        or _PARTICULAR.search(head)
        or head[head.find(b" ") + 1 : first] in ALWAYS
    ):
        return False
    at = head.find(b"\r\ncontent-length: ", first)
    if at < 0:
        return len(data) == end and b"content-length" not in head
    length = head[at + 18 : head.find(b"\r", at + 18)]
    return (
        length.isdigit() and len(length) < 20 and len(data) == end + int(length) and head.count(b"content-length") == 1
    )


class Template:
    """An answer whose request id is filled in, with little to do for each."""

    def __init__(self, error: PulpoError) -> None:
        mark = "\0"
        body = problems.body_of(error, mark)
        escaped = body.index(b'"\\u0000"') + 1
        self._first, self._last = body[:escaped], body[escaped + 6 :]
        given = [
            (name.lower().encode(), value.encode()) for name, value in error.headers.items() if name != "Connection"
        ]
        head = [*given, *HEADERS, (b"content-type", problems.MEDIA_TYPE.encode())]
        self._status = STATUS_LINE[error.status]
        self._head = b"".join(b"%b: %b\r\n" % pair for pair in head)
        self._defaults: list[tuple[bytes, bytes]] | None = None
        self._start = self._kept = b""

    def text(self, defaults: list[tuple[bytes, bytes]], given: bytes | None = None, *, keep: bool = False) -> bytes:
        """The bytes of the answer."""
        if defaults is not self._defaults:  # the server renews its date, and with it the list, once a second
            date = b"".join(b"%b: %b\r\n" % pair for pair in defaults)
            self._defaults, self._start = defaults, self._status + date + self._head
            self._kept = b"%bcontent-length: %d\r\nx-request-id: " % (self._start, self._size(_ULID))
        if given is None and keep:
            id = ulid().encode()
            return b"".join((self._kept, id, b"\r\n\r\n", self._first, id, self._last))
        id = given if given is not None and _ID.fullmatch(given) else ulid().encode()
        return b"%b%bcontent-length: %d\r\nx-request-id: %b\r\n\r\n%b%b%b" % (
            self._start, b"" if keep else b"connection: close\r\n", self._size(len(id)), id,
            self._first, id, self._last,
        )  # fmt: skip

    def _size(self, id: int) -> int:
        return len(self._first) + id + len(self._last)


def answer(error: PulpoError, defaults: list[tuple[bytes, bytes]]) -> bytes:
    """The last answer on a connection: `defaults` are the server's own headers."""
    return Template(error).text(defaults)


def _full() -> PulpoError:
    return PulpoError(
        "PULPO612",
        "as much is under way as the server takes on",
        hint="come back in a moment, with fewer at once",
        headers={"Retry-After": str(limits.RETRY_AFTER)},
    )


def malformed() -> PulpoError:
    """What came is no request (400)."""
    return PulpoError("PULPO613", "what was sent is not a request of HTTP/1.1")


def late(what: str, seconds: float) -> PulpoError:
    """What was to come took longer than that (408)."""
    return PulpoError("PULPO616", f"the client sends {what} within {seconds:g} s", headers={"Connection": "close"})


FULL = Template(_full())
