"""Fresh ids: unique, in the order of time, in one process and in several."""

from __future__ import annotations

import os
import re
import threading
import time

import pytest

from pulpo.model.ids import Ulids, ulid


def test_an_id_is_a_ulid_of_now() -> None:
    """26 letters and digits of Crockford's alphabet, of which the first ten are the time in milliseconds."""
    before = time.time_ns() // 1_000_000
    made = ulid()
    assert re.fullmatch(r"[0-7][0-9A-HJKMNP-TV-Z]{25}", made)
    moment = 0
    for letter in made[:10]:
        moment = moment * 32 + "0123456789ABCDEFGHJKMNPQRSTVWXYZ".index(letter)
    assert before <= moment <= time.time_ns() // 1_000_000


def test_ids_are_unique_and_sorted() -> None:
    """However many are made in the same millisecond."""
    made = [ulid() for _ in range(20_000)]
    assert len(set(made)) == len(made)
    assert made == sorted(made)


def test_a_millisecond_with_more_ids_than_the_counter_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other random bits are drawn, so that none comes twice."""
    monkeypatch.setattr("pulpo.model.ids._FULL", 3)
    monkeypatch.setattr("pulpo.model.ids.time.time_ns", lambda: 1_700_000_000_000_000_000)
    source = Ulids()
    made = [source.new() for _ in range(30)]
    assert len(set(made)) == 30
    assert len({each[:10] for each in made}) == 1
    assert len({each[10:22] for each in made}) == 10


def test_threads_never_share_an_id() -> None:
    """Four threads at once."""
    made: list[list[str]] = [[] for _ in range(4)]
    threads = [threading.Thread(target=lambda mine=mine: mine.extend(ulid() for _ in range(5000))) for mine in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len({each for mine in made for each in mine}) == 20_000


@pytest.mark.skipif(not hasattr(os, "fork"), reason="only where processes can be forked")
def test_a_forked_process_makes_ids_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parent and child in the same millisecond: the child draws other random bits."""
    monkeypatch.setattr("pulpo.model.ids.time.time_ns", lambda: 1_700_000_000_000_000_000)
    ulid()
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.write(writing, ulid().encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        assert pipe.read()[10:22] != ulid()[10:22]
