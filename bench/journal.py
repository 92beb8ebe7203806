"""What a flow costs when the journal holds many finished runs, beside one that holds a thousand.

    python bench/journal.py [--finished 1000000] [--quick] [--json FILE]

The flow is that of flows.py. A real run is copied, with its steps, as often as wanted: a million runs are twelve
million records, take some minutes to write and 10 GB in a temporary folder (`--folder`), which is removed. Two
processes, one on each journal, then run flows in turns, 20 at once; besides, what the engine and people ask of a
journal is timed: the newest runs, those of a state, the number in two states, and the look for runs of workers that are
gone, which every process takes once a second.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import apsw
import uvloop
from flows import application, timed

from pulpo.model.conditions import Compare
from pulpo.runtime.application import Application
from pulpo.runtime.context import Caller
from pulpo.runtime.process import tune_collector
from pulpo.runtime.tables import RUNS, STEPS
from pulpo.store.port import Query

FEW = 1_000
AT_ONCE, FLOWS = 20, 600
AT_A_TIME = 10_000
MOST = 1.2
ASKED = {
    "newest": "the newest 50 runs",
    "failed": "the failed runs",
    "states": "how many have failed, how many run",
    "look": "the look for abandoned runs",
}


async def run_flow(app: Application, order: str) -> str:
    """A flow from beginning to end; its run's id."""
    begun = await app.engine.start_run("order_to_cash", {"order_id": order}, caller=Caller())
    driver = app.engine.drivers.get(begun["id"])
    if driver is not None:
        await driver.done
    return str(begun["id"])


async def fill(folder: Path, finished: int) -> None:
    """A journal with so many finished runs: copies of one that the engine wrote, under ids before any new one's."""
    app = await application(folder, 0.0)
    id = await run_flow(app, "the first")
    run = await app.store.get(RUNS, id)
    assert run is not None
    steps = (await app.store.query(Query(STEPS, limit=100))).records
    assert len(steps) == 11
    await app.stop()
    db = apsw.Connection(str(folder / "pulpo.db"))
    db.execute("PRAGMA synchronous=OFF")
    db.execute("CREATE TEMP TABLE one(place INTEGER PRIMARY KEY, id TEXT, version INTEGER, doc TEXT)")
    db.executemany("INSERT INTO one(id,version,doc) VALUES(?,?,?)", [(e.id, e.version, e.json) for e in steps])
    kind = id.partition("_")[0]
    numbers = "WITH RECURSIVE n(i) AS (SELECT ? UNION ALL SELECT i+1 FROM n WHERE i+1<?)"
    new = f"printf('{kind}_00%024d',i)"
    for first in range(0, finished, AT_A_TIME):
        bounds = (first, min(first + AT_A_TIME, finished))
        db.execute("BEGIN")
        db.execute(
            f'{numbers} INSERT INTO "{RUNS}"(id,version,doc) SELECT {new},?,replace(?,?,{new}) FROM n',
            (*bounds, run.version, run.json, id),
        )
        db.execute(
            f'{numbers} INSERT INTO "{STEPS}"(id,version,doc) '
            f"SELECT replace(id,?,{new}),version,replace(doc,?,{new}) FROM n CROSS JOIN one ORDER BY i,place",
            (*bounds, id, id),
        )
        db.execute("COMMIT")
    db.close()


