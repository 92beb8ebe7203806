"""The tree of commands: a line of help for each is known at once, its module is loaded when it is run."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from pulpo.imports import import_from

INDEX = Path("generated", "cli", "index.json")
"""Where a compiled project lists its commands, so that help need not import them."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A command that is not loaded yet. `load` gets the arguments after its name."""

    help: str
    load: Callable[[list[str]], Any]


@dataclass(slots=True)
class Branch:
    """A level of a project's commands, while it is read from the index."""

    help: str = ""
    entries: dict[str, Entry] = field(default_factory=dict)
    branches: dict[str, Branch] = field(default_factory=dict)


class LazyGroup(TyperGroup):
    """A group whose commands are placeholders with their help until one of them is run."""

    def __init__(self, entries: Mapping[str, Entry], **attrs: Any) -> None:
        self.entries = dict(entries)
        placeholders = {
            name: TyperCommand(name, help=entry.help, rich_markup_mode=None) for name, entry in entries.items()
        }
        super().__init__(**{**attrs, "commands": placeholders, "rich_markup_mode": None, "no_args_is_help": True})

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of this name; `validate-items` is `validate_items`."""
        return super().get_command(ctx, cmd_name) or super().get_command(ctx, cmd_name.replace("-", "_"))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command itself, loaded, instead of its placeholder."""
        name, placeholder, rest = super().resolve_command(ctx, args)
        if placeholder is None:
            return name, None, rest
        command = self.entries[placeholder.name or ""].load(rest)
        return placeholder.name, command, rest


def module_entry(module: str, attribute: str, help_line: str) -> Entry:
    """A command of Pulpo's own: a function with annotated parameters, or a `typer.Typer` with several."""

    def load(_rest: list[str]) -> Any:
        target = getattr(importlib.import_module(module), attribute)
        if isinstance(target, typer.Typer):
            return typer.main.get_command(target)
        single = typer.Typer(add_completion=False, rich_markup_mode=None)
        single.command()(target)
        return typer.main.get_command(single)

    return Entry(help_line, load)


def find_index(start: Path) -> Path | None:
    """Where the project that `start` is in lists its commands, if it was compiled; None outside of any project.

    As `settings.find_root`, but it imports nothing, so that help is there at once.
    """
    for folder in (start, *start.parents):
        if (folder / "pulpo.toml").is_file() or (folder / "models").is_dir() or (folder / "operations").is_dir():
            return folder / INDEX
    return None


def project_entries(index: Path) -> dict[str, Entry]:
    """The commands of a compiled project, by first word. An index that cannot be read counts as none."""
    try:
        listed = json.loads(index.read_text(encoding="utf-8"))
        commands: dict[str, dict[str, str]] = listed["commands"]
        groups: dict[str, str] = listed["groups"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    root = index.parents[len(INDEX.parts) - 1]
    top = Branch()
    for name, listed_command in commands.items():
        *path, short = name.split(".")
        branch = top
        for depth, word in enumerate(path, start=1):
            branch = branch.branches.setdefault(word, Branch(groups.get(".".join(path[:depth]), "")))
        branch.entries[short] = Entry(listed_command["help"], _operation(root, listed_command["module"], short))
    return _entries(top)


def _entries(branch: Branch) -> dict[str, Entry]:
    groups = {name: Entry(child.help, _group(name, child)) for name, child in branch.branches.items()}
    return {**groups, **branch.entries}


def _group(name: str, branch: Branch) -> Callable[[list[str]], LazyGroup]:
    return lambda _rest: LazyGroup(_entries(branch), name=name, help=branch.help)


def _operation(root: Path, module: str, short: str) -> Callable[[list[str]], Any]:
    def load(_rest: list[str]) -> Any:
        import_from(root)
        group = typer.main.get_group(importlib.import_module(module).app)
        return group.commands[short]

    return load
