from __future__ import annotations

import re
from pathlib import Path

from pulpo import project
from pulpo.errors import CODES
from pulpo.graph.explain import plan_text

PAGE = Path(__file__).parents[2] / "docs" / "planner.md"
FILE = re.compile(r"^```python\n# (\S+\.py)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PRINTED = re.compile(r"^```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_example_prints_what_the_page_says(tmp_path: Path) -> None:
    """The page's files make a project without findings, and its plan is the one shown."""
    page = PAGE.read_text()
    for path, text in FILE.findall(page):
        file = tmp_path / path
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    loaded = project.load(tmp_path)
    assert loaded.check() == ()
    (printed,) = PRINTED.findall(page)
    assert plan_text(loaded.plans["orders"], why=True) == printed


def test_every_planning_code_is_on_the_page() -> None:
    """A code that `check` can print has its line."""
    page = PAGE.read_text()
    assert [code for code in CODES if code.startswith("PULPO2") and code not in page] == []
