"""How things look in a terminal: tables, durations, runs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pulpo.errors import Finding

Json = Any
END_STATES = frozenset({"stopped", "completed", "failed", "cancelled", "compensated"})


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest cell, two spaces apart."""
    lines = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def seconds(duration: float | None) -> str:
    """`0.012 s`, `61.3 s`; `-` for None."""
    if duration is None:
        return "-"
    return f"{duration:.3f} s" if duration < 10 else f"{duration:.1f} s"


def counted(count: int, noun: str) -> str:
    """`1 file`, `2 files`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def findings_text(findings: Sequence[Finding]) -> str:
    """Findings for people, an empty line between them."""
    return "\n\n".join(str(finding) for finding in findings)


def findings_json(findings: Sequence[Finding]) -> list[Json]:
    """Findings as JSON: `code, message, file, line, hint`."""
    return [
        {
            "code": finding.code,
            "message": finding.message,
            "file": finding.source.file if finding.source else None,
            "line": finding.source.line if finding.source else None,
            "hint": finding.hint,
        }
        for finding in findings
    ]


def elapsed(start: str | None, end: str | None) -> float | None:
    """Seconds from one timestamp to another, None where one is missing."""
    if not start or not end:
        return None
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()


def run_summary(run: Json) -> str:
    """A run on one line."""
    took = elapsed(run.get("started_at"), run.get("finished_at"))
    return f"{run['id']}  {run['name']}  {run['state']}" + (f"  {seconds(took)}" if took is not None else "")


def run_text(run: Json) -> str:
    """A run with its steps: when each began, how long it took, and what went wrong."""
    steps = sorted(run.get("steps", []), key=lambda step: step.get("started_at") or "~")  # not begun: last
    parts = [run_summary(run)]
    if run.get("error"):
        parts.append("  " + _error(run["error"]))
    if steps:
        begin = run.get("started_at") or run.get("created_at")
        parts += ["", table(("step", "state", "start", "took", "error"), [_step(step, begin) for step in steps])]
    wall = elapsed(run.get("started_at"), run.get("finished_at"))
    took = [each for step in steps if (each := elapsed(step.get("started_at"), step.get("finished_at"))) is not None]
    if wall is not None and len(took) > 1:
        parts += ["", f"{seconds(wall)} on the clock, {seconds(sum(took))} one by one"]
    return "\n".join(parts)


def runs_table(runs: Sequence[Json]) -> str:
    """Runs, a line each."""
    rows = [
        (
            run["id"],
            run["name"],
            run["state"],
            run.get("created_at") or "-",
            seconds(elapsed(run.get("started_at"), run.get("finished_at"))),
            (run.get("error") or {}).get("code", ""),
        )
        for run in runs
    ]
    return table(("run", "name", "state", "created", "took", "error"), rows)


def _step(step: Json, begin: str | None) -> tuple[str, ...]:
    name = f"undo {step['operation']}" if step.get("kind") == "compensation" else step["operation"]
    start = elapsed(begin, step.get("started_at"))
    attempts = step.get("attempts") or 0
    state = step["state"] + (f" ({attempts} attempts)" if attempts > 1 else "")
    return (
        name,
        state,
        "-" if start is None else f"+{start:.3f}",
        seconds(elapsed(step.get("started_at"), step.get("finished_at"))),
        _error(step["error"]) if step.get("error") else "",
    )


def _error(error: Json) -> str:
    return f"{error.get('code', '')}  {error.get('detail', '')}".strip()
