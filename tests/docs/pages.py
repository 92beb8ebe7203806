"""The code blocks of a page, and how what is printed is compared with what a page shows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_ID = re.compile(r"\b([a-z_]+)_[0-9A-HJKMNP-TV-Z]{26}\b")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, and the line of the page on which it begins."""

    language: str
    text: str
    line: int


def blocks(page: str) -> Iterator[Block]:
    """A page's fenced blocks, in order."""
    text = (DOCS / page).read_text(encoding="utf-8")
    for found in _BLOCK.finditer(text):
        yield Block(found[1], found[2], text.count("\n", 0, found.start()) + 1)


def missing(shown: str, printed: str) -> str | None:
    """The first line that a page shows and a command did not print after the lines before it, or None.

    Ids, numbers that are times or ports, and the width of columns may differ; `…` stands for anything.
    """
    rest = iter(_plain(line) for line in printed.splitlines())
    for line in filter(str.strip, shown.splitlines()):
        pattern = ".*".join(re.escape(part) for part in re.split(r" *… *", _plain(line)))
        if not any(re.search(pattern, candidate) for candidate in rest):
            return line
    return None


def _plain(line: str) -> str:
    """A line without what differs from run to run."""
    line = _ID.sub(r"\1_ID", line.strip())
    line = re.sub(r"(127\.0\.0\.1|localhost):\d+", "HOST", line)
    line = re.sub(r"\d+\.\d+ s\b|\+\d+\.\d+", "TIME", line)
    line = re.sub(r"HOST +\d+ +\d+ s$", "HOST PID TIME", line)
    return re.sub(r"\s+", " ", line)
