"""A project, from its folder to its generated files: load -> check -> plan -> emit -> write, on one screen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pulpo import settings as settings_module
from pulpo.compile import record, write
from pulpo.declare.discover import load_app
from pulpo.errors import Finding, Nearest, ProjectErrors, PulpoError
from pulpo.graph import build, checks
from pulpo.runtime import presentation
from pulpo.runtime.http.custom import shadows
from pulpo.settings import Settings
from pulpo.spec import AppSpec, FlowPlan, Json


@dataclass(frozen=True)
class Project:
    """A loaded project.

    Attributes:
        findings: Every problem, by file and line; a project with any is not compiled.
        plans: The plan of every flow that has one, by name.
        notices: What is allowed and may surprise, in a sentence each.
    """

    root: Path
    settings: Settings
    app: AppSpec
    plans: Mapping[str, FlowPlan]
    findings: tuple[Finding, ...] = ()
    notices: tuple[str, ...] = ()

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
        found = (*found, *(_finding(error) for error in presentation.problems(app, settings.ui, root)))
    plans = build.plans(app)
    found = (*found, *_unknown_flows(settings, plans))
    notices = () if found else shadows(app, lambda: _document(app, plans, settings))
    return Project(root, settings, app, plans, checks.by_place(found), (*notices, *_nested(app)))


def _unknown_flows(settings: Settings, plans: Mapping[str, FlowPlan]) -> Iterator[Finding]:
    """Settings about flows that the project does not have: nothing would ever come of them."""
    known = Nearest(tuple(plans))
    for section, names in (("engine.flows", settings.engine.flows), ("prefect.queues", settings.prefect.queues)):
        for name in names:
            if name not in plans:
                yield Finding("PULPO105", f'[{section}]: there is no flow "{name}"', None, known.to(name))


def _nested(app: AppSpec) -> Iterator[str]:
    """Models that stand inside of another, or of an input: a copy of a document, where a reference is usually meant."""
    models = {model.name for model in app.models}
    holders = [(f"model {each.name}", each.fields) for each in app.models]
    holders += [(f"the input of {each.name}", each.input.fields) for each in app.operations]
    for holder, fields in holders:
        for field in fields:
            inner = field.item if field.item is not None else field
            if inner.embedded in models:
                wanted = f"list[Ref[{inner.embedded}]]" if field.item is not None else f"Ref[{inner.embedded}]"
                yield f"{holder}: {field.name} holds a whole {inner.embedded}, a copy; to refer to one: {wanted}"


def refusals(loaded: Project) -> tuple[Finding, ...]:
    """What `pulpo up` would refuse of the settings: they may be another machine's, so a compile does not mind."""
    from pulpo.services.plan import services  # noqa: PLC0415 - a compile needs neither
    from pulpo.store.connect import connect  # noqa: PLC0415

    settings = loaded.settings
    found = []
    for refuse in (
        lambda: services(settings),
        lambda: connect(settings.database.url.get_secret_value(), loaded.root),
    ):
        try:
            refuse()
        except PulpoError as error:
            found.append(_finding(error))
    return tuple(found)


def _finding(error: PulpoError) -> Finding:
    return Finding(error.code, error.detail, None, error.hint)


def _document(app: AppSpec, plans: Mapping[str, FlowPlan], settings: Settings) -> Mapping[str, Json]:
    from pulpo.runtime.http.openapi import openapi  # noqa: PLC0415 - only where a project has routes of its own

    return openapi(app, plans, settings)


def compile_project(root: Path, *, force: bool = False, check: bool = False, diff: bool = False) -> write.Result:
    """Make a project's generated files what they should be.

    Args:
        root: The project's root.
        force: Overwrite what was edited by hand.
        check: Write nothing; the result's `findings` say what is stale.
        diff: Write nothing; the result's `diff` shows what would change.

    Raises:
        ProjectErrors: The project has problems, or generated files were edited by hand; nothing was written.
        PulpoError: PULPO105, a setting cannot be read; PULPO304, the disk refuses.
    """
    from pulpo.compile import compiler  # noqa: PLC0415 - emitters are not needed where nothing changed

    root = root.resolve()
    inputs = record.inputs(root)
    if not (force or check or diff) and (done := write.unchanged(root, inputs)) is not None:
        return done
    project = load(root)
    if project.findings:
        raise ProjectErrors(project.findings)
    artifacts = compiler.emit(project.app, project.plans, compiler.stable_settings(root))
    if check:
        return write.check(root, artifacts, project.plans)
    if diff:
        return write.diff(root, artifacts, project.plans)
    return write.apply(root, artifacts, project.plans, force=force, inputs=inputs)
