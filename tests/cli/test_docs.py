"""docs/cli.md holds every command's help as it is; `PULPO_UPDATE_GOLDEN=1` rewrites that part."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pulpo.cli.main import root

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"
BEGIN = "<!-- From here on made from --help by tests/cli/test_docs.py -->\n"
WIDTH = 100


def helps(command: Any, name: str, parent: Any = None) -> Iterator[tuple[str, str, Any]]:
    """Each command's path, its help and itself, groups before what is in them."""
    settings = {"terminal_width": WIDTH, "max_content_width": WIDTH}
    context = command.make_context(name, [], parent=parent, resilient_parsing=True, **settings)
    text = "\n".join(line.rstrip() for line in command.get_help(context).splitlines())
    yield context.command_path, text, command
    for child in command.list_commands(context) if hasattr(command, "list_commands") else []:
        _, loaded, _ = command.resolve_command(context, [child])
        yield from helps(loaded, child, context)


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, Any]]:
    """All of Pulpo's own commands."""
    monkeypatch.chdir(tmp_path)
    return list(helps(root(), "pulpo"))


def test_the_reference_is_current(commands: list[tuple[str, str, Any]]) -> None:
    """Each command has a place in the docs, with the help that it gives now."""
    reference = "\n".join(f"## {path}\n\n```text\n{text}\n```\n" for path, text, _ in commands)
    written, _, before = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    if os.environ.get("PULPO_UPDATE_GOLDEN"):
        PAGE.write_text(f"{written}{BEGIN}\n{reference}", encoding="utf-8")
        return
    assert before == f"\n{reference}"


def test_every_command_and_option_says_what_it_does(commands: list[tuple[str, str, Any]]) -> None:
    """No help is empty, and each begins with a capital letter and ends its sentence."""
    for path, _, command in commands:
        first = (command.help or "").split("\n\n")[0]
        assert first[:1].isupper(), path
        assert first.rstrip().endswith("."), path
        for parameter in command.params:
            assert parameter.help, f"{path} {parameter.name}"
