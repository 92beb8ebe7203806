"""The API against its own document: Schemathesis asks the running order app all that `openapi.json` says.

`python -m tests.proof.contract --examples 500` is the full form (part of `make proof`): every address with that many
examples, all checks, in the phases examples, coverage, fuzzing and stateful. Exits with 1 where a check fails, where an
address was not asked often enough, or where the server broke.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.proof import contract_hooks
from tests.proof.arena import Arena

PHASES = ("examples", "coverage", "fuzzing", "stateful")
CHECKS = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
    "response_schema_conformance", "negative_data_rejection", "positive_data_acceptance", "missing_required_header",
    "unsupported_method", "allow_header_conformance", "use_after_free", "ensure_resource_availability", "ignored_auth",
    "object_level_authorization", "refused_for_what_it_means", "code_is_listed", "no_item_broke",
)  # fmt: skip
"""All of Schemathesis's, and three of our own (see `contract_hooks`).

Two find nothing to check here, and are on all the same: `ignored_auth` and `object_level_authorization`, since in
development mode whoever asks from this machine is the administrator and the document has no security schemes.
"""
SHARDS = (r"(/aggregate|/export)$", r"(?<!/aggregate)(?<!/export)$")
"""Two parts of the addresses, each asked of a shop of its own at the same time: the figures and exports, whose requests
take longest to make up, and the rest, together, since what one gives (ids) is what another is asked with."""
METHODS = ("get", "post", "put", "patch", "delete")
BY_STATE = re.compile(r"^POST /(operations/.*(?<!/bulk)|flows/.*|runs/\{id\}/\w+)$")
"""Addresses that succeed only in some state of an order or a run, which few cases meet: where none did, they have to
have been refused for that state. All others have to have succeeded."""
MEANT = re.compile(r"PULPO40[467]|PULPO408|[a-z][a-z0-9_]*")
SPARE = 20
"""How many orders without a history are there to be deleted."""
MORE = 3
"""How often those addresses are asked again that were not asked often enough."""
FINITE = 1
"""An address that takes nothing has few different requests: how many there must be at least."""
LONGEST = 1000
"""Characters of a line of Schemathesis's report that are printed: a request can be long."""
CONFIG = """
hooks = "tests.proof.contract_hooks"
continue-on-failure = true
warnings = false
# An event stream has no end: its head and first message are looked at, and where none comes three seconds are waited.
max-stream-events = 1
request-timeout = 30

[generation]
database = "none"

# A request of the right form can be refused for what it means: a reference to nothing (422), a declined card (402), an
# event cursor that has expired (410), a precondition (412). `refused_for_what_it_means` looks at the code, and is
# stricter than a list of statuses.
[checks.positive_data_acceptance]
expected-statuses = [
  "2xx", "3xx", "400", "401", "402", "403", "404", "409", "410", "412", "413", "415", "422", "429", "5xx"
]

# 412 is a refusal too: nothing was done.
[checks.negative_data_rejection]
expected-statuses = ["400", "401", "403", "404", "405", "406", "409", "412", "415", "422", "428", "429", "5xx"]

[[operations]]
include-path-regex = "/events$"
request-timeout = 3
"""


@dataclass
class Result:
    """What was found: everything that breaks the promise (`failures`), how often each address was asked (`cases`)."""

    operations: int = 0
    fuzzed: Counter[str] = field(default_factory=Counter)
    cases: Counter[str] = field(default_factory=Counter)
    positive: Counter[str] = field(default_factory=Counter)
    phases: Counter[str] = field(default_factory=Counter)
    checks: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    dropped: int = 0
    failures: list[str] = field(default_factory=list)
    seconds: float = 0

    def add(self, other: Result) -> None:
        """Take in what was found beside this, at the same time."""
        self.operations += other.operations
        self.dropped += other.dropped
        self.seconds = max(self.seconds, other.seconds)
        self.failures += other.failures
        for name in ("fuzzed", "cases", "positive", "phases", "checks", "answers"):
            getattr(self, name).update(getattr(other, name))


