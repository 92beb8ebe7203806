"""What the process counts of itself, in the OpenMetrics text format."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping

from pulpo.runtime.http.limits import Admission

MEDIA_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"
BUCKETS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0)
"""Upper bounds of a request's duration, in seconds."""


class Metrics:
    """Counters of one API process, and of whom it lets in."""

    def __init__(self, admission: Admission) -> None:
        self.admission = admission
        self._requests: Counter[tuple[str, int]] = Counter()
        self._durations = [0] * (len(BUCKETS) + 1)
        self._seconds = 0.0

    def request(self, method: str, status: int, seconds: float) -> None:
        """Count an answered request."""
        self._requests[method, status] += 1
        self._durations[bisect_left(BUCKETS, seconds)] += 1
        self._seconds += seconds

    def text(self, runs: Mapping[str, int]) -> str:
        """The exposition; `runs` is how many runs there are in each state."""
        lines = ["# TYPE pulpo_http_requests counter", "# HELP pulpo_http_requests Answered requests."]
        lines += [
            f'pulpo_http_requests_total{{method="{method}",status="{status}"}} {count}'
            for (method, status), count in sorted(self._requests.items())
        ]
        lines += [
            "# TYPE pulpo_http_request_seconds histogram",
            "# UNIT pulpo_http_request_seconds seconds",
            "# HELP pulpo_http_request_seconds Time to answer.",
        ]
        total = 0
        for bound, count in zip((*BUCKETS, float("inf")), self._durations, strict=True):
            total += count
            edge = "+Inf" if bound == float("inf") else repr(bound)
            lines.append(f'pulpo_http_request_seconds_bucket{{le="{edge}"}} {total}')
        lines += [f"pulpo_http_request_seconds_count {total}", f"pulpo_http_request_seconds_sum {self._seconds!r}"]
        lines += [
            "# TYPE pulpo_http_active gauge",
            "# HELP pulpo_http_active Requests in work.",
            f"pulpo_http_active {self.admission.active}",
            "# TYPE pulpo_http_waiting gauge",
            "# HELP pulpo_http_waiting Requests that wait for a place.",
            f"pulpo_http_waiting {self.admission.waiting}",
            "# TYPE pulpo_http_refused counter",
            "# HELP pulpo_http_refused Requests that were told to come back later.",
            f"pulpo_http_refused_total {self.admission.refused}",
        ]
        lines += ["# TYPE pulpo_runs gauge", "# HELP pulpo_runs Runs in the journal, by state."]
        lines += [f'pulpo_runs{{state="{state}"}} {count}' for state, count in sorted(runs.items())]
        return "\n".join([*lines, "# EOF", ""])
