"""`pulpo worker`: a process that takes up runs."""

from __future__ import annotations

import asyncio
import signal
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import typer

from pulpo.cli.options import project_root
from pulpo.runtime import target
from pulpo.runtime.process import tune_collector

if TYPE_CHECKING:
    from types import FrameType

    from pulpo.runtime.application import Application


def worker() -> None:
    """Run flows in this process until it is told to stop; then finish what was begun, within ten seconds."""
    import os

    import uvloop

    from pulpo import settings
    from pulpo.runtime.log_lines import log_to_stderr

    log_to_stderr()
    root = project_root()
    given = settings.load(root)
    if given.engine.needs_prefect:
        from pulpo.runtime.prefect.place import client_environment, place
        from pulpo.services.prefect import check_installed

        check_installed()
        # Prefect reads it when it is imported, which the worker does.
        os.environ.update(client_environment(place(given, root), root))
        run_for_prefect(target.load_application(root), uvloop.new_event_loop())
        return
    uvloop.run(work(target.load_application(root)))


def run_for_prefect(application: Application, loop: asyncio.AbstractEventLoop) -> None:
    """Carry out what the Prefect server gives, until SIGTERM or SIGINT, then drain.

    The loop has a thread of its own: in the main thread Prefect puts a handler of SIGTERM in the place of this one for
    as long as a flow runs, which stops the flow in the middle of a step.
    """
    told = asyncio.Event()

    def tell(_number: int, _frame: FrameType | None) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(told.set)

    def run() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(work_for_prefect(application, told))

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, tell)
    with ThreadPoolExecutor(1, thread_name_prefix="pulpo-worker") as threads:
        threads.submit(run).result()


async def work_for_prefect(application: Application, told: asyncio.Event) -> None:
    """Carry out what the Prefect server gives until told to stop, then drain."""
    from pulpo.runtime.prefect.worker import PrefectWorker

    ready = asyncio.Event()
    working = asyncio.create_task(PrefectWorker(application).work(told, ready=ready))
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait([working, waiting], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if ready.is_set():
        tune_collector()
        typer.echo(f"worker of {application.spec.name}: ready, in the work pool of the Prefect server", err=True)
    await working


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
