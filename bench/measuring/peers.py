"""The servers that `bench/api.py` compares, how each is started, and what each must answer before it is measured."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measuring.servers import HERE, ROWS, Alone, Measured, Server, Together

ROOT = HERE.parents[1]
VENV = ROOT / ".bench" / "venv"
PINS = HERE.parent / "requirements.txt"
READS = ("get", "products", "orders")
ALL = (*READS, "post", "put")
ADDRESSES = {
    "get": "/products/prod_000001",
    "products": "/products?limit=50",
    "orders": "/orders?status=pending&limit=50",
}
UVICORN = ["-m", "uvicorn", "--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning",
           "--port", "{port}", "--app-dir", str(HERE)]  # fmt: skip
GUNICORN = ["-m", "gunicorn", "--bind", "127.0.0.1:{port}", "--workers", "1", "--worker-class", "gthread",
            "--threads", "4", "--keep-alive", "30", "--log-level", "warning", "--chdir", str(HERE)]  # fmt: skip


@dataclass(frozen=True)
class Peer:
    """A server that somebody could have written instead; `command` follows the peers' Python."""

    title: str
    command: list[str]


PEERS = {
    "by hand": Peer("FastAPI + SQLModel", [*UVICORN, "by_hand:app"]),
    "fastcrud": Peer("FastAPI + FastCRUD", [*UVICORN, "with_fastcrud:app"]),
    "litestar": Peer("Litestar + Advanced Alchemy + msgspec", [*UVICORN, "with_litestar:app"]),
    "django": Peer("Django REST framework, gunicorn", [*GUNICORN, "with_django:wsgi"]),
    "django asgi": Peer("Django REST framework, uvicorn", [*UVICORN, "with_django:asgi"]),
}
OTHERS = ("ceiling", "sqlite", "two")
DEFAULT = ("by hand", *OTHERS)


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
    """Hold a server to the same answers as the others; the sizes of its answers."""
    sizes, facts = {}, {}
    for scenario, address in ADDRESSES.items():
        status, body = ask(server.url, address)
        assert status == 200, (server.name, scenario, status, body)
        sizes[scenario], facts[scenario] = len(body), json.loads(body)
    assert facts["get"]["sku"] == "SKU-000001", facts["get"]
    assert [each["id"] for each in facts["products"]] == [f"prod_{ROWS - 1 - n:06}" for n in range(50)], server.name
    assert [each["id"] for each in facts["orders"]] == [f"order_{ROWS - 5 - 5 * n:06}" for n in range(50)], server.name
    assert facts["orders"][0]["status"] == "pending", facts["orders"][0]
    line = {"product_id": "prod_000001", "quantity": 2, "unit_price": 1.5}
    order = {"order_number": "CHECK", "customer_id": "cust_000001", "shipping_address_id": "addr_000001"}
    order |= {"items": [line] * 3, "total": 9}
    status, body = ask(server.url, "/orders", "POST", order)
    assert status == 201, (server.name, body)
    assert [float(each["total_price"]) for each in json.loads(body)["items"]] == [3, 3, 3], (server.name, body)
    sizes["post"] = len(body)
    assert ask(server.url, "/orders", "POST", order)[0] in (400, 409), server.name
    wrong = ({"total": 8}, {"items": []}, {"customer_id": "none"}, {"items": [{**line, "product_id": "none"}]})
    for change in (*wrong, {"items": [{**line, "quantity": 0}], "total": 0}, {"currency": "usd"}):
        status, _ = ask(server.url, "/orders", "POST", {**order, "order_number": "WRONG", **change})
        assert status in (400, 422), (server.name, change, status)
    product = {key: facts["get"][key] for key in ("sku", "name", "price", "category", "location")}
    status, body = ask(server.url, ADDRESSES["get"], "PUT", {**product, "inventory": 7})
    assert status == 200, (server.name, body)
    sizes["put"] = len(body)
    stored = json.loads(ask(server.url, ADDRESSES["get"])[1])
    assert (stored["inventory"], stored["on_hand"], stored["version"]) == (7, 7, 2), (server.name, stored)
    return sizes


