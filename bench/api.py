"""How fast the HTTP API is: Pulpo's order app beside FastAPI + SQLModel by hand and beside constant bytes, in turns.

    python bench/api.py [--rounds 3] [--seconds 2] [--json FILE] [--only pulpo,ceiling]

Each server is one process on uvicorn with uvloop and httptools; 10,000 products and orders, SQLite with
`synchronous=FULL`, 32 connections by `wrk`. Pulpo's is the real one: the example's models with their hooks, references,
ETags, request ids, metrics and access log. The peer lives in a virtual environment of its own, `.bench/venv`, made at
the first run.
"""

import argparse
import json
import os
import platform
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[1]
HERE = ROOT / "bench" / "http"
VENV = ROOT / ".bench" / "venv"
PEER = ("fastapi", "sqlmodel", "sqlalchemy[asyncio]", "aiosqlite", "uvicorn", "uvloop", "httptools")
ROWS = 10_000
CONNECTIONS = 32
SCENARIOS = {
    "get": "GET one product",
    "products": "GET 50 products",
    "orders": "GET 50 orders",
    "post": "POST order",
    "put": "PUT product",
}
ADDRESSES = {
    "get": "/products/prod_000001",
    "products": "/products?limit=50",
    "orders": "/orders?status=pending&limit=50",
}
TARGETS = {  # least ratio to the peer, least share of the ceiling
    "get": (15, 0.35),
    "products": (15, None),
    "orders": (15, None),
    "post": (9, None),
    "put": (9, None),
}


class Server:
    """A server process, its address and how it is started."""

    def __init__(self, name: str, command: list[str], environ: dict[str, str], folder: Path) -> None:
        self.name, self.command, self.environ, self.folder = name, command, environ, folder
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> float:
        """Start it; the seconds until it first answers with 200."""
        began = time.perf_counter()
        with (self.folder / f"{self.name}.log").open("ab") as log:
            command = [part.format(port=self.port) for part in self.command]
            environ = {**os.environ, **self.environ}
            self.process = subprocess.Popen(command, cwd=self.folder, env=environ, stdout=log, stderr=log)
        while time.perf_counter() - began < 30 and self.process.poll() is None:
            try:
                with urllib.request.urlopen(self.url + ADDRESSES["get"], timeout=5):
                    return time.perf_counter() - began
            except OSError:
                time.sleep(0.01)
        sys.exit(f"{self.name} did not start:\n{(self.folder / f'{self.name}.log').read_text()[-2000:]}")

    def stop(self) -> None:
        """End it."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(12)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def memory(self) -> float:
        """MiB in memory."""
        assert self.process is not None
        return psutil.Process(self.process.pid).memory_info().rss / 2**20

    def cpu(self) -> float:
        """Seconds of processor time so far."""
        assert self.process is not None
        return sum(psutil.Process(self.process.pid).cpu_times()[:2])

    def load(self, scenario: str, seconds: int, serial: int) -> dict[str, float]:
        """Load it once."""
        environ = {"BENCH_SCENARIO": scenario, "BENCH_SERIAL": str(serial), "BENCH_ROWS": str(ROWS)}
        command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "30s"]
        cpu = self.cpu()
        ran = subprocess.run(
            [*command, "-s", str(HERE / "load.lua"), self.url],
            env={**os.environ, **environ},
            capture_output=True,
            text=True,
            check=True,
        )
        found = json.loads(next(line for line in ran.stdout.splitlines() if line.startswith("RESULT "))[7:])
        answered = found["requests"] - found["bad"]
        return {
            "rate": answered / found["seconds"],
            "cpu_us": (self.cpu() - cpu) / max(found["requests"], 1) * 1e6,
            "p50_ms": found["p50_ms"],
            "p99_ms": found["p99_ms"],
            "failed": found["bad"] + found["broken"],
        }


def ask(url: str, path: str, method: str = "GET", body: dict[str, Any] | None = None) -> tuple[int, bytes]:
    """One request."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url + path, data, {"Content-Type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def verify(server: Server) -> dict[str, int]:
    """Hold a server to the same answers as the other; the sizes of its answers."""
    sizes, facts = {}, {}
    for scenario, address in ADDRESSES.items():
        status, body = ask(server.url, address)
        assert status == 200, (server.name, scenario, status, body)
        sizes[scenario], facts[scenario] = len(body), json.loads(body)
    assert facts["get"]["sku"] == "SKU-000001", facts["get"]
    assert [each["id"] for each in facts["products"]] == [f"prod_{ROWS - 1 - n:06}" for n in range(50)]
    assert [each["id"] for each in facts["orders"]] == [f"order_{ROWS - 5 - 5 * n:06}" for n in range(50)]
    line = {"product_id": "prod_000001", "quantity": 2, "unit_price": 1.5}
    order = {"order_number": "CHECK", "customer_id": "cust_000001", "shipping_address_id": "addr_000001"}
    order |= {"items": [line] * 3, "total": 9}
    status, body = ask(server.url, "/orders", "POST", order)
    assert status == 201, (server.name, body)
    sizes["post"] = len(body)
    assert ask(server.url, "/orders", "POST", order)[0] == 409
    wrong = ({"total": 8}, {"items": []}, {"customer_id": "none"}, {"items": [{**line, "product_id": "none"}]})
    for change in wrong:
        assert ask(server.url, "/orders", "POST", {**order, "order_number": "WRONG", **change})[0] == 422, change
    product = {key: facts["get"][key] for key in ("sku", "name", "price", "category", "location")}
    status, body = ask(server.url, ADDRESSES["get"], "PUT", {**product, "inventory": 7})
    assert status == 200, (server.name, body)
    sizes["put"] = len(body)
    stored = json.loads(ask(server.url, ADDRESSES["get"])[1])
    assert (stored["inventory"], stored["on_hand"], stored["version"]) == (7, 7, 2), stored
    return sizes