def prove(
    folder: Path, *, examples: int, phases: tuple[str, ...] = PHASES, include: str | None = None, seed: int = 1
) -> Result:
    """Start the order app with its sample shop, and ask it.

    Args:
        folder: An empty folder, the proof's own.
        examples: How many per address.
        phases: Schemathesis's.
        include: A pattern of the addresses that are asked; all by default.
        seed: Of what is generated.
    """
    begun = time.monotonic()
    result = Result()
    with ExitStack() as ends:
        arena = ends.enter_context(Arena(folder))
        arena.start_gateway()
        seeding = [sys.executable, "-m", "pulpo.cli.main", "db", "seed"]
        subprocess.run(seeding, cwd=arena.root, env=arena.environ, check=True, capture_output=True)
        api = arena.start_api()
        spare = _trade(api.url)
        document = json.loads((arena.root / "openapi.json").read_text(encoding="utf-8"))
        least = {
            f"{method.upper()} {path}": examples if _takes(item, item[method]) else FINITE
            for path, item in document["paths"].items()
            for method in item
            if method in METHODS and (include is None or re.search(include, path))
        }
        result.operations = len(least)
        only = [] if include is None else ["--include-path-regex", include]
        asking = ["--phases", ",".join(phases), "--max-examples", str(examples), *only]
        _ask(arena, api.url, result, asking, seed, spare)
        for again in range(1, MORE + 1):  # what is filtered out counts as an example to Schemathesis, and not to us
            short = [address for address in least if result.fuzzed[address] < least[address]]
            if short and not result.failures and "fuzzing" in phases:
                chosen = [word for address in short for word in ("--include-name", address)]
                _ask(
                    arena,
                    api.url,
                    result,
                    ["--phases", "fuzzing", "--max-examples", str(examples), *chosen],
                    seed + again,
                )
        if api.process.poll() is not None:
            result.failures.append("the API process ended")
    result.failures += [f"the server's log says: {line[:500]}" for line in api.log if "PULPO610" in line]
    result.failures += [
        f"{address} was asked {result.fuzzed[address]} times, not {count}"
        for address, count in least.items()
        if "fuzzing" in phases and result.fuzzed[address] < count
    ]
    result.failures += in_vain(result, least) if "fuzzing" in phases else []
    result.seconds = time.monotonic() - begun
    return result


def in_vain(result: Result, addresses: Iterable[str]) -> list[str]:
    """The addresses that never did what they are for, each as a sentence."""
    seen: dict[str, set[tuple[str, str]]] = {}
    for key in result.answers:
        address, status, code = key.split("|")
        seen.setdefault(address, set()).add((status, code))
    found = []
    for address in addresses:
        answers = seen.get(address, set())
        if any(status.startswith("2") for status, _ in answers):
            continue
        if BY_STATE.match(address) and any(MEANT.fullmatch(code) for _, code in answers):
            continue
        found.append(f"{address} never succeeded: {sorted(answers)}")
    return found


def _ask(
    arena: Arena, url: str, result: Result, options: list[str], seed: int, spare: dict[str, list[str]] | None = None
) -> None:
    """One run of Schemathesis; what it found is added to the result. `spare` are ids of what it may delete."""
    folder = arena.root.parent
    config, log, counts = (folder / name for name in ("schemathesis.toml", "schemathesis.txt", "counts.json"))
    config.write_text(CONFIG, encoding="utf-8")
    command = [
        str(Path(sys.executable).with_name("st")), "--config-file", str(config),
        "run", str(arena.root / "openapi.json"), "--url", url, "--checks", ",".join(CHECKS), "--seed", str(seed),
        "--no-color", "--suppress-health-check", "all", *options,
    ]  # fmt: skip
    there = folder / "documents.json"
    there.write_text(json.dumps({"known": _documents(url), "spare": spare or {}}), encoding="utf-8")
    environ = {**arena.environ, contract_hooks.COUNTS: str(counts), contract_hooks.DOCUMENTS: str(there)}
    with log.open("w", encoding="utf-8") as out:
        done = subprocess.run(command, cwd=folder, env=environ, stdout=out, stderr=out, check=False)
    if done.returncode:
        lines = log.read_text(encoding="utf-8").splitlines()
        result.failures.append("\n".join(line[:LONGEST] for line in lines if line))
    if not counts.exists():
        result.failures.append("Schemathesis was ended")
        return
    found = json.loads(counts.read_text(encoding="utf-8"))
    counts.unlink()
    for key, count in found["cases"].items():
        address, phase, mode = key.split("|")
        result.cases[address] += count
        result.phases[phase] += count
        if phase == "fuzzing":
            result.fuzzed[address] += count
        if mode == "positive":
            result.positive[address] += count
    result.checks.update(found["checks"])
    result.answers.update(found["answers"])
    result.dropped += found["dropped"]


