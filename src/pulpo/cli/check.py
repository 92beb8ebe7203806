"""`pulpo check`: is the project sound?"""

from __future__ import annotations

import json

import typer

from pulpo.cli import show
from pulpo.cli.options import AsJson, project_root

FINDINGS = 1


def check(*, as_json: AsJson = False) -> None:
    """Report a project's problems. Writes nothing."""
    from pulpo import project, settings

    loaded = project.load(project_root())
    app = loaded.app
    findings = (*loaded.findings, *project.refusals(loaded))
    notices = (*loaded.notices, *settings.unknown_variables(loaded.root))
    if as_json:
        typer.echo(json.dumps({"findings": show.findings_json(findings), "notices": list(notices)}, ensure_ascii=False))
    elif findings:
        typer.echo(show.findings_text(findings))
    else:
        counts = (len(app.models), "model"), (len(app.operations), "operation"), (len(loaded.plans), "flow")
        typer.echo(f"{', '.join(show.counted(count, noun) for count, noun in counts)}: no problems")
    for notice in () if as_json else notices:
        typer.echo(f"note  {notice}")
    raise typer.Exit(FINDINGS if findings else 0)
