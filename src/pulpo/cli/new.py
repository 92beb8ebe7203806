"""`pulpo new`: add a file to begin with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pulpo import names
from pulpo.cli import scaffold
from pulpo.cli.options import project_root
from pulpo.errors import PulpoError

app = typer.Typer(
    help="Add a model or an operation to the project.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)


@app.command()
def model(name: Annotated[str, typer.Argument(help="In CamelCase, for example StockMovement.")]) -> None:
    """Add a model: models/stock_movement.py for StockMovement."""
    if not name.isidentifier() or not name[0].isupper() or "_" in name:
        raise PulpoError("PULPO804", f"{name!r} is no name of a model", hint="a model's name is like StockMovement")
    path = f"models/{names.snake(name)}.py"
    content = scaffold.text("new/model.py.tmpl", class_name=name, title=names.title(names.snake(name)))
    if not scaffold.write_missing(project_root(), {path: content}):
        raise PulpoError("PULPO804", f"{path} exists; nothing was written")
    typer.echo(f"created  {path}")


@app.command()
def operation(name: Annotated[str, typer.Argument(help="Dotted, for example orders.checkout.apply_voucher.")]) -> None:
    """Add an operation in a file of its own: operations/checkout.py for orders.checkout.apply_voucher."""
    if not names.is_operation_name(name):
        raise PulpoError(
            "PULPO804", f"{name!r} is no name of an operation", hint="it is like orders.checkout.apply_voucher"
        )
    root = project_root()
    _refuse_declared(root, name)
    short, group = names.short(name), names.short(names.group(name))
    content = scaffold.text(
        "new/operation.py.tmpl",
        name=name,
        group=names.group(name),
        function=short,
        class_name="".join(word.capitalize() for word in short.split("_")),
        title=names.title(short),
    )
    for path in (f"operations/{group}.py", f"operations/{group}_{short}.py"):
        if scaffold.write_missing(root, {path: content}):
            typer.echo(f"created  {path}")
            return
    raise PulpoError("PULPO804", f"operations/{group}_{short}.py exists; nothing was written")


def _refuse_declared(root: Path, name: str) -> None:
    """Raises PulpoError PULPO804 where an operation of this name is declared, in whatever file."""
    from pulpo.declare.discover import load_app

    app, _ = load_app(root, root.name)
    for spec in app.operations:
        if spec.name == name:
            where = f", at {spec.source.file}:{spec.source.line}" if spec.source is not None else ""
            raise PulpoError("PULPO804", f"{name} is declared already{where}; nothing was written")
