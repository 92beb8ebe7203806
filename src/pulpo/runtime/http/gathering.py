"""What a connection writes in one turn of the event loop goes out together.

A server writes an answer's head and its body one after the other, and each write is a system call that wakes the
client: on loopback a third of what a small answer costs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class GatheringTransport(asyncio.Transport):
    """A transport that hands on what was written at the end of the loop's turn; everything else goes straight through.

    Args:
        transport: Where it all goes.
        loop: The one it belongs to.
    """

    __slots__ = ("_gathered", "_loop", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._gathered: list[bytes | bytearray | memoryview] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write at the end of this turn."""
        if not self._gathered:
            self._loop.call_soon(self._flush)
        self._gathered.append(data)

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        """Write all of it at the end of this turn."""
        for data in list_of_data:
            self.write(data)

    def _flush(self) -> None:
        gathered = self._gathered
        if gathered:
            self._gathered = []
            self._transport.write(b"".join(gathered) if len(gathered) > 1 else gathered[0])

    def close(self) -> None:
        """Write what has gathered, then close."""
        self._flush()
        self._transport.close()

    def write_eof(self) -> None:
        """Write what has gathered, then close the writing end."""
        self._flush()
        self._transport.write_eof()

    def abort(self) -> None:
        """Close at once; what has gathered is lost."""
        self._gathered = []
        self._transport.abort()

    def is_closing(self) -> bool:
        """Whether it is closing or closed."""
        return self._transport.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Facts about the connection."""
        return self._transport.get_extra_info(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Have another protocol hear of what arrives."""
        self._transport.set_protocol(protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Who hears of what arrives."""
        return self._transport.get_protocol()

    def is_reading(self) -> bool:
        """Whether it hears."""
        return self._transport.is_reading()

    def pause_reading(self) -> None:
        """Stop reading."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read again."""
        self._transport.resume_reading()

    def get_write_buffer_size(self) -> int:
        """Bytes that wait to be written."""
        return self._transport.get_write_buffer_size() + sum(map(len, self._gathered))

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """When the protocol is told to pause."""
        self._transport.set_write_buffer_limits(high, low)


class GatheringProtocol(HttpToolsProtocol):
    """uvicorn's protocol on a gathering transport."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begin to serve a connection."""
        super().connection_made(GatheringTransport(transport, self.loop))
