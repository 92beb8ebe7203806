"""The pytest plugin of `pulpo.testing`: a project's application on a temporary store.

Fixtures: `app` (a started `Application`), `ctx` (a `Context` on it), `client` (an `httpx.AsyncClient` of its API),
`run_flow` (run a flow to its end), `crash_at` (let the process "die" at a fault point and start again).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import httpx

    from pulpo import Context
    from pulpo.runtime.application import Application
    from pulpo.testing.project import CrashAt, Workspace


@pytest.fixture(scope="session")
def pulpo_workspace(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """The project that the tests are part of, compiled into a folder of its own."""
    from pulpo.testing.project import Workspace  # noqa: PLC0415 - pytest loads this plugin everywhere

    with Workspace(Path(request.config.rootpath), tmp_path_factory.mktemp("pulpo")) as workspace:
        yield workspace


@pytest.fixture
async def app(pulpo_workspace: Workspace, tmp_path: Path) -> AsyncIterator[Application]:
    """The project's application, started, on a temporary store that is gone after the test."""
    application = pulpo_workspace.application(tmp_path)
    await application.start()
    yield application
    await application.stop(1.0)


@pytest.fixture
def ctx(app: Application) -> Context:
    """A context as hooks get it: its store is not restricted, and writes land at `await ctx.commit()`."""
    from pulpo.runtime.context import Caller  # noqa: PLC0415

    return app.context(Caller())


@pytest.fixture
async def client(app: Application, pulpo_workspace: Workspace) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client of the project's generated API, without a socket."""
    async with pulpo_workspace.client(app) as found:
        yield found


@pytest.fixture
def run_flow(app: Application) -> Callable[..., Awaitable[Any]]:
    """Runs a flow to its end: called with its name and input, gives the run's document with its steps."""
    from pulpo.runtime.context import Caller  # noqa: PLC0415

    async def run(flow: str, data: dict[str, Any], seconds: float = 30.0) -> Any:
        begun = await app.engine.start_run(flow, data, caller=Caller())
        return await app.engine.finished(begun["id"], seconds)

    return run


@pytest.fixture
def crash_at(app: Application) -> Iterator[CrashAt]:
    """Drop the work at a fault point, as in a kill: `crash_at("after_result", "payments.processing.charge")`."""
    from pulpo.testing.project import CrashAt  # noqa: PLC0415

    crash = CrashAt(app)
    yield crash
    crash.disarm()
