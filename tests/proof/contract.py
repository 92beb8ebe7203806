"""The API against its own document: Schemathesis asks the running order app all that `openapi.json` says.

`python -m tests.proof.contract --examples 500` is the full form (part of `make proof`): every address with that many
examples, all checks, in the phases examples, coverage, fuzzing and stateful. Exits with 1 where a check fails, where an
address was not asked often enough, or where the server broke.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.proof import contract_hooks
from tests.proof.arena import Arena

PHASES = ("examples", "coverage", "fuzzing", "stateful")
CHECKS = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
    "response_schema_conformance", "negative_data_rejection", "positive_data_acceptance", "missing_required_header",
    "unsupported_method", "allow_header_conformance", "use_after_free", "ensure_resource_availability", "ignored_auth",
    "object_level_authorization", "refused_for_what_it_means", "code_is_listed",
)  # fmt: skip
"""All of Schemathesis's, and two of our own (see `contract_hooks`).

Two find nothing to check here, and are on all the same: `ignored_auth` and `object_level_authorization`, since in
development mode whoever asks from this machine is the administrator and the document has no security schemes.
"""
FINITE = 8
"""An address that takes nothing has few different requests: how many there must be at least."""
CONFIG = """
hooks = "tests.proof.contract_hooks"
continue-on-failure = true
warnings = false
# An event stream has no end: its head and first message are looked at.
max-stream-events = 1
request-timeout = 30

[generation]
database = "none"

# A request of the right form can be refused for what it means: a reference to nothing (422), a declined card (402), a
# precondition (412). `refused_for_what_it_means` looks at the code, and is stricter than a list of statuses.
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "3xx", "400", "401", "402", "403", "404", "409", "412", "413", "415", "422", "429", "5xx"]

# 412 is a refusal too: nothing was done.
[checks.negative_data_rejection]
expected-statuses = ["400", "401", "403", "404", "405", "406", "409", "412", "415", "422", "428", "429", "5xx"]

# An answer has the cursor that the next case asks with.
[phases.stateful]
max-steps = 6
"""


@dataclass(frozen=True)
class Result:
    """What a run found. `failures` are Schemathesis's words, `cases` address -> how often it was asked."""

    operations: int
    cases: Counter[str]
    positive: Counter[str]
    checks: Counter[str]
    answers: Counter[str]
    failures: list[str]
    seconds: float
    short: list[str] = field(default_factory=list)

    @property
    def wrong(self) -> list[str]:
        """Everything that breaks the promise."""
        return [*self.failures, *self.short]


def prove(
    folder: Path, *, examples: int, phases: tuple[str, ...] = PHASES, include: str | None = None, seed: int = 1
) -> Result:
    """Start the order app with its sample shop, and ask it.

    Args:
        folder: An empty folder, the proof's own.
        examples: How many per address, in fuzzing.
        phases: Schemathesis's.
        include: A pattern of the addresses that are asked; all by default.
        seed: Of what is generated.
    """
    with ExitStack() as ends:
        arena = ends.enter_context(Arena(folder))
        arena.start_gateway()
        seeding = [sys.executable, "-m", "pulpo.cli.main", "db", "seed"]
        subprocess.run(seeding, cwd=arena.root, env=arena.environ, check=True, capture_output=True)
        api = arena.start_api()
        begun = time.monotonic()
        report, counts = folder / "junit.xml", folder / "counts.json"
        config = folder / "schemathesis.toml"
        config.write_text(CONFIG, encoding="utf-8")
        command = [
            str(Path(sys.executable).with_name("st")), "--config-file", str(config), "run", f"{api.url}/openapi.json",
            "--max-examples", str(examples), "--phases", ",".join(phases), "--checks", ",".join(CHECKS),
            "--seed", str(seed), "--no-color", "--suppress-health-check", "all", "--report", "junit",
            "--report-junit-path", str(report),
        ]  # fmt: skip
        if include is not None:
            command += ["--include-path-regex", include]
        environ = {**arena.environ, contract_hooks.COUNTS: str(counts)}
        log = folder / "schemathesis.txt"
        with log.open("w", encoding="utf-8") as out:
            done = subprocess.run(command, cwd=folder, env=environ, stdout=out, stderr=out, check=False)
        seconds = time.monotonic() - begun
        document = json.loads((arena.root / "openapi.json").read_text(encoding="utf-8"))
        alive = api.process.poll() is None
    text = log.read_text(encoding="utf-8")
    broken = [line for line in api.log if '"level":"error"' in line.replace(" ", "") and "PULPO610" in line]
    failures = [f"the server's log says: {line[:500]}" for line in broken]
    if done.returncode or not alive:
        failures.append(text[-40_000:] if alive else "the API process ended")
    return _result(document, json.loads(counts.read_text(encoding="utf-8")), failures, seconds, examples, include)


def _result(
    document: Any, counts: dict[str, dict[str, int]], failures: list[str], seconds: float, examples: int, include: Any
) -> Result:
    cases, positive = Counter[str](), Counter[str]()
    for key, count in counts["cases"].items():
        address, _, mode = key.split("|")
        cases[address] += count
        if mode == "positive":
            positive[address] += count
    described = [
        f"{method.upper()} {path}"
        for path, item in document["paths"].items()
        for method in item
        if method in ("get", "post", "put", "patch", "delete")
    ]
    least = {address: examples if _takes(document, address) else FINITE for address in described}
    short = [
        f"{address} was asked {cases[address]} times, not {least[address]}"
        for address in described
        if include is None and cases[address] < least[address]
    ]
    checks, answers = Counter(counts["checks"]), Counter(counts["answers"])
    return Result(len(described), cases, positive, checks, answers, failures, seconds, short)


def _takes(document: Any, address: str) -> bool:
    """Whether there is anything to vary in a request."""
    method, path = address.split(" ", 1)
    item = document["paths"][path]
    operation = item[method.lower()]
    return bool(item.get("parameters") or operation.get("parameters") or operation.get("requestBody"))


def table(result: Result) -> str:
    """The figures, for people."""
    lines = [f"{'address':<66}{'cases':>8}{'positive':>10}"]
    lines += [
        f"{address:<66}{count:>8}{result.positive[address]:>10}" for address, count in sorted(result.cases.items())
    ]
    lines.append("")
    lines.append(f"{'check':<34}{'passed':>10}{'failed':>8}")
    names = sorted({key.split("|")[0] for key in result.checks})
    for name in names:
        passed = result.checks[f"{name}|success"]
        failed = sum(count for key, count in result.checks.items() if key.startswith(f"{name}|")) - passed
        lines.append(f"{name:<34}{passed:>10}{failed:>8}")
    statuses = Counter[str]()
    for key, count in result.answers.items():
        statuses[key.split("|")[1]] += count
    lines.append("")
    lines.append("answers: " + ", ".join(f"{status} {count}" for status, count in sorted(statuses.items())))
    least = min(result.cases.values(), default=0)
    lines.append(
        f"{len(result.cases)} of {result.operations} addresses, {sum(result.cases.values())} requests "
        f"({least} at least), {result.seconds:.0f} s, {len(result.wrong)} wrong"
    )
    return "\n".join(lines)


def main() -> int:
    """Prove it and print what was asked; 1 where something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=500, help="examples per address")
    parser.add_argument("--include", help="a pattern of paths: only these")
    parser.add_argument("--phases", default=",".join(PHASES))
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="contract-") as folder:
        phases = tuple(given.phases.split(","))
        result = prove(Path(folder), examples=given.examples, phases=phases, include=given.include, seed=given.seed)
    print(table(result))
    for text in result.wrong:
        print(text)
    return 1 if result.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
