"""Which member of a replica set is believed: reads that follow own commits, and refusals that rest on the truth.

A member that was just elected may take a moment to know what a majority has, and one that was deposed may not know that
yet. Where a set has one member alone neither can be, and neither costs anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bson import Timestamp
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern

from pulpo.store.mongo_events import PULPO

if TYPE_CHECKING:
    from pymongo.asynchronous.database import AsyncDatabase

PATIENCE = 5_000  # milliseconds that a member is given to hear from the majority


class OwnCommits(ReadConcern):
    """What a majority has, and in it whatever this process has committed: who does not have that yet waits for it."""

    def __init__(self) -> None:
        super().__init__("majority")
        self._after: Timestamp | None = None

    def committed(self, time: Timestamp) -> None:
        """Note the cluster's time of a commit."""
        if self._after is None or time > self._after:
            self._after = time

    @property
    def document(self) -> dict[str, Any]:
        """As the driver sends it."""
        found = super().document
        if self._after is not None:
            found["afterClusterTime"] = self._after
        return found


def own_commits(database: AsyncDatabase[dict[str, Any]]) -> OwnCommits:
    """How a database that `mongo_client.database_of` gave is read."""
    found = database.read_concern
    assert isinstance(found, OwnCommits), found
    return found


class Primary:
    """The member that takes writes, as the driver sees it."""

    def __init__(self, database: AsyncDatabase[dict[str, Any]]) -> None:
        self._db = database

    @property
    def alone(self) -> bool:
        """Whether no other member could ever be elected."""
        servers = list(self._db.client.topology_description.server_descriptions().values())
        return len(servers) == 1 and len(servers[0].all_hosts) == 1

    def elected(self) -> object:
        """Its name and election: the same before and after something means that it was one primary's term."""
        servers = self._db.client.topology_description.server_descriptions().values()
        return tuple((one.address, one.election_id) for one in servers if one.is_writable)

    async def still(self, elected: object) -> bool:
        """Whether the primary of before is so still, and so what was read from it meanwhile was the truth.

        A linearizable read says so: the member answers once a majority has followed it.
        """
        if self.alone:
            return True
        look = {"find": PULPO, "filter": {"_id": "format"}, "limit": 1, "singleBatch": True}
        try:
            await self._db.command({**look, "readConcern": {"level": "linearizable"}, "maxTimeMS": PATIENCE})
        except PyMongoError:
            return False
        return self.elected() == elected
