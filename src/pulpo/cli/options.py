"""Options that several commands share, and where the project is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from pulpo.errors import PulpoError
from pulpo.runtime import target
from pulpo.runtime.commands import AsJson, Given, Key, Local
from pulpo.runtime.target import RemoteApi, Target

__all__ = ["AsJson", "Given", "Key", "Local", "RunId", "find_target", "project_root", "schedules_here"]

RunId = Annotated[str, typer.Argument(metavar="RUN", help="The run's id.", show_default=False)]


def project_root() -> Path:
    """The root of the project that the current folder is in.

    Raises:
        PulpoError: PULPO104, it is in none.
    """
    from pulpo import settings

    return settings.find_root(Path.cwd())


def find_target(*, local: bool, execute: bool = False) -> Target:
    """Where a command works, as `target.find`; with `PULPO_API_URL` it need not be called inside of a project.

    Raises:
        PulpoError: PULPO104, there is neither an address nor a project.
    """
    url = os.environ.get("PULPO_API_URL")
    if url and not local:
        return RemoteApi(url)
    return target.find(project_root(), local=local, execute=execute)


def schedules_here(*, local: bool) -> Path:
    """The project whose database keeps the schedules.

    Raises:
        PulpoError: PULPO804, `PULPO_API_URL` is set, which may mean another project; PULPO104, there is none here.
    """
    if os.environ.get("PULPO_API_URL") and not local:
        raise PulpoError(
            "PULPO804",
            "PULPO_API_URL is set, and schedules are not kept over HTTP",
            hint="run it where that project is; --local means the schedules of the project in this folder",
        )
    return project_root()