class Field:
    """Everything that is measured in one run, in a folder of its own."""

    def __init__(self, folder: Path, wanted: list[str]) -> None:
        self.folder, self.wanted = folder, wanted
        self.servers: dict[str, Server] = {}
        self.starts: dict[str, float] = {}

    def start(self) -> list[Measured]:
        """Make the rows, start the servers, and hold each to its answers; the ceiling's get Pulpo's sizes."""
        lines = self.folder / "rows.jsonl"
        self._add("pulpo", pulpo_command(self.folder, ROWS, ROWS, lines), database(self.folder / "pulpo.db"))
        sizes = verify(self.servers["pulpo"])
        first: Path | None = None
        for name in (name for name in PEERS if name in self.wanted):
            place = self.folder / f"{name.replace(' ', '_')}.db"
            first = self._rows_for(name, place, lines, first)
            self._add(name, [python_of_peers(), *PEERS[name].command], {"BENCH_DATABASE": str(place)})
            verify(self.servers[name])
        if "ceiling" in self.wanted:
            self._add("ceiling", [sys.executable, *UVICORN, "constant:app"], {"BENCH_SIZES": json.dumps(sizes)})
        measured: list[Measured] = list(self.servers.values())
        if "two" in self.wanted:
            ours = self.servers["pulpo"]
            second = Server("second", ours.command, ours.environ, self.folder, READS, ADDRESSES["get"])
            self.servers["second"] = second
            second.start()
            measured.append(Together("two", [ours, second], READS))
        if "sqlite" in self.wanted:
            place = self.folder / "alone.db"
            subprocess.run([sys.executable, str(HERE / "alone.py"), "make", str(place), str(lines)], check=True)
            measured.append(Alone("sqlite", place, ROWS))
        return measured

    def _add(self, name: str, command: list[str], environ: dict[str, str]) -> None:
        self.servers[name] = Server(name, command, environ, self.folder, ALL, ADDRESSES["get"])
        self.starts[name] = self.servers[name].start()

    def _rows_for(self, name: str, place: Path, lines: Path, first: Path | None) -> Path:
        """The peers share a schema: the rows are put in once and copied."""
        if first is None:
            first = self.folder / "peers.db"
            environ = {**os.environ, "BENCH_DATABASE": str(first)}
            command = [python_of_peers(), str(HERE / "seed_by_hand.py"), str(lines)]
            subprocess.run(command, env=environ, check=True)
        with sqlite3.connect(first) as source, sqlite3.connect(place) as copy:
            source.backup(copy)
            if name.startswith("django"):  # it keeps the values of an enumeration, SQLAlchemy their names
                copy.execute('UPDATE "order" SET status = lower(status)')
        return first

    def memory(self) -> dict[str, float]:
        """MiB of every server."""
        return {name: round(server.memory(), 1) for name, server in self.servers.items() if name != "second"}

    def stop(self) -> None:
        """End every server."""
        for server in self.servers.values():
            server.stop()


def database(path: Path) -> dict[str, str]:
    """What tells Pulpo where its database is."""
    return {"PULPO_DATABASE_URL": f"sqlite:///{path}"}


def pulpo_command(
    folder: Path,
    products: int,
    orders: int,
    lines: Path | None = None,
    name: str = "pulpo",
    environ: dict[str, str] | None = None,
) -> list[str]:
    """The order app, compiled in this folder; how its API process is started.

    The rows go to the database that `environ` tells of, or into `name`.db.
    """
    app = folder / "app"
    if not app.exists():
        kept = shutil.ignore_patterns(".*", "generated", "__pycache__")
        shutil.copytree(ROOT / "examples" / "ecommerce-app", app, ignore=kept)
        compiling = [sys.executable, "-m", "pulpo.cli.main", "compile"]
        subprocess.run(compiling, cwd=app, check=True, stdout=subprocess.DEVNULL)
    seeding = [sys.executable, str(HERE / "seed.py"), str(app), str(products), str(orders)]
    environ = {**os.environ, **(environ or database(folder / f"{name}.db"))}
    subprocess.run([*seeding, *([str(lines)] if lines else [])], env=environ, check=True)
    return [sys.executable, "-m", "pulpo.runtime.http", "--root", str(app), "--port", "{port}"]


def python_of_peers() -> str:
    """The Python of the peers' environment, made if need be."""
    python, ready = VENV / "bin" / "python", VENV / ".ready"
    if not ready.exists() or ready.read_text() != PINS.read_text():
        print(f"making {VENV} from {PINS.relative_to(ROOT)}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", "--requirement", str(PINS)], check=True)
        ready.write_text(PINS.read_text())
    return str(python)
