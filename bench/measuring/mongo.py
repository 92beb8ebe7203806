"""What `bench/api_mongo.py` compares: everything on one `mongod`, each in a database of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import psutil
from measuring.peers import ADDRESSES, ALL, ROWS, UVICORN, Field, database, pulpo_command, python_of_peers, verify
from measuring.report import SCENARIOS, Goals
from measuring.servers import HERE, Measured, Server

from pulpo.services import mongod

PEERS = ("beanie", "beanie in transactions")
OTHERS = ("ceiling", "pulpo on sqlite")
BEANIE = {"get": 6, "products": 5, "orders": 11, "post": 4, "put": 3}
USER, PASSWORD = "bench", "bench"


class OnMongo(Server):
    """A server whose work is partly the database's: that counts as its own, not as others'."""

    mongod: psutil.Process

    def load(self, scenario: str, seconds: int, serial: int) -> dict[str, float]:
        """Load it once; `mongod_us` is the processor time of the database for each request."""
        before = self._of_mongod()
        found = super().load(scenario, seconds, serial)
        used = self._of_mongod() - before
        return {
            **found,
            "own_cpu": found["own_cpu"] + used,
            "mongod_us": used / max(found["rate"] * seconds, 1) * 1e6,
        }

    def _of_mongod(self) -> float:
        return float(sum(self.mongod.cpu_times()[:2]))


class MongoField(Field):
    """Everything that is measured in one run: a `mongod` as `pulpo up` starts it, and who works on it."""

    server: mongod.Server | None = None

    def start(self) -> list[Measured]:
        """Start the database, make the rows, start the servers, and hold each to its answers."""
        place = self.folder / "mongod"
        self.server = mongod.start(place, keyfile=mongod.make_keyfile(place / "keyfile"))
        mongod.initiate((self.server.port,))
        mongod.create_user(self.server.port, USER, PASSWORD)
        lines = self.folder / "rows.jsonl"
        ours = {"PULPO_DATABASE_URL": self._url("pulpo")}
        command = pulpo_command(self.folder, ROWS, ROWS, lines, environ=ours)
        sizes = self._on_mongo("pulpo", command, ours)
        theirs = {"BENCH_DATABASE": self._url("beanie")}
        if any(name in PEERS for name in self.wanted):
            seeding = [python_of_peers(), str(HERE / "seed_beanie.py"), str(lines)]
            subprocess.run(seeding, env={**os.environ, **theirs}, check=True)
        if "beanie" in self.wanted:
            self._on_mongo("beanie", [python_of_peers(), *UVICORN, "with_beanie:app"], theirs)
        if "beanie in transactions" in self.wanted:
            # The same server on the same rows, which were verified just now.
            more = {**theirs, "BENCH_TRANSACTIONS": "1"}
            command_of_peer = [python_of_peers(), *UVICORN, "with_beanie:app"]
            self._on_mongo("beanie in transactions", command_of_peer, more, ["put"])
        if "ceiling" in self.wanted:
            self._add("ceiling", [sys.executable, *UVICORN, "constant:app"], {"BENCH_SIZES": json.dumps(sizes)})
        if "pulpo on sqlite" in self.wanted:
            environ = database(self.folder / "pulpo.db")
            self._add("pulpo on sqlite", pulpo_command(self.folder, ROWS, ROWS, environ=environ), environ)
            verify(self.servers["pulpo on sqlite"])
        return list(self.servers.values())

    def _url(self, name: str) -> str:
        assert self.server is not None
        return mongod.address((self.server.port,), name, user=USER, password=PASSWORD)

    def _on_mongo(
        self, name: str, command: list[str], environ: dict[str, str], scenarios: Sequence[str] = ALL
    ) -> dict[str, int]:
        assert self.server is not None
        made = OnMongo(name, command, environ, self.folder, scenarios, ADDRESSES["get"])
        made.mongod = self.server.process
        self.servers[name] = made
        self.starts[name] = made.start()
        return verify(made) if scenarios == ALL else {}

    def memory(self) -> dict[str, float]:
        """MiB of every server, and of the database, which holds them all."""
        assert self.server is not None
        return {**super().memory(), "mongod": round(self.server.process.memory_info().rss / 2**20, 1)}

    def stop(self) -> None:
        """End every server, the database last."""
        super().stop()
        if self.server is not None:
            self.server.stop()


def goals(result: dict[str, Any]) -> list[dict[str, Any]]:
    """The goals on MongoDB that this run can judge."""
    found = Goals(result)
    for scenario, least in BEANIE.items():
        found.add(f"{SCENARIOS[scenario]}, to FastAPI + Beanie", found.of("beanie", scenario), least=least)
    found.add("GET one product, to constant bytes", found.of("ceiling", "get"), least=0.25)
    for scenario, most in {"post": 25, "put": 35}.items():
        found.add(f"{SCENARIOS[scenario]}: p99, ms", result["figures"]["pulpo"][scenario]["p99_ms"], most=most)
    return found.judged
