"""docs/tutorial.md, followed as it stands: every file saved, every command typed, every shown output looked for."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.docs.pages import Block, blocks, missing
from tests.phase3.newcomer import Machine

RUN = re.compile(r"\brun_[0-9A-HJKMNP-TV-Z]{26}\b")
CODE = re.compile(r"# exit code (\d)$")


@dataclass
class Reader:
    """Somebody who follows a page: the folder they are in, and what they have seen last."""

    machine: Machine
    folder: Path
    settings: dict[str, str]
    printed: str = ""
    run: str = ""
    commands: list[str] = field(default_factory=list)

    def follow(self, block: Block) -> None:
        """Do what a block says, or compare it with what was printed."""
        match block.language:
            case "bash":
                self.printed = "".join(self._type(line) for line in block.text.splitlines())
            case "python":
                self._save(block.text)
            case "diff":
                self._change(block.text)
            case "text":
                absent = missing(block.text, self.printed)
                assert absent is None, f"docs/tutorial.md:{block.line} shows {absent!r}, printed was:\n{self.printed}"
            case _:
                pytest.fail(f"docs/tutorial.md:{block.line}: nobody can follow a block of {block.language}")

    def _type(self, line: str) -> str:
        """Type a command, on this project's port and with the id that was printed last; what it prints."""
        expected = CODE.search(line)
        line = line.replace("http://localhost:8000", f"http://localhost:{self.settings['PULPO_API_PORT']}")
        self.commands.append(line)
        if line.startswith("curl "):
            answer = self.machine.curl(line, self.folder)
            assert answer.is_success, f"{line}\n{answer.text}"
            return f"{answer.text}\n"
        where = Path(self.machine.environment["HOME"]) / "where"
        ran = self.machine.run(
            f"{RUN.sub(self.run, line)}\ncode=$?; pwd > {where}; exit $code",
            self.folder,
            code=int(expected[1]) if expected else 0,
            settings=self.settings,
        )
        self.folder = Path(where.read_text().strip())
        self.run = next(iter(RUN.findall(ran.out)), self.run)
        return f"{ran.out}\n{ran.err}\n"

    def _save(self, text: str) -> None:
        """Write a file, or the rest of one."""
        header, _, content = text.partition("\n")
        path, added, _ = header.removeprefix("# ").partition(" (at the end)")
        file = self.folder / path
        file.parent.mkdir(exist_ok=True)
        file.write_text(file.read_text() + content if added else content)

    def _change(self, text: str) -> None:
        """Replace what a diff takes away by what it adds."""
        header, *lines = text.splitlines(keepends=True)
        file = self.folder / header.strip().removeprefix("# ")
        old, new = ("".join(line[1:] for line in lines if line[0] == sign) for sign in "-+")
        assert file.read_text().count(old) == 1, old
        file.write_text(file.read_text().replace(old, new))


@pytest.fixture
def reader(machine: Machine, tmp_path: Path, ports: dict[str, str]) -> Iterator[Reader]:
    """A reader in an empty folder, whose project is stopped afterwards whatever happened."""
    reader = Reader(machine, tmp_path, ports)
    yield reader
    machine.run("pulpo down || true", reader.folder)


def test_the_tutorial_works_as_written(reader: Reader) -> None:
    """From the empty folder to a flow that undoes itself, with every command ending as the page says."""
    for block in blocks("tutorial.md"):
        reader.follow(block)
    typed = "\n".join(reader.commands)
    for wanted in ("pulpo cli init", "pulpo up", "pulpo plan repairs --why", "pulpo runs show", "curl -X POST"):
        assert wanted in typed


def test_the_tutorial_s_code_is_tidy(machine: Machine, tmp_path: Path) -> None:
    """What readers copy is formatted, and has no unused import."""
    reader = Reader(machine, tmp_path, {})
    for block in blocks("tutorial.md"):
        if block.language in {"python", "diff"}:
            reader.follow(block)
    files = [str(path) for path in tmp_path.rglob("*.py")]
    assert len(files) >= 5
    for arguments in (["format", "--check"], ["check", "--select", "E,F,B,UP,D1"]):
        command = [sys.executable, "-m", "ruff", *arguments, "--isolated", "--no-cache", "--line-length", "120", *files]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
