"""One project, the same bytes: wherever, whenever and however often it is compiled."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pulpo.compile.artifact import Artifact
from pulpo.compile.compiler import unique
from pulpo.errors import ProjectErrors
from pulpo.runtime.http.samples import MOMENT
from tests.compile.projects import compile_project, compiled, copied, files

SCRIPT = "import sys; from pathlib import Path; from pulpo.project import compile_project; compile_project(Path('.'))"


def compiled_apart(root: Path, **environ: str) -> dict[str, bytes]:
    subprocess.run([sys.executable, "-c", SCRIPT], cwd=root, env={**os.environ, **environ}, check=True, timeout=60)
    return files(root)


def test_another_path_time_hash_seed_and_environment_give_identical_bytes(tmp_path: Path) -> None:
    """Neither the folder, the clock, the order of sets nor settings in the environment reach a generated file."""
    here = copied("orders", tmp_path / "here")
    there = copied("orders", tmp_path / "quite" / "another place")
    for path in there.rglob("*.py"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    first = compiled_apart(here, PYTHONHASHSEED="1", TZ="UTC")
    second = compiled_apart(
        there, PYTHONHASHSEED="2", TZ="Asia/Tokyo", PULPO_API_PORT="18000", PULPO_PROJECT_NAME="other", LC_ALL="C"
    )
    assert first.keys() == second.keys()
    assert {path for path in first if first[path] != second[path]} == set()


def test_a_project_without_a_name_does_not_take_that_of_its_folder(tmp_path: Path) -> None:
    """A clone in a folder of another name is not stale."""
    root = compiled("collisions", tmp_path)
    moved = root.rename(tmp_path / "moved")
    assert compile_project(moved, check=True).findings == ()


@pytest.mark.parametrize("case", ["notes", "orders", "words", "braid", "collisions"])
def test_no_file_holds_a_path_or_a_moment(case: str, tmp_path: Path) -> None:
    """No absolute path, no date and no time is in anything that is generated, but for the one that examples have."""
    for path, content in files(compiled(case, tmp_path)).items():
        text = content.decode()
        assert str(tmp_path) not in text, path
        assert str(Path.home()) not in text, path
        assert sys.prefix not in text, path
        assert set(re.findall(r"\b20\d\d-\d\d-\d\d[T0-9:.Z]*", text)) <= {MOMENT, MOMENT[:10]}, path


def test_compiling_twice_writes_nothing(tmp_path: Path) -> None:
    """The second compile leaves every file alone, with the record of the first and without."""
    root = compiled("orders", tmp_path)
    before = {path: (root / path).stat().st_mtime_ns for path in files(root)}
    assert compile_project(root).written == ()
    (root / ".pulpo" / "compiled.json").unlink()
    result = compile_project(root)
    assert (result.written, result.removed) == ((), ())
    assert len(result.unchanged) == len(before)
    assert {path: (root / path).stat().st_mtime_ns for path in files(root)} == before


def test_an_edit_of_the_project_is_always_seen(tmp_path: Path) -> None:
    """Also one that keeps the file's size."""
    root = compiled("notes", tmp_path)
    file = root / "operations" / "desk.py"
    file.write_text(file.read_text().replace("Write a note down.", "Write a note dawn."))
    assert "generated/flows/notes.py" in compile_project(root).written


def test_what_an_editor_leaves_lying_about_does_not_count(tmp_path: Path) -> None:
    """A lock that leads nowhere, as Emacs makes it beside an open file, is no file of the project."""
    root = compiled("notes", tmp_path)
    (root / "operations" / ".#desk.py").symlink_to("somebody@some-machine.1234")
    result = compile_project(root)
    assert (result.written, result.removed) == ((), ())


def test_a_project_that_does_not_import_or_plan_writes_nothing(tmp_path: Path) -> None:
    """Any finding is fatal, and what was generated before stays as it was."""
    root = compiled("notes", tmp_path)
    before = files(root)
    file = root / "operations" / "desk.py"
    file.write_text(file.read_text() + "\nimport no_such_module_anywhere\n")
    with pytest.raises(ProjectErrors, match=r"PULPO101(.|\n)*operations/desk\.py:"):
        compile_project(root)
    assert files(root) == before


def test_two_files_for_one_path_are_refused() -> None:
    """Also where the paths differ only in case, which some disks do not tell apart."""
    with pytest.raises(ProjectErrors, match="PULPO301") as caught:
        unique([Artifact("a/b.py", "1"), Artifact("a/c.py", "2"), Artifact("a/b.py", "3"), Artifact("a/C.py", "4")])
    assert {finding.message for finding in caught.value.findings} == {
        "a/b.py would be generated twice",
        "a/C.py and a/c.py would be generated twice",
    }
