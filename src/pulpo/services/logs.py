"""The services' logs: their last lines, and what comes."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

_LONGEST_TAIL = 512 * 1024


def size(file: Path) -> int:
    """The file's length in bytes; 0 where there is none."""
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


def last_lines(file: Path, count: int, *, since: int = 0, until: int | None = None) -> list[str]:
    """The file's last lines between two places, in bytes (from the start, where it has been rotated since)."""
    end = size(file) if until is None else until
    begin = max(since if since <= end else 0, end - _LONGEST_TAIL)
    if begin >= end:
        return []
    with file.open("rb") as stream:
        stream.seek(begin)
        text = stream.read(end - begin)
    return [_text(line) for line in deque(text.splitlines(), maxlen=count)]


class Follow:
    """The whole lines that are written to files from now on, through their rotation."""

    def __init__(self, files: Mapping[str, Path]) -> None:
        self._files = dict(files)
        self._places = {name: size(file) for name, file in files.items()}

    def place(self, name: str) -> int:
        """Up to which byte a file has been seen."""
        return self._places[name]

    def lines(self, *, until: Callable[[], bool] = lambda: False, pause: float = 0.2) -> Iterator[tuple[str, str]]:
        """(name, line) as they come, until `until()`; looks again after `pause` seconds of quiet."""
        while not until():
            fresh = [(name, line) for name in self._files for line in self._read(name)]
            yield from fresh
            if not fresh:
                time.sleep(pause)

    def _read(self, name: str) -> list[str]:
        file, place = self._files[name], self._places[name]
        length = size(file)
        if length < place:
            place = 0
        if length == place:
            return []
        with file.open("rb") as stream:
            stream.seek(place)
            lines = [line for line in stream.readlines(_LONGEST_TAIL) if line.endswith(b"\n")]
        self._places[name] = place + sum(len(line) for line in lines)
        return [_text(line) for line in lines]


def _text(line: bytes) -> str:
    return line.decode("utf-8", "replace").rstrip("\r\n")
