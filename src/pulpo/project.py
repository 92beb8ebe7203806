"""A project, from its folder to its plans: load -> check -> plan, on one screen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pulpo import settings as settings_module
from pulpo.declare.discover import load_app
from pulpo.errors import Finding
from pulpo.graph import build, checks
from pulpo.settings import Settings
from pulpo.spec import AppSpec, FlowPlan


@dataclass(frozen=True)
class Project:
    """A loaded project.

    Attributes:
        findings: Every problem, by file and line; a project with any is not compiled.
        plans: The plan of every flow that has one, by name.
    """

    root: Path
    settings: Settings
    app: AppSpec
    plans: Mapping[str, FlowPlan]
    findings: tuple[Finding, ...] = ()

    def check(self) -> tuple[Finding, ...]:
        """Every problem, by file and line."""
        return self.findings


def load(root: Path) -> Project:
    """Import a project and plan its flows. Writes nothing.

    Where a module does not import, only that is reported: what it declares would be missing everywhere else.

    Raises:
        PulpoError: PULPO105, a setting cannot be read.
    """
    root = root.resolve()
    settings = settings_module.load(root)
    app, found = load_app(root, settings.project.name)
    if not any(finding.code == "PULPO101" for finding in found):
        found = (*found, *checks.check(app))
    return Project(root, settings, app, build.plans(app), checks.by_place(found))
