"""`pulpo worker`: a process that takes up runs."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

import typer

from pulpo.cli.options import project_root
from pulpo.runtime import target
from pulpo.runtime.process import tune_collector

if TYPE_CHECKING:
    from pulpo.runtime.application import Application


def worker() -> None:
    """Run flows in this process until it is told to stop; then finish what was begun, within ten seconds."""
    import uvloop

    from pulpo.runtime.log_lines import log_to_stderr

    log_to_stderr()
    uvloop.run(work(target.load_application(project_root())))


async def work(application: Application) -> None:
    """Take up runs until SIGTERM or SIGINT, then drain."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    await application.start(execute=True)
    tune_collector()
    try:
        typer.echo(f"worker of {application.spec.name}: ready", err=True)
        await told.wait()
    finally:
        await application.stop()
