"""`pulpo plan`: the order of a flow's steps."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from pulpo.cli import show
from pulpo.cli.check import FINDINGS
from pulpo.cli.options import AsJson, project_root
from pulpo.errors import Nearest, ProjectErrors, PulpoError


def plan(
    flow: Annotated[str | None, typer.Argument(help="The flow's name; by default all of them.")] = None,
    *,
    why: Annotated[bool, typer.Option("--why", help="Say for each edge by which rule it is there.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show in which order the steps of flows run, what runs side by side, and why."""
    from pulpo import project
    from pulpo.graph import explain

    loaded = project.load(project_root())
    if as_json and loaded.findings:
        raise ProjectErrors(loaded.findings)
    if flow is not None and flow not in loaded.plans and not loaded.findings:
        known = tuple(loaded.plans)
        hint = Nearest(known).to(flow) or (f"known are: {', '.join(known)}" if known else "no flow is declared yet")
        raise PulpoError("PULPO404", f"there is no flow {flow!r}", hint=hint)
    chosen = [each for name, each in loaded.plans.items() if flow in {None, name}]
    if as_json:
        shown = [explain.plan_json(each) for each in chosen]
        typer.echo(json.dumps(shown[0] if flow else {"flows": shown}, ensure_ascii=False))
        return
    typer.echo("\n".join(explain.plan_text(each, why=why) for each in chosen), nl=False)
    if loaded.findings:
        typer.echo(show.findings_text(loaded.findings), err=True)
        raise typer.Exit(FINDINGS)
