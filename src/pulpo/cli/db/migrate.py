"""`pulpo db migrate`: bring what is there into the form of the models."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from pulpo.cli.db.place import Place, refuse_if_used, users
from pulpo.cli.db.progress import Meter
from pulpo.cli.options import AsJson
from pulpo.errors import PulpoError

if TYPE_CHECKING:
    from pulpo.runtime.migration import Finding, Plan

_FOUND = 1
_TITLES = {
    "additive": "columns and indexes, as at every start",
    "rename": "renamed fields: documents are rewritten, nothing is lost",
    "default": "new fields: their default is written, so that lists, filters and exports see it too",
    "form": "values written in the form of their type: nothing is lost",
    "loss": "LOST, only with --allow-loss",
    "invalid": "in the way: documents that do not fit their model",
}


def migrate(
    *,
    allow_loss: Annotated[
        bool, typer.Option("--allow-loss", help="Also take away what no model declares or takes any more.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show the plan.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Only show the plan; exit code 1 where documents do not fit their model.")
    ] = False,
    sample: Annotated[int | None, typer.Option(help="Look at about this many documents only.", hidden=True)] = None,
    as_json: AsJson = False,
) -> None:
    """Bring documents that are there into the form of the models, after showing what that means.

    Renamed fields (`renamed_from=`), new fields that have a default, values of another type, fields and collections
    that nothing declares any more. The project must not run, unless only columns and indexes are added.
    """
    place = Place.of(None)
    meter = Meter()
    try:
        only = sample if dry_run else None
        work = _migrate(
            place, allow_loss=allow_loss, only_show=dry_run or check, meter=meter, as_json=as_json, sample=only
        )
        plan, rewritten = asyncio.run(work)
    finally:
        meter.close()
    if as_json:
        typer.echo(json.dumps({**asdict(plan), "rewritten": rewritten, "done": rewritten is not None}))
    elif dry_run or check:
        typer.echo(_shown(plan))
    else:
        typer.echo(f"done: {rewritten:,} documents rewritten")
    if check and plan.of("form", "loss", "invalid"):
        raise typer.Exit(_FOUND)


async def _migrate(
    place: Place, *, allow_loss: bool, only_show: bool, meter: Meter, as_json: bool, sample: int | None
) -> tuple[Plan, int | None]:
    from pulpo.runtime import migration, target
    from pulpo.store import places

    application = target.load_application(place.root)
    snapshot = places.snapshot(place.url, place.root)
    try:
        if not await snapshot.open():
            raise PulpoError("PULPO507", f"there is no database at {place.name}: the first start makes it", status=404)
        plan = await migration.plan(application.spec, snapshot, meter.count, sample=sample)
        by = await users(place, snapshot)
    finally:
        await snapshot.close()
    if only_show:
        return plan, None
    meter.close()
    if not as_json:
        typer.echo(_shown(plan))
    if plan.rewrites:
        refuse_if_used(place, by)
    return plan, await migration.migrate(application, plan, allow_loss=allow_loss, tell=meter.count)


def _shown(plan: Plan) -> str:
    if not plan.findings:
        return f"nothing to do: {plan.documents:,} documents fit their models"
    lines = [f"{plan.documents:,} documents were looked at"]
    for effect, title in _TITLES.items():
        found = [one for one in plan.findings if one.effect == effect]
        if found:
            lines += [title, *(f"  {_line(one)}" for one in found)]
    return "\n".join(lines)


def _line(one: Finding) -> str:
    count = "" if one.count is None else f", {one.count:,} documents"
    return f"{one.collection}: {one.what}{count}" + (f" ({', '.join(one.examples)})" if one.examples else "")
