"""What `pulpo bench` measures, over HTTP as any client would: times are seconds on this side of the connection."""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field
from typing import Any

import httpx

from pulpo import names
from pulpo.cli.show import END_STATES, elapsed
from pulpo.errors import PulpoError

Json = Any
Prepare = Callable[[httpx.AsyncClient, int], Awaitable[list[Json]]]
_RUN_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class SideBySide:
    """The first operations of a flow, called by hand: together and one after another. Medians over orders."""

    operations: tuple[str, ...]
    together: float
    one_by_one: float

    @property
    def ratio(self) -> float:
        """How much of the one-by-one time is left."""
        return self.together / self.one_by_one


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The longest chain inside one group: how many orders a second pass through all of it, at the highest load."""

    operations: tuple[str, ...]
    at_once: int
    per_second: float


@dataclass(frozen=True, slots=True)
class EndToEnd:
    """Whole runs, one at a time. `one_by_one` is what their steps took, added up; `critical_path` counts steps."""

    runs: int
    median: float
    slowest: float
    one_by_one: float
    steps: int
    critical_path: int


@dataclass(frozen=True, slots=True)
class Load:
    """Whole runs, so many at once. `states` counts the states they ended in."""

    at_once: int
    runs: int
    per_second: float
    median: float
    p95: float
    states: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Measured:
    """All of it. `capacity` is the highest rate among the loads."""

    flow: str
    api: str
    end_to_end: EndToEnd
    loads: tuple[Load, ...]
    side_by_side: SideBySide | None = None
    pipeline: Pipeline | None = None

    @property
    def capacity(self) -> float:
        """Runs per second at the load that gave most."""
        return max(load.per_second for load in self.loads)

    def as_json(self) -> Json:
        """All figures as one JSON object."""
        found = asdict(self)
        if self.side_by_side is not None:
            found["side_by_side"]["ratio"] = self.side_by_side.ratio
        return {**found, "capacity": self.capacity}


@dataclass(frozen=True, slots=True)
class Workload:
    """What to measure. `flow` None: the one with most steps. `prepare` makes inputs. `singles` run one at a time."""

    flow: str | None
    prepare: Prepare
    runs: int
    at_once: tuple[int, ...]
    singles: int


async def measure(api: str, work: Workload, report: Callable[[str], None]) -> Measured:
    """Measure a flow of the application at an address.

    Args:
        api: Its address, for example `http://127.0.0.1:8000`.
        work: What to measure.
        report: Is told what comes next, in a few words.

    Raises:
        PulpoError: PULPO803, the API cannot be reached or answers no; PULPO404, there is no such flow.
    """
    limits = httpx.Limits(max_connections=max(work.at_once) + 2)
    async with httpx.AsyncClient(base_url=api, timeout=httpx.Timeout(60.0), limits=limits) as client:
        try:
            return await _measure(client, api, work, report)
        except httpx.HTTPError as error:
            raise PulpoError("PULPO803", f"the API at {api}: {type(error).__name__} {error}".rstrip()) from None


async def _measure(client: httpx.AsyncClient, api: str, work: Workload, report: Callable[[str], None]) -> Measured:
    plan = await _plan(client, work.flow)
    report("parallel operations against sequential")
    side_by_side = await _side_by_side(client, plan, work)
    report("runs one at a time")
    flow = plan["flow"]
    single, singles = await _load(client, work, flow, runs=work.singles, at_once=1)
    loads, documents = [single], singles
    for at_once in work.at_once:
        report(f"runs, {at_once} at once")
        load, documents = await _load(client, work, flow, runs=max(work.runs, at_once), at_once=at_once)
        loads.append(load)
    return Measured(
        flow,
        api,
        _end_to_end(singles, plan),
        tuple(loads),
        side_by_side,
        _pipeline(plan, documents, loads[-1].at_once),
    )


async def _plan(client: httpx.AsyncClient, flow: str | None) -> Json:
    if flow is not None:
        return await _json(client, "GET", f"/flows/{flow}")
    plans = await _json(client, "GET", "/flows")
    if not plans:
        raise PulpoError("PULPO404", "the project has no flow to measure")
    return max(plans, key=lambda plan: len(plan["steps"]))


async def _side_by_side(client: httpx.AsyncClient, plan: Json, work: Workload) -> SideBySide | None:
    """Call the steps that wait for nothing, which are safe to call on an order that nothing has happened to yet."""
    first = [step for step in plan["steps"] if not step["needs"]]
    if len(first) < 2:
        return None
    count = max(2, work.singles)
    inputs = await work.prepare(client, 2 * count)
    together, one_by_one = [], []
    for place in range(count):  # in turns, so that whatever slows the machine down slows both
        begin = time.perf_counter()
        for step in first:
            await _call(client, step, inputs[2 * place])
        one_by_one.append(time.perf_counter() - begin)
        begin = time.perf_counter()
        await asyncio.gather(*(_call(client, step, inputs[2 * place + 1]) for step in first))
        together.append(time.perf_counter() - begin)
    operations = tuple(step["operation"] for step in first)
    return SideBySide(operations, statistics.median(together), statistics.median(one_by_one))


async def _call(client: httpx.AsyncClient, step: Json, given: Json) -> Json:
    wires = [wire for wire in step["wires"] if wire["step"] is None and wire["source"] in given]
    body = {wire["field"]: given[wire["source"]] for wire in wires}
    return await _json(client, "POST", names.operation_path(step["operation"]), body)


async def _load(
    client: httpx.AsyncClient, work: Workload, flow: str, *, runs: int, at_once: int
) -> tuple[Load, list[Json]]:
    """Carry out runs, so many at once, each begun when an earlier one has ended; their documents too."""
    inputs = await work.prepare(client, runs)
    took: list[float] = []
    ids: list[str] = []
    async with _endings(client) as ended:
        waiting = iter(inputs)

        async def one_after_another() -> None:
            for given in waiting:
                begin = time.perf_counter()
                run = await _json(client, "POST", f"/flows/{flow}/runs", given)
                await ended(run["id"])
                took.append(time.perf_counter() - begin)
                ids.append(run["id"])

        begin = time.perf_counter()
        await asyncio.gather(*(one_after_another() for _ in range(at_once)))
        wall = time.perf_counter() - begin
    documents = [await _json(client, "GET", f"/runs/{id}") for id in ids]
    took.sort()
    p95 = took[min(len(took) - 1, int(len(took) * 0.95))]
    states = dict(Counter(document["state"] for document in documents))
    return Load(at_once, runs, runs / wall, statistics.median(took), p95, states), documents


def _end_to_end(documents: Sequence[Json], plan: Json) -> EndToEnd:
    walls = [elapsed(run["created_at"], run["finished_at"]) or 0.0 for run in documents]
    added = [
        sum(elapsed(step.get("started_at"), step.get("finished_at")) or 0.0 for step in run["steps"])
        for run in documents
    ]
    return EndToEnd(
        len(documents),
        statistics.median(walls),
        max(walls),
        statistics.median(added),
        len(plan["steps"]),
        len(plan["critical_path"]),
    )


def _pipeline(plan: Json, documents: Sequence[Json], at_once: int) -> Pipeline | None:
    """From the first begin to the last end of the group with the most steps on the critical path."""
    groups = Counter(names.group(operation) for operation in plan["critical_path"])
    if not groups or not documents:
        return None
    group, _ = groups.most_common(1)[0]
    operations = tuple(step["operation"] for step in plan["steps"] if names.group(step["operation"]) == group)
    if len(operations) < 2:
        return None
    steps = [step for run in documents for step in run["steps"] if step["operation"] in operations]
    begins = [step["started_at"] for step in steps if step.get("started_at")]
    ends = [step["finished_at"] for step in steps if step.get("finished_at") and step["operation"] == operations[-1]]
    span = elapsed(min(begins, default=None), max(ends, default=None))
    return Pipeline(operations, at_once, len(ends) / span) if span else None


@asynccontextmanager
async def _endings(client: httpx.AsyncClient) -> AsyncIterator[Callable[[str], Awaitable[None]]]:
    """Follow the API's events; gives a function that waits for a run to end, without asking again and again."""
    over: dict[str, asyncio.Future[None]] = {}
    loop = asyncio.get_running_loop()

    def of(run: str) -> asyncio.Future[None]:
        return over.setdefault(run, loop.create_future())

    async def follow(response: httpx.Response) -> None:
        async for line in response.aiter_lines():
            if line.startswith("data:"):
                event = json.loads(line[5:])
                kind, _, state = str(event.get("type", "")).partition(".")
                if kind == "run" and state in END_STATES and not of(event["run"]).done():
                    of(event["run"]).set_result(None)

    async def wait(run: str) -> None:
        try:
            async with asyncio.timeout(_RUN_SECONDS):
                await of(run)
        except TimeoutError:
            raise PulpoError("PULPO702", f"run {run} did not end within {_RUN_SECONDS:.0f} s") from None

    async with client.stream("GET", "/events", timeout=httpx.Timeout(60.0, read=None)) as response:
        if response.status_code != 200:
            raise PulpoError("PULPO803", f"the API's events answered {response.status_code}")
        following = loop.create_task(follow(response))
        try:
            yield wait
        finally:
            following.cancel()
            with suppress(asyncio.CancelledError):
                await following


async def _json(client: httpx.AsyncClient, method: str, path: str, body: Json = None) -> Json:
    response = await client.request(method, path, json=body)
    if response.is_success:
        return response.json()
    try:
        problem = response.json()
    except ValueError:
        problem = {}
    raise PulpoError(
        str(problem.get("code", "PULPO803")),
        f"{method} {path}: {problem.get('detail', response.status_code)}",
        hint=problem.get("hint"),
        status=response.status_code,
    )
