"""How fast the HTTP API is: Pulpo's order app beside what one would otherwise write, in turns, in one run.

    python bench/api.py [--quick] [--peers all] [--write]

Each server is one process; 10,000 products and orders, SQLite with `synchronous=FULL`, 32 connections by `wrk`.
Pulpo's is the real one: the example's models with their hooks, references, ETags, request ids, metrics and access log.
Beside it:

* `by hand`: FastAPI + SQLModel; by `--peers all` also `fastcrud`, `litestar`, `django` and `django asgi`. They live in
  `.bench/venv`, which is made at the first run (bench/requirements.txt). Each must give the same answers as Pulpo, and
  refuse the same bodies, before it is measured;
* `ceiling`: constant bytes, as many as Pulpo's answers have;
* `sqlite`: SQLite alone in one process, no HTTP, 32 orders a commit;
* `two`: two of Pulpo's processes on one database that share the load.

Samples are taken in turns, and taken again where other processes used the machine meanwhile. `--write` keeps the
figures in bench/results/api.json and makes the tables of docs/performance.md.
"""

import argparse
import json
import os
import platform
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measuring import report
from measuring.peers import DEFAULT, OTHERS, PEERS, ROOT, Field
from measuring.samples import in_turns, ratio, summary


@dataclass(frozen=True)
class Bench:
    """What is measured, and by which goals it is judged; `maker` is what makes the tables of the docs."""

    about: str
    known: tuple[str, ...]
    default: tuple[str, ...]
    field: type[Field]
    goals: Callable[[dict[str, Any]], list[dict[str, Any]]]
    results: Path
    maker: str


def measure(
    bench: Bench, wanted: list[str], *, rounds: int, seconds: int, most_others: float, retries: int
) -> dict[str, Any]:
    """Every scenario on everything wanted, in turns."""
    with tempfile.TemporaryDirectory(prefix="pulpo-bench-") as name:
        field = bench.field(Path(name), wanted)
        try:
            measured = field.start()
            found = in_turns(measured, rounds=rounds, seconds=seconds, most_others=most_others, retries=retries)
            memory = field.memory()
        finally:
            field.stop()
    result: dict[str, Any] = {
        "python": platform.python_version(),
        "processors": os.cpu_count(),
        "rounds": rounds,
        "seconds": seconds,
        "most_others": most_others,
        "start_to_first_200_s": {name: round(start, 2) for name, start in field.starts.items()},
        "memory_mib": memory,
        "figures": {
            each.name: {scenario: summary(found[each.name, scenario], most_others) for scenario in each.scenarios}
            for each in measured
        },
        "pulpo_to": {
            each.name: {
                scenario: ratio(found["pulpo", scenario], found[each.name, scenario]) for scenario in each.scenarios
            }
            for each in measured
            if each.name != "pulpo"
        },
    }
    return {**result, "goals": bench.goals(result)}


def run(bench: Bench) -> None:
    """Measure as the command line says, and print."""
    known = bench.known
    parser = argparse.ArgumentParser(description=bench.about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2, help="how long each load lasts")
    parser.add_argument("--quick", action="store_true", help="one round of a second, nothing is taken again")
    parser.add_argument(
        "--peers", default=",".join(bench.default), help=f"all, or some of {', '.join(known)}; Pulpo always"
    )
    parser.add_argument("--others", type=float, default=0.3, help="processors that others may use during a sample")
    parser.add_argument("--retries", type=int, default=30, help="how many disturbed samples are taken again")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--write", action="store_true", help="keep the figures, and make the tables of the docs")
    given = parser.parse_args()
    if shutil.which("wrk") is None:
        print("wrk, which makes the load, is not on the PATH: install it (Debian, Ubuntu: apt install wrk); skipped")
        return
    wanted = list(known) if given.peers == "all" else given.peers.split(",")
    unknown = [name for name in wanted if name not in known]
    if unknown:
        parser.error(f"there is no {', '.join(unknown)}; there are {', '.join(known)}")
    rounds, seconds, retries = (1, 1, 0) if given.quick else (given.rounds, given.seconds, given.retries)
    result = measure(bench, wanted, rounds=rounds, seconds=seconds, most_others=given.others, retries=retries)
    report.show(result)
    text = json.dumps(result, indent=2) + "\n"
    if given.json:
        given.json.write_text(text)
    if given.write:
        bench.results.parent.mkdir(exist_ok=True)
        bench.results.write_text(text)
        report.write_docs(report.markdown(result), ROOT / "docs" / "performance.md", bench.maker)


def main() -> None:
    """Measure and print."""
    results = ROOT / "bench" / "results" / "api.json"
    run(Bench(__doc__ or "", (*PEERS, *OTHERS), DEFAULT, Field, report.goals, results, "bench/api.py"))


if __name__ == "__main__":
    main()
