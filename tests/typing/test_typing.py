from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
from mypy import api

FOLDER = Path(__file__).parent
ROOT = FOLDER.parent.parent
EXPECTED = re.compile(r"# error: ([a-z, -]+)$")
REPORTED = re.compile(r"^(?P<file>[^:\n]+):(?P<line>\d+): error: .*\[(?P<code>[a-z-]+)\]$", re.MULTILINE)
FILES = ("declared.py", "constructed.py")


@cache
def checked() -> tuple[str, frozenset[tuple[str, int, str]]]:
    """One run of the type checker over all files: what it printed, and (file, line, code) of each error."""
    files = [str(FOLDER / name) for name in FILES]
    out, err, _ = api.run(
        ["--config-file", str(ROOT / "pyproject.toml"), "--strict", "--follow-imports=silent", *files]
    )
    errors = ((Path(match["file"]).name, int(match["line"]), match["code"]) for match in REPORTED.finditer(out))
    return out + err, frozenset(errors)


@pytest.mark.parametrize("name", FILES)
def test_a_strict_type_checker_reports_exactly_the_stated_errors(name: str) -> None:
    """Declared functions and classes keep their types, and wrong declarations are refused before anything runs."""
    wanted = {
        (name, number, code)
        for number, line in enumerate((FOLDER / name).read_text().splitlines(), 1)
        if (found := EXPECTED.search(line))
        for code in found.group(1).split(", ")
    }
    printed, errors = checked()
    assert {error for error in errors if error[0] == name} == wanted, printed
