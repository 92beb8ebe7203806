"""What holds for every test."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from pulpo.services import mongod


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name a long value by its length: processes inherit the name of the test, and an environment has bounds."""
    return f"{argname}-of-{len(val)}" if isinstance(val, str | bytes) and len(val) > 1000 else None


@pytest.fixture(autouse=True)
def _import_path() -> Iterator[None]:
    """Tests load projects from folders of their own: none is left on the import path."""
    path = list(sys.path)
    yield
    sys.path[:] = path


@pytest.fixture(scope="session")
def mongodb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a MongoDB replica set: of `PULPO_TEST_MONGODB`, or of one started for these tests."""
    if given := os.environ.get("PULPO_TEST_MONGODB"):
        yield given
        return
    server = mongod.start(tmp_path_factory.mktemp("mongod"))
    try:
        mongod.initiate((server.port,))
        yield mongod.address((server.port,), "test")
    finally:
        server.stop()


@pytest.fixture
def mongodb_url(mongodb: str) -> Iterator[Callable[[], str]]:
    """Makes addresses of databases that are not there yet; what was made of them is dropped after the test."""
    from pymongo import MongoClient

    names: list[str] = []

    def made() -> str:
        names.append(f"test_{uuid.uuid4().hex[:16]}")
        return urlsplit(mongodb)._replace(path=f"/{names[-1]}").geturl()

    yield made
    with MongoClient(mongodb) as client:
        # Transactions of processes that were killed would keep the databases from being dropped.
        client.admin.command("killAllSessions", [])
        for name in names:
            client.drop_database(name)


@pytest.fixture(params=os.environ.get("PULPO_TEST_STORES", "sqlite,mongodb").split(","))
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database, of each kind in turn: what an application promises holds on every store."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'data.db'}"
    made: Callable[[], str] = request.getfixturevalue("mongodb_url")
    return made()
