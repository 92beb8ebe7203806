"""`pulpo db seed`: load the project's sample data."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import typer

from pulpo.cli.options import AsJson, Local, project_root
from pulpo.runtime import target

SEED = "seed.py"


def seed(*, as_json: AsJson = False, local: Local = True) -> None:  # noqa: ARG001 - it is never done elsewhere
    """Load the project's sample data, which the function `seed` in seed.py writes; it may be run again."""
    seed_project(project_root())
    typer.echo(json.dumps({"loaded": SEED}) if as_json else "the sample data is there")


def seed_project(root: Path) -> None:
    """Commit what the function `seed` of seed.py gathers in `ctx.store`.

    Raises:
        PulpoError: PULPO804, there is no seed.py or it has no `seed`; PULPO101, it does not import; PULPO802, the
            project has not been compiled.
    """
    asyncio.run(_seed(root))


async def _seed(root: Path) -> None:
    from pulpo.runtime.context import Caller

    function = target.load_function(root, SEED, "seed", "async def seed(ctx)")
    application = target.load_application(root)
    await application.start(execute=False)
    try:
        context = application.context(Caller())
        await function(context)
        await context.commit()
    finally:
        await application.stop()
