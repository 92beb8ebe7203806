"""`make demo`: the order system, set up, running, and given a few orders; what it did, step by step.

It works on a copy in `.demo/`. A second run copies, compiles and restarts only what has changed, and places new orders.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "examples" / "ecommerce-app"
APP = ROOT / ".demo" / "ecommerce-app"
STARTED = ROOT / ".demo" / "started-from"
PULPO = Path(sys.executable).with_name("pulpo")

FLOW = "order_to_cash"
ORDERS = 4
PATIENCE = 60.0
ENDS = {"stopped", "completed", "failed", "cancelled", "compensated"}
COPIED = "copied.json"
_MADE = {"generated", ".pulpo", "__pycache__", ".pytest_cache", ".ruff_cache", ".mypy_cache", ".hypothesis"}
_BAR = 32


class DemoFailed(Exception):
    """Something that the demo needs did not work; the text is for the person who ran it."""


def main() -> int:
    """Set up, start, order, show. Returns 0, or 1 where something did not work."""
    try:
        status = running_shop()
        api = status["api"]
        runs = sell(api)
    except DemoFailed as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    show(runs)
    print(where_next(status))
    return 0 if all(run["state"] == "completed" for run in runs) else 1


def running_shop() -> Any:
    """The shop as it runs, copied, compiled and started as far as that is needed: its status."""
    say("the order system is in .demo/ecommerce-app")
    copied, edited = copy(EXAMPLE, APP)
    print(f"  {copied} file{'s' if copied > 1 else ''} copied" if copied else "  nothing to copy")
    for relative in edited:
        print(f"  {relative} was edited there and stays as it is")
    for line in pulpo("compile").splitlines():
        print(f"  {line}")
    status, source = shop_status(), digest()
    same = STARTED.exists() and STARTED.read_text() == source
    if status["healthy"] and same:
        say("it is running already")
        return status
    if status["running"] or status["leftovers"]:
        say("the code has changed: restarting" if not same else "not all of it is well: restarting")
        pulpo("down")
    say("pulpo up")
    print(pulpo("up").rstrip())
    STARTED.write_text(source)
    return shop_status()


def sell(api: str) -> list[Any]:
    """Place orders, run the flow for all of them at once, wait for the ends: the runs with their steps."""
    say(f"placing {ORDERS} orders, and starting {FLOW} for each")
    price = ask(api, "GET", "/products/prod_456")["price"]
    begun = []
    # to the millisecond: two demos in one second sell different orders
    moment = time.strftime("%Y%m%d-%H%M%S") + f"-{time.time_ns() // 1_000_000 % 1000:03}"
    for number in range(1, ORDERS + 1):
        order = ask(
            api,
            "POST",
            "/orders",
            {
                "order_number": f"DEMO-{moment}-{number}",
                "customer_id": "cust_123",
                "items": [{"product_id": "prod_456", "quantity": number, "unit_price": price}],
                "total": round(price * number, 2),
                "shipping_address_id": "addr_789",
            },
        )
        run = ask(
            api,
            "POST",
            f"/flows/{FLOW}/runs",
            {"order_id": order["order_number"], "payment_method": "credit_card", "address_zip": "90210"},
        )
        print(f"  {order['order_number']}: {number} x {price}, total {order['total']}, run {run['id']}")
        begun.append(run["id"])
    return [ended(api, id) for id in begun]


def show(runs: list[Any]) -> None:
    """The first run's steps on one time line, and a line for each run."""
    first = runs[0]
    began = moment(first["started_at"])
    end = max((moment(step["finished_at"]) or began for step in first["steps"]), default=began)
    span = max(end - began, 1e-6)
    say(f"what ran for the first order ({first['id']})")
    print(f"  {'BRANCH':<26}{'STEP':<22}{'START':>8} {'TOOK':>8}  STATE")
    for step in sorted(first["steps"], key=lambda step: step["started_at"] or "~"):
        branch, _, name = step["operation"].rpartition(".")
        start, finish = moment(step["started_at"]), moment(step["finished_at"])
        if not start:
            print(f"  {branch:<26}{name:<22}{'-':>8} {'-':>8}  {step['state']}")
            continue
        took = (finish or end) - start
        left = int((start - began) / span * _BAR)
        bar = " " * left + "#" * max(1, min(_BAR - left, round(took / span * _BAR)))
        times = f"{ms(start - began):>8} {ms(took):>8}"
        print(f"  {branch:<26}{name:<22}{times}  {step['state']:<10} |{bar:<{_BAR}}|")
    say("all of them")
    print(f"  {'RUN':<32}{'STATE':<12}{'WALL':>8}  {'ONE BY ONE':>10}")
    for run in runs:
        wall = moment(run["finished_at"]) - moment(run["started_at"])
        apart = sum(
            moment(step["finished_at"]) - moment(step["started_at"]) for step in run["steps"] if step["finished_at"]
        )
        reason = f"  {run['error']['code']}: {run['error']['detail']}" if run["error"] else ""
        print(f"  {run['id']:<32}{run['state']:<12}{ms(wall):>8}  {ms(apart):>10}{reason}")


