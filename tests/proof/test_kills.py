"""The short form of the crash proof; the full one is `python -m tests.proof.kills`, part of `make proof`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.proof.arena import REPOSITORY
from tests.proof.kills import GATEWAY, KINDS, STEPS, TWICE, UNDOING, every_round, some_rounds


def test_killed_flows_come_to_their_end_and_nothing_happens_twice(tmp_path: Path) -> None:
    """API or worker die in every kind of moment: each run completes or is undone, each order is charged once."""
    figures_file = tmp_path / "figures.json"
    command = [sys.executable, "-m", "tests.proof.kills", "--short", "--json", str(figures_file)]
    done = subprocess.run(command, cwd=REPOSITORY, check=False, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
    figures = json.loads(figures_file.read_text(encoding="utf-8"))
    assert figures["problems"] == []
    assert figures["rounds"] == len(some_rounds())
    assert all(counts["kills"] >= counts["rounds"] >= 1 for counts in figures["by_kind"].values())
    assert list(figures["by_kind"]) == list(KINDS)
    assert set(figures["states"]) == {"completed", "compensated"}
    assert sum(figures["states"].values()) == figures["runs"] >= sum(len(each.cases) for each in some_rounds())
    assert figures["steps_completed"] >= figures["states"]["completed"] * len(STEPS)


def test_the_full_form_kills_a_hundred_times_and_each_kind_five_times() -> None:
    """Before a body, inside the gateway's call, between commit and result, during compensation; by API and workers."""
    rounds = every_round()
    assert len(rounds) >= 100
    for kind in KINDS:
        assert sum(each.kind == kind for each in rounds) >= 5, kind
    assert {each.fault["call"] for each in rounds if each.kind == GATEWAY} == {"authorize", "capture"}
    assert {each.fault["call"] for each in rounds if each.kind == UNDOING and each.fault} == {"refund"}
    assert {each.mode for each in rounds} == {"api", "workers"}
    assert all(len(each.crashes) == 2 or each.random_kills == 2 for each in rounds if each.kind == TWICE)
