"""The pages under docs/ as a whole: all of them found, no link into nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import DOCS

LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
PAGES = sorted(DOCS.rglob("*.md"), key=lambda path: path.as_posix())


def anchors(page: Path) -> set[str]:
    """What a link can name in a page: its headings, as GitHub writes them."""
    headings = HEADING.findall(FENCED.sub("", page.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(page: Path) -> Iterator[tuple[str, Path, str]]:
    """A page's links to files of the repository: as written, the file, and the anchor."""
    for target in LINK.findall(FENCED.sub("", page.read_text(encoding="utf-8"))):
        if "://" not in target:
            path, _, anchor = target.partition("#")
            yield target, (page.parent / path).resolve() if path else page, anchor


def test_the_index_has_every_page_once() -> None:
    """One line for each page, and for the folder of decisions."""
    index = re.findall(r"^\| \[(\S+)\]\((\S+)\) \| .+ \|$", (DOCS / "README.md").read_text(), re.MULTILINE)
    assert all(shown == target for shown, target in index)
    pages = {path.name for path in DOCS.glob("*.md")} - {"README.md"}
    assert sorted(target for _, target in index) == sorted(pages | {"decisions/"})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(DOCS).as_posix())
def test_no_link_leads_nowhere(page: Path) -> None:
    """Each relative link names a file that is there, and each anchor a heading of it."""
    for target, file, anchor in links(page):
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target
