"""`pulpo cli init`: begin a project, or complete one."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import typer

from pulpo.cli import scaffold
from pulpo.errors import PulpoError
from pulpo.settings import FILE

Database: TypeAlias = Literal["sqlite", "mongodb"]
Engine: TypeAlias = Literal["embedded", "prefect"]

app = typer.Typer(help="Set up a project.", no_args_is_help=True, add_completion=False, rich_markup_mode=None)


@app.callback()
def _project() -> None:
    """Set up a project."""


@app.command()
def init(
    *,
    database: Annotated[Database | None, typer.Option(help="Where documents are kept; sqlite by default.")] = None,
    engine: Annotated[Engine | None, typer.Option(help="What runs flows; embedded by default.")] = None,
) -> None:
    """Make the current folder a project: a small sample in an empty one, what is missing in one with models."""
    root = Path.cwd()
    empty = not (root / "models").is_dir() and not (root / "operations").is_dir()
    line = _database_line(database or "sqlite", root.name)
    values = {"name": root.name, "quoted_name": json.dumps(root.name, ensure_ascii=False), "database": line}
    values["engine"] = engine or "embedded"
    values["workers"] = "1" if engine == "prefect" else "0"
    if (root / FILE).exists():
        if database is not None:
            kinds = (f"{database}:", f"{database}+srv:")
            _choose(root / FILE, "database", line, "sqlite:", lambda url: url.startswith(kinds))
        if engine is not None:
            _choose(root / FILE, "engine", f'kind = "{engine}"', "embedded", lambda kind: kind == engine)
    sample = scaffold.files("sample", **values)  # of it, only how tests are run goes into a project that is there
    wanted = scaffold.files("config", **values) | (sample if empty else {_TESTS: sample[_TESTS]})
    written = scaffold.write_missing(root, wanted)
    for path in written:
        typer.echo(f"created  {path}")
    if not written:
        typer.echo("everything is there already")
    lines = _SAMPLE_NEXT if (root / "operations" / "tickets.py").is_file() else _NEXT
    typer.echo("\nNext:\n" + "\n".join(f"  {line}" for line in lines))


_TESTS = "pytest.ini"
_SAMPLE_NEXT = (
    "python -m pytest    # test the operations (needs pytest and pytest-asyncio)",
    "pulpo up            # compile, start everything, say where it is",
    'pulpo tickets desk open_ticket --title "The printer is on fire"',
)
_NEXT = (
    "pulpo check         # is the project sound?",
    "pulpo compile       # generate API, commands, flows and graphs",
    "pulpo up            # start everything, say where it is",
)


def _database_line(database: Database, name: str) -> str:
    if database == "sqlite":
        return 'url = "sqlite:///.pulpo/data.db" # relative to this folder'
    word = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")[:38] or "app"
    return f'url = "mongodb://127.0.0.1:27017/{word}" # a server that is there, else `pulpo up` starts one'


def _choose(file: Path, section: str, line: str, default: str, fits: Callable[[str], bool]) -> None:
    """See that settings that exist have what was chosen; a section is added where they have none.

    Args:
        file: The settings.
        section: The section's name.
        line: What is to stand in it.
        default: What holds without it.
        fits: Whether a value is what was chosen.

    Raises:
        PulpoError: PULPO105, they name another: what a person wrote is not changed.
    """
    given = _read(file).get(section)
    if given is None:
        if not fits(default):
            with file.open("a", encoding="utf-8") as settings:
                settings.write(f"\n[{section}]\n{line}\n")
            typer.echo(f"changed  {file.name}")
        return
    key = line.partition(" ")[0]
    if not fits(str(given.get(key, default)) if isinstance(given, dict) else ""):
        raise PulpoError(
            "PULPO105",
            f"{file.name} names another {section} already; nothing was written",
            hint=f"put this in its [{section}] section: {line}",
        )


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PulpoError("PULPO105", f"{file.name} is not TOML: {error}") from None
