"""The connection's side of HTTP: what a client may send, how long it may take, what it hears where that is no request.

uvicorn's protocol on httptools, with bounds: the parser itself would take heads of any length, for any time. Nothing
here keeps a timer per request or per connection; one sweep a second looks at all of them (`Watch`).

The module is long because a connection is one state machine: what the parser calls, what the sweep ends and what is
refused turn on the same few fields.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from typing import Any
from urllib.parse import unquote

import httptools
from uvicorn import Config
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from pulpo.errors import PulpoError
from pulpo.runtime.http import problems, refusals
from pulpo.runtime.http.answering import Cycle, Outbox
from pulpo.runtime.http.limits import Admission
from pulpo.runtime.process import give_back_memory
from pulpo.settings import ApiSettings

MOST_HEADERS = 100
MOST_PIPELINED = 16
"""Requests that a client may send ahead on one connection, before the answer to the first of them."""
SWEEP = 1.0
"""Seconds between looks at all connections; deadlines are kept to about that."""
CROWD = 500
"""Connections whose memory is worth giving back when most of them have gone."""
PARTING = 2.0
"""Seconds in which a client that was refused may read why, while what it still sends is thrown away."""
_FRAMING = 8
"""Bytes that a byte of a body may cost in chunks; what is more is no body but a flood of chunk heads or trailers."""
_BODILESS = frozenset({"GET", "HEAD", "DELETE", "OPTIONS"})
_UPGRADING = frozenset({b"upgrade", b"http2-settings"})

log = logging.getLogger("pulpo.http")


class Watch(ServerState):
    """All connections of a server, a clock that costs nothing to read, and who has been here too long.

    Args:
        api: How long, how large, how many.
        admission: Who knows whether the server is at its limit.
        most: Connections at once; `api.connections`, or fewer where the process may not open as many files.
    """

    def __init__(self, api: ApiSettings, admission: Admission, most: int) -> None:
        super().__init__()
        self.api, self.admission, self.most = api, admission, most
        self.outbox = Outbox(self.tasks)
        self.now = 0.0
        self.served = 0
        self.turned_away: Counter[str] = Counter()
        self._next = 0.0
        self._crowd = 0
        self._told: Counter[str] = Counter()

    def tick(self, now: float) -> None:
        """Ten times a second: set the clock; once a second look at everything."""
        self.now = now
        self.admission.tick(now)
        if now < self._next:
            return
        self._next = now + SWEEP
        for connection in tuple(self.connections):
            if isinstance(connection, Connection):
                connection.look(now)
        self._give_back(len(self.connections))
        self._tell()

    def _give_back(self, count: int) -> None:
        """When a crowd has gone, its memory is not needed for a while."""
        self._crowd = max(self._crowd, count)
        if self._crowd >= CROWD and count < self._crowd // 4:
            self._crowd = count
            give_back_memory()

    def room(self, new: Connection) -> bool:
        """Whether one more connection may stay; those that have been idle longest go first."""
        if len(self.connections) <= self.most:
            return True
        self.outbox.flush()
        idle = [each for each in self.connections if isinstance(each, Connection) and each.idle and each is not new]
        # an eighth at once, so that a flood of connections does not sort them all for each of its own
        for connection in sorted(idle, key=lambda each: (each.since, each.serial))[: max(1, self.most // 8)]:
            self.connections.discard(connection)
            connection.transport.close()
            self.turned_away["idle"] += 1
        return bool(idle)

    def full(self) -> bool:
        """Whether a request that comes now could not even wait for its turn."""
        return len(self.tasks) - self.admission.streams >= self.admission.most

    def _tell(self) -> None:
        """A line for what was turned away since the last one, however much it was."""
        counted = self.turned_away + Counter(PULPO612=self.admission.refused)
        fresh = counted - self._told
        if fresh:
            self._told = counted
            log.warning("turned away before there was a request", extra={"facts": dict(fresh)})


class Connection(HttpToolsProtocol):
    """One client's connection."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        assert isinstance(server_state, Watch)
        self._watch = server_state
        self.since = server_state.now
        """When what the connection waits for now began."""
        self.serial = server_state.served = server_state.served + 1
        """Tells apart who came first of those that came between two looks at the clock."""
        self._ended = False  # nothing that still comes counts
        self._dropped = 0  # bytes that came after the end, or after the answer
        self._chunk = 0  # bytes that the parser has in hand
        self._fed = 0  # bytes of a head that is not complete
        self._raw = self._got = 0  # bytes since the head was complete, and those of them that are body
        self._refusal: PulpoError | None = None
        self._again: bytes | None = None  # what is to be parsed again; None where nothing is being parsed again
        self._running: RequestResponseCycle | None = None  # `cycle` is the last that was asked
        self._unsent, self._stuck = 0, 0.0

    # from the transport

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Keep it, if there is room."""
        super().connection_made(transport)
        if not self._watch.room(self):
            self._ended = True
            self._watch.admission.refused += 1
            self.transport.write(refusals.FULL.text(self._watch.default_headers))
            self.transport.close()

    def data_received(self, data: bytes) -> None:
        """Parse what came."""
        if self._ended:
            self._drop(len(data))
            return
        if self._watch.full() and self.idle and self._between and refusals.is_whole(data):
            self._turn_away(None, keep=True)
            return
        self._chunk = len(data)
        scope, cycle = self.scope, self.cycle
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._without_upgrade(data[upgrade.args[0] :])
            return
        except httptools.HttpParserError:
            self._refuse(self._refusal or refusals.malformed())
            return
        if self.scope is None or "method" not in self.scope:
            # of a chunk that other requests share, only the next ones are counted: never too much
            shared = self.cycle is not cycle or (cycle is not None and cycle.more_body)
            if self.scope is not scope:
                self.since, self._fed = self._watch.now, 0
            self._fed += 0 if shared else self._chunk
            if self._fed > self._watch.api.header_limit:
                self._refuse(self._too_long())
        elif self.cycle is cycle and self.cycle.more_body:
            self._raw += self._chunk
            if self._raw > _FRAMING * self._got + self._watch.api.header_limit:
                self._refuse(refusals.malformed())

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of everything, and of the requests before the last one too."""
        super().connection_lost(exc)
        for cycle in (self._running, *(cycle for cycle, _ in self.pipeline)):
            if cycle is not None and not cycle.response_complete:
                cycle.disconnected = True
                cycle.message_event.set()
        self.pipeline.clear()

    def shutdown(self) -> None:
        """The server goes down: what has been answered is written before the connection is closed."""
        self._watch.outbox.flush()
        super().shutdown()

    @property
    def _between(self) -> bool:
        """Whether the next byte begins a request, with nothing of another one before it."""
        return (self.scope is None or "method" in self.scope) and (self.cycle is None or not self.cycle.more_body)

    # from the parser

    def on_headers_complete(self) -> None:
        """A request, unless its head is too long or the server too busy."""
        watch = self._watch
        if self._fed + self._chunk > watch.api.header_limit or len(self.headers) > MOST_HEADERS:
            size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
            if size > watch.api.header_limit or len(self.headers) > MOST_HEADERS:
                self._refusal = self._too_long()
                raise self._refusal
        self._fed = self._raw = self._got = self._dropped = 0
        self.since = watch.now
        watch.admission.new_turn()
        parser, scope = self.parser, self.scope
        method, version = parser.get_method(), parser.get_http_version()
        old = version != "1.1"
        if old and (version != "1.0" or any(name == b"transfer-encoding" for name, _ in self.headers)):
            raise refusals.malformed()  # who passed chunks on under 1.0 may have read them otherwise
        scope["method"] = method.decode("ascii")
        if parser.should_upgrade():  # to none that is spoken here
            self.cycle = self.cycle or _DONE
            return
        before = self.cycle
        idle = before is None or before.response_complete
        if idle and watch.full() and self.url not in refusals.ALWAYS:
            self.cycle = _UNREAD
            given = next((value for name, value in self.headers if name == b"x-request-id"), None)
            kept = parser.should_keep_alive() and not old
            # The refusal has a body, which who asks for a head alone would take for the next answer.
            self._turn_away(given, keep=kept and method != b"HEAD")
            return
        if len(self.pipeline) >= MOST_PIPELINED:
            raise refusals.malformed()
        if old:
            scope["http_version"] = version
        url = httptools.parse_url(self.url)
        path = url.path.decode("ascii")
        scope["raw_path"], scope["query_string"] = url.path, url.query or b""
        scope["path"] = unquote(path) if "%" in path else path
        transport = self.transport if scope["method"] in _BODILESS else _Polite(self, self.transport)
        self.cycle = Cycle(
            scope,
            transport,  # type: ignore[arg-type]  # all of a transport that a cycle uses
            self.flow,
            self.logger,
            self.access_logger,
            access_log=False,
            default_headers=watch.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue and not old,
            keep_alive=not old and parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )
        self.cycle.outbox = watch.outbox
        if idle:
            self._running = self.cycle
            self._start_asgi_task(self.cycle, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))
        self.headers = []  # what a chunked body has behind it is no header of the request

    def on_body(self, body: bytes) -> None:
        """Pass a part on; of what comes after the answer, no more than a body may have."""
        self._got += len(body)
        cycle = self.cycle
        if cycle.response_complete:
            self._drop(len(body))
            return
        cycle.body += body
        if len(cycle.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        cycle.message_event.set()

    def on_message_complete(self) -> None:
        """Tell whoever reads the body that this was all of it."""
        cycle = self.cycle
        if not cycle.response_complete:
            cycle.more_body = False
            cycle.message_event.set()

    def on_response_complete(self) -> None:
        """Start the next request if it is here already; the sweep, and no timer, ends an idle connection."""
        self._watch.total_requests += 1
        self.since = self._watch.now
        if self.transport.is_closing():
            return
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._running = cycle
            self._start_asgi_task(cycle, app)
        if not self._ended:
            self.flow.resume_reading()

    # deadlines

    @property
    def idle(self) -> bool:
        """Whether nothing is under way, or nothing but a head."""
        return self.cycle is None or self.cycle.response_complete

    def look(self, now: float) -> None:
        """End what has taken too long."""
        api, waited = self._watch.api, now - self.since
        if not self._taking(now):
            self.transport.abort()
        elif self.transport.is_closing() or self._ended:
            if self.idle and not self._unsent and waited > PARTING:
                self.transport.abort()
        elif self.idle:
            self._look_at_idle(waited)
        elif self.cycle.more_body:
            if self.flow.read_paused:
                self.since = now  # it is we who do not take more
            elif waited > api.body_timeout:
                self._refuse(refusals.late("its body", api.body_timeout))

    def _look_at_idle(self, waited: float) -> None:
        api = self._watch.api
        if self.scope is not None and "method" not in self.scope:
            if waited > api.header_timeout:
                self._refuse(refusals.late("its head", api.header_timeout))
        elif self.cycle is None:
            if waited > api.header_timeout:
                self.transport.close()  # who never spoke is not spoken to
        elif waited > (api.body_timeout if self.cycle.more_body else api.idle_timeout):
            self.transport.close()

    def _taking(self, now: float) -> bool:
        """Whether the client takes what it is sent, if slowly."""
        unsent = self.transport.get_write_buffer_size()
        if not unsent or unsent < self._unsent or not self._unsent:
            self._stuck = now
        self._unsent = unsent
        return now - self._stuck <= self._watch.api.send_timeout

    # refusing

    def _refuse(self, error: PulpoError) -> None:
        """Take nothing more. Answers that are under way go out first; then the connection is closed."""
        self._watch.turned_away[error.code] += 1
        self._watch.outbox.flush()
        self._ended = True
        cycle = self.cycle
        if cycle is None or cycle.response_complete:
            self.transport.write(refusals.answer(error, self._watch.default_headers))
            self.part()
            return
        cycle.keep_alive = False
        if cycle.more_body:  # its own body is wrong or late: whoever reads it hears of it, and answers
            scope: dict[str, Any] = cycle.scope  # type: ignore[assignment]  # the edge's own key is not in its type
            scope[problems.REFUSED] = error
            cycle.message_event.set()
        self.flow.pause_reading()

    def _turn_away(self, given: bytes | None, *, keep: bool) -> None:
        """Say that the server is at its limit, in the least time: nothing is made for the request."""
        self.since = self._watch.now
        self._watch.admission.refused += 1
        self._watch.outbox.flush()
        self.transport.write(refusals.FULL.text(self._watch.default_headers, given, keep=keep))
        if not keep:
            self.transport.close()

    def part(self) -> None:
        """Close, but not in the face of a client that is still sending: its system might throw away our answer."""
        if self.transport.is_closing():
            return
        self._ended = True
        self.since, self._dropped = self._watch.now, 0
        self.transport.write_eof()
        self.flow.resume_reading()

    def _drop(self, size: int) -> None:
        self._dropped += size
        if self._dropped > self._watch.api.body_limit:
            self.transport.close()

    def _too_long(self) -> PulpoError:
        limit = self._watch.api.header_limit
        if len(self.url) > limit // 2:
            return PulpoError("PULPO615", f"an address and its headers have at most {limit} bytes")
        return PulpoError(
            "PULPO614", f"headers have at most {limit} bytes, the address included, and are at most {MOST_HEADERS}"
        )

    def _without_upgrade(self, rest: bytes) -> None:
        """Take a request that offers another protocol for what it is otherwise.

        The parser takes what follows such a head for that other protocol: body and later requests would be lost.
        """
        method = self.scope["method"].encode()
        if method == b"CONNECT":
            self._refuse(refusals.malformed())
            return
        head = [method, b" ", self.url, b" HTTP/", self.parser.get_http_version().encode(), b"\r\n"]
        for name, value in self.headers:
            if name == b"connection":
                value = b", ".join(  # noqa: PLW2901 - the rest of it stands
                    token for token in map(bytes.strip, value.split(b",")) if token.lower() not in _UPGRADING
                )
            if value and name not in _UPGRADING:
                head += [name, b": ", value, b"\r\n"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
        again = b"".join([*head, b"\r\n", rest])
        if self._again is not None:  # one of many in one piece, which the first of them goes through
            self._again = again
            return
        while again and not self._ended:
            self._again = b""
            self.data_received(again)
            again = self._again
        self._again = None


class _Polite:
    """A transport for requests with a body: closed while the body is still coming, it parts as `Connection.part`."""

    __slots__ = ("_connection", "_transport", "is_closing", "write")

    def __init__(self, connection: Connection, transport: asyncio.Transport) -> None:
        self._connection, self._transport = connection, transport
        self.write, self.is_closing = transport.write, transport.is_closing

    def close(self) -> None:
        if self._connection.cycle.more_body and self._connection.cycle.response_complete:
            self._connection.part()
        else:
            self._transport.close()


class _Done:
    """In the place of a request that was not made: it has been answered."""

    response_complete = True
    disconnected = keep_alive = False
    message_event = asyncio.Event()

    def __init__(self, *, more_body: bool) -> None:
        self.more_body = more_body


_DONE: Any = _Done(more_body=False)
_UNREAD: Any = _Done(more_body=True)
