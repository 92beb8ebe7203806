"""The suite that every store adapter passes: each promise of `pulpo.store.port`, and nothing of one database alone.

An adapter's test module subclasses `StoreConformance` and provides two fixtures: `url`, the address of a database made
for this test, and `forgetful_url`, one that keeps the events of at most some 50 commits. It needs pytest-asyncio and
Hypothesis.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from pulpo.store.connect import connect
from pulpo.store.port import QUERY_TIMEOUT, Store
from pulpo.testing.conformance.aggregates import Aggregates
from pulpo.testing.conformance.changes import Changes
from pulpo.testing.conformance.commits import Commits
from pulpo.testing.conformance.data import COLLECTIONS, Opener
from pulpo.testing.conformance.events import Events
from pulpo.testing.conformance.processes import Processes
from pulpo.testing.conformance.queries import Queries
from pulpo.testing.conformance.upkeep import Upkeep

__all__ = ["StoreConformance"]


@pytest.mark.asyncio
class StoreConformance(Commits, Changes, Queries, Aggregates, Events, Processes, Upkeep):
    """Subclass it in an adapter's tests, as `TestMyStore`."""

    @pytest_asyncio.fixture
    async def opened(self) -> AsyncIterator[Opener]:
        """Opens a further connection to a database, as often as called; all are closed after the test."""
        stores: list[Store] = []

        async def one(url: str, query_timeout: float = QUERY_TIMEOUT) -> Store:
            store = connect(url, Path.cwd(), query_timeout=query_timeout)
            await store.open(COLLECTIONS)
            stores.append(store)
            return store

        yield one
        for store in stores:
            await store.close()

    @pytest_asyncio.fixture
    async def store(self, opened: Opener, url: str) -> Store:
        """A store on an empty database."""
        return await opened(url)
