"""Run by test_sqlite_limits.py: a store on a disk that gets full, and room again (a limit on the size of files)."""

import asyncio
import resource
import sys
from pathlib import Path

from pulpo.errors import PulpoError
from pulpo.store.port import Batch, NoRoom
from pulpo.store.sqlite import SqliteStore
from pulpo.testing.conformance.data import COLLECTIONS, THINGS, thing


async def main(path: Path) -> None:
    store = SqliteStore(path)
    await store.open(COLLECTIONS)
    await store.commit(Batch((thing("first"),)))
    log = path.with_name(path.name + "-wal")
    resource.setrlimit(resource.RLIMIT_FSIZE, (log.stat().st_size + 100_000, resource.RLIM_INFINITY))
    batches = [Batch((thing(f"a{n}", name="x" * 2000), thing(f"b{n}"))) for n in range(200)]
    kept, refused = {"first"}, []
    for start in range(0, 200, 20):
        group = range(start, start + 20)
        results = await asyncio.gather(*(store.commit(batches[n]) for n in group), return_exceptions=True)
        for number, result in zip(group, results, strict=True):
            if isinstance(result, tuple):
                kept |= {f"a{number}", f"b{number}"}
            else:
                assert isinstance(result, NoRoom), result
                refused.append(number)
    assert refused
    assert await there(store) == kept
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    for number in refused:
        await store.commit(batches[number])
        kept |= {f"a{number}", f"b{number}"}
    await store.close()
    again = SqliteStore(path)
    await again.open(COLLECTIONS)
    assert await there(again) == kept
    await again.close()
    print("refused, kept, recovered")


async def there(store: SqliteStore) -> set[str]:
    ids = [f"{side}{number}" for number in range(200) for side in "ab"]
    return {record.id for record in await store.get_many(THINGS, ("first", *ids))}


try:
    asyncio.run(main(Path(sys.argv[1])))
except PulpoError as error:
    sys.exit(str(error))
