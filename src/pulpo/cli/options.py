"""Options that several commands share, and where the project is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pulpo.runtime.commands import AsJson, Given, Key, Local

__all__ = ["AsJson", "Given", "Key", "Local", "RunId", "project_root"]

RunId = Annotated[str, typer.Argument(metavar="RUN", help="The run's id.", show_default=False)]


def project_root() -> Path:
    """The root of the project that the current folder is in.

    Raises:
        PulpoError: PULPO104, it is in none.
    """
    from pulpo import settings

    return settings.find_root(Path.cwd())
