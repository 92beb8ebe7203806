"""`pulpo db status`: what is in the database, and how it is."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from typing import Any

import typer

from pulpo.cli.db.place import Place, Url, declared, users
from pulpo.cli.db.progress import size
from pulpo.cli.options import AsJson
from pulpo.errors import PulpoError


def status(*, url: Url = None, as_json: AsJson = False) -> None:
    """Show what is in the database, who works with it, and what the next start would change. Changes nothing."""
    place = Place.of(url)
    found = asyncio.run(_look(place))
    typer.echo(json.dumps(found) if as_json else _shown(found))


async def _look(place: Place) -> dict[str, Any]:
    from pulpo.store import places
    from pulpo.store.transfer import unfinished

    snapshot = places.snapshot(place.url, place.root)
    try:
        if not await snapshot.open():
            return {"url": place.name, "exists": False}
        facts = await snapshot.facts()
        changes = None
        try:
            changes = [asdict(one) for one in await snapshot.pending(declared(place.root))]
        except PulpoError as error:
            if error.code != "PULPO802":  # without a compiled project nothing is declared
                raise
        return {
            "url": place.name,
            "exists": True,
            "size": facts.size,
            "events": facts.events,
            "in_use_by": await users(place, snapshot),
            "filled_in_part_from": await unfinished(snapshot),
            "collections": dict(await snapshot.counts()),
            "runs": dict(await snapshot.tally("_runs", "state")),
            "changes": changes,
        }
    finally:
        await snapshot.close()


def _shown(found: dict[str, Any]) -> str:
    if not found["exists"]:
        return f"{found['url']} is not there yet: the first start makes it"
    lines = [
        f"database  {found['url']} ({size(found['size'])})",
        f"in use    {', '.join(found['in_use_by']) or 'by nobody'}",
        f"events    those of {found['events']:,} commits are kept",
        f"runs      {', '.join(f'{count:,} {state}' for state, count in found['runs'].items()) or 'none'}",
    ]
    if found["filled_in_part_from"]:
        lines.append(f"UNFINISHED  it is being filled from {found['filled_in_part_from']}: run that again")
    lines += _changes(found["changes"])
    counts = found["collections"]
    width = max(map(len, counts), default=0)
    lines += ["documents", *(f"  {name:<{width}}  {count:,}" for name, count in counts.items())]
    return "\n".join(lines)


def _changes(changes: list[dict[str, str]] | None) -> list[str]:
    if changes is None:
        return ["schema    not compared: the project has not been compiled (`pulpo compile`)"]
    if not changes:
        return ["schema    as declared; `pulpo db migrate --dry-run` looks into the documents as well"]
    words = {"additive": "the next start", "rename": "the next start", "loss": "pulpo db migrate --allow-loss"}
    return [
        "schema    differs from what is declared",
        *(f"  {one['collection']}: {one['what']}  ({words[one['effect']]})" for one in changes),
    ]
