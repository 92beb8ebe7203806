"""docs/errors.md and the codes of pulpo.errors: one list."""

from __future__ import annotations

import re
from pathlib import Path

import pulpo
from pulpo.errors import CODES
from tests.docs.pages import DOCS

ROW = re.compile(r"^\| (PULPO(\d)\d\d) \|(?: (\d{3}) \|)? (.+?) \| (.+?) \|$", re.MULTILINE)
PAGE = (DOCS / "errors.md").read_text(encoding="utf-8")


def test_every_code_is_on_the_page_as_it_is_answered() -> None:
    """In order, with its meaning, with its HTTP status where it is answered over HTTP, and with what to do."""
    rows = ROW.findall(PAGE)
    assert [(code, title) for code, _, _, title, _ in rows] == [(code, CODES[code].title) for code in CODES]
    for code, stage, status, _, _ in rows:
        assert status == (str(CODES[code].status) if stage in "456" else ""), code


def test_every_code_can_happen() -> None:
    """No code is listed that nothing in Pulpo raises, answers or reports."""
    package = Path(pulpo.__file__).parent
    described = {"errors.py", "openapi.py", "conformance"}  # these only speak of codes
    used = {
        code
        for path in package.rglob("*.py")
        if not described.intersection(path.parts)
        for code in re.findall(r'"(PULPO\d{3})"', path.read_text(encoding="utf-8"))
    }
    assert sorted(CODES.keys() - used) == []
