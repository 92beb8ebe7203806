"""Part of the package build: a wheel or sdist made from a clone has the UI in it."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class BuildUi(BuildHookInterface[Any]):
    """Builds the UI first, where its sources are here and it is not built yet."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - Hatch's signature
        """Called before files are gathered. An editable install leaves the UI to `make ui`."""
        script = Path(self.root) / "tools" / "build_ui.py"
        if version == "editable" or not script.is_file():
            return
        spec = importlib.util.spec_from_file_location("build_ui", script)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        try:
            module.build()
        except module.CannotBuild as error:
            print(f"warning: this build has no UI: {error}", file=sys.stderr)
