"""What a run of `bench/api.py` says: tables for people, the goals, and the part of docs/performance.md made of it."""

import re
from pathlib import Path
from typing import Any

from measuring.peers import PEERS

SCENARIOS = {
    "get": "GET one product",
    "products": "GET 50 products",
    "orders": "GET 50 orders",
    "post": "POST order",
    "put": "PUT product",
}
BY_HAND = {"get": 15, "products": 15, "orders": 15, "post": 9, "put": 9}
TITLES = {
    "pulpo": "Pulpo",
    **{name: peer.title for name, peer in PEERS.items()},
    "ceiling": "constant bytes",
    "two": "Pulpo, two processes",
    "sqlite": "SQLite alone, 32 a commit",
    "beanie": "FastAPI + Beanie",
    "beanie in transactions": "FastAPI + Beanie, in transactions",
    "pulpo on sqlite": "Pulpo on SQLite",
}
END = "<!-- end -->"


class Goals:
    """The goals that a run can judge: what, how much is wanted (at least or at most), and what there was."""

    def __init__(self, result: dict[str, Any]) -> None:
        self._result = result
        self.judged: list[dict[str, Any]] = []

    def add(self, what: str, got: float | None, *, least: float | None = None, most: float | None = None) -> None:
        """Judge one, if there is a figure for it."""
        if got is not None:
            met = got >= least if least is not None else got <= (most if most is not None else got)
            bound = {"least": least} if least is not None else {"most": most}
            self.judged.append({"what": what, **bound, "got": round(got, 3), "met": met})

    def of(self, name: str, scenario: str) -> float | None:
        """Pulpo's ratio to something, if that was measured."""
        ratio = self._result["pulpo_to"].get(name, {}).get(scenario)
        return ratio["median"] if ratio is not None else None


def goals(result: dict[str, Any]) -> list[dict[str, Any]]:
    """The goals of `bench/api.py`."""
    found = Goals(result)
    goal, of = found.add, found.of
    for scenario, least in BY_HAND.items():
        goal(f"{SCENARIOS[scenario]}, to FastAPI + SQLModel", of("by hand", scenario), least=least)
    goal("GET one product, to constant bytes", of("ceiling", "get"), least=0.35)
    goal("POST order, to SQLite alone at 32 a commit", of("sqlite", "post"), least=0.25)
    pulpo = result["figures"]["pulpo"]
    for scenario, title in SCENARIOS.items():
        goal(f"{title}: p99 to p50", pulpo[scenario]["p99_ms"] / pulpo[scenario]["p50_ms"], most=5)
    goal("POST order: p99, ms", pulpo["post"]["p99_ms"], most=20)
    for scenario in ("get", "products", "orders"):
        one = of("two", scenario)
        goal(f"{SCENARIOS[scenario]}: two processes to one", 1 / one if one else None, least=1.4)
    goal("start to the first 200, s", result["start_to_first_200_s"]["pulpo"], most=1.5)
    goal("memory after the load, MiB", result["memory_mib"]["pulpo"], most=90)
    return found.judged


def show(result: dict[str, Any]) -> None:
    """Tables for people."""
    print(f"{'requests/s (p99 ms)':<38}" + "".join(f"{title:>20}" for title in SCENARIOS.values()))
    for name, figures in result["figures"].items():
        print(f"{TITLES[name]:<38}" + "".join(f"{_cell(figures.get(each)):>20}" for each in SCENARIOS))
    for name, ratios in result["pulpo_to"].items():
        cells = (_ratio(ratios.get(each), "{median:.2f} [{low:.2f} {high:.2f}]") for each in SCENARIOS)
        print(f"{f'Pulpo to {TITLES[name]}':<38}" + "".join(f"{cell:>20}" for cell in cells))
    print(f"{'CPU us a request (+ of mongod)':<38}" + "".join(f"{title:>20}" for title in SCENARIOS.values()))
    for name, figures in result["figures"].items():
        cells = (_cpu(figures.get(each)) for each in SCENARIOS)
        print(f"{TITLES[name]:<38}" + "".join(f"{cell:>20}" for cell in cells))
    show_goals(result["goals"])
    failed = {f"{name} {each}": f["failed"] for name, of in result["figures"].items() for each, f in of.items()}
    print("failed requests:", {name: count for name, count in failed.items() if count} or "none")
    print("start to first 200 (s):", result["start_to_first_200_s"], " memory after load (MiB):", result["memory_mib"])
    quiet, taken, samples = _quiet(result)
    print(f"{quiet} of {samples} samples were undisturbed; {taken} were taken")