def prepare(folder: Path, wanted: list[str]) -> dict[str, Server]:
    """The servers, each with its rows; the ceiling's answers get Pulpo's sizes when it is started."""
    app, lines = folder / "app", folder / "rows.jsonl"
    kept = shutil.ignore_patterns(".*", "generated", "__pycache__")
    shutil.copytree(ROOT / "examples" / "ecommerce-app", app, ignore=kept)
    database = {"PULPO_DATABASE_URL": f"sqlite:///{folder / 'pulpo.db'}"}
    quiet = {"stdout": subprocess.DEVNULL}
    subprocess.run([sys.executable, "-m", "pulpo.cli.main", "compile"], cwd=app, check=True, **quiet)
    command = [sys.executable, str(HERE / "seed.py"), str(app), str(ROWS), str(lines)]
    subprocess.run(command, env={**os.environ, **database}, check=True)
    uvicorn = ["-m", "uvicorn", "--loop", "uvloop", "--http", "httptools", "--no-access-log", "--port", "{port}"]
    pulpo = [sys.executable, "-m", "pulpo.runtime.http", "--root", str(app), "--port", "{port}"]
    servers = {"pulpo": Server("pulpo", pulpo, database, folder)}
    if "by hand" in wanted:
        python, environ = peer(), {"BENCH_DATABASE": str(folder / "by_hand.db")}
        seeding = [python, str(HERE / "seed_by_hand.py"), str(lines)]
        subprocess.run(seeding, env={**os.environ, **environ}, check=True)
        command = [python, *uvicorn, "--app-dir", str(HERE), "by_hand:app"]
        servers["by hand"] = Server("by hand", command, environ, folder)
    if "ceiling" in wanted:
        command = [sys.executable, *uvicorn, "--app-dir", str(HERE), "constant:app"]
        servers["ceiling"] = Server("ceiling", command, {}, folder)
    return servers


