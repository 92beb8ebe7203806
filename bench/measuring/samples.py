"""Samples in turns, and what they come to; one that others on the machine disturbed is taken again."""

import itertools
import resource
import statistics
import time
from collections.abc import Sequence
from typing import Any

import psutil
from measuring.servers import Measured

TRIES = 3
Samples = dict[tuple[str, str], list[dict[str, float]]]


def busy() -> float:
    """Seconds of processor time that everything on the machine has used."""
    times = psutil.cpu_times()
    return float(sum(times[:8]) - times.idle - getattr(times, "iowait", 0.0))


def children() -> float:
    """Seconds of processor time of this process's ended children: the load's."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def sample(what: Measured, scenario: str, seconds: int, serial: int) -> dict[str, float]:
    """One load; `others` is how many processors' worth other processes used meanwhile."""
    began, all_before, ours_before = time.perf_counter(), busy(), children()
    found = what.load(scenario, seconds, serial)
    ours = children() - ours_before + found.pop("own_cpu", 0.0)
    others = (busy() - all_before - ours) / (time.perf_counter() - began)
    return {**found, "others": max(others, 0.0)}


def in_turns(measured: Sequence[Measured], *, rounds: int, seconds: int, most_others: float, retries: int) -> Samples:
    """Every scenario on everything that has it, one after the other, round by round.

    Args:
        rounds: Samples of each, after one short round that only warms.
        seconds: How long a sample takes.
        most_others: A sample during which others used more processors than this is taken again.
        retries: How many samples more are taken in all, two for one at most; the least disturbed one is kept.
    """
    found: Samples = {}
    serials = itertools.count(1, 10)
    scenarios = dict.fromkeys(scenario for what in measured for scenario in what.scenarios)
    for number in range(rounds + 1):
        for scenario in scenarios:
            for what in measured:
                if scenario not in what.scenarios:
                    continue
                if not number:
                    what.load(scenario, 1, next(serials))
                    continue
                tries = [sample(what, scenario, seconds, next(serials))]
                while tries[-1]["others"] > most_others and len(tries) < TRIES and retries > 0:
                    retries -= 1
                    tries.append(sample(what, scenario, seconds, next(serials)))
                best = min(tries, key=lambda each: each["others"])
                best["failed"] = sum(each["failed"] for each in tries)
                found.setdefault((what.name, scenario), []).append({**best, "taken": len(tries)})
    return found


def summary(runs: list[dict[str, float]], most_others: float) -> dict[str, Any]:
    """Medians, the lowest and highest rate, what failed, and how quiet it was."""
    rates = [run["rate"] for run in runs]
    names = [name for name in runs[0] if name not in ("failed", "taken")]
    return {
        **{name: round(statistics.median(run[name] for run in runs), 2) for name in names},
        "spread": [round(min(rates)), round(max(rates))],
        "failed": int(sum(run["failed"] for run in runs)),
        "quiet": sum(run["others"] <= most_others for run in runs),
        "taken": int(sum(run["taken"] for run in runs)),
    }


def ratio(ours: list[dict[str, float]], theirs: list[dict[str, float]], of: str = "rate") -> dict[str, Any]:
    """The median of the rounds' ratios, the lowest and the highest."""
    ratios = [mine[of] / other[of] for mine, other in zip(ours, theirs, strict=True) if other[of]]
    return {"median": round(statistics.median(ratios), 3), "spread": [round(min(ratios), 3), round(max(ratios), 3)]}
