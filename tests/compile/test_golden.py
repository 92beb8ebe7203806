"""Each folder of `cases` is a project (`app/`) and the files that it compiles to (`expected/`).

`compared.txt` lists what of them is compared, all where there is none. `PULPO_UPDATE_GOLDEN=1` writes them anew.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.compile.projects import CASES, compiled, files

UPDATE = os.environ.get("PULPO_UPDATE_GOLDEN") == "1"


@pytest.mark.parametrize("case", sorted(folder.name for folder in CASES.iterdir() if (folder / "app").is_dir()))
def test_a_project_compiles_to_exactly_the_committed_files(case: str, tmp_path: Path) -> None:
    """A case gives the files under its `expected/`, no more, no less, byte for byte."""
    scope = CASES / case / "compared.txt"
    prefixes = tuple(scope.read_text().split()) if scope.exists() else ("",)
    made = {path: text for path, text in files(compiled(case, tmp_path)).items() if path.startswith(prefixes)}
    expected = CASES / case / "expected"
    if UPDATE:
        shutil.rmtree(expected, ignore_errors=True)
        for path, content in made.items():
            (expected / path).parent.mkdir(parents=True, exist_ok=True)
            (expected / path).write_bytes(content)
    committed = {
        path.relative_to(expected).as_posix(): path.read_bytes() for path in expected.rglob("*") if path.is_file()
    }
    assert sorted(made) == sorted(committed)
    for path, content in made.items():
        assert content.decode() == committed[path].decode(), path
