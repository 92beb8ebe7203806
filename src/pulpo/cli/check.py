"""`pulpo check`: is the project sound?"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer

from pulpo.cli.options import AsJson, project_root

if TYPE_CHECKING:
    from pulpo.errors import Finding

FINDINGS = 1


def check(*, as_json: AsJson = False) -> None:
    """Report a project's problems. Writes nothing."""
    from pulpo import project

    loaded = project.load(project_root())
    if as_json:
        typer.echo(json.dumps({"findings": findings_json(loaded.findings)}, ensure_ascii=False))
    else:
        print_findings(loaded.findings)
        if not loaded.findings:
            app = loaded.app
            typer.echo(
                f"{len(app.models)} models, {len(app.operations)} operations, {len(loaded.plans)} flows: no problems"
            )
    raise typer.Exit(FINDINGS if loaded.findings else 0)


def print_findings(findings: Sequence[Finding]) -> None:
    """Findings for people, an empty line between them."""
    if findings:
        typer.echo("\n\n".join(str(finding) for finding in findings))


def findings_json(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """Findings as JSON: `code, message, file, line, hint`."""
    return [
        {
            "code": finding.code,
            "message": finding.message,
            "file": finding.source.file if finding.source else None,
            "line": finding.source.line if finding.source else None,
            "hint": finding.hint,
        }
        for finding in findings
    ]
