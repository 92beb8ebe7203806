"""Each folder of `cases` is a project; `expected.txt` holds the findings that it must give, plans the plans.

`PULPO_UPDATE_GOLDEN=1` writes the files anew.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pulpo import project
from pulpo.errors import CODES
from pulpo.graph.explain import plan_text

CASES = sorted(
    folder for folder in (Path(__file__).parent / "cases").iterdir() if folder.is_dir() and folder.name[0] != "."
)
UPDATE = os.environ.get("PULPO_UPDATE_GOLDEN") == "1"


def compare(file: Path, text: str) -> None:
    if UPDATE:
        file.write_text(text)
    assert text == file.read_text()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_project_gives_exactly_the_expected_findings_and_plans(case: Path) -> None:
    """`check` reports every problem with its code, file:line and hint; a sound project reports none."""
    loaded = project.load(case)
    compare(case / "expected.txt", "".join(f"{finding}\n" for finding in loaded.check()))
    for file in case.glob("plan_*.txt"):
        compare(file, plan_text(loaded.plans[file.stem.removeprefix("plan_")], why=True))
    assert not list(case.rglob("__pycache__")), "checking writes nothing"


def test_every_planning_code_has_a_case() -> None:
    """No check goes without a project that trips it."""
    reported = "".join((case / "expected.txt").read_text() for case in CASES)
    wanted = [code for code in CODES if code.startswith("PULPO2") or code in ("PULPO101", "PULPO102", "PULPO103")]
    assert [code for code in wanted if code not in reported] == []
