import asyncio
from typing import Any

import pytest
from uvicorn.protocols.http.flow_control import FlowControl

from pulpo.runtime.http import answering
from pulpo.runtime.http.answering import Cycle, Outbox


class Wire(asyncio.Transport):
    """Keeps what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.closed = False

    def write(self, data: Any) -> None:
        self.writes.append(bytes(data))

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed


class Asked(Cycle):
    """A cycle of its own, on a wire."""

    def __init__(self, method: str = "GET", version: str = "1.1", *, keep_alive: bool = True) -> None:
        self.wire, self.ends = Wire(), 0
        super().__init__(
            {"type": "http", "method": method, "http_version": version},  # type: ignore[typeddict-item]
            self.wire,
            FlowControl(self.wire),
            None,  # type: ignore[arg-type]
            None,  # type: ignore[arg-type]
            access_log=False,
            default_headers=[(b"server", b"us")],
            message_event=asyncio.Event(),
            expect_100_continue=False,
            keep_alive=keep_alive,
            on_response=self._end,
        )
        self.outbox = Outbox(())

    def _end(self) -> None:
        self.ends += 1

    async def start(self, *headers: tuple[bytes, bytes], status: int = 200) -> None:
        await self.send({"type": "http.response.start", "status": status, "headers": list(headers)})

    async def give(self, body: bytes = b"", *, more: bool = False) -> None:
        await self.send({"type": "http.response.body", "body": body, "more_body": more})


async def test_a_head_and_its_body_are_one_write() -> None:
    """An answer of a known length leaves as one piece; a body that is long goes behind its head uncopied."""
    small = Asked()
    await small.start((b"Content-Length", b"2"), (b"etag", b'"1"'))
    assert small.wire.writes == []
    await small.give(b"ok")
    assert small.wire.writes == [b'HTTP/1.1 200 OK\r\nserver: us\r\ncontent-length: 2\r\netag: "1"\r\n\r\nok']
    assert (small.ends, small.response_complete, small.wire.closed) == (1, True, False)
    large = Asked()
    await large.start((b"content-length", b"200000"))
    await large.give(bytes(200_000))
    assert [len(part) for part in large.wire.writes][1:] == [200_000]


async def test_a_stream_begins_at_once() -> None:
    """Without a length the head does not wait for a first part; parts are chunks, and there is an end."""
    cycle = Asked()
    await cycle.start((b"content-type", b"text/event-stream"))
    assert b"transfer-encoding: chunked\r\n\r\n" in cycle.wire.writes[0]
    await cycle.give(b"part", more=True)
    await cycle.give()
    assert cycle.wire.writes[1:] == [b"4\r\npart\r\n", b"0\r\n\r\n"]


@pytest.mark.parametrize("given", [((b"Connection", b"close"),), ()])
async def test_a_connection_that_ends_says_so_once(given: tuple[tuple[bytes, bytes], ...]) -> None:
    """Whether the client or the application wants it, or both."""
    cycle = Asked(keep_alive=bool(given))
    await cycle.start((b"content-length", b"0"), *given)
    await cycle.give()
    assert cycle.wire.writes[0].lower().count(b"connection: close\r\n") == 1
    assert cycle.wire.closed


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
async def test_what_has_no_body_is_a_head(method: str, status: int) -> None:
    """Nothing behind the head, not even chunks without content."""
    cycle = Asked(method)
    await cycle.start((b"etag", b'"1"'), *([(b"content-length", b"9")] if method == "HEAD" else []), status=status)
    await cycle.give(b"left out." if method == "HEAD" else b"")
    assert b"".join(cycle.wire.writes).endswith(b"\r\n\r\n")
    assert b"chunked" not in cycle.wire.writes[0]
    assert cycle.response_complete


@pytest.mark.parametrize("header", [(b"x y", b"1"), (b"x\r\nevil", b"1"), (b"x", b"1\r\nset-cookie: a=b"), (b"", b"1")])
async def test_no_header_holds_another(header: tuple[bytes, bytes]) -> None:
    """What would end a header's line is refused before anything is written, and each time it comes."""
    for _ in range(2):
        cycle = Asked()
        with pytest.raises(RuntimeError, match="of a header"):
            await cycle.start(header)
        assert cycle.wire.writes == []