def write_docs(markdown: str, page: Path, maker: str) -> None:
    """Put what `maker` found into the page, between its two marks."""
    begin = f"<!-- made by {maker} -->"
    text = page.read_text(encoding="utf-8")
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(END)}", re.DOTALL)
    if not pattern.search(text):
        raise SystemExit(f"{page} has no place for the figures: {begin} … {END}")
    page.write_text(pattern.sub(lambda _: f"{begin}\n{markdown}\n{END}", text), encoding="utf-8")


def show_goals(goals: list[dict[str, Any]]) -> None:
    """Whether each was met."""
    for each in goals:
        bound = f"at least {each['least']:g}" if "least" in each else f"at most {each['most']:g}"
        print(f"  {'met   ' if each['met'] else 'MISSED'} {each['what']}: {each['got']:g}, wanted {bound}")


def of_goals(goals: list[dict[str, Any]]) -> list[str]:
    """A table's lines."""
    lines = ["| goal | wanted | measured | |", "| --- | --- | --- | --- |"]
    for each in goals:
        bound = f"at least {each['least']:g}" if "least" in each else f"at most {each['most']:g}"
        lines.append(f"| {each['what']} | {bound} | {each['got']:.3g} | {'met' if each['met'] else 'missed'} |")
    return lines


def markdown(result: dict[str, Any]) -> str:
    lines = [
        "| requests/s (p99) | " + " | ".join(SCENARIOS.values()) + " |",
        "| --- |" + " --- |" * len(SCENARIOS),
    ]
    for name, figures in result["figures"].items():
        lines.append(f"| {TITLES[name]} | " + " | ".join(_cell(figures.get(each), " ms") for each in SCENARIOS) + " |")
    for name, ratios in result["pulpo_to"].items():
        if name == "two":  # a goal says it the other way round
            continue
        cells = (_ratio(ratios.get(each), "{median:.3g} ({low:.3g} to {high:.3g})") for each in SCENARIOS)
        lines.append(f"| Pulpo to {TITLES[name]} | " + " | ".join(cells) + " |")
    if any("mongod_us" in figure for figures in result["figures"].values() for figure in figures.values()):
        cpu, title = _cpu, "CPU us a request: server + mongod"
    else:
        cpu, title = _us, "CPU us a request"
    lines += ["", f"| {title} | " + " | ".join(SCENARIOS.values()) + " |", "| --- |" + " ---: |" * len(SCENARIOS)]
    for name, figures in result["figures"].items():
        cells = (cpu(figures.get(each)) for each in SCENARIOS)
        lines.append(f"| {TITLES[name]} | " + " | ".join(cells) + " |")
    quiet, _, samples = _quiet(result)
    failed = sum(figure["failed"] for figures in result["figures"].values() for figure in figures.values())
    most = result["most_others"]
    how = (
        f"{result['processors']} processors, shared with the load; Python {result['python']}, {result['rounds']} "
        f"rounds of {result['seconds']} s, medians, and the rounds' lowest and highest ratio. {quiet} of {samples} "
        f"samples were taken while others used less than {most:g} of a processor; {failed or 'no'} requests failed."
    )
    lines += [
        "",
        how,
        "",
        *of_goals(result["goals"]),
    ]
    return "\n".join(lines)


def _cell(figure: dict[str, Any] | None, unit: str = "") -> str:
    if figure is None:
        return ""
    return f"{figure['rate']:,.0f}" + (f" ({_ms(figure['p99_ms'])}{unit})" if "p99_ms" in figure else "")


def _ms(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _us(figure: dict[str, Any] | None) -> str:
    return "" if figure is None else f"{figure['cpu_us']:,.0f}"


def _cpu(figure: dict[str, Any] | None) -> str:
    if figure is None:
        return ""
    return f"{figure['cpu_us']:,.0f}" + (f" + {figure['mongod_us']:,.0f}" if "mongod_us" in figure else "")


def _ratio(ratio: dict[str, Any] | None, form: str) -> str:
    return form.format(median=ratio["median"], low=ratio["spread"][0], high=ratio["spread"][1]) if ratio else ""


def _quiet(result: dict[str, Any]) -> tuple[int, int, int]:
    """Undisturbed samples, all that were taken, and those that count."""
    figures = [figure for of in result["figures"].values() for figure in of.values()]
    return sum(f["quiet"] for f in figures), sum(f["taken"] for f in figures), len(figures) * result["rounds"]
