"""Run every emitter: an application and its plans in, all generated files out, nothing touched."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from pulpo import settings as configuration
from pulpo.compile.artifact import Artifact
from pulpo.compile.emit_api import emit_api
from pulpo.compile.emit_application import emit_application
from pulpo.compile.emit_cli import emit_cli
from pulpo.compile.emit_client import emit_client
from pulpo.compile.emit_deploy import emit_deploy
from pulpo.compile.emit_diagrams import emit_diagrams
from pulpo.compile.emit_flows import emit_flows
from pulpo.compile.emit_ui import emit_ui
from pulpo.errors import Finding, ProjectErrors
from pulpo.settings import Settings
from pulpo.spec import AppSpec, FlowPlan

UNNAMED = "app"
"""What generated files call a project whose `pulpo.toml` gives no name: its folder may be another elsewhere."""


def emit(app: AppSpec, plans: Mapping[str, FlowPlan], settings: Settings) -> tuple[Artifact, ...]:
    """Every generated file, sorted by path; the same bytes for the same project, wherever and whenever.

    Args:
        app: The application, without findings.
        plans: Its flows' plans by name.
        settings: What `stable_settings` gives.

    Raises:
        ProjectErrors: PULPO301, two emitters claim one path.
    """
    app = replace(app, name=settings.project.name)
    return unique(
        (
            *emit_application(app, plans),
            *emit_api(app, plans, settings),
            *emit_cli(app, plans, settings),
            *emit_client(app, plans, settings),
            *emit_flows(app, plans),
            *emit_diagrams(app, plans),
            *emit_ui(app, plans, settings),
            *emit_deploy(app, plans, settings),
        )
    )


def unique(artifacts: Iterable[Artifact]) -> tuple[Artifact, ...]:
    """The artifacts sorted by path; two for one path, or for paths that differ only in case, are refused.

    Raises:
        ProjectErrors: PULPO301, one finding for each such pair.
    """
    listed = sorted(artifacts)
    seen: dict[str, str] = {}
    findings = []
    for artifact in listed:
        key = artifact.path.casefold()
        if key in seen:
            other = seen[key]
            both = artifact.path if other == artifact.path else f"{other} and {artifact.path}"
            findings.append(
                Finding("PULPO301", f"{both} would be generated twice", hint="rename one of the two declarations")
            )
        seen[key] = artifact.path
    if findings:
        raise ProjectErrors(findings)
    return tuple(listed)


def stable_settings(root: Path) -> Settings:
    """The settings that generated files may depend on: the project's own, whatever the environment and the folder say.

    Raises:
        PulpoError: PULPO105, a setting cannot be read.
    """
    settings = configuration.load(root, {})
    file = root / configuration.FILE
    named = file.exists() and tomllib.loads(file.read_text(encoding="utf-8")).get("project", {}).get("name")
    if named:
        return settings
    return settings.model_copy(update={"project": settings.project.model_copy(update={"name": UNNAMED})})
