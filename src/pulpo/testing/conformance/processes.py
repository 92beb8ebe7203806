"""Several processes on one database, and a process that is killed."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE, Process

from pulpo.model.conditions import Compare
from pulpo.store.port import Batch, Query, Store, Update
from pulpo.testing.conformance.data import THINGS, Opener, keep, read, thing
from pulpo.testing.conformance.events import followed

PATIENCE = 60.0  # seconds after which a test gives up


async def rival(url: str, *task: str) -> Process:
    """A process of `pulpo.testing.rival` that is ready to begin."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pulpo.testing.rival", url, *task, stdin=PIPE, stdout=PIPE
    )
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE):
        assert await process.stdout.readline() == b"ready\n"
    return process


async def begin(*processes: Process) -> list[int]:
    """Let them all begin, and what each prints at the end."""
    async with asyncio.timeout(PATIENCE):
        answers = await asyncio.gather(*(process.communicate(b"\n") for process in processes))
    assert [process.returncode for process in processes] == [0] * len(processes)
    return [int(answer[0]) for answer in answers]


class Processes:
    """What holds across processes."""

    async def test_processes_never_oversell(self, store: Store, url: str) -> None:
        """Two processes and this one take 200 times each from 300: exactly 300 are taken."""
        await keep(store, thing("a", stock=300))
        processes = [await rival(url, "take", "a", "200") for _ in range(2)]
        take = Batch((Update(THINGS, "a", where=Compare("stock", "gte", 1), add={"stock": -1}),))
        own = asyncio.gather(*(store.commit(take) for _ in range(200)), return_exceptions=True)
        won = sum(await begin(*processes)) + sum(isinstance(result, tuple) for result in await own)
        assert won == 300
        document = await read(store, "a")
        assert (document["stock"], document["version"]) == (0, 301)

    async def test_processes_share_unique_values(self, store: Store, url: str) -> None:
        """Each of 100 values gets one owner, and a follower here is told of each in the order committed."""
        processes = [await rival(url, "claim", name, "100") for name in ("x", "y")]
        start = await store.last_event()
        following = asyncio.create_task(followed(store, start, 100))
        assert sum(await begin(*processes)) == 100
        found = await following
        assert sorted(event.data["number"] for event in found) == list(range(100))
        assert list(await store.events(start)) == found
        owners = await store.query(Query(THINGS, limit=1000))
        assert {record.id for record in owners.records} == {
            f"{event.data['by']}{event.data['number']}" for event in found
        }

    async def test_what_was_acknowledged_survives_a_kill(self, opened: Opener, url: str) -> None:
        """After SIGKILL in the middle of commits everything acknowledged is there, whole, with its event."""
        process = await rival(url, "pour", "p")
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"\n")
        acknowledged: list[int] = []
        async with asyncio.timeout(PATIENCE):
            while len(acknowledged) < 300:
                acknowledged.append(int(await process.stdout.readline()))
        process.kill()
        rest = await process.stdout.read()
        acknowledged += [int(line) for line in rest.split(b"\n")[:-1]]
        await process.wait()
        store = await opened(url)
        ids = tuple(f"p{number}-{side}" for number in acknowledged for side in ("left", "right"))
        assert {record.id for record in await store.get_many(THINGS, ids)} == set(ids)
        every = await store.query(Query(THINGS, limit=100_000))
        pairs = {record.id.partition("-")[0] for record in every.records}
        assert len(every.records) == 2 * len(pairs)
        events = await store.events(None, limit=100_000)
        assert sorted(f"p{event.data['number']}" for event in events) == sorted(pairs)
        await keep(store, thing("after"))
