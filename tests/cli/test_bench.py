"""`pulpo bench`: the figures of a real flow, over HTTP, in a copy of the project."""

from __future__ import annotations

import json
from pathlib import Path

import psutil
import pytest

from pulpo.cli.bench import _text
from pulpo.cli.measure import EndToEnd, Load, Measured, Pipeline, SideBySide

from .conftest import Run

PREPARE = """
async def prepare(client, n):
    assert (await client.get("/livez")).status_code == 200
    return [{"title": f"No coffee {number}"} for number in range(n)]
"""


def test_a_delayed_copy_is_measured_and_taken_down(run: Run, desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting added to a step shows in the end-to-end time; the project has no run, and no process is left."""
    (desk / "bench.py").write_text(PREPARE)
    monkeypatch.setattr("tempfile.tempdir", str(desk.parent))
    line = ("bench", "--delay", "assign_ticket=0.2", "--orders", "4", "--concurrency", "4", "--json")
    ran = run(*line)
    assert ran.code == 0, ran.err
    found = json.loads(ran.out)
    assert found["flow"] == "tickets"
    assert found["end_to_end"]["median"] >= 0.2
    assert [(load["at_once"], load["states"]) for load in found["loads"]] == [
        (1, {"completed": 2}),
        (4, {"completed": 4}),
    ]
    assert found["loads"][1]["per_second"] > found["loads"][0]["per_second"]
    assert found["pipeline"]["operations"] == ["tickets.desk.open_ticket", "tickets.desk.assign_ticket"]
    assert found["side_by_side"] is None
    assert run("runs", "list").out == "no runs\n"
    lines = [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]
    assert not [line for line in lines if str(desk.parent / "pulpo-bench-") in line]
    assert not list(desk.parent.glob("pulpo-bench-*"))


def test_without_a_bench_module(run: Run, desk: Path) -> None:
    """It says what to write."""
    ran = run("bench")
    assert ran.code == 2
    assert "has no bench.py" in ran.err
    assert "async def prepare(client, n)" in ran.err


def test_a_project_that_does_not_run(run: Run, desk: Path) -> None:
    """`pulpo up` comes first, or a copy."""
    (desk / "bench.py").write_text(PREPARE)
    ran = run("bench")
    assert ran.code == 1
    assert ran.err.startswith("PULPO704  the project is not running\n  hint  `pulpo up` starts it")


@pytest.mark.parametrize("loads", ["", "x", "0", "5,-1"])
def test_loads_must_be_numbers(run: Run, desk: Path, loads: str) -> None:
    """A usage error."""
    (desk / "bench.py").write_text(PREPARE)
    assert run("bench", "--concurrency", loads).code == 2


def test_the_table() -> None:
    """What people read."""
    measured = Measured(
        "orders",
        "http://127.0.0.1:8000",
        EndToEnd(runs=10, median=6.1, slowest=6.3, one_by_one=11.0, steps=11, critical_path=6),
        (Load(1, 10, 0.2, 6.1, 6.3, {"completed": 10}), Load(50, 100, 8.0, 6.2, 6.4, {"completed": 99, "failed": 1})),
        SideBySide(("a.b", "a.c"), 1.0, 2.0),
        Pipeline(("p.q", "p.r"), 50, 9.5),
    )
    assert _text(measured) == (
        "orders at http://127.0.0.1:8000\n"
        "\n"
        "parallel operations  1.000 s together, 2.000 s one by one: 0.50\n"
        "                     (a.b, a.c)\n"
        "end to end           6.100 s median, 11.0 s one by one\n"
        "                     (10 runs, one at a time; 6 of 11 steps on the critical path)\n"
        "pipeline             9.5 a second, 50 at once\n"
        "                     (p.q -> p.r)\n"
        "capacity             8.0 runs a second\n"
        "\n"
        "at once  runs  a second  median   p95      ended\n"
        "1        10    0.2       6.100 s  6.300 s  10 completed\n"
        "50       100   8.0       6.200 s  6.400 s  99 completed, 1 failed"
    )
