"""How many requests are worked on at once: beyond that they wait, and beyond what may wait they are told to come back.

A server that takes on everything gets slower for everybody until clients give up and ask again; one that says no at
once keeps working at its full rate. Three bounds make it so that a no comes at once:

- places, for what is in work, which may be waiting for something outside;
- a turn of the event loop, in which requests are begun for a few milliseconds only: many long ones in a row would
  make everybody wait who only has to be told no;
- what may wait: no more than can be begun within half a second, as fast as it goes now.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque

from pulpo.errors import PulpoError

ALWAYS = frozenset({"/livez", "/readyz", "/metrics"})
"""Addresses that whoever watches the server asks: served even when it is at its limit."""
RETRY_AFTER = 1
"""Seconds after which a client that was turned away may come back."""
TURN = 0.01
"""Seconds of a turn of the event loop in which requests are begun; the rest begins in the next turn."""
PATIENCE = 0.5
"""Seconds that a request should take at most, waiting included, when there are more than can be served."""
_SMOOTH = 0.3

STREAM = "pulpo.stream"
"""Key of an answer's first ASGI message: it will be long, and gives its place back."""


def full(detail: str) -> PulpoError:
    """PULPO612, with the time to come back."""
    return PulpoError(
        "PULPO612",
        detail,
        hint="come back in a moment, with fewer at once",
        headers={"Retry-After": str(RETRY_AFTER)},
    )


class Exports:
    """How many exports go out at once: each lasts as long as its reader likes, so they take no place from others.

    Args:
        most: At once.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self.active = 0

    def enter(self) -> None:
        """Begin one. Raises PulpoError PULPO612 where as many are going out as may."""
        if self.active >= self._most:
            raise full(f"{self.active} exports are going out")
        self.active += 1

    def leave(self) -> None:
        """One has ended."""
        self.active -= 1


class Admission:
    """Places for requests in work, and a queue for those that wait for one.

    Args:
        places: How many are worked on at once.
        queue: How many may wait.
    """

    def __init__(self, places: int, queue: int) -> None:
        self._places, self._all = places, places + queue
        self.most = self._all
        """Requests in work and waiting, at most: fewer than `places + queue` while those would take too long."""
        self._waiting: deque[asyncio.Future[None]] = deque()
        self.active = 0
        self.refused = 0
        self.streams = 0
        """Event streams and exports, which have given their place back."""
        self._left = 0
        self._rate = 0.0
        self._ticked = 0.0
        self._turn = 0.0  # when the present turn began to begin requests; 0 before that
        self._beginning = False
        self._asked = 0.0
        self._share = 1

    @property
    def waiting(self) -> int:
        """How many wait now."""
        return len(self._waiting)

    def new_turn(self) -> None:
        """The event loop has begun another turn: whoever reads from sockets says so."""
        self._turn = 0.0

    def tick(self, now: float) -> None:
        """Look how fast it goes, and so how many may wait; several times a second.

        Args:
            now: Of a clock in seconds.
        """
        passed, self._ticked = now - self._ticked, now
        left, self._left = self._left, 0
        if not self._waiting:  # what leaves is what comes, and says nothing of how much could
            self._rate, self.most = 0.0, self._all
            return
        rate = left / max(passed, 0.001)
        self._rate = rate if not self._rate else self._rate + _SMOOTH * (rate - self._rate)
        self.most = min(self._all, max(self._places, int(self._rate * PATIENCE)))

    def enter(self) -> asyncio.Future[None] | None:
        """Take a place, or one in the queue: None, or what `wait` waits for.

        Raises:
            PulpoError: PULPO612, the queue is full too.
        """
        now = time.perf_counter()
        if self._turn == 0.0:
            self._turn = now
        if self.active < self._places and not self._waiting and now - self._turn < TURN:
            self.active += 1
            return None
        if self.active + len(self._waiting) >= self.most:
            self.refused += 1
            raise full(f"{self.active} requests are in work and {len(self._waiting)} wait")
        place = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        self._begin_soon()
        return place

    async def wait(self, place: asyncio.Future[None]) -> None:
        """Wait until a place is free; it is taken then."""
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self.leave()  # the place came at the same moment
            elif place in self._waiting:
                self._waiting.remove(place)
            raise

    def leave(self) -> None:
        """Free a place, for whoever waits longest."""
        self.active -= 1
        self._left += 1
        self._begin_soon()

    def _begin_soon(self) -> None:
        if self._waiting and not self._beginning and self.active < self._places:
            self._beginning = True
            self._asked = time.perf_counter()
            asyncio.get_running_loop().call_soon(self._begin)

    def _begin(self) -> None:
        """Once a turn: let in as many as a turn has time for, by how long the last one took."""
        self._beginning = False
        now = time.perf_counter()
        self._share = min(self._share * 2, 64) if now - self._asked < TURN / 2 else max(self._share // 2, 1)
        self._turn = now
        for _ in range(self._share):
            while self._waiting and self._waiting[0].done():
                self._waiting.popleft()  # gave up
            if not self._waiting or self.active >= self._places:
                break
            self.active += 1
            self._waiting.popleft().set_result(None)
        self._begin_soon()
