"""The short form of the failover proof; the full one is `python -m tests.proof.failover`, part of `make proof`."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

from tests.proof.arena import REPOSITORY
from tests.proof.failover import BLACKOUT, BOTH, PRIMARY, RESUMED, WORKER, kinds


def test_nothing_is_lost_or_repeated_with_primaries_and_workers(tmp_path: Path) -> None:
    """The primary, a worker, both die in the middle of flows: every run comes to its end, both books are equal."""
    file, seed = tmp_path / "figures.json", time.time_ns() % 10_000
    command = [sys.executable, "-m", "tests.proof.failover", "--rounds", "3", "--blackouts", "0"]
    done = subprocess.run(
        [*command, "--seed", str(seed), "--json", str(file)],
        cwd=REPOSITORY,
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, f"seed {seed}: {done.stdout[-5000:]} {done.stderr[-5000:]}"
    figures = json.loads(file.read_text(encoding="utf-8"))
    assert figures["problems"] == []
    assert figures["killed"] == {"primaries": 2, "workers": 2}
    assert figures["runs"] == sum(figures["states"].values()) == 12
    assert figures["by_kind"][PRIMARY]["taken_over"] == 0
    assert 0 < figures["writes_resumed_after_seconds"]["longest"] <= RESUMED
    assert figures["readyz"]["ready"] > 0


def test_the_full_form_has_fifty_rounds_of_all_kinds() -> None:
    """The primary, a worker and both in turn; blackouts come on top."""
    rounds = kinds(50, 3)
    assert [rounds.count(kind) for kind in (PRIMARY, WORKER, BOTH, BLACKOUT)] == [17, 17, 16, 3]
