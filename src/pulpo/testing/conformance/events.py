"""Events: told when committed and only then, in commit order, resumable."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from typing import Any, cast

import pytest

from pulpo.errors import PulpoError
from pulpo.store.port import Batch, Event, StaleVersion, Store
from pulpo.testing.conformance.data import Opener, replaced, thing

PATIENCE = 20.0  # seconds after which a test gives up


def told(number: int, events: int = 1) -> Batch:
    """A batch with events that carry its number."""
    return Batch((thing(f"t{number}"),), tuple({"type": "t", "number": number, "part": n} for n in range(events)))


def numbers(events: tuple[Event, ...] | list[Event]) -> list[int]:
    """The batches' numbers."""
    return [event.data["number"] for event in events]


async def followed(store: Store, after: str | None, count: int) -> list[Event]:
    """The next events after a cursor, as they come."""
    found: list[Event] = []
    async with asyncio.timeout(PATIENCE), aclosing(cast("Any", store.follow(after))) as stream:
        async for event in stream:
            found.append(event)
            if len(found) == count:
                break
    return found


class Events:
    """What events and their cursors promise."""

    async def test_events_come_in_commit_order(self, store: Store) -> None:
        """Each batch's events together, each under a cursor of its own that resumes right after it."""
        start = await store.last_event()
        assert await store.events(None) == ()
        assert await store.events(start) == ()
        for number in range(4):
            await store.commit(told(number, events=3))
        every = await store.events(None)
        assert [(event.data["number"], event.data["part"]) for event in every] == [
            (number, part) for number in range(4) for part in range(3)
        ]
        assert every == await store.events(start)
        assert len({event.cursor for event in every}) == 12
        for place, event in enumerate(every):
            assert await store.events(event.cursor) == every[place + 1 :]
            assert await store.events(event.cursor, limit=2) == every[place + 1 : place + 3]
        assert await store.events(await store.last_event()) == ()

    async def test_a_batch_that_fails_tells_nothing(self, store: Store) -> None:
        """Only what was committed is told, in a group as well."""
        failing = Batch((replaced("nothing", 1),), ({"type": "t", "number": -1},))
        await asyncio.gather(*(store.commit(batch) for batch in (told(0), failing, told(1))), return_exceptions=True)
        with pytest.raises(StaleVersion):
            await store.commit(failing)
        assert numbers(await store.events(None)) == [0, 1]

    async def test_all_connections_see_one_order(self, store: Store, opened: Opener, url: str) -> None:
        """Commits of two connections at once are told in the same order to both, under the same cursors."""
        other = await opened(url)
        await asyncio.gather(*((store, other)[number % 2].commit(told(number)) for number in range(40)))
        seen = await store.events(None)
        assert sorted(numbers(seen)) == list(range(40))
        assert await other.events(None) == seen

    async def test_followers_get_every_event_once(self, store: Store, opened: Opener, url: str) -> None:
        """From a cursor on, in order, while two connections commit."""
        other = await opened(url)
        await store.commit(told(1000))
        start = await store.last_event()
        followers = [asyncio.create_task(followed(one, start, 60)) for one in (store, store, other)]
        for turn in range(20):
            await asyncio.gather(
                store.commit(told(turn)), other.commit(told(100 + turn)), store.commit(told(200 + turn))
            )
        expected = list(await store.events(start))
        assert len(expected) == 60
        for follower in followers:
            assert await follower == expected

    async def test_following_from_the_beginning(self, store: Store) -> None:
        """Without a cursor a follower begins with the oldest event kept."""
        await store.commit(told(0, events=2))
        assert numbers(await followed(store, None, 2)) == [0, 0]

    async def test_a_follower_is_woken_at_once(self, store: Store) -> None:
        """Commits of its own connection do not wait for a poll: fifty, one after another, take no second."""

        async def commits() -> None:
            for number in range(50):
                seen.clear()
                await store.commit(told(number))
                await seen.wait()

        async def follow(after: str) -> None:
            async for _ in store.follow(after):
                seen.set()

        seen = asyncio.Event()
        follower = asyncio.create_task(follow(await store.last_event()))
        await asyncio.sleep(0)
        started = asyncio.get_running_loop().time()
        async with asyncio.timeout(PATIENCE):
            await commits()
        assert asyncio.get_running_loop().time() - started < 1.0
        follower.cancel()
        with suppress(asyncio.CancelledError):
            await follower

    async def test_an_expired_cursor_is_refused(self, opened: Opener, forgetful_url: str) -> None:
        """PULPO509 rather than a gap; the newest events are still there, and a fresh start works."""
        store = await opened(forgetful_url)
        await store.commit(told(0))
        old = await store.last_event()
        for number in range(1, 200):
            await store.commit(told(number))
        with pytest.raises(PulpoError, match="PULPO509"):
            await store.events(old)
        with pytest.raises(PulpoError, match="PULPO509"):
            await followed(store, old, 1)
        kept = await store.events(None)
        assert numbers(kept) == list(range(200 - len(kept), 200))
        newest = await store.last_event()
        await store.commit(told(200))
        assert numbers(await store.events(newest)) == [200]

    @pytest.mark.parametrize("cursor", ["", "nonsense", "1", "é-0", "-1--1"])
    async def test_what_is_no_cursor_is_refused(self, store: Store, cursor: str) -> None:
        """PULPO603."""
        with pytest.raises(PulpoError, match="PULPO603"):
            await store.events(cursor)
