"""The project's commands: a module per group, a thin function per operation, and an index that help is read from."""

from __future__ import annotations

import keyword
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass

from pulpo import names
from pulpo.compile.artifact import WIDTH, Artifact, json_text, quoted, render
from pulpo.settings import Settings
from pulpo.spec import AppSpec, FieldSpec, FlowPlan, Kind, OperationSpec

_TYPES: Mapping[Kind, str] = {
    "string": "str",
    "ref": "str",
    "datetime": "str",
    "date": "str",
    "money": "float",
    "integer": "int",
    "number": "float",
    "boolean": "bool",
}
_METAVARS: Mapping[Kind, str] = {"money": "AMOUNT", "datetime": "TIMESTAMP", "date": "YYYY-MM-DD"}
_TAKEN = frozenset({"given", "as_json", "local", "key", "input", "json", "help", "app", "typer", "invoke"})
_LONGEST_CHOICE = 60
_SHORTEST_HELP = 12


@dataclass(frozen=True, slots=True)
class Option:
    """An input field as a parameter of a command: its name in Python, and the whole line that declares it."""

    field: str
    parameter: str
    line: str


@dataclass(frozen=True, slots=True)
class Command:
    """An operation as a function."""

    operation: OperationSpec
    function: str
    options: tuple[Option, ...]


def emit_cli(app: AppSpec, plans: Mapping[str, FlowPlan], settings: Settings) -> tuple[Artifact, ...]:
    """`generated/cli/`: neither the user's modules nor Pydantic are imported by what is emitted, so it starts fast."""
    del plans, settings  # every emitter is called alike; commands depend on the operations alone
    groups: dict[str, list[OperationSpec]] = {}
    for operation in app.operations:
        groups.setdefault(operation.group, []).append(operation)
    package = "generated/cli/__init__.py"
    return (
        Artifact(package, render("cli/package.py.jinja", path=package, name=app.name)),
        Artifact("generated/cli/index.json", json_text(_index(app))),
        *(_module(group, tuple(operations), app) for group, operations in sorted(groups.items())),
    )


def _module(group: str, operations: tuple[OperationSpec, ...], app: AppSpec) -> Artifact:
    path = f"generated/cli/{names.identifier(group)}.py"
    commands = tuple(_command(operation) for operation in operations)
    declared = [option.line for command in commands for option in command.options]
    typing = [name for name in ("Annotated", "Literal") if any(f"{name}[" in line for line in declared)]
    text = render(
        "cli/group.py.jinja",
        path=path,
        sources=[operation.source.file for operation in operations if operation.source],
        group=group,
        words=group.replace(".", " "),
        help=_help(app, group),
        typing=typing,
        commands=commands,
        arguments=_arguments,
    )
    return Artifact(path, text)


def _command(operation: OperationSpec) -> Command:
    function = operation.short if operation.short not in _TAKEN else f"{operation.short}_command"
    options = (_option(field) for field in operation.input.fields)
    return Command(operation, function, tuple(option for option in options if option is not None))


def _option(field: FieldSpec) -> Option | None:
    """The option for a scalar field; None for a field that only `--input` can give."""
    taken = field.name in _TAKEN or keyword.iskeyword(field.name)
    parameter = f"field_{field.name}" if taken else field.name
    annotation = _annotation(field)
    if annotation is None:
        return None
    arguments = []
    metavar = field.target.upper() if field.kind == "ref" and field.target else _METAVARS.get(field.kind)
    if metavar:
        arguments.append(f'metavar="{metavar}"')
    line = f"{parameter}: Annotated[{annotation} | None, typer.Option({', '.join(arguments)})] = None,"
    about = _fitting(_about(field), WIDTH - 4 - len(line) - len("help=, "))
    if about:
        arguments.insert(0, f"help={about}")
    if not arguments:
        return Option(field.name, parameter, f"{parameter}: {annotation} | None = None,")
    line = f"{parameter}: Annotated[{annotation} | None, typer.Option({', '.join(arguments)})] = None,"
    return Option(field.name, parameter, line)


def _annotation(field: FieldSpec) -> str | None:
    if field.kind != "enum":
        return _TYPES.get(field.kind)
    if not all(isinstance(value, str) for value in field.values):
        return None
    choices = f"Literal[{', '.join(quoted(value) for value in field.values)}]"
    return choices if len(choices) <= _LONGEST_CHOICE else "str"


def _about(field: FieldSpec) -> str:
    text = " ".join((field.description or field.title or names.title(field.name)).split()).rstrip(".")
    return f"Required. {text}." if field.required else f"{text}."


def _fitting(text: str, room: int) -> str | None:
    """The text as a literal of at most `room` columns, cut at a word; None where next to nothing would be left."""
    for width in range(min(len(text), room), _SHORTEST_HELP, -1):
        literal = quoted(textwrap.shorten(text, width, placeholder="…"))
        if len(literal) <= room:
            return literal
    return None


def _arguments(command: Command) -> str:
    """The dictionary of fields that a command passes on, on one line where it fits."""
    pairs = [f"{quoted(option.field)}: {option.parameter}" for option in command.options]
    line = f"{' ' * 8}{{{', '.join(pairs)}}},"
    if len(line) <= WIDTH:
        return line
    return "\n".join([f"{' ' * 8}{{", *(f"{' ' * 12}{pair}," for pair in pairs), f"{' ' * 8}}},"])


def _index(app: AppSpec) -> dict[str, object]:
    prefixes = {prefix for operation in app.operations for prefix in _prefixes(operation.name)}
    return {
        "version": 1,
        "groups": {prefix: _help(app, prefix) for prefix in sorted(prefixes)},
        "commands": {
            operation.name: {
                "module": f"generated.cli.{names.identifier(operation.group)}",
                "help": _first_sentence(operation.description) or operation.title or names.title(operation.short),
            }
            for operation in app.operations
        },
    }


def _prefixes(operation: str) -> list[str]:
    words = operation.split(".")
    return [".".join(words[:length]) for length in range(1, len(words))]


def _help(app: AppSpec, prefix: str) -> str:
    """What a group says of itself, else what is in it."""
    described = next((group.description for group in app.groups if group.name == prefix and group.description), "")
    if described:
        return _first_sentence(described)
    depth = prefix.count(".") + 1
    inside = dict.fromkeys(
        operation.name.split(".")[depth] for operation in app.operations if operation.name.startswith(prefix + ".")
    )
    return textwrap.shorten(", ".join(inside), 80, placeholder=" …")


def _first_sentence(text: str) -> str:
    paragraph = " ".join(text.strip().split("\n\n")[0].split())
    sentence, dot, _ = paragraph.partition(". ")
    return sentence + "." if dot else paragraph
