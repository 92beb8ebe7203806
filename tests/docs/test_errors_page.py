"""docs/errors.md, the codes of pulpo.errors and the pages that explain them: one list."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import pulpo
from pulpo.cli.explain import PAGES
from pulpo.cli.main import exit_code
from pulpo.errors import CODES, Finding, ProjectErrors, PulpoError
from tests.docs.pages import DOCS

ROW = re.compile(
    r"^\| \[(PULPO(\d)\d\d)\]\(\.\./src/pulpo/error_pages/\1\.md\) \|(?: (\d{3}) \|)? (.+?) \| (.+?) \|$", re.MULTILINE
)
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


def over_http(code: str) -> bool:
    """Whether a code is answered over HTTP."""
    return code[5] in "456"


def test_every_code_has_a_page_and_every_page_a_code() -> None:
    """One file a code, and nothing else among them."""
    assert sorted(path.name for path in PAGES.iterdir()) == sorted(f"{code}.md" for code in CODES)


@pytest.mark.parametrize("code", CODES)
def test_a_page_says_what_is_true(code: str) -> None:
    """Its heading, status and exit code are the code's; its example is a problem, or a finding, of this code."""
    page, known = (PAGES / f"{code}.md").read_text(encoding="utf-8"), CODES[code]
    lines = page.splitlines()
    assert 15 <= len(lines) <= 30
    assert lines[0] == f"# {code}: {known.title}"
    found = code[5] in "123" and code not in ("PULPO104", "PULPO105", "PULPO304")
    leaves = exit_code(ProjectErrors([Finding(code, "")]) if found else PulpoError(code, ""))
    status = f"HTTP status {known.status}; exit" if over_http(code) else "Exit"
    assert lines[2] == f"{status} code {leaves} on the command line."
    for part in (
        "\nWhen:\n",
        "\n**What to do.** ",
        "\n**A client program.** " if over_http(code) else "\n**A script.** ",
    ):
        assert page.count(part) == 1, part
    ((language, example),) = re.findall(r"^```(\w+)\n(.+?)\n```$", page, re.MULTILINE | re.DOTALL)
    if over_http(code):
        problem = json.loads(example)
        assert language == "json"
        assert (problem["code"], problem["status"]) == (code, known.status)
        if "step" not in problem:  # of a run's `error`, which is no answer
            expected = PulpoError(code, problem["detail"]).as_problem()
            assert expected.items() <= problem.items()
            assert set(problem) - set(expected) <= {"hint", "errors", "request_id"}
    else:
        assert language == "text"
        assert example.startswith(f"{code}  ")
        assert all(line.startswith(("  at    ", "  hint  ")) for line in example.splitlines()[1:])
    for other in re.findall(r"\]\((.+?)\)", page):
        assert (PAGES / other).is_file(), other
