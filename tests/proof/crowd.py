"""Thousands who hold connections and ask for little: `python -m tests.proof.crowd`.

A real API process of the order system with its default limits. Three times a crowd comes: 5,000 connections that say
nothing, 5,000 that ask once and stay, 2,000 that send a head byte by byte and never end it. All the while one client
asks as others do, each time on a connection of its own, and has to be answered about as fast as before. As many as the
limit allows have to be held; who asked is answered 200, who never ends a head 408, and the others are sent away without
a word. The server's memory has to stay within bounds, and when the crowd has been sent away as the settings say, its
files and most of its memory have to be given back, and the next crowd must not need more than the one before.
"""

from __future__ import annotations

import argparse
import json
import resource
import selectors
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil

from pulpo.settings import ApiSettings
from tests.proof.arena import Arena, errors

SETTINGS = {"PULPO_API_HEADER_TIMEOUT": "10", "PULPO_API_IDLE_TIMEOUT": "10"}
"""The idle time is halved, so that the proof does not take that long."""
BOUND_MIB = 64.0
"""That memory may grow by under a crowd: a connection costs less than 10 KiB."""
HELD = 0.85
"""What has to be held of a crowd that fits, or of the limit: beyond it an eighth is sent away at once."""
AGAIN_MIB = 16.0
GIVEN_BACK_MIB = 24.0
"""That memory may stay above what it was when a crowd has gone."""
SLOW_MS = 250.0
ASK = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
HEAD = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Slow: "


