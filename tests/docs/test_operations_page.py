"""docs/operations.md: its files make a project whose tests pass, and it leaves nothing out."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path

from pulpo import operation
from pulpo.runtime.context import Context
from pulpo.runtime.session import Session
from tests.docs.pages import DOCS, blocks

PAGE = (DOCS / "operations.md").read_text(encoding="utf-8")
INSIDE = {"batch", "pending", "refusal", "landed"}
"""What a session has for those who run operations."""


def test_the_files_on_the_page_are_a_project_that_passes(tmp_path: Path) -> None:
    """Saved as they stand, and checked, and tested."""
    (tmp_path / "pulpo.toml").write_text("")
    (tmp_path / "pytest.ini").write_text("[pytest]\nasyncio_mode = auto\npythonpath = .\n")
    for block in blocks("operations.md"):
        name, _, text = block.text.partition("\n")
        file = tmp_path / name.removeprefix("# ")
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
    for command in (("-m", "pulpo.cli.main", "check"), ("-m", "pytest", "-q", "-p", "no:cacheprovider")):
        ran = subprocess.run(
            [sys.executable, *command], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "3 passed" in ran.stdout


def test_nothing_of_the_context_the_store_and_the_decorator_is_left_out() -> None:
    """Every public name, and every option, stands in a table."""
    rows = "\n".join(line for line in PAGE.splitlines() if line.startswith("| "))
    words = set(re.findall(r"\w+", " ".join(re.findall(r"`([^`]+)`", rows))))
    parameters = inspect.signature(operation).parameters.values()
    wanted = {each.name for each in parameters if each.kind is inspect.Parameter.KEYWORD_ONLY}
    wanted |= {name for name in dir(Session) if not name.startswith("_")} - INSIDE
    wanted |= {name for name in {*dir(Context), *Context.__slots__} if not name.startswith("_")}
    assert sorted(wanted - words) == []
