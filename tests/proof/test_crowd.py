"""What the proof of crowds finds. The proof is `python -m tests.proof.crowd`; hundreds are in `test_hostile.py`."""

from __future__ import annotations

from typing import Any

import pytest

from tests.proof.crowd import judged

QUIET = {"p50_ms": 2.0, "p99_ms": 9.0}
HELD: dict[str, Any] = {
    "crowd": "silent", "p99_ms": 20.0, "afterwards": {"p99_ms": 9.0}, "memory_mib": 120.0, "memory_after_mib": 80.0,
    "files_after": 21, "not_sent_away": 0, "held": 3500, "least_held": 3481, "expected": "200",
    "answers": {"200": 3976, "": 1024},
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"p99_ms": 300.0}, "others waited 300.0 ms"),
        ({"afterwards": {"p99_ms": 251.0}}, "others waited 251.0 ms"),
        ({"memory_mib": 190.0}, "memory grew from 64.0 to 190.0"),
        ({"held": 3480}, "only 3480 connections were held"),
        ({"answers": {"200": 4000, "503": 1000}}, "answered with {'503': 1000}"),
        ({"answers": {"200": 3000, "": 2000}}, "only 3000 heard 200"),
        ({"memory_after_mib": 100.0}, "100.0 MiB are held when all have gone"),
        ({"not_sent_away": 7}, "7 connections were never closed"),
        ({"files_after": 70}, "70 files are open, 21 were before"),
    ],
)
def test_what_a_crowd_should_not_do_is_found(change: dict[str, Any], said: str) -> None:
    """Each bound, broken alone."""
    assert judged(HELD, QUIET, 64.0, 64.0, 21) == []
    found = judged({**HELD, **change}, QUIET, 64.0, 64.0, 21)
    assert len(found) == 1
    assert said in found[0]


def test_a_crowd_that_needs_more_than_the_one_before_is_found() -> None:
    """Nothing may pile up from crowd to crowd."""
    assert judged({**HELD, "memory_mib": 145.0}, QUIET, 64.0, 120.0, 21)