def _trade(url: str) -> dict[str, list[str]]:
    """What the sample shop has not: a call, an order shipped and partly on its way back, orders that nothing hangs on.

    Returns:
        The ids of what may be deleted, by collection.
    """
    with httpx.Client(base_url=url, trust_env=False, timeout=30) as client:
        placed = [client.post("/orders", json=_order(number)).raise_for_status().json() for number in range(SPARE + 1)]
        id = placed[0]["id"]
        client.post("/operations/orders/checkout/validate_items", json={"order_id": id}).raise_for_status()
        given = {"order_id": id, "payment_method": "credit_card", "address_zip": "90210"}
        run = client.post("/flows/order_to_cash/runs", json=given).raise_for_status().json()
        client.get(f"/runs/{run['id']}/events").raise_for_status()  # the stream ends with the run
        back = {"order_id": id, "items": [{"product_id": "prod_456", "quantity": 1}], "reason": "too many"}
        client.post("/return_requests", json=back).raise_for_status()
    return {"orders": [order["id"] for order in placed[1:]]}


def _order(number: int) -> dict[str, Any]:
    item = {"product_id": "prod_456", "quantity": 2, "unit_price": 19.99}
    return {
        "order_number": f"CONTRACT-{number}",
        "customer_id": "cust_123",
        "items": [item],
        "total": 39.98,
        "shipping_address_id": "addr_789",
    }


def _documents(url: str) -> dict[str, list[Any]]:
    """What the shop has, by collection."""
    with httpx.Client(base_url=url, trust_env=False, timeout=30) as client:
        paths = client.get("/openapi.json").raise_for_status().json()["paths"]
        lists = [path for path, item in paths.items() if "get" in item and f"{path}/{{id}}" in paths]
        return {path[1:]: client.get(path, params={"limit": 50}).raise_for_status().json() for path in lists}


def _takes(item: Any, operation: Any) -> bool:
    """Whether there is anything to vary in a request."""
    return bool(item.get("parameters") or operation.get("parameters") or operation.get("requestBody"))


def table(result: Result) -> str:
    """The figures, for people."""
    lines = [f"{'address':<66}{'cases':>8}{'fuzzing':>10}{'positive':>10}"]
    lines += [
        f"{address:<66}{count:>8}{result.fuzzed[address]:>10}{result.positive[address]:>10}"
        for address, count in sorted(result.cases.items())
    ]
    done = {key.split("|")[0] for key in result.answers if key.split("|")[1].startswith("2")}
    lines += ["", *(f"refused for its state alone: {address}" for address in sorted(result.cases.keys() - done))]
    lines += ["", f"{'check':<34}{'made':>10}"]
    lines += [f"{name:<34}{result.checks[name]:>10}" for name in CHECKS]
    statuses = Counter[str]()
    for key, count in result.answers.items():
        statuses[key.split("|")[1]] += count
    lines += ["", "answers: " + ", ".join(f"{status} {count}" for status, count in sorted(statuses.items()))]
    lines.append("phases: " + ", ".join(f"{phase} {count}" for phase, count in sorted(result.phases.items())))
    lines.append(
        f"{len(result.cases)} of {result.operations} addresses, {sum(result.cases.values())} requests, "
        f"{result.dropped} that only looked wrong, "
        f"{result.seconds:.0f} s, {len(result.failures)} wrong"
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
    phases = tuple(given.phases.split(","))
    with tempfile.TemporaryDirectory(prefix="contract-") as folder, ThreadPoolExecutor() as threads:

        def shard(number: int, include: str) -> Result:
            own = Path(folder, str(number))
            own.mkdir()
            return prove(own, examples=given.examples, phases=phases, include=include, seed=given.seed)

        result = Result()
        shards = SHARDS if given.include is None else (given.include,)
        for part in threads.map(shard, range(len(shards)), shards):
            result.add(part)
    print(table(result))
    for text in result.failures:
        print(text)
    return 1 if result.failures else 0


if __name__ == "__main__":
    sys.exit(main())