@pytest.mark.parametrize("body", [b"short", b"much longer than it says"])
async def test_a_body_is_as_long_as_it_says(body: bytes) -> None:
    """Otherwise the next answer on the connection would begin somewhere in this one."""
    cycle = Asked()
    await cycle.start((b"content-length", b"10"))
    with pytest.raises(RuntimeError, match="than its Content-Length"):
        await cycle.give(body)
    assert not cycle.response_complete


async def test_messages_come_in_order() -> None:
    """A body before its head, two heads, and what comes behind the end are mistakes of the application."""
    cycle = Asked()
    with pytest.raises(RuntimeError, match="begins with"):
        await cycle.give(b"x")
    await cycle.start((b"content-length", b"0"))
    with pytest.raises(RuntimeError, match="goes on with"):
        await cycle.start()
    await cycle.give()
    with pytest.raises(RuntimeError, match="after the end"):
        await cycle.give()


async def test_to_http_1_0_the_end_is_the_connections() -> None:
    """An answer of unknown length has no chunks there."""
    cycle = Asked(version="1.0", keep_alive=False)
    await cycle.start()
    await cycle.give(b"part", more=True)
    await cycle.give(b"end")
    assert cycle.wire.writes[0].endswith(b"connection: close\r\n\r\n")
    assert (cycle.wire.writes[1:], cycle.wire.closed) == ([b"part", b"end"], True)


async def test_answers_of_one_turn_leave_together() -> None:
    """In their order, when what else the turn had to do is done; to who has left nothing is written."""
    outbox = Outbox({asyncio.current_task(), asyncio.ensure_future(asyncio.sleep(0))})  # type: ignore[arg-type]
    first, gone, last = Wire(), Wire(), Wire()
    for wire in (first, gone, last, first):
        outbox.put(wire, b"answer")
    assert first.writes == gone.writes == last.writes == []
    gone.close()
    await asyncio.sleep(0)
    assert (first.writes, gone.writes, last.writes) == ([b"answer"] * 2, [], [b"answer"])


async def test_who_asks_alone_does_not_wait() -> None:
    """Where no other request is in work the answer leaves at once."""
    wire = Wire()
    Outbox({asyncio.current_task()}).put(wire, b"answer")  # type: ignore[arg-type]
    assert wire.writes == [b"answer"]


async def test_an_answer_does_not_wait_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """A turn of the loop that takes its time does not keep what is ready."""
    moments = iter([5.0, 5.0 + answering.TOGETHER / 2, 5.0 + answering.TOGETHER * 2])
    monkeypatch.setattr(answering.time, "perf_counter", lambda: next(moments))
    outbox, wire = Outbox((asyncio.ensure_future(asyncio.sleep(0)), asyncio.ensure_future(asyncio.sleep(0)))), Wire()
    outbox.put(wire, b"1")
    outbox.put(wire, b"2")
    assert wire.writes == []
    outbox.put(wire, b"3")
    assert wire.writes == [b"1", b"2", b"3"]
    monkeypatch.undo()


async def test_what_is_written_at_once_overtakes_nothing() -> None:
    """The next answer of a connection, the beginning of a stream for one, comes behind the one before it."""
    before, stream = Asked(), Asked()
    stream.wire = stream.transport = before.wire  # type: ignore[assignment]
    before.outbox = stream.outbox = Outbox((asyncio.ensure_future(asyncio.sleep(0)),) * 2)
    await before.start((b"content-length", b"2"))
    await before.give(b"ok")
    assert before.wire.writes == []
    await stream.start((b"content-type", b"text/event-stream"))
    assert before.wire.writes[0].endswith(b"ok")
    assert b"event-stream" in before.wire.writes[1]
