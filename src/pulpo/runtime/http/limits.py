"""How many requests are worked on at once: beyond that they wait, and beyond what may wait they are told to come back.

A server that takes on everything gets slower for everybody until clients give up and ask again; one that says no at
once keeps working at its full rate.
"""

from __future__ import annotations

import asyncio
from collections import deque

from pulpo.errors import PulpoError

ALWAYS = frozenset({"/livez", "/readyz", "/metrics"})
"""Addresses that whoever watches the server asks: served even when it is at its limit."""
RETRY_AFTER = 1
"""Seconds after which a client that was turned away may come back."""


class Admission:
    """Places for requests in work, and a queue for those that wait for one.

    Args:
        places: How many are worked on at once.
        queue: How many may wait.
    """

    def __init__(self, places: int, queue: int) -> None:
        self._places, self._queue = places, queue
        self.most = places + queue
        self.streams = 0  # event streams that have given their place back
        self._waiting: deque[asyncio.Future[None]] = deque()
        self.active = 0
        self.refused = 0

    @property
    def waiting(self) -> int:
        """How many wait now."""
        return len(self._waiting)

    def enter(self) -> asyncio.Future[None] | None:
        """Take a place, or one in the queue: None, or what `wait` waits for.

        Raises:
            PulpoError: PULPO612, the queue is full too.
        """
        if self.active < self._places:
            self.active += 1
            return None
        if len(self._waiting) >= self._queue:
            self.refused += 1
            raise PulpoError(
                "PULPO612",
                f"{self.active} requests are in work and {len(self._waiting)} wait",
                hint="come back in a moment, with fewer at once",
                headers={"Retry-After": str(RETRY_AFTER)},
            )
        place = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
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
        """Give the place to whoever waits longest, or free it."""
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(None)
                return
        self.active -= 1
