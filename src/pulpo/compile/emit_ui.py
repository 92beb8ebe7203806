"""`generated/ui/ui.json`: what the UI needs to know, in the schema that `GET /meta` answers in."""

from __future__ import annotations

from collections.abc import Mapping

from pulpo.compile.artifact import Artifact, json_text
from pulpo.runtime.metadata import metadata
from pulpo.settings import Settings
from pulpo.spec import AppSpec, FlowPlan


def emit_ui(app: AppSpec, plans: Mapping[str, FlowPlan], settings: Settings) -> tuple[Artifact, ...]:
    """The description of models, operations and flows; its `version` is that of the schema."""
    return (Artifact("generated/ui/ui.json", json_text(metadata(app, plans, settings))),)
