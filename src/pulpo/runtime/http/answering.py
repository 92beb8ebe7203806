"""A request's way out: head and body of an answer in one write, put together in little time.

A server writes an answer's head and its body one after the other, and each write is a system call that wakes the
client: on loopback a third of what a small answer costs. Looking at every byte of every header costs as much again.
"""

from __future__ import annotations

import asyncio
import re
import time
from typing import TYPE_CHECKING

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

if TYPE_CHECKING:
    from collections.abc import Collection

    from uvicorn._types import ASGISendEvent

CROWD = 128
"""Requests in work from which on clients do not sleep between two answers."""
TOGETHER = 0.001
"""Seconds that an answer waits at most for those of the same turn of the event loop."""

_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_COPIED = 131_072
"""Bytes of a body from which on copying it behind its head costs more than a write of its own."""
_REMEMBERED = 256
_names: dict[bytes, bytes] = {}
"""Names of headers that were found good and that mean nothing to the server, as they are written."""


class Outbox:
    """The answers of one turn of the event loop, written one right behind the other.

    A write wakes whoever waits for it, and that a processor is woken costs as much as the write, on a virtual machine
    more. A client, or a proxy, that has many connections is woken once where answers come together.

    Args:
        tasks: The requests in work.
    """

    def __init__(self, tasks: Collection[asyncio.Task[None]]) -> None:
        self._tasks = tasks
        self._parts: list[tuple[asyncio.Transport, bytes]] = []
        self._since = 0.0

    def put(self, transport: asyncio.Transport, part: bytes) -> None:
        """Write before the loop waits again; at once where no other request is in work, or a crowd keeps all awake."""
        if not 1 < len(self._tasks) <= CROWD and not self._parts:
            transport.write(part)
            return
        now = time.perf_counter()
        if not self._parts:
            self._since = now
            asyncio.get_running_loop().call_soon(self.flush)
        self._parts.append((transport, part))
        if now - self._since > TOGETHER:
            self.flush()

    def flush(self) -> None:
        """Write what there is. To be called before something else is written, or a connection is closed."""
        if self._parts:
            parts, self._parts = self._parts, []
            for transport, part in parts:
                if not transport.is_closing():
                    transport.write(part)


class Cycle(RequestResponseCycle):
    """One request and its answer. What has a length is written with its first part; a stream's head goes at once."""

    outbox: Outbox
    _head = b""
    _says_close = False
    _ends_it = False

    async def send(self, message: ASGISendEvent) -> None:
        """Take an ASGI message.

        Raises:
            RuntimeError: Messages in the wrong order; a header that is none; a body that is not as long as it says.
        """
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        if not self.response_started:
            if message["type"] != "http.response.start":
                raise RuntimeError(f"an answer begins with http.response.start, not with {message['type']}")
            self._start(message["status"], list(message.get("headers", ())))
        elif self.response_complete:
            raise RuntimeError(f"{message['type']} after the end of the answer")
        elif message["type"] != "http.response.body":
            raise RuntimeError(f"an answer goes on with http.response.body, not with {message['type']}")
        else:
            self._body(message.get("body", b""), more=message.get("more_body", False))

    def _start(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self.response_started = True
        self.waiting_for_100_continue = False
        lines = [STATUS_LINE[status]]
        for name, value in (*self.default_headers, *headers) if self.default_headers else headers:
            if _CONTROL.search(value):
                raise RuntimeError(f"no value of a header: {value!r}")
            lines += (_names.get(name) or self._line(name, value), value, b"\r\n")
        if not self.keep_alive and not self._says_close:
            lines.append(b"connection: close\r\n")
        if self.chunked_encoding is None and status not in (204, 304) and self.scope["method"] != "HEAD":
            self._ends_it = self.scope["http_version"] == "1.0"  # which knows no chunks: the connection's end is its
            self.chunked_encoding = not self._ends_it
            if self.chunked_encoding:
                lines.append(b"transfer-encoding: chunked\r\n")
        lines.append(b"\r\n")
        head = b"".join(lines)
        if self.chunked_encoding or self._ends_it:
            self._now(head)
        else:
            self._head = head

    def _line(self, name: bytes, value: bytes) -> bytes:
        """The beginning of a header's line; what it says to the server itself is taken to heart."""
        if not _NAME.fullmatch(name):
            raise RuntimeError(f"no name of a header: {name!r}")
        lower = name.lower()
        line = lower + b": "
        if lower == b"content-length":
            if self.chunked_encoding is None:
                self.chunked_encoding, self.expected_content_length = False, int(value)
        elif lower == b"transfer-encoding":
            if value.lower() == b"chunked":
                self.chunked_encoding, self.expected_content_length = True, 0
        elif lower == b"connection":
            if b"close" in (token.strip() for token in value.lower().split(b",")):
                self.keep_alive, self._says_close = False, True
        elif len(_names) < _REMEMBERED:
            _names[name] = line
        return line

    def _body(self, body: bytes, *, more: bool) -> None:
        if self.scope["method"] == "HEAD":
            self.expected_content_length = 0
            body = b""
        elif self.chunked_encoding:
            body = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            if not more:
                body += b"0\r\n\r\n"
        elif not self._ends_it:
            self.expected_content_length -= len(body)
            if self.expected_content_length < 0:
                raise RuntimeError("the body is longer than its Content-Length")
        self._write(body, last=not more)
        if not more:
            if self.expected_content_length != 0:
                raise RuntimeError("the body is shorter than its Content-Length")
            self.response_complete = True
            self.message_event.set()
            if not self.keep_alive:
                self.transport.close()
            self.on_response()

    def _write(self, part: bytes, *, last: bool) -> None:
        if self._head:
            head, self._head = self._head, b""
            if len(part) < _COPIED:
                part = head + part
                if last and self.keep_alive:
                    self.outbox.put(self.transport, part)
                    return
            else:
                self._now(head)
        if part:
            self._now(part)

    def _now(self, part: bytes) -> None:
        self.outbox.flush()  # an answer before this one may be in it
        self.transport.write(part)