def peer() -> str:
    """The Python of the peer's environment, made if need be."""
    python, ready = VENV / "bin" / "python", VENV / ".ready"
    if not ready.exists() or ready.read_text() != " ".join(PEER):
        print(f"making {VENV} with {', '.join(PEER)}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *PEER], check=True)
        ready.write_text(" ".join(PEER))
    return str(python)


def measure(rounds: int, seconds: int, wanted: list[str]) -> dict[str, Any]:
    """Every scenario on every server, in turns."""
    serial, found = iter(range(1, 10**6)), {}
    with tempfile.TemporaryDirectory() as name:
        servers = prepare(Path(name), wanted)
        starts, memory = {}, {}
        try:
            starts["pulpo"] = servers["pulpo"].start()
            sizes = verify(servers["pulpo"])
            for server in servers.values():
                if server.name != "pulpo":
                    server.environ |= {"BENCH_SIZES": json.dumps(sizes)}
                    starts[server.name] = server.start()
            if "by hand" in servers:
                verify(servers["by hand"])
            for number in range(rounds + 1):
                for scenario in SCENARIOS:
                    for server in servers.values():
                        run = server.load(scenario, seconds if number else 1, next(serial))
                        if number:  # the first round only warms
                            found.setdefault((server.name, scenario), []).append(run)
            memory = {name: round(server.memory(), 1) for name, server in servers.items()}
        finally:
            for server in servers.values():
                server.stop()
    return {
        "python": platform.python_version(),
        "rounds": rounds,
        "seconds": seconds,
        "start_to_first_200_s": {name: round(start, 2) for name, start in starts.items()},
        "memory_mib": memory,
        "figures": {name: {each: summary(found[name, each]) for each in SCENARIOS} for name in servers},
        "pulpo_to": {
            name: {each: ratio(found["pulpo", each], found[name, each]) for each in SCENARIOS}
            for name in servers
            if name != "pulpo"
        },
    }


def summary(runs: list[dict[str, float]]) -> dict[str, Any]:
    """Medians, and the lowest and highest rate."""
    rates = [run["rate"] for run in runs]
    medians = {key: round(statistics.median(run[key] for run in runs), 2) for key in runs[0] if key != "failed"}
    return {**medians, "spread": [round(min(rates)), round(max(rates))], "failed": sum(run["failed"] for run in runs)}


def ratio(ours: list[dict[str, float]], theirs: list[dict[str, float]]) -> dict[str, Any]:
    """The median of the rounds' ratios, the lowest and the highest."""
    ratios = [mine["rate"] / other["rate"] for mine, other in zip(ours, theirs, strict=True)]
    return {"median": round(statistics.median(ratios), 3), "spread": [round(min(ratios), 3), round(max(ratios), 3)]}


def show(result: dict[str, Any]) -> None:
    """Tables for people."""
    print(f"{'requests/s (p99 ms)':<20}" + "".join(f"{title:>20}" for title in SCENARIOS.values()))
    for name, figures in result["figures"].items():
        cells = (f"{figures[each]['rate']:,.0f} ({figures[each]['p99_ms']:.1f})" for each in SCENARIOS)
        print(f"{name:<20}" + "".join(f"{cell:>20}" for cell in cells))
    for name, ratios in result["pulpo_to"].items():
        cells = ("{median:.2f} [{spread[0]:.2f} {spread[1]:.2f}]".format(**ratios[each]) for each in SCENARIOS)
        print(f"{f'pulpo / {name}':<20}" + "".join(f"{cell:>20}" for cell in cells))
    for scenario, (least, share) in TARGETS.items():
        for name, bound in (("by hand", least), ("ceiling", share)):
            got = result["pulpo_to"].get(name, {}).get(scenario, {}).get("median")
            if got is not None and bound is not None:
                verdict = "met" if got >= bound else "MISSED"
                print(f"  {SCENARIOS[scenario]}: {got:g} x {name}, wanted {bound:g}: {verdict}")
    failed = {(name, each): f[each]["failed"] for name, f in result["figures"].items() for each in SCENARIOS}
    print("failed requests:", {f"{n} {s}": count for (n, s), count in failed.items() if count} or "none")
    print("start to first 200 (s):", result["start_to_first_200_s"], " memory after load (MiB):", result["memory_mib"])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=2, help="how long each load lasts")
    parser.add_argument("--only", default="pulpo,by hand,ceiling", help="pulpo, and with it these")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    if shutil.which("wrk") is None:
        print("wrk, which makes the load, is not on the PATH: install it (Debian, Ubuntu: apt install wrk); skipped")
        return
    result = measure(given.rounds, given.seconds, given.only.split(","))
    show(result)
    if given.json:
        given.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
