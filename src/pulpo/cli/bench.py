"""`pulpo bench`: how fast the running project works."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pulpo.cli import show
from pulpo.cli.options import AsJson, project_root
from pulpo.errors import PulpoError
from pulpo.runtime import target

if TYPE_CHECKING:
    from pulpo.cli.measure import Measured, Workload

FILE = "bench.py"
_SINGLES, _DELAYED_SINGLES = 10, 2


def bench(
    *,
    flow: Annotated[str | None, typer.Option(help="The flow; by default the one with most steps.")] = None,
    orders: Annotated[int, typer.Option(min=1, help="How many runs at each load.")] = 100,
    concurrency: Annotated[str, typer.Option(help="The loads: runs at once, separated by commas.")] = "10,50",
    delay: Annotated[
        str, typer.Option(metavar="NAME=SECONDS,…", help="Add waiting to steps (or all=SECONDS), in a temporary copy.")
    ] = "",
    copy: Annotated[bool, typer.Option("--copy", help="Measure a temporary copy of the project.")] = False,
    as_json: AsJson = False,
) -> None:
    """Measure how fast the running project works.

    Parallel operations against sequential ones, end-to-end time of a flow, throughput of its longest pipeline, and
    how many runs at once give how many a second. Inputs come from the project's bench.py, where the function
    prepare(client, n) makes n of them with an HTTP client. What is made for it stays in the project's database.
    """
    from pulpo.cli import measure
    from pulpo.cli.temporary import temporary_project

    root = project_root()
    work = _workload(root, flow, orders, concurrency, _DELAYED_SINGLES if delay else _SINGLES)

    def report(line: str) -> None:
        typer.echo(f"  {line}", err=True)

    copied = copy or bool(delay)
    with temporary_project(root, delay, report) if copied else nullcontext(_running(root)) as api:
        measured = asyncio.run(measure.measure(api, work, report))
    typer.echo(json.dumps({**measured.as_json(), "delay": delay}) if as_json else _text(measured))


def _running(root: Path) -> str:
    api = target.running_api(root)
    if api is None:
        raise PulpoError("PULPO704", "the project is not running", hint="`pulpo up` starts it; --copy measures a copy")
    return api


def _workload(root: Path, flow: str | None, orders: int, concurrency: str, singles: int) -> Workload:
    from pulpo.cli.measure import Workload

    try:
        at_once = tuple(int(part) for part in concurrency.split(","))
    except ValueError:
        at_once = ()
    if not at_once or min(at_once) < 1:
        raise PulpoError("PULPO804", f"--concurrency {concurrency} is no list of numbers", hint="--concurrency 10,50")
    prepare = target.load_function(root, FILE, "prepare", "async def prepare(client, n) -> list[dict]")
    return Workload(flow, prepare, orders, at_once, singles)


def _text(measured: Measured) -> str:
    rows = [
        (
            str(load.at_once),
            str(load.runs),
            f"{load.per_second:.1f}",
            show.seconds(load.median),
            show.seconds(load.p95),
            ", ".join(f"{count} {state}" for state, count in sorted(load.states.items())),
        )
        for load in measured.loads
    ]
    loads = show.table(("at once", "runs", "a second", "median", "p95", "ended"), rows)
    facts = [f"{name:<21}{said}\n{'':21}({of})" for name, said, of in _facts(measured)]
    capacity = f"{'capacity':<21}{measured.capacity:.1f} runs a second"
    return "\n".join([f"{measured.flow} at {measured.api}", "", *facts, capacity, "", loads])


def _facts(measured: Measured) -> Iterator[tuple[str, str, str]]:
    """What was measured, the figures, and of what."""
    if (pair := measured.side_by_side) is not None:
        figures = (
            f"{show.seconds(pair.together)} together, {show.seconds(pair.one_by_one)} one by one: {pair.ratio:.2f}"
        )
        yield "parallel operations", figures, ", ".join(pair.operations)
    whole = measured.end_to_end
    figures = f"{show.seconds(whole.median)} median, {show.seconds(whole.one_by_one)} one by one"
    path = f"{whole.critical_path} of {whole.steps} steps on the critical path"
    yield "end to end", figures, f"{show.counted(whole.runs, 'run')}, one at a time; {path}"
    if (pipe := measured.pipeline) is not None:
        yield "pipeline", f"{pipe.per_second:.1f} a second, {pipe.at_once} at once", " -> ".join(pipe.operations)
