"""`pulpo compile`: make the generated files what they should be."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pulpo.cli import show
from pulpo.cli.options import AsJson, project_root

if TYPE_CHECKING:
    from pulpo.compile.write import Result

STALE = 1


def compile_project(
    *,
    check: Annotated[
        bool, typer.Option("--check", help="Only say what is stale; exit code 1 where anything is.")
    ] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Only show what would change.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite generated files that were edited by hand.")] = False,
    as_json: AsJson = False,
) -> None:
    """Generate API, commands, flows, graphs and deployment files.

    What is unchanged is left alone, and what is no longer generated is removed.
    """
    result = run(project_root(), check=check, diff=diff, force=force)
    if as_json:
        typer.echo(json.dumps({**asdict(result), "findings": show.findings_json(result.findings)}, ensure_ascii=False))
    else:
        typer.echo(_text(result, check=check, diff=diff))
    raise typer.Exit(STALE if result.findings else 0)


def run(root: Path, *, check: bool = False, diff: bool = False, force: bool = False) -> Result:
    """Load, check, plan, emit and write; where nothing has changed, without importing the project.

    Raises:
        ProjectErrors: The project has problems, or files were edited by hand; nothing was written.
    """
    from pulpo.compile import record, write

    if not (check or diff or force) and (done := write.unchanged(root, record.inputs(root))) is not None:
        return done

    from pulpo import project

    return project.compile_project(root, check=check, diff=diff, force=force)


def _text(result: Result, *, check: bool, diff: bool) -> str:
    if diff:
        return result.diff.rstrip("\n") or "nothing would change"
    if check:
        return show.findings_text(result.findings) or f"{show.counted(len(result.unchanged), 'file')} current"
    lines = [f"  wrote    {path}" for path in result.written] if len(result.written) <= _LISTED else []
    lines += [f"  removed  {path}" for path in result.removed]
    lines += [f"  {path} stands in for nothing that is generated" for path in result.unused]
    counts = [f"{len(result.written)} written", f"{len(result.unchanged)} unchanged", f"{len(result.removed)} removed"]
    if result.overridden:
        counts.append(f"{len(result.overridden)} overridden")
    return "\n".join([*lines, ", ".join(counts)])


_LISTED = 16
"""More written files than this are only counted."""
