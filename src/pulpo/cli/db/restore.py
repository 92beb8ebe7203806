"""`pulpo db restore`: fill a database from a backup."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pulpo.cli.db.copy import shown
from pulpo.cli.db.place import Place, Url, declared, refuse_if_others_use
from pulpo.cli.db.progress import Meter
from pulpo.cli.options import AsJson

if TYPE_CHECKING:
    from pulpo.store.archive import Archive
    from pulpo.store.port import Collection
    from pulpo.store.transfer import Transferred


def restore(
    file: Annotated[Path, typer.Argument(help="What `pulpo db backup` wrote.", show_default=False)],
    *,
    url: Url = None,
    force: Annotated[bool, typer.Option("--force", help="Take away whatever the database holds.")] = False,
    as_json: AsJson = False,
) -> None:
    """Fill a database from a backup, and verify it. The project must not run.

    The whole file is read and its checksums are compared before anything is written. A restore that was interrupted
    goes on where it was when it is run again; until then the project does not start.
    """
    from pulpo.store.archive import Archive

    place = Place.of(url)
    collections = declared(place.root)
    archive = Archive(file)
    meter = Meter()
    try:
        archive.verify(meter)
        done = asyncio.run(_restore(archive, place, collections, force=force, meter=meter))
    finally:
        meter.close()
    place.with_sample()
    if as_json:
        told = {"file": str(file), "to": place.name, "documents": done.documents, "written_at": archive.header["at"]}
        typer.echo(json.dumps({**asdict(done), **told}))
    else:
        typer.echo(shown(done, f"{file}, written at {archive.header['at']}", place.name))


async def _restore(
    archive: Archive, place: Place, collections: tuple[Collection, ...], *, force: bool, meter: Meter
) -> Transferred:
    from pulpo.store import transfer

    await refuse_if_others_use(place)
    target = transfer.Target(place.url, place.root, collections)
    return await transfer.transfer(archive, target, force=force, tell=meter)
