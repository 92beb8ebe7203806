"""`pulpo up`: start the project's services and wait until they are healthy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from pulpo import settings as project_settings
from pulpo.cli.status import show
from pulpo.compile import record, write
from pulpo.errors import PulpoError
from pulpo.services import database, drive, fit, prefect, sample
from pulpo.services.plan import ServicePlan, services
from pulpo.settings import STATE, Settings

_APPLICATION = "generated/application.py"


def up(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    """Start the project's services and wait until they are healthy.

    Compiles a project that never was, and loads its sample data into a new database.
    """
    began = time.monotonic()
    root = project_settings.find_root(Path.cwd())
    settings = project_settings.load(root)

    def report(line: str) -> None:
        if not as_json:
            _say(f"  {line}")

    for sentence in project_settings.unknown_variables(root):
        report(sentence)

    start = _Start(root, settings, report)
    try:
        status = drive.up(root, start.plans, prepare=start.prepare, report=report, patience=_patience(settings))
    except PulpoError as error:
        if error.code == "PULPO703":
            _runs_already(root, error, as_json=as_json)
        raise
    if as_json:
        _say(json.dumps(asdict(status)))
        return
    _say(f"\n{show(status)}\n\nup in {time.monotonic() - began:.1f} s; `pulpo down` stops it")


def _fit(root: Path, settings: Settings, report: drive.Report) -> None:
    for line in fit.look(root, settings) if fit.is_due(root, settings) else ():
        report(line)


def _runs_already(root: Path, error: PulpoError, *, as_json: bool) -> None:
    """Show what runs, and say so where it is not what is compiled by now."""
    status = drive.status(root)
    if not status.running:
        return
    if not as_json:
        _say(show(status))
    if record.is_newer(root, than=root / STATE / "run.json"):
        error.hint = "it runs what was compiled before: `pulpo down && pulpo up` starts what is compiled now"


def _say(text: str) -> None:
    """Print; where nobody listens any more, or the disk is full, what was started goes on all the same."""
    try:
        typer.echo(text)
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())  # or the interpreter fails at its end, on what is still to be written
        os.close(nowhere)


class _Start:
    """What `up` does before and between the services of a project."""

    def __init__(self, root: Path, settings: Settings, report: drive.Report) -> None:
        self._root, self._settings, self._report = root, settings, report
        self._server: ServicePlan | None = None

    def plans(self) -> tuple[ServicePlan, ...]:
        """The services; asked when nothing of the project runs and nobody else starts it."""
        self._server = database.own_server_plan(self._root, self._settings)
        if self._server is not None:
            database.make_room(self._root)
        if self._settings.engine.needs_prefect:
            prefect.prepare(self._root, self._settings)
        return services(self._settings, database=self._server)

    def prepare(self) -> None:
        """Have a database, generated code and sample data."""
        if self._server is not None:
            database.set_up(self._root, self._server)
        _compile(self._root, self._report)
        _seed(self._root, self._settings, self._report)
        _fit(self._root, self._settings, self._report)


def _patience(settings: Settings) -> float:
    """Seconds to become healthy: Prefect's server makes its tables at its first start, which takes a while."""
    return drive.START_PATIENCE * (3 if settings.engine.needs_prefect else 1)


def _compile(root: Path, report: drive.Report) -> None:
    if not (root / _APPLICATION).exists():
        report("compiling, for the first time")
        _run(root, "PULPO802", "compile")
    elif write.unchanged(root, record.inputs(root)) is None and not _is_current(root):
        report("starting what was compiled last; later changes need `pulpo compile`")


def _is_current(root: Path) -> bool:
    """Whether a compile would give what is there: nothing may be known of the last one, as in a fresh clone."""
    try:
        _run(root, "PULPO802", "compile", "--check")
    except PulpoError:
        return False
    return True


def _seed(root: Path, settings: Settings, report: drive.Report) -> None:
    if not sample.is_due(root, settings):
        return
    if sample.database_file(root, settings) is not None or _is_empty(root):
        report("loading sample data")
        _run(root, "PULPO702", "db", "seed", "--local")
    sample.done(root, settings)


def _is_empty(root: Path) -> bool:
    """Whether nothing is in a database that others may have been at work on."""
    found = json.loads(_run(root, "PULPO702", "db", "status", "--json"))
    counts = found["collections"] if found["exists"] else {}
    return not any(count for name, count in counts.items() if not name.startswith("_"))


def _run(root: Path, code: str, *arguments: str) -> str:
    """What a command of Pulpo's prints, in a process of its own: the user's modules stay out of this one."""
    command = [sys.executable, "-m", "pulpo.cli.main", *arguments]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)  # noqa: S603 - a fixed command
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip()).replace("\n", "\n  | ")
        raise PulpoError(code, f"`pulpo {' '.join(arguments)}` ended with exit code {done.returncode}:\n  | {said}")
    return done.stdout
