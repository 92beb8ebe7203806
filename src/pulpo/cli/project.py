"""`pulpo cli init`: begin a project, or complete one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from pulpo.cli import scaffold
from pulpo.errors import PulpoError

app = typer.Typer(help="Set up a project.", no_args_is_help=True, add_completion=False, rich_markup_mode=None)


@app.callback()
def _project() -> None:
    """Set up a project."""


@app.command()
def init(
    *,
    database: Annotated[Literal["sqlite", "mongodb"], typer.Option(help="Where documents are kept.")] = "sqlite",
    engine: Annotated[Literal["embedded", "prefect"], typer.Option(help="What runs flows.")] = "embedded",
) -> None:
    """Make the current folder a project: a small sample in an empty one, what is missing in one with models."""
    _refuse_missing_adapter(database, engine)
    root = Path.cwd()
    empty = not (root / "models").is_dir() and not (root / "operations").is_dir()
    values = {"name": root.name, "quoted_name": json.dumps(root.name, ensure_ascii=False)}
    wanted = scaffold.files("config", **values) | (scaffold.files("sample", **values) if empty else {})
    written = scaffold.write_missing(root, wanted)
    for path in written:
        typer.echo(f"created  {path}")
    if not written:
        typer.echo("everything is there already")
    sample = (root / "operations" / "tickets.py").is_file()
    typer.echo("\nNext:\n" + "\n".join(f"  {line}" for line in (_SAMPLE_NEXT if sample else _NEXT)))


_SAMPLE_NEXT = (
    "python -m pytest    # test the operations (needs pytest and pytest-asyncio)",
    "pulpo up            # compile, start everything, say where it is",
    'pulpo tickets desk open_ticket --title "The printer is on fire"',
)
_NEXT = (
    "pulpo check         # is the project sound?",
    "pulpo compile       # generate API, commands, flows and graphs",
    "pulpo up            # start everything, say where it is",
)


def _refuse_missing_adapter(database: str, engine: str) -> None:
    """The choices that the settings know and this version cannot serve yet: nothing is written for them."""
    if database == "mongodb":
        raise PulpoError(
            "PULPO105",
            "the MongoDB adapter is not part of this version of Pulpo; nothing was written",
            hint="leave --database out: documents are kept in SQLite",
        )
    if engine == "prefect":
        raise PulpoError(
            "PULPO105",
            "the Prefect engine is not part of this version of Pulpo; nothing was written",
            hint="leave --engine out: flows run in the API's process and in workers",
        )