async def work(folder: Path) -> None:
    """On each line that comes in, run flows or ask, and print what it took."""
    app = await application(folder, 0.0)
    tune_collector()
    serial = iter(range(10**9))
    mark = time.time_ns()

    async def one(_: int) -> None:
        await run_flow(app, f"{mark}-{next(serial)}")

    async def states() -> None:
        for state in ("failed", "running"):
            await app.store.count(RUNS, Compare("state", "eq", state))

    questions: dict[str, Callable[[], Awaitable[object]]] = {
        "newest": lambda: app.engine.runs(limit=50),
        "failed": lambda: app.engine.runs(where=Compare("state", "eq", "failed")),
        "states": states,
        "look": app.engine.worker._recover,  # noqa: SLF001 - what a process does every second
    }
    await timed(one, 1, 20)
    while (line := await asyncio.to_thread(sys.stdin.readline)).strip():
        if line == "flows\n":
            rate, cpu = await timed(one, AT_ONCE, FLOWS)
            found = {"flows_per_s": rate, "cpu_ms": cpu}
        else:
            found = {}
            for name, ask in questions.items():
                took = []
                for _ in range(5):
                    began = time.perf_counter()
                    await ask()
                    took.append((time.perf_counter() - began) * 1000)
                found[name] = min(took)
        print(json.dumps(found), flush=True)
    await app.stop()


def measure(finished: int, rounds: int, folder: Path | None) -> dict[str, Any]:
    """Both journals, in turns."""
    found: dict[int, list[dict[str, float]]] = {FEW: [], finished: []}
    asked: dict[int, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(prefix="pulpo-journal-", dir=folder) as name:
        processes: dict[int, subprocess.Popen[str]] = {}
        began = time.perf_counter()
        for count in found:
            (Path(name) / str(count)).mkdir()
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(fill(Path(name) / str(count), count))
        filled = time.perf_counter() - began
        size = sum(each.stat().st_size for each in (Path(name) / str(finished)).iterdir()) / 2**20
        try:
            for count in found:
                command = [sys.executable, __file__, "--work", str(Path(name) / str(count))]
                pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
                processes[count] = subprocess.Popen(command, text=True, **pipes)
            for number in range(rounds + 1):
                for count, process in processes.items():
                    took = _ask(process, "flows")
                    if number:  # the first round only warms
                        found[count].append(took)
            asked = {count: _ask(process, "questions") for count, process in processes.items()}
        finally:
            for process in processes.values():
                process.communicate("\n", timeout=60)
    few, many = found[FEW], found[finished]
    ratios = {of: statistics.median(one[of] / other[of] for one, other in zip(many, few, strict=True)) for of in few[0]}
    return {
        "finished": finished,
        "seconds_to_write_them": round(filled, 1),
        "database_mib": round(size),
        "figures": {
            count: {of: round(statistics.median(run[of] for run in runs), 2) for of in runs[0]}
            for count, runs in found.items()
        },
        "to_few": {of: round(value, 3) for of, value in ratios.items()},
        "asked_ms": {count: {name: round(ms, 2) for name, ms in each.items()} for count, each in asked.items()},
    }


def _ask(process: subprocess.Popen[str], what: str) -> dict[str, float]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(what + "\n")
    process.stdin.flush()
    found: dict[str, float] = json.loads(process.stdout.readline())
    return found


def show(result: dict[str, Any]) -> None:
    """A table for people."""
    size, took = result["database_mib"], result["seconds_to_write_them"]
    print(f"{result['finished']:,} finished runs: {size} MiB, {took} s to write")
    print(f"{'finished runs':>14}{'flows/s at 20':>15}{'CPU ms a flow':>15}")
    for count, figures in result["figures"].items():
        print(f"{count:>14,}{figures['flows_per_s']:>15,.0f}{figures['cpu_ms']:>15.2f}")
    for name, title in ASKED.items():
        times = " and ".join(f"{each[name]:.2f}" for each in result["asked_ms"].values())
        print(f"{title}: {times} ms")
    got = result["to_few"]["cpu_ms"]
    print(f"  {'met   ' if got <= MOST else 'MISSED'} a flow costs {got:g} times the CPU time, wanted at most {MOST:g}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--finished", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="20,000 finished runs, one round")
    parser.add_argument("--folder", type=Path, help="where the databases are made (default: a temporary folder)")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(work(given.work))
        return
    if given.quick:
        given.finished, given.rounds = 20_000, 1
    result = measure(given.finished, given.rounds, given.folder)
    show(result)
    if given.json:
        given.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
