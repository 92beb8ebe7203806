"""Projects for these tests: the cases, copied to where they may be compiled, and small ones written on the spot."""

from __future__ import annotations

import shutil
import textwrap
from pathlib import Path

from pulpo.compile.write import Result
from pulpo.project import compile_project

CASES = Path(__file__).parent / "cases"


def copied(case: str, into: Path) -> Path:
    """A case's project, in a folder of its own."""
    root = into / "project"
    shutil.copytree(CASES / case / "app", root, ignore=shutil.ignore_patterns("__pycache__"))
    return root


def compiled(case: str, into: Path) -> Path:
    """The same, compiled."""
    root = copied(case, into)
    compile_project(root)
    return root


def write(root: Path, files: dict[str, str]) -> None:
    """Write source files, indented as the caller likes."""
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(textwrap.dedent(text).lstrip("\n"))


def files(root: Path) -> dict[str, bytes]:
    """What a compile made: path -> content."""
    found = [*(root / "generated").rglob("*"), root / "openapi.json", root / "pulpo.lock"]
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in found
        if path.is_file() and "__pycache__" not in path.parts
    }


__all__ = ["Result", "compile_project", "compiled", "copied", "files", "write"]
