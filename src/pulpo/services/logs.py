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


def last_lines(file: Path, count: int, *, since: int = 0) -> list[str]:
    """The file's last lines, of those after the byte `since` (of all, where the file has been rotated since)."""
    end = size(file)
    if end == 0:
        return []
    begin = max(since if since <= end else 0, end - _LONGEST_TAIL)
    with file.open("rb") as stream:
        stream.seek(begin)
        return [_text(line) for line in deque(stream, maxlen=count)]


def follow(
    files: Mapping[str, Path], *, until: Callable[[], bool] = lambda: False, pause: float = 0.2
) -> Iterator[tuple[str, str]]:
    """(name, line) for each whole line that is written to the files from now on, through rotation, until `until()`."""
    places = {name: size(file) for name, file in files.items()}
    while not until():
        quiet = True
        for name, file in files.items():
            if size(file) < places[name]:
                places[name] = 0
            for line in _whole_lines(file, places[name]):
                quiet = False
                places[name] += len(line)
                yield name, _text(line)
        if quiet:
            time.sleep(pause)


def _whole_lines(file: Path, begin: int) -> list[bytes]:
    if size(file) <= begin:
        return []
    with file.open("rb") as stream:
        stream.seek(begin)
        lines = stream.readlines(_LONGEST_TAIL)
    return [line for line in lines if line.endswith(b"\n")]


def _text(line: bytes) -> str:
    return line.decode("utf-8", "replace").rstrip("\r\n")
