"""The session that a process' transactions run in: begun, committed until the outcome is known, given up.

A process that is killed leaves its transaction open on the server, which ends it a minute later and lets nobody write
its documents until then. So who is kept from a document for longer than transactions of Pulpo's usually take ends those
that lie about: whose connection is gone, which a killed process' is at once, or that are open for long. One whose owner
lives after all begins again: to it this is a conflict like any other.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from bson import Timestamp
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

if TYPE_CHECKING:
    from pymongo.asynchronous.client_session import AsyncClientSession
    from pymongo.asynchronous.database import AsyncDatabase

LOOK = 0.3  # seconds in the way of others until somebody looks whose transaction it is
ABANDONED = 5.0  # seconds that a transaction is open before it is taken for one that nobody comes back to
MAJORITY = WriteConcern("majority", j=True, wtimeout=30_000)
SNAPSHOT = ReadConcern("snapshot")
log = logging.getLogger("pulpo.store")


class UnknownOutcomeError(Exception):
    """Nobody could be asked what came of a commit."""


class Transactions:
    """One transaction after another."""

    def __init__(self, database: AsyncDatabase[dict[str, Any]], *, app: str, patience: float) -> None:
        self._db = database
        self._app = app
        self._patience = patience
        wait = int(min(10.0, patience) * 1000)  # then the commit is asked for again
        self._majority = WriteConcern("majority", j=True, wtimeout=wait)
        self._session: AsyncClientSession | None = None
        self._asked = 0.0

    async def begin(self) -> AsyncClientSession:
        """Begin one. It is to end with `commit` or `give_up`."""
        if self._session is None:
            self._session = self._db.client.start_session(causal_consistency=False)
        await self._session.start_transaction(read_concern=SNAPSHOT, write_concern=self._majority)
        return self._session

    async def commit(self) -> Timestamp | None:
        """Commit, on the disks of a majority. Returns the cluster's time.

        Only the server's word that there is no such transaction, after waiting for a majority to agree, says that it is
        not committed. Whatever else goes wrong, the same commit is asked for again, which never applies twice.

        Raises:
            UnknownOutcomeError: Whether it is committed could not be learned within the patience.
            PyMongoError: It is certainly not; the first reason given.
        """
        session = self._session
        assert session is not None
        deadline = time.monotonic() + self._patience
        pause = 0.02
        refused: PyMongoError | None = None
        while True:
            try:
                await session.commit_transaction()
            except PyMongoError as error:
                if error.has_error_label("TransientTransactionError"):
                    raise refused or error from None
                if time.monotonic() >= deadline:
                    raise UnknownOutcomeError from error
                if not error.has_error_label("UnknownTransactionCommitResult"):
                    refused = refused or error
                await asyncio.sleep(pause)
                pause = min(0.5, pause * 2)
            else:
                return session.operation_time

    async def drop(self) -> None:
        """Leave a transaction that has nothing to make durable."""
        if self._session is not None and self._session.in_transaction:
            await self._session.abort_transaction()

    async def close(self) -> None:
        """Leave a transaction, if there is one, and the session: one that saw trouble is not used again."""
        session, self._session = self._session, None
        if session is not None:
            await session.end_session()

    async def end_abandoned(self) -> None:
        """End the transactions of this user's that do nothing now and to which, it seems, nobody comes back.

        Where the server refuses, whoever waits goes on waiting: it ends them by itself after a minute.
        """
        now = time.monotonic()
        if now - self._asked < LOOK:
            return
        self._asked = now
        try:
            await self._end_abandoned()
        except PyMongoError as error:
            log.warning("transactions that nobody comes back to could not be ended: %s", type(error).__name__)

    async def _end_abandoned(self) -> None:
        pipeline: list[dict[str, Any]] = [
            {"$currentOp": {"allUsers": False, "idleSessions": True, "idleConnections": True}},
            {"$match": {"appName": self._app}},
            {"$project": {"type": 1, "lsid": 1, "connectionId": 1, "shard": 1, "transaction.timeOpenMicros": 1}},
        ]
        admin = self._db.client.admin
        found = await (await admin.aggregate(pipeline)).to_list()
        connected = {one.get("connectionId") for one in found if one["type"] == "op"}
        idle = [one for one in found if one["type"] == "idleSession" and "transaction" in one]
        left = [one for one in idle if _left(one, connected)]
        if left:
            await admin.command({"killSessions": [{"id": one["lsid"]["id"]} for one in left]})


def _left(session: Mapping[str, Any], connected: Collection[int | None]) -> bool:
    """Whether a transaction's owner is gone, or has not done anything for so long that it might as well be."""
    seconds = session["transaction"]["timeOpenMicros"] / 1_000_000
    if seconds > ABANDONED:
        return True
    # Behind a router a shard sees the router's connections, not those of processes.
    return seconds > LOOK and "shard" not in session and session.get("connectionId") not in connected
