"""What generated commands call: put an input together, run the operation, print what it gave."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from pulpo.errors import FieldError, PulpoError
from pulpo.runtime import target

Given = Annotated[
    str | None,
    typer.Option("--input", metavar="JSON", help="The input as a JSON object; @FILE reads a file, - standard input."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object, also for an error.")]
Local = Annotated[bool, typer.Option("--local", help="Work in this process even if the API is running.")]
Key = Annotated[
    str | None, typer.Option("--key", metavar="TEXT", help="Idempotency key: the same key gives the same answer again.")
]


def invoke(
    operation: str,
    fields: Mapping[str, object],
    *,
    root: Path,
    given: str | None = None,
    as_json: bool = False,
    local: bool = False,
    key: str | None = None,
) -> None:
    """Run an operation and print its output.

    Args:
        operation: Its dotted name.
        fields: Input fields given as options; None means not given. They win over `given`.
        root: The project's root.
        given: The input as JSON, `@FILE` or `-`.
        as_json: Print the output as one line of JSON.
        local: Work in this process even if the API is running.
        key: The idempotency key.

    Raises:
        PulpoError: PULPO801, the input cannot be read; else what the operation or the way to it answered.
    """
    raw = read_input(given, fields)
    with target.find(root, local=local) as place:
        answer = place.call(operation, raw, key)
    if as_json:
        typer.echo(answer.output)
        return
    typer.echo(readable(json.loads(answer.output)))
    if answer.replayed:
        typer.echo("(the kept answer to this idempotency key)", err=True)
    elif answer.already:
        typer.echo("(it was there already: nothing changed)", err=True)


def read_input(given: str | None, fields: Mapping[str, object] | None = None) -> str:
    """The input as JSON text: what `--input` says, and on top of it the fields given as options.

    Text that needs no additions is passed on as it was written.

    Raises:
        PulpoError: PULPO801, a file cannot be read, or the text is not a JSON object.
    """
    text = _text(given)
    try:
        value = json.loads(text)
    except ValueError as error:
        place = f"line {error.lineno}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else "its text"
        raise _unreadable(f"the input is not valid JSON at {place}: {getattr(error, 'msg', error)}", "json") from None
    if not isinstance(value, dict):
        raise _unreadable("the input must be a JSON object", "type")
    options = {name: each for name, each in (fields or {}).items() if each is not None}
    return json.dumps({**value, **options}, ensure_ascii=False) if options else text


def readable(value: Any, indent: str = "") -> str:
    """A JSON value for people: a line per field, nested ones indented."""
    if isinstance(value, dict) and value:
        width = max((len(name) for name, each in value.items() if not _nested(each)), default=0)
        return "\n".join(
            f"{indent}{name}\n{readable(each, indent + '  ')}"
            if _nested(each)
            else f"{indent}{name:<{width}}  {_scalar(each)}"
            for name, each in value.items()
        )
    if isinstance(value, list) and value:
        return "\n".join(
            f"{indent}- {readable(each, indent + '  ').lstrip()}" if _nested(each) else f"{indent}- {_scalar(each)}"
            for each in value
        )
    return indent + _scalar(value)


def _nested(value: Any) -> bool:
    return isinstance(value, dict | list) and bool(value)


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "-" if value is None else json.dumps(value, ensure_ascii=False)


def _text(given: str | None) -> str:
    if given is None:
        return "{}"
    if given == "-":
        return sys.stdin.read()
    if not given.startswith("@"):
        return given
    try:
        return Path(given[1:]).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise _unreadable(f"the file {given[1:]} cannot be read: {reason}", "file") from None


def _unreadable(detail: str, word: str) -> PulpoError:
    return PulpoError(
        "PULPO801",
        detail,
        hint="""for example --input '{"order_id": "ORD-1"}', --input @file.json, or --input - for standard input""",
        errors=[FieldError("", word, detail)],
    )
