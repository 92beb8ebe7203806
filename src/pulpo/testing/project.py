"""A project under test: loaded once, its application made anew for every test."""

from __future__ import annotations

import asyncio
import importlib
import sys
import types
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

import httpx

from pulpo import project as projects
from pulpo.compile.compiler import emit
from pulpo.errors import ProjectErrors
from pulpo.runtime import faults
from pulpo.runtime.application import Application
from pulpo.settings import find_root

GENERATED = "generated"


class Workspace:
    """A project, loaded and compiled in memory; generated modules go to a folder of the tests, not to the project."""

    def __init__(self, start: Path, scratch: Path) -> None:
        self.root = find_root(start)
        self._scratch = scratch
        project = projects.load(self.root)
        if project.findings:
            raise ProjectErrors(project.findings)
        self._project = project

    def __enter__(self) -> Self:
        for artifact in emit(self._project.app, self._project.plans, self._project.settings):
            path = self._scratch / artifact.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(artifact.text, encoding="utf-8")
        sys.path.insert(0, str(self._scratch))
        self._forget()
        return self

    def __exit__(self, *_: object) -> None:
        self._forget()
        sys.path.remove(str(self._scratch))

    def application(self, folder: Path) -> Application:
        """A new application of the project, not started, whose database is in `folder`."""
        url = f"sqlite:///{folder / 'test.db'}"
        settings = self._project.settings
        database = settings.database.model_copy(update={"url": type(settings.database.url)(url)})
        return Application(
            self._project.app, self._project.plans, settings.model_copy(update={"database": database}), self.root
        )

    @asynccontextmanager
    async def client(self, application: Application) -> AsyncIterator[httpx.AsyncClient]:
        """A client of the generated API on this application, which is started already."""
        self._forget()
        module = types.ModuleType(f"{GENERATED}.application")
        module.__dict__["application"] = application
        package = importlib.import_module(GENERATED)
        sys.modules[module.__name__] = package.__dict__["application"] = module
        served = importlib.import_module(f"{GENERATED}.api.app").app
        transport = httpx.ASGITransport(app=served, client=("127.0.0.1", 123))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
            yield client

    def _forget(self) -> None:
        for name in [name for name in sys.modules if name.partition(".")[0] == GENERATED]:
            del sys.modules[name]
        importlib.invalidate_caches()


class Crash(BaseException):
    """The work on a run ends here, as if its process had been killed."""


class CrashAt:
    """Arms a fault point. Where it is reached, every run this engine holds is dropped as in a kill: no result, no
    clean-up. The journal says what it said; the engine finds the runs again and resumes them.
    """  # noqa: D205 - one thought

    def __init__(self, application: Application) -> None:
        self._application = application
        self.reached = asyncio.Event()

    def __call__(self, point: faults.Point, operation: str = "", *, nth: int = 1) -> Self:
        """Drop all work when this point of this operation (any, when empty) is reached for the nth time."""
        left = nth

        def hook(reached: faults.Point, name: str) -> None:
            nonlocal left
            if reached == point and operation in ("", name):
                left -= 1
                if left == 0:
                    self.disarm()
                    self._drop()
                    raise Crash(f"{point} {name}")

        faults.arm(hook)
        return self

    def _drop(self) -> None:
        engine = self._application.engine
        for driver in list(engine.drivers.values()):
            driver.draining = True
            if not driver.done.done():
                driver.done.set_result(None)
            for task in driver.tasks:
                task.add_done_callback(_taken_note_of)
            driver.abandon()
        engine.drivers.clear()
        self.reached.set()

    def disarm(self) -> None:
        """Let everything pass again."""
        faults.arm(None)


def _taken_note_of(task: asyncio.Task[None]) -> None:
    """Look at what a task ended with: asyncio reports what nobody looked at, at some later moment of another test."""
    if not task.cancelled():
        task.exception()
