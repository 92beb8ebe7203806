"""`pulpo db shell`: the database's own shell."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from pulpo.cli.db.place import Place, Url
from pulpo.errors import PulpoError

_ADDRESS = "PULPO_SHELL_URL"


def shell(
    *,
    url: Url = None,
    write: Annotated[bool, typer.Option("--write", help="Let it change what is there.")] = False,
) -> None:
    """Open the database's own shell: SQL for SQLite, `mongosh` for MongoDB. It reads only, unless --write is given."""
    from pulpo.store import places

    place = Place.of(url)
    file = places.sqlite_file(place.url, place.root)
    if file is None:
        _mongosh(place, write=write)
    else:
        _sqlite(file, write=write)


def _sqlite(file: Path, *, write: bool) -> None:
    import apsw
    import apsw.shell

    from pulpo.store.sqlite_file import PATIENCE, connect, inspect

    if not file.exists():
        raise PulpoError("PULPO507", f"there is no database at {file}", status=404)
    inspect(file)
    if write:
        db = connect(file, cache_kib=4_096, patience=PATIENCE)
    else:
        db = apsw.Connection(str(file), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        if sys.stdin.isatty():
            mode = "for writing too" if write else "for reading"
            typer.echo(f"{file}, {mode}: a table for each collection, its documents in the column doc")
        interpreter: Any = apsw.shell.Shell(db=db)
        interpreter.cmdloop()
    finally:
        db.close()


def _mongosh(place: Place, *, write: bool) -> NoReturn:
    """Become mongosh. The address goes by a variable: arguments can be seen by every user of the machine."""
    program = shutil.which("mongosh")
    if program is None:
        raise PulpoError("PULPO804", "mongosh is not installed", hint="install it, for example: npm install -g mongosh")
    if not write:
        raise PulpoError(
            "PULPO804",
            "mongosh cannot be held to reading only",
            hint="give --write; a user of the database that may only read is the way to be safe",
        )
    from pulpo.store import own_server

    command = [program, "--nodb", "--quiet", "--shell", "--eval", f"db = connect(process.env.{_ADDRESS})"]
    os.execve(program, command, {**os.environ, _ADDRESS: own_server.with_user(place.url, place.root)})  # noqa: S606 - a fixed command
