"""`pulpo down`: stop the project's services."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated

import typer

from pulpo import settings
from pulpo.services import drive


def down(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    """Stop the project's services, gracefully, within ten seconds. Stopping what does not run is no error."""
    began = time.monotonic()
    stopped = drive.down(settings.find_root(Path.cwd()))
    if as_json:
        services, killed = (stopped.services, stopped.killed) if stopped else ((), 0)
        typer.echo(json.dumps({"was_running": stopped is not None, "services": services, "killed": killed}))
        return
    if stopped is None:
        typer.echo("nothing was running")
        return
    what = ", ".join(stopped.services) or f"{stopped.killed} processes that an earlier run left behind"
    typer.echo(f"stopped {what} in {time.monotonic() - began:.1f} s")
    if stopped.services and stopped.killed:
        typer.echo(f"{stopped.killed} processes did not end by themselves and were killed")
