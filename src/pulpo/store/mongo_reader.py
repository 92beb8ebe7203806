"""Reads by id: what was asked for while the last answer was under way goes to the server together."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeAlias

from pymongo.errors import PyMongoError

from pulpo.store.mongo_errors import problem
from pulpo.store.mongo_table import TEXT

if TYPE_CHECKING:
    from pymongo.asynchronous.collection import AsyncCollection

Found: TypeAlias = tuple[int, str] | None
"""A document's version and text."""

TOGETHER = 500  # ids that share a find
FIELDS = {"version": 1, TEXT: 1}


class Reader:
    """Gets the documents of a collection by id. With nothing under way a get begins at the end of the loop's turn."""

    def __init__(self, collection: AsyncCollection[dict[str, Any]]) -> None:
        self._collection = collection
        self._loop = asyncio.get_running_loop()
        self._waiting: list[tuple[str, asyncio.Future[Found]]] = []
        self._task: asyncio.Task[None] | None = None

    def get(self, id: str) -> asyncio.Future[Found]:
        """The document with this id."""
        future: asyncio.Future[Found] = self._loop.create_future()
        self._waiting.append((id, future))
        if self._task is None:
            self._task = self._loop.create_task(self._work())
        return future

    async def close(self) -> None:
        """Wait for what is under way."""
        if self._task is not None:
            await self._task

    async def _work(self) -> None:
        while self._waiting:
            part, self._waiting = self._waiting[:TOGETHER], self._waiting[TOGETHER:]
            try:
                found = await self._find({id for id, _ in part})
            except BaseException as error:
                failure = problem(error) if isinstance(error, PyMongoError) else error
                for _, future in part:
                    if not future.done():
                        future.set_exception(failure)
                if not isinstance(error, Exception):
                    raise
            else:
                for id, future in part:
                    if not future.done():  # nobody was cancelled while waiting for it
                        future.set_result(found.get(id))
        self._task = None

    async def _find(self, ids: set[str]) -> dict[str, Found]:
        if len(ids) == 1:
            one = await self._collection.find_one({"_id": {"$eq": next(iter(ids))}}, FIELDS)
            return {} if one is None else {one["_id"]: (one["version"], one[TEXT])}
        cursor = self._collection.find({"_id": {"$in": list(ids)}}, FIELDS, batch_size=len(ids) + 1)
        return {one["_id"]: (one["version"], one[TEXT]) for one in await cursor.to_list()}
