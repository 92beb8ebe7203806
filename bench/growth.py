"""What the API's reads cost with a million orders, beside ten thousand: two of Pulpo's processes, loaded in turns.

    python bench/growth.py [--orders 1000000] [--quick] [--json FILE]

A million orders take a minute to write and 1.3 GB in a temporary folder (`--folder`), which is removed. What is
compared is the processor time of a request and its p50: both are disturbed less by others than the rate is.
"""

import argparse
import json
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from measuring.peers import ROWS, ask, database, pulpo_command
from measuring.samples import in_turns, ratio, summary
from measuring.servers import Server

SCENARIOS = {
    "order": "GET one order",
    "orders": "pending, the newest 50",
    "sorted": "pending, the 50 of the greatest total",
    "merged": "pending or processing, the newest 50",
    "customer": "a customer's of at least 1000, the newest 50",
}
MOST = 1.5


def measure(orders: int, folder: Path | None, **how: Any) -> dict[str, Any]:
    """Both servers, every scenario, in turns."""
    with tempfile.TemporaryDirectory(prefix="pulpo-growth-", dir=folder) as name:
        place, servers, filled = Path(name), [], {}
        try:
            for count in (ROWS, orders):
                began = time.perf_counter()
                command = pulpo_command(place, ROWS, count, name=str(count))
                filled[count] = round(time.perf_counter() - began, 1)
                environ = database(place / f"{count}.db")
                server = Server(f"{count:,}", command, environ, place, tuple(SCENARIOS), "/livez", count)
                servers.append(server)
                server.start()
                status, body = ask(server.url, "/orders?status=pending&sort=-total&limit=50")
                totals = [each["total"] for each in json.loads(body)]
                assert status == 200, body
                assert len(totals) == 50, body
                assert totals == sorted(totals, reverse=True), totals
            found = in_turns(servers, **how)
            size = sum(each.stat().st_size for each in place.glob(f"{orders}.db*")) / 2**20
        finally:
            for server in servers:
                server.stop()
    few, many = servers
    return {
        "orders": orders,
        "seconds_to_write_them": filled[orders],
        "database_mib": round(size),
        "figures": {
            server.name: {each: summary(found[server.name, each], how["most_others"]) for each in SCENARIOS}
            for server in servers
        },
        "to_few": {
            each: {of: ratio(found[many.name, each], found[few.name, each], of) for of in ("cpu_us", "p50_ms")}
            for each in SCENARIOS
        },
    }


def show(result: dict[str, Any]) -> None:
    """A table for people."""
    print(f"{result['orders']:,} orders: written in {result['seconds_to_write_them']} s, {result['database_mib']} MiB")
    few, many = result["figures"]
    titles = ("requests/s", "", "CPU us", "", "ratio", "p50 ms", "", "ratio")
    print(f"{'':<46}" + "".join(f"{title:>11}" for title in titles))
    for each, title in SCENARIOS.items():
        one, other, ratios = result["figures"][few][each], result["figures"][many][each], result["to_few"][each]
        cells = [f"{one['rate']:,.0f}", f"{other['rate']:,.0f}"]
        for of in ("cpu_us", "p50_ms"):
            cells += [f"{one[of]:,.1f}", f"{other[of]:,.1f}", f"{ratios[of]['median']:.2f}"]
        print(f"{title:<46}" + "".join(f"{cell:>11}" for cell in cells))
    for each, title in SCENARIOS.items():
        got = result["to_few"][each]["cpu_us"]["median"]
        print(f"  {'met   ' if got <= MOST else 'MISSED'} {title}: {got:g} times the CPU time, wanted at most {MOST:g}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orders", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=2, help="how long each load lasts")
    parser.add_argument("--quick", action="store_true", help="100,000 orders, one round of a second")
    parser.add_argument("--others", type=float, default=0.3, help="processors that others may use during a sample")
    parser.add_argument("--retries", type=int, default=30, help="how many disturbed samples are taken again")
    parser.add_argument("--folder", type=Path, help="where the databases are made (default: a temporary folder)")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    if shutil.which("wrk") is None:
        print("wrk, which makes the load, is not on the PATH: install it (Debian, Ubuntu: apt install wrk); skipped")
        return
    how = {"rounds": given.rounds, "seconds": given.seconds, "most_others": given.others, "retries": given.retries}
    if given.quick:
        how |= {"rounds": 1, "seconds": 1, "retries": 0}
    result = measure(100_000 if given.quick else given.orders, given.folder, **how)
    show(result)
    if given.json:
        given.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
