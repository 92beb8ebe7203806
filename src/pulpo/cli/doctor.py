"""`pulpo doctor`: check this machine and the project's set-up."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from pulpo import settings as project_settings
from pulpo.services import fit
from pulpo.services.doctor import Examined, examine

_FAILED = 1


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    """Check this machine and the project's set-up. Exit code 1 where something must be done."""
    root = project_settings.find_root(Path.cwd())
    settings = project_settings.load(root)
    found = (*examine(root, settings), _generated(root), *(Examined("warn", each) for each in fit.look(root, settings)))
    if as_json:
        typer.echo(json.dumps({"findings": [asdict(each) for each in found]}))
    else:
        for each in found:
            typer.echo(f"{each.level:<4}  {each.what}" + (f"\n      -> {each.advice}" if each.advice else ""))
    if any(each.level == "fail" for each in found):
        raise typer.Exit(_FAILED)


def _generated(root: Path) -> Examined:
    """Whether what is generated is there and fits the code."""
    if not (root / "generated").is_dir():
        return Examined("warn", "the project has not been compiled", "pulpo compile")
    command = [sys.executable, "-m", "pulpo.cli.main", "compile", "--check"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)  # noqa: S603 - a fixed command
    if done.returncode == 0:
        return Examined("ok", "the generated files fit the code")
    return Examined(
        "fail", "the generated files are stale, or the project has problems", "pulpo check && pulpo compile"
    )
