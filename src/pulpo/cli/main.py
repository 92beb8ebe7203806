"""`pulpo`: find the command, run it, and turn what went wrong into text or JSON and an exit code.

Exit codes: 0 done; 1 findings or stale; 2 usage or invalid input; 3 refused by the application; 4 something is broken;
5 a run goes on longer than it was to be waited for.
"""

from __future__ import annotations

import difflib
import json
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from pulpo.cli import builtin, show
from pulpo.cli.tree import LazyGroup, find_index, project_entries
from pulpo.errors import ProjectErrors, PulpoError

FINDINGS, USAGE, REFUSED, BROKEN = 1, 2, 3, 4
_MEANT: Mapping[str, str] = {"init": "pulpo cli init", "start": "pulpo up", "run": "pulpo up"}
"""What other tools call a command, and what does it here."""
_NEAR = 0.8
_USAGE_CODES = frozenset({"PULPO104", "PULPO105", "PULPO705", "PULPO801"})


class Commands(LazyGroup):
    """Pulpo's commands and, inside a compiled project, the project's own."""

    def __init__(self, **attrs: Any) -> None:
        self.index = find_index(Path.cwd())
        self.own = project_entries(self.index) if self.index else {}
        super().__init__({**self.own, **builtin.entries()}, **{**attrs, "suggest_commands": False})

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command, loaded; where there is none, perhaps because the project was never compiled, that is said."""
        try:
            return super().resolve_command(ctx, args)
        except typer.TyperException as error:
            if error.message.startswith("No such command"):
                error.message += self._suggestion(args[0])
            if self.index is not None and not self.index.is_file() and error.message.startswith("No such command"):
                error.message += " The project has not been compiled: its own commands come with `pulpo compile`."
            raise

    def _suggestion(self, word: str) -> str:
        if word in _MEANT:
            return f" Did you mean `{_MEANT[word]}`?"
        near = difflib.get_close_matches(word, self.entries, cutoff=_NEAR)
        if near:
            return f" Did you mean {', '.join(f'{each!r}' for each in near)}?"
        return "" if self.index else " This folder is in no project; inside one its own commands are there too."

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 - Typer calls it so
        """The project's commands apart from Pulpo's."""
        sections = {"Commands": builtin.entries(), "Commands of this project": self.own}
        for title, entries in sections.items():
            rows = [(name, entry.help) for name, entry in entries.items()]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line (by default this process's) and return its exit code."""
    argv = list(sys.argv[1:] if argv is None else argv)
    as_json = "--json" in argv
    try:
        result = root().main(args=argv, prog_name="pulpo", standalone_mode=False)
    except PulpoError as error:
        show_error(error, as_json=as_json)
        return exit_code(error)
    except typer.TyperException as error:
        return _show_usage(error, as_json=as_json)
    except typer.Abort:
        return 130
    except Exception as error:  # noqa: BLE001 - the last resort: whatever broke is shown, never swallowed
        traceback.print_exc()
        problem = PulpoError("PULPO610", f"{type(error).__name__} in this command; the trace is on standard error")
        show_error(problem, as_json=as_json)
        return BROKEN
    return result if isinstance(result, int) else 0


def root() -> Any:
    """The root command."""
    app = typer.Typer(cls=Commands, rich_markup_mode=None, add_completion=True, pretty_exceptions_enable=False)
    app.callback(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})(_pulpo)
    return typer.main.get_command(app)


def exit_code(error: PulpoError) -> int:
    """The exit code that an error ends with."""
    if isinstance(error, ProjectErrors):
        return FINDINGS
    if error.code in _USAGE_CODES:
        return USAGE
    if error.code == "PULPO304":
        return BROKEN
    stage = error.code[5] if error.code.startswith("PULPO") else ""
    if stage in {"1", "2", "3"} or error.code in {"PULPO703", "PULPO704", "PULPO802"}:
        return FINDINGS
    if error.status >= 500:
        return BROKEN
    invalid = error.status in {400, 405, 413, 415, 422}
    return USAGE if invalid and stage else REFUSED


def show_error(error: PulpoError, *, as_json: bool) -> None:
    """Print an error: the problem as JSON on standard output, or for people on standard error."""
    if as_json:
        problem = error.as_problem()
        if isinstance(error, ProjectErrors):
            problem["findings"] = show.findings_json(error.findings)
        typer.echo(json.dumps(problem, ensure_ascii=False))
        return
    typer.echo(show.findings_text(error.findings) if isinstance(error, ProjectErrors) else str(error), err=True)
    for invalid in (each for each in error.errors if each.message != error.detail):
        typer.echo(f"  field {invalid.pointer or '/'}  {invalid.message}", err=True)


def _show_usage(error: typer.TyperException, *, as_json: bool) -> int:
    context = getattr(error, "ctx", None)
    message = error.format_message()
    if as_json:
        show_error(PulpoError("PULPO804", message), as_json=True)
    elif type(error).__name__ == "NoArgsIsHelpError" or context is None:
        typer.echo(message, err=True)
    else:
        typer.echo(f"{context.get_usage()}\nError: {message}", err=True)
        typer.echo(f"Try `{context.command_path} --help`.", err=True)
    return USAGE if context is not None else error.exit_code


def _version(value: bool) -> None:
    if value:
        from pulpo import __version__

        typer.echo(f"pulpo {__version__}")
        raise typer.Exit


def _pulpo(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Write models and operations once; get an API, a command line and durable workflows."""


if __name__ == "__main__":
    sys.exit(main())