@dataclass
class Result:
    """Figures to show, and what should not have been."""

    figures: list[dict[str, Any]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def prove(many: int, folder: Path) -> Result:
    """One crowd after the other."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, many + 500)), hard))
    result = Result()
    with Arena(folder) as arena:
        api = arena.start_api(**SETTINGS)
        process = psutil.Process(api.process.pid)
        address = ("127.0.0.1", urlsplit(api.url).port or 0)
        quiet = _asked(api.url, 50)
        files, memory = process.num_fds(), _mib(process)
        result.figures.append({"crowd": "nobody", **quiet, "memory_mib": memory, "files": files})
        most = memory
        limit = min(ApiSettings().connections, hard - 600 if hard != resource.RLIM_INFINITY else many)
        for name, number, act in (
            ("silent", many, _nothing),
            ("idle after a request", many, _ask),
            ("heads that trickle", many * 2 // 5, _trickle),
            ("idle after a request, again", many, _ask),
        ):
            crowd = [socket.create_connection(address, timeout=30) for _ in range(number)]
            try:
                for each in crowd:
                    each.setblocking(False)
                act(crowd, again=False)
                asked = _asked(api.url, 50)
                held, open_files = _mib(process), process.num_fds()
                left, answers = _until_gone(crowd, act, 30)
            finally:
                for each in crowd:
                    each.close()
            after = _asked(api.url, 50)
            figures = {"crowd": name, "connections": number, **asked, "memory_mib": held, "files": open_files}
            figures |= {"held": open_files - files, "least_held": int(HELD * min(number, limit)), "answers": answers}
            figures |= {"expected": EXPECTED[act], "not_sent_away": left, "afterwards": after}
            figures["files_after"] = _settled(process, files)
            figures["memory_after_mib"] = _mib(process)
            result.figures.append(figures)
            result.wrong += judged(figures, quiet, memory, most, files)
            most = max(most, held)
        result.wrong += errors(api.log)
    return result


def judged(figures: dict[str, Any], quiet: dict[str, float], before: float, most: float, files: int) -> list[str]:
    """What does not hold, each as a sentence."""
    name, wrong = figures["crowd"], []
    waited = max(figures["p99_ms"], figures["afterwards"]["p99_ms"])
    if waited > max(SLOW_MS, 20 * quiet["p99_ms"]):
        wrong.append(f"{name}: others waited {waited} ms")
    if figures["memory_mib"] - before > BOUND_MIB:
        wrong.append(f"{name}: memory grew from {before} to {figures['memory_mib']} MiB")
    if most > before and figures["memory_mib"] > max(most, before + BOUND_MIB / 2) + AGAIN_MIB:
        wrong.append(f"{name}: what the crowd before had was not given back: {figures['memory_mib']} MiB")
    if figures["memory_after_mib"] > before + GIVEN_BACK_MIB:
        wrong.append(f"{name}: {figures['memory_after_mib']} MiB are held when all have gone")
    if figures["held"] < figures["least_held"]:
        wrong.append(f"{name}: only {figures['held']} connections were held")
    odd = {word: count for word, count in figures["answers"].items() if word not in ("", figures["expected"])}
    if odd:
        wrong.append(f"{name}: answered with {odd}")
    if figures["expected"] and figures["answers"].get(figures["expected"], 0) < figures["least_held"]:
        wrong.append(f"{name}: only {figures['answers'].get(figures['expected'], 0)} heard {figures['expected']}")
    if figures["not_sent_away"]:
        wrong.append(f"{name}: {figures['not_sent_away']} connections were never closed")
    if figures["files_after"] > files + 20:
        wrong.append(f"{name}: {figures['files_after']} files are open, {files} were before")
    return wrong


def _nothing(_: list[socket.socket], *, again: bool) -> None:
    """Say nothing."""


def _ask(crowd: list[socket.socket], *, again: bool) -> None:
    """Ask once, a hundred at a time, and stay."""
    if again:
        return
    for place, each in enumerate(crowd):
        _send(each, ASK)
        if place % 100 == 99:
            time.sleep(0.02)  # so that it is a crowd and no flood


def _trickle(crowd: list[socket.socket], *, again: bool) -> None:
    """A head that does not end, and a byte more each time again."""
    for each in crowd:
        _send(each, b"a" if again else HEAD)


Act = Callable[..., None]
EXPECTED: dict[Act, str] = {_nothing: "", _ask: "200", _trickle: "408"}
"""The status that each of a crowd hears, if it hears anything before it is sent away."""


def _send(each: socket.socket, data: bytes) -> None:
    try:
        each.send(data)
    except (BrokenPipeError, ConnectionResetError):
        return  # sent away


def _until_gone(crowd: list[socket.socket], act: Act, seconds: float) -> tuple[int, dict[str, int]]:
    """Read until the server has closed them all; how many it has not, and how many heard which status (or none).

    Those that trickle go on with it.
    """
    deadline = time.monotonic() + seconds
    heard = dict.fromkeys(crowd, b"")
    with selectors.DefaultSelector() as selector:
        for each in crowd:
            selector.register(each, selectors.EVENT_READ)
        while selector.get_map() and time.monotonic() < deadline:
            for key, _ in selector.select(1):
                each = key.fileobj
                assert isinstance(each, socket.socket)
                try:
                    data = each.recv(65536)
                except ConnectionResetError:
                    data = b""
                heard[each] += data[: 16 - len(heard[each])]
                if not data:
                    selector.unregister(each)
            act([key.fileobj for key in selector.get_map().values()], again=True)
        return len(selector.get_map()), dict(Counter(first[9:12].decode() for first in heard.values()))


def _asked(url: str, number: int) -> dict[str, float]:
    """How long a client waits for an answer of the database, each time on a new connection."""
    times = []
    for _ in range(number):
        began = time.perf_counter()
        with httpx.Client(base_url=url, trust_env=False, timeout=30) as client:
            client.get("/orders?limit=1").raise_for_status()
        times.append((time.perf_counter() - began) * 1000)
    times.sort()
    return {"p50_ms": round(times[number // 2], 1), "p99_ms": round(times[-1], 1)}


def _mib(process: psutil.Process) -> float:
    return round(process.memory_info().rss / 2**20, 1)


def _settled(process: psutil.Process, files: int) -> int:
    """How many files are open, as soon as it is no more than before, or after five seconds."""
    deadline = time.monotonic() + 5
    while (now := process.num_fds()) > files and time.monotonic() < deadline:
        time.sleep(0.1)
    return now


def main() -> int:
    """Run the full form; 1 where something did not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.proof.crowd", description=__doc__)
    parser.add_argument("--many", type=int, default=5000, help="connections of a crowd")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pulpo-crowd-") as folder:
        result = prove(given.many, Path(folder))
    print(json.dumps({"crowds": result.figures, "wrong": result.wrong}, indent=2))
    return 1 if result.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
