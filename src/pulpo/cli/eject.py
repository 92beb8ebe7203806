"""`pulpo eject`: make a generated file one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pulpo.cli.options import project_root


def eject(
    file: Annotated[str, typer.Argument(help="The generated file, for example generated/flows/orders.py.")],
) -> None:
    """Copy a generated file to overrides/, where it is yours to edit and stands in for the generated one."""
    from pulpo.compile import write

    root = project_root()
    here = Path.cwd() / file
    path = here.resolve().relative_to(root).as_posix() if here.resolve().is_relative_to(root) else file
    inside = path if (root / path).exists() else file
    typer.echo(f"created  {write.eject(root, inside)}")
