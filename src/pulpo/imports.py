"""Where a project's modules are imported from."""

from __future__ import annotations

import sys
from pathlib import Path


def import_from(root: Path) -> None:
    """Make a project's root the first place that modules are imported from."""
    path = str(root)
    if sys.path[:1] != [path]:
        sys.path[:] = [path, *(entry for entry in sys.path if entry != path)]
