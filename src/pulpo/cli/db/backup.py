"""`pulpo db backup`: write everything to a file."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pulpo.cli.db.place import Place, Url
from pulpo.cli.db.progress import Meter, duration, size, table
from pulpo.cli.options import AsJson
from pulpo.errors import PulpoError

if TYPE_CHECKING:
    from pulpo.store.archive import Written


def backup(
    file: Annotated[Path, typer.Argument(help="Where to, for example shop.backup.", show_default=False)],
    *,
    url: Url = None,
    force: Annotated[bool, typer.Option("--force", help="Take the place of a file that is there.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write everything to a file that `pulpo db restore` fills a database of either kind from.

    It is the state of one moment, also while the project runs. The file holds all data: only its owner may read it.
    """
    place = Place.of(url)
    meter = Meter()
    began = time.monotonic()
    try:
        done = asyncio.run(_backup(place, file, force=force, meter=meter))
    finally:
        meter.close()
    documents = sum(each.count for each in done.sums.values())
    if as_json:
        told = {"file": str(file), "from": place.name, "documents": documents, "seconds": time.monotonic() - began}
        typer.echo(json.dumps({**asdict(done), **told}))
        return
    typer.echo(
        f"wrote {documents:,} documents from {place.name} to {file} ({size(done.size)})"
        f" in {duration(time.monotonic() - began)}\n{table({n: each for n, each in done.sums.items() if each.count})}"
    )


async def _backup(place: Place, file: Path, *, force: bool, meter: Meter) -> Written:
    from pulpo import __version__
    from pulpo.store import archive, places, transfer

    snapshot = places.snapshot(place.url, place.root)
    try:
        if not await snapshot.open():
            raise PulpoError("PULPO507", f"there is no database at {place.name}", status=404)
        half = await transfer.unfinished(snapshot)
        if half is not None:
            raise PulpoError("PULPO516", f"{place.name} was filled only in part, from {half}")
        source = transfer.SnapshotSource(snapshot, place.name, await snapshot.counts())
        return await archive.write(source, file, version=__version__, force=force, tell=meter)
    finally:
        await snapshot.close()
