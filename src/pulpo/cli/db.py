"""`pulpo db`: the project's database."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import typer

from pulpo.cli.options import AsJson, Local, project_root
from pulpo.errors import PulpoError, Source
from pulpo.runtime import target

app = typer.Typer(
    help="Work with the project's database.", no_args_is_help=True, add_completion=False, rich_markup_mode=None
)
SEED = "seed.py"


@app.callback()
def _db() -> None:
    """Work with the project's database."""


@app.command()
def seed(*, as_json: AsJson = False, local: Local = True) -> None:  # noqa: ARG001 - it is never done elsewhere
    """Load the project's sample data, which the function `seed` in seed.py writes; it may be run again."""
    seed_project(project_root())
    typer.echo(json.dumps({"loaded": SEED}) if as_json else "the sample data is there")


def seed_project(root: Path) -> None:
    """Commit what the function `seed` of seed.py gathers in `ctx.store`.

    Raises:
        PulpoError: PULPO804, there is no seed.py or it has no `seed`; PULPO802, the project has not been compiled.
    """
    if not (root / SEED).is_file():
        raise PulpoError(
            "PULPO804", f"the project in {root} has no {SEED}", hint=f"write `async def seed(ctx)` in {SEED}"
        )
    asyncio.run(_seed(root))


async def _seed(root: Path) -> None:
    from pulpo.runtime.context import Caller

    application = target.load_application(root)
    module = _load(root)
    if not hasattr(module, "seed"):
        source = Source(SEED, 1)
        raise PulpoError("PULPO804", f"{SEED} has no `async def seed(ctx)`", source=source)
    await application.start(execute=False)
    try:
        context = application.context(Caller())
        await module.seed(context)
        await context.commit()
    finally:
        await application.stop()


def _load(root: Path) -> ModuleType:
    """The module, under a name of its own: several projects have a `seed`."""
    spec = importlib.util.spec_from_file_location(f"pulpo_seed_of_{abs(hash(root))}", root / SEED)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
