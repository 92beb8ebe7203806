"""What is committed of the compiled order app is what compiling it gives."""

from __future__ import annotations

import shutil
from pathlib import Path

from pulpo.project import compile_project
from tests.examples.market import EXAMPLE

MADE = ("openapi.json", "pulpo.lock")


def test_the_committed_files_are_not_stale(tmp_path: Path) -> None:
    """As a fresh clone checks it: without `generated/`. After a change `pulpo compile` in the example's folder."""
    root = Path(shutil.copytree(EXAMPLE, tmp_path / "app", ignore=shutil.ignore_patterns("generated", ".pulpo")))
    checked = compile_project(root, check=True)
    assert checked.findings == (), "\n".join(map(str, checked.findings))
    committed = {name: (root / name).read_bytes() for name in MADE}
    compile_project(root)
    assert {name: (root / name).read_bytes() for name in MADE} == committed
