"""`pulpo db`: the project's database. A module for each command."""

from __future__ import annotations

import typer

from pulpo.cli.db.backup import backup
from pulpo.cli.db.copy import copy
from pulpo.cli.db.migrate import migrate
from pulpo.cli.db.restore import restore
from pulpo.cli.db.seed import seed
from pulpo.cli.db.shell import shell
from pulpo.cli.db.status import status

app = typer.Typer(
    help="Work with the project's database.", no_args_is_help=True, add_completion=False, rich_markup_mode=None
)


@app.callback()
def _db() -> None:
    """Work with the project's database."""


for _command in (status, seed, migrate, copy, backup, restore, shell):
    app.command()(_command)
