"""`pulpo logs`: show the services' logs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pulpo import settings
from pulpo.errors import Nearest
from pulpo.services import logs as service_logs
from pulpo.services.supervisor import LOG_FILE, LOGS

_SUPERVISOR = Path(LOG_FILE).stem


def logs(
    service: Annotated[str | None, typer.Argument(help="One service; by default all of them.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes, until Ctrl-C.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many of each service's last lines.")] = 50,
) -> None:
    """Show the services' last lines, of stopped ones too. `supervisord` is the log of the process supervisor."""
    folder = settings.find_root(Path.cwd()) / LOGS
    files = {file.stem: file for file in sorted(folder.glob("*.log"))}
    if service is not None:
        if service not in files:
            hint = Nearest(tuple(files)).to(service) or f"there are logs of {', '.join(files) or 'none yet'}"
            raise typer.BadParameter(f"there is no log of {service!r}; {hint}")
        files = {service: files[service]}
    else:
        files.pop(_SUPERVISOR, None)
    width = max((len(name) for name in files), default=0)

    def write(name: str, line: str) -> None:
        typer.echo(line if service else f"{name:<{width}} | {line}")

    # Begin to follow before the last lines are read, so that none is lost in between.
    coming = service_logs.Follow(files)
    for name, file in files.items():
        for line in service_logs.last_lines(file, lines, until=coming.place(name)):
            write(name, line)
    if follow:
        try:
            for name, line in coming.lines():
                write(name, line)
        except KeyboardInterrupt:
            return
