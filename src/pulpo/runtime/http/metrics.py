"""What the process counts of itself, in the OpenMetrics text format."""

from __future__ import annotations

import asyncio
import platform
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import accumulate

import psutil
from starlette.types import Scope

from pulpo import __version__
from pulpo.runtime.counts import Counts, Histogram
from pulpo.runtime.http.limits import Admission
from pulpo.store.port import Commits

MEDIA_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"
BUCKETS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0)
"""Upper bounds of a request's duration, in seconds."""
LAGS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0)
"""Upper bounds of the event loop's lag, in seconds."""
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Metrics:
    """Counters of one API process, and of whom it lets in.

    A request is counted under its route's template, so that there are as many series as the application has routes.
    """

    def __init__(self, admission: Admission) -> None:
        self.admission = admission
        self.lag = Histogram(LAGS)
        self._requests: dict[tuple[str, str, int], list[float]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def request(self, scope: Scope, status: int, seconds: float) -> None:
        """Count an answered request. A method or an address that nobody serves has no name of its own here."""
        route = scope.get("route")
        key = (scope["method"], "" if route is None else route.path, status)
        found = self._requests.get(key)
        if found is None:
            key = (key[0] if key[0] in _METHODS else "OTHER", key[1], status)
            found = self._requests.setdefault(key, [0] * (len(BUCKETS) + 1) + [0.0])
        found[bisect_left(BUCKETS, seconds)] += 1
        found[-1] += seconds

    def watch(self, every: float = 0.5) -> None:
        """Measure from now on how late the event loop comes to what it should do, every so many seconds."""
        loop = asyncio.get_running_loop()

        def look(due: float) -> None:
            self.lag.add(max(0.0, loop.time() - due))
            due = loop.time() + every
            self._timer = loop.call_at(due, look, due)

        self._timer = loop.call_at(loop.time() + every, look, loop.time() + every)

    def unwatch(self) -> None:
        """Measure no more."""
        if self._timer is not None:
            self._timer.cancel()

    def text(self, runs: Mapping[str, int], counts: Counts, commits: Commits | None) -> str:
        """The exposition.

        Args:
            runs: How many runs there are in each state, in the whole application.
            counts: Steps and runs of this process.
            commits: Of its store, where that counts them.
        """
        page = _Page()
        self._requests_on(page)
        admission = self.admission
        page.family("pulpo_http_active", "gauge", "Requests in work.", _one(admission.active))
        page.family("pulpo_http_waiting", "gauge", "Requests that wait for a place.", _one(admission.waiting))
        page.family(
            "pulpo_http_refused", "counter", "Requests that were told to come back later.", _one(admission.refused)
        )
        page.family(
            "pulpo_runs",
            "gauge",
            "Runs in the journal, by state.",
            [({"state": state}, count) for state, count in sorted(runs.items())],
        )
        _work_on(page, counts)
        if commits is not None:
            _store_on(page, commits)
        page.histogram(
            "pulpo_event_loop_lag", "How late the event loop is; what blocks it shows here.", [({}, self.lag)]
        )
        _process_on(page)
        return page.text()

    def _requests_on(self, page: _Page) -> None:
        answered: list[tuple[dict[str, str], float]] = []
        durations: dict[tuple[str, str], Histogram] = {}
        for (method, route, status), numbers in sorted(self._requests.items()):
            answered.append(({"method": method, "route": route, "status": str(status)}, sum(numbers[:-1])))
            one = Histogram(BUCKETS)
            one.counts, one.sum = [int(number) for number in numbers[:-1]], numbers[-1]
            durations.setdefault((method, route), Histogram(BUCKETS)).merge(one)
        page.family("pulpo_http_requests", "counter", "Answered requests; 499: nobody waited any more.", answered)
        series = [({"method": method, "route": route}, each) for (method, route), each in durations.items()]
        page.histogram("pulpo_http_request", "Time to answer.", series)


def _work_on(page: _Page, counts: Counts) -> None:
    ended = [({"flow": flow, "state": state}, count) for (flow, state), count in sorted(counts.runs.items())]
    page.family("pulpo_runs_ended", "counter", "Runs of flows that this process brought to an end.", ended)
    labels = ("operation", "kind", "outcome")
    steps = [(dict(zip(labels, key, strict=True)), each) for key, each in sorted(counts.steps.items())]
    page.histogram("pulpo_step", "Time of an operation at work, retries included.", steps)
    retries = [({"operation": name}, count) for name, count in sorted(counts.retries.items())]
    page.family("pulpo_step_retries", "counter", "Attempts after one that failed.", retries)
    conflicts = [({"operation": name}, count) for name, count in sorted(counts.conflicts.items())]
    page.family("pulpo_step_conflicts", "counter", "Attempts after one whose reading had changed.", conflicts)


def _store_on(page: _Page, commits: Commits) -> None:
    page.buckets(
        "pulpo_store_commit_batches",
        "Batches that a commit of the store made durable together.",
        [({}, commits.bounds, commits.sizes, commits.batches)],
    )
    spent = _one(commits.seconds)
    page.family("pulpo_store_commit_seconds", "counter", "Time spent on making commits durable.", spent, unit="seconds")


def _process_on(page: _Page) -> None:
    process = psutil.Process()
    with process.oneshot():
        times, memory, begun = process.cpu_times(), process.memory_info().rss, process.create_time()
        files = process.num_fds() if hasattr(process, "num_fds") else None
    spent = _one(times.user + times.system)
    page.family("process_cpu_seconds", "counter", "User and system time.", spent, unit="seconds")
    page.family("process_resident_memory_bytes", "gauge", "Memory in use.", _one(memory), unit="bytes")
    page.family("process_start_time_seconds", "gauge", "When it began, since 1970.", _one(begun), unit="seconds")
    if files is not None:
        page.family("process_open_fds", "gauge", "Open files and sockets.", _one(files))
    built = {"version": __version__, "python": platform.python_version()}
    page.family("pulpo_build", "info", "What serves.", [(built, 1)])


def _one(value: float) -> list[tuple[dict[str, str], float]]:
    """The only sample of a family."""
    return [({}, value)]


_SUFFIX = {"counter": "_total", "info": "_info"}


class _Page:
    """The lines of an exposition."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def family(
        self,
        name: str,
        kind: str,
        help: str,
        samples: Sequence[tuple[Mapping[str, str], float]],
        *,
        unit: str | None = None,
    ) -> None:
        """A family of samples, each with its labels."""
        self._head(name, kind, help, unit)
        self._lines += [f"{name}{_SUFFIX.get(kind, '')}{_labels(labels)} {value!r}" for labels, value in samples]

    def histogram(self, name: str, help: str, series: Sequence[tuple[Mapping[str, str], Histogram]]) -> None:
        """Histograms of seconds; the name is given without its unit."""
        known = [(labels, each.bounds, each.counts, each.sum) for labels, each in series]
        self.buckets(f"{name}_seconds", help, known, unit="seconds")

    def buckets(
        self,
        name: str,
        help: str,
        series: Sequence[tuple[Mapping[str, str], tuple[float, ...], list[int], float]],
        *,
        unit: str | None = None,
    ) -> None:
        """Histograms, as labels, bounds, how many fell below each, and the sum."""
        self._head(name, "histogram", help, unit)
        for labels, bounds, counts, total in series:
            edges = (*(repr(float(bound)) for bound in bounds), "+Inf")
            running = list(accumulate(counts))
            self._lines += [
                f"{name}_bucket{_labels({**labels, 'le': edge})} {count}"
                for edge, count in zip(edges, running, strict=True)
            ]
            self._lines += [f"{name}_count{_labels(labels)} {running[-1]}", f"{name}_sum{_labels(labels)} {total!r}"]

    def text(self) -> str:
        """The whole of it."""
        return "\n".join([*self._lines, "# EOF", ""])

    def _head(self, name: str, kind: str, help: str, unit: str | None) -> None:
        self._lines.append(f"# TYPE {name} {kind}")
        if unit is not None:
            self._lines.append(f"# UNIT {name} {unit}")
        self._lines.append(f"# HELP {name} {help}")


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
