"""`pulpo db copy`: carry everything from one database to another."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from pulpo.cli.db.place import Place, declared, refuse_if_others_use, refuse_if_used, users
from pulpo.cli.db.progress import Meter, duration, table
from pulpo.cli.options import AsJson
from pulpo.errors import PulpoError

if TYPE_CHECKING:
    from pulpo.store.transfer import Transferred

_STATES = {
    "filled": "carried over",
    "resumed": "went on where it was and carried over the rest of",
    "already": "the target had all of",
}


def copy(
    *,
    to: Annotated[
        str,
        typer.Option("--to", metavar="URL", help="The database to fill. `env:NAME` takes the address from a variable."),
    ],
    source: Annotated[
        str | None,
        typer.Option("--from", metavar="URL", help="The database to read; by default the project's."),
    ] = None,
    live: Annotated[bool, typer.Option("--live", help="Copy this moment's state though processes work on it.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Take away whatever the target holds.")] = False,
    as_json: AsJson = False,
) -> None:
    """Carry everything from one database to another, of either kind, and verify it.

    Counts and checksums of both sides are compared at the end. A copy that was interrupted goes on where it was when it
    is run again. Events and the leases of processes stay behind.
    """
    begins, ends = Place.of(source), Place.of(to)
    if begins.name == ends.name:
        raise PulpoError("PULPO804", f"{begins.name} cannot be copied into itself")
    meter = Meter()
    try:
        done = asyncio.run(_copy(begins, ends, live=live, force=force, meter=meter))
    finally:
        meter.close()
    ends.with_sample()
    if as_json:
        told = {**asdict(done), "from": begins.name, "to": ends.name, "documents": done.documents}
        typer.echo(json.dumps(told))
    else:
        typer.echo(shown(done, begins.name, ends.name))


async def _copy(begins: Place, ends: Place, *, live: bool, force: bool, meter: Meter) -> Transferred:
    from pulpo.store import places, transfer

    collections = declared(ends.root)
    snapshot = places.snapshot(begins.url, begins.root)
    try:
        if not await snapshot.open():
            raise PulpoError("PULPO507", f"there is no database at {begins.name}", status=404)
        half = await transfer.unfinished(snapshot)
        if half is not None:
            raise PulpoError("PULPO516", f"{begins.name} was filled only in part, from {half}")
        if not live:
            hint = "stop it, or copy this moment's state by --live: what is written later stays behind"
            refuse_if_used(begins, await users(begins, snapshot), hint=hint)
        await refuse_if_others_use(ends)
        origin = transfer.SnapshotSource(snapshot, begins.name, await snapshot.counts())
        target = transfer.Target(ends.url, ends.root, collections)
        return await transfer.transfer(origin, target, force=force, tell=meter)
    finally:
        await snapshot.close()


def shown(done: Transferred, begins: str, ends: str) -> str:
    """What a copy or a restore did, for people."""
    rate = f", {done.written / done.seconds:,.0f}/s" if done.written else ""
    head = f"{_STATES[done.state]} {done.documents:,} documents ({done.written:,} written{rate})"
    filled = {name: each for name, each in done.sums.items() if each.count}
    return (
        f"{head} in {duration(done.seconds)}\n  from {begins}\n  to   {ends}\n"
        f"counts and checksums are the same on both sides:\n{table(filled)}"
    )
