"""`pulpo status`: show the project's services."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from pulpo import settings
from pulpo.services import drive
from pulpo.services.drive import ProjectStatus, ServiceStatus

_NOT_RUNNING, _BROKEN = 1, 4


def status(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    """Show the project's services. Exit code 0: all healthy, 1: not running, 4: one is not healthy."""
    now = drive.status(settings.find_root(Path.cwd()))
    typer.echo(json.dumps({**asdict(now), "healthy": now.healthy}) if as_json else show(now))
    if not now.healthy:
        raise typer.Exit(_BROKEN if now.running else _NOT_RUNNING)


def show(now: ProjectStatus) -> str:
    """The services as a table, or why there is none."""
    if not now.running:
        left = len(now.leftovers)
        return f"not running ({left} processes of an earlier run are left: pulpo down)" if left else "not running"
    rows = [("SERVICE", "STATE", "URL", "PID", "UPTIME"), *(_row(service) for service in now.services)]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines += [f"{each.name}: {each.detail}" for each in now.services if each.detail]
    return "\n".join(lines)


def _row(service: ServiceStatus) -> tuple[str, str, str, str, str]:
    pid = "-" if service.pid is None else str(service.pid)
    return service.name, service.state, service.url or "-", pid, _duration(service.uptime)


def _duration(seconds: int | None) -> str:
    if seconds is None:
        return "-"
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
