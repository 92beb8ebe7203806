import asyncio
from typing import Any

import pytest

from pulpo.runtime.http.gathering import GatheringTransport


class Wire(asyncio.Transport):
    """Keeps what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.ended = ""

    def write(self, data: Any) -> None:
        self.writes.append(bytes(data))

    def write_eof(self) -> None:
        self.ended += "eof "

    def close(self) -> None:
        self.ended += "closed"

    def abort(self) -> None:
        self.ended += "aborted"

    def get_write_buffer_size(self) -> int:
        return 0


@pytest.fixture
async def wire() -> Wire:
    return Wire()


@pytest.fixture
async def transport(wire: Wire) -> GatheringTransport:
    return GatheringTransport(wire, asyncio.get_running_loop())


async def test_a_head_and_its_body_are_one_write(wire: Wire, transport: GatheringTransport) -> None:
    """What one turn of the loop writes leaves as one piece, in order; the next turn's is another."""
    transport.write(b"head,")
    transport.writelines([b"body", b"!"])
    assert wire.writes == []
    assert transport.get_write_buffer_size() == 10
    await asyncio.sleep(0)
    transport.write(b"more")
    await asyncio.sleep(0)
    assert wire.writes == [b"head,body!", b"more"]


async def test_closing_writes_first(wire: Wire, transport: GatheringTransport) -> None:
    """An answer that ends its connection goes out whole."""
    transport.write(b"last ")
    transport.write(b"words")
    transport.write_eof()
    transport.close()
    await asyncio.sleep(0)
    assert (wire.writes, wire.ended) == ([b"last words"], "eof closed")


async def test_aborting_writes_nothing(wire: Wire, transport: GatheringTransport) -> None:
    """What has gathered is lost, as what a transport buffers is."""
    transport.write(b"lost")
    transport.abort()
    await asyncio.sleep(0)
    assert (wire.writes, wire.ended) == ([], "aborted")