def where_next(status: Any) -> str:
    """Addresses and commands for who wants to look further."""
    command = os.path.relpath(PULPO, APP)
    addresses = (
        (status["ui"], "what there is, and the latest runs"),
        (f"{status['api']}/orders", "the orders, as JSON"),
        (f"{status['api']}/openapi.json", "every address of the API"),
    )
    commands = (
        (f"plan {FLOW} --why", "in which order, and why"),
        ("runs list", "what ran"),
        ("logs -f", "what its processes say"),
        ("status", "how they are"),
        ("down", "stop it all"),
    )
    lines = [f"  {address:<40} {what}" for address, what in addresses]
    lines += ["", f"  cd {APP.relative_to(ROOT)}"]
    lines += [f"  {f'{command} {arguments}':<55} {what}" for arguments, what in commands]
    return "\n".join(["", "It goes on running. Where to look:", *lines])


def copy(source: Path, target: Path) -> tuple[int, tuple[str, ...]]:
    """Bring a copy up to date, but for what running it made and what a person changed there.

    Returns:
        How many files changed, and which ones a person has edited, which are left as they are.
    """
    record = target / ".pulpo" / COPIED
    before: dict[str, str] = json.loads(record.read_text()) if record.exists() else {}
    wanted = {path.relative_to(source).as_posix(): path for path in files(source)}
    changed, edited, now = 0, [], {}
    for relative in sorted({*before, *wanted}):
        there = target / relative
        found = hashed(there) if there.exists() else None
        if found is not None and relative in before and found != before[relative]:
            edited.append(relative)
            now[relative] = before[relative]
        elif relative not in wanted:
            there.unlink(missing_ok=True)
            changed += found is not None
        else:
            now[relative] = hashed(wanted[relative])
            if found != now[relative]:
                there.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(wanted[relative], there)
                changed += 1
    record.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    record.write_text(json.dumps(now, indent=1))
    return changed, tuple(edited)


def hashed(path: Path) -> str:
    """A file's SHA-256."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def files(folder: Path) -> Iterator[Path]:
    """A folder's files, but for what compiling and running make."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not _MADE.intersection(path.relative_to(folder).parts):
            yield path


def digest() -> str:
    """What the running shop was started from: Pulpo's code and the shop's."""
    seen = hashlib.sha256()
    for folder in (ROOT / "src" / "pulpo", APP):
        for path in files(folder):
            seen.update(f"{path.relative_to(folder)}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return seen.hexdigest()


def shop_status() -> Any:
    """What `pulpo status` says."""
    done = subprocess.run([PULPO, "status", "--json"], cwd=APP, capture_output=True, text=True, check=False)
    return json.loads(done.stdout)


def pulpo(*arguments: str) -> str:
    """Run a command of Pulpo in the shop; what it printed."""
    done = subprocess.run([PULPO, *arguments], cwd=APP, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise DemoFailed(f"`pulpo {' '.join(arguments)}` failed:\n{done.stdout}{done.stderr}".rstrip())
    return done.stdout


def ask(api: str, method: str, path: str, body: object = None) -> Any:
    """One request to the API; its answer as JSON."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(api + path, data, {"Content-Type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise DemoFailed(f"{method} {path} was answered with {error.code}: {error.read().decode()}") from None


def ended(api: str, id: str) -> Any:
    """A run's document once it has come to an end."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        run = ask(api, "GET", f"/runs/{id}")
        if run["state"] in ENDS:
            return run
        time.sleep(0.1)
    raise DemoFailed(f"run {id} is still {run['state']} after {PATIENCE:.0f} s")


def moment(text: str | None) -> float:
    """A time stamp in seconds; 0 where there is none."""
    return datetime.fromisoformat(text).timestamp() if text else 0.0


def ms(seconds: float) -> str:
    """`12 ms`, or `1.25 s`."""
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.2f} s"


def say(line: str) -> None:
    """A heading."""
    print(f"\n{line}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
