"""MongoDB for proofs: one server, or a replica set of three whose members are killed and brought back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from pulpo.services import mongod

STORES = ("sqlite", "mongodb")
PATIENCE = 60.0
_SERVING = ("PRIMARY", "SECONDARY")


class Members:
    """Three members on this machine."""

    def __init__(self, folder: Path) -> None:
        self._servers = [mongod.start(folder / f"member-{number}", oplog_mb=200) for number in range(3)]
        self._ports = tuple(server.port for server in self._servers)

    def __enter__(self) -> Self:
        try:
            mongod.initiate(self._ports)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for server in self._servers:
            server.stop(patience=0.0)  # asked to end, one whose peers are gone would wait for them

    def url(self, database: str) -> str:
        """The `database.url` of a database in the set."""
        return mongod.address(self._ports, database)

    def primary(self) -> int:
        """Which member takes writes, once one does."""
        deadline = time.monotonic() + PATIENCE
        while True:
            for place in self._alive():
                if self._asked(place, "hello").get("isWritablePrimary"):
                    return place
            assert time.monotonic() < deadline, "the replica set has no primary"
            time.sleep(0.05)

    def kill(self, place: int) -> None:
        """SIGKILL."""
        self._servers[place].process.kill()
        self._servers[place].process.wait()

    def restart_dead(self) -> None:
        """Start those that were killed, on their own files."""
        for place, server in enumerate(self._servers):
            if server.process.poll() is not None:
                self._servers[place] = mongod.start(server.folder, port=server.port, oplog_mb=200)

    def whole(self) -> bool:
        """Whether every member serves, so that the set can lose one."""
        if len(self._alive()) < len(self._servers):
            return False
        found = self._asked(0, "replSetGetStatus").get("members", [])
        return len(found) == len(self._servers) and all(each["stateStr"] in _SERVING for each in found)

    def wait_until_whole(self) -> None:
        """Wait for that."""
        deadline = time.monotonic() + PATIENCE
        while not self.whole():
            assert time.monotonic() < deadline, "a member does not come back"
            time.sleep(0.1)

    def _alive(self) -> list[int]:
        return [place for place, server in enumerate(self._servers) if server.process.poll() is None]

    def _asked(self, place: int, question: str) -> dict[str, Any]:
        """A member's answer; nothing where it does not give one."""
        client: MongoClient[dict[str, Any]]
        with MongoClient(
            "127.0.0.1", self._ports[place], directConnection=True, serverSelectionTimeoutMS=1000, socketTimeoutMS=2000
        ) as client:
            try:
                return client.admin.command(question)
            except PyMongoError:
                return {}


@contextmanager
def database(kind: str, folder: Path) -> Iterator[str]:
    """The `database.url` of an empty database of this kind, `sqlite` (none: what a new project has) or `mongodb`."""
    if kind == "sqlite":
        yield ""
        return
    server = mongod.start(folder / "mongod")
    try:
        mongod.initiate((server.port,))
        yield mongod.address((server.port,), "shop")
    finally:
        server.stop()
