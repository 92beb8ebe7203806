"""The application object of a generated project: its description, its store and its engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydantic_core

from pulpo import settings as configuration
from pulpo.errors import NotFound, PulpoError
from pulpo.model.model import Model, new_id
from pulpo.runtime import calls, faults, telemetry
from pulpo.runtime.context import Caller, Context, RunRef
from pulpo.runtime.engine import Engine
from pulpo.runtime.session import Session
from pulpo.runtime.shapes import References
from pulpo.runtime.tables import collections
from pulpo.settings import Settings
from pulpo.spec import AppSpec, FlowPlan, Json, OperationSpec
from pulpo.store.connect import connect
from pulpo.store.port import Store
from pulpo.store.upkeep import MARKER, TRANSFERS


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a direct call gave: JSON text, whether the effect was there already or this is a replay, and its run."""

    output: str
    already: bool
    replayed: bool
    run: str


class Application:
    """A project that can run. `start` before anything else, `stop` at the end."""

    def __init__(
        self,
        spec: AppSpec,
        plans: Mapping[str, FlowPlan],
        settings: Settings,
        root: Path,
        store: Store | None = None,
    ) -> None:
        self.spec = spec
        self.plans = dict(plans)
        self.settings = settings
        self.root = root
        self.operations: dict[str, OperationSpec] = {operation.name: operation for operation in spec.operations}
        database = settings.database
        self.store = store or connect(database.url.get_secret_value(), root, query_timeout=database.query_timeout)
        self.references = References(spec, self.store)
        self._engine: Engine | None = None

    @property
    def engine(self) -> Engine:
        """The engine; there is one between `start` and `stop`."""
        if self._engine is None:
            raise RuntimeError("the application has not been started")
        return self._engine

    async def start(self, *, execute: bool = True) -> None:
        """Open the store and start the engine; with `execute` it takes on runs that nobody holds."""
        faults.arm_from_environment()
        telemetry.begin(self.settings)
        await self.store.open(collections(self.spec))
        await self._refuse_half_a_copy()
        self._engine = Engine(self)
        await self._engine.start(execute=execute)

    async def _refuse_half_a_copy(self) -> None:
        record = await self.store.get(TRANSFERS, MARKER)
        if record is not None and pydantic_core.from_json(record.json)["state"] != "complete":
            await self.store.close()
            raise PulpoError(
                "PULPO516",
                "the database was filled in part only: `pulpo db copy` or `pulpo db restore` did not come to its end",
                hint="run it again: it goes on where it was",
            )

    async def stop(self, timeout: float = 10.0) -> None:  # noqa: ASYNC109 - what callers expect
        """Stop the engine, giving steps that run `timeout` seconds to end, and close the store."""
        if self._engine is not None:
            await self._engine.stop(timeout)
            self._engine = None
        await self.store.close()
        await telemetry.flush()

    def operation(self, name: str) -> OperationSpec:
        """The operation of this name. Raises PulpoError PULPO414."""
        spec = self.operations.get(name)
        if spec is None:
            raise PulpoError("PULPO414", f"there is no operation {name} any more")
        return spec

    def context(self, caller: Caller) -> Context:
        """A context for hooks and scripts: its store is not restricted, and its writes gather until `commit()`."""
        session = Session(self.store)
        ref = RunRef(new_id("call"), None, "hook")

        async def commit() -> None:
            batch = session.batch()
            if batch.writes:
                await self.store.commit(batch)
                session.landed()

        return Context(session, ref.id, caller, ref, self.settings, commit, self._cancel_runs)

    async def call(
        self,
        operation: str,
        raw: bytes | str | Mapping[str, Json],
        *,
        caller: Caller,
        key: str | None = None,
    ) -> Outcome:
        """Call one operation: validated, journaled, once per idempotency key.

        Raises:
            NotFound: PULPO404, no such operation, or a reference to nothing.
            PulpoError: PULPO601/602 for the input; what the operation refused; PULPO410/411 for the key.
        """
        spec = self.operations.get(operation)
        if spec is None:
            raise NotFound("operation", operation)
        answer = await calls.call(self, spec, raw, caller, key)
        return Outcome(answer.output, answer.already, answer.replayed, answer.run)

    async def _cancel_runs(self, value: str) -> None:
        await self.engine.cancel_live(value)


def assemble(
    *,
    name: str,
    root: Path,
    models: Sequence[type[Model]],
    operations: Sequence[Callable[..., Any]],
    plans: Path | Mapping[str, FlowPlan],
    settings: Settings | None = None,
    store: Store | None = None,
) -> Application:
    """An application from a project's own classes and functions, each carrying its description.

    Args:
        name: The project's name. root: Its folder.
        models: Classes with `@datamodel`. operations: Functions with `@operation`.
        plans: The compiled plans, or the `plans.json` that holds them.
        settings: Where not those of `pulpo.toml` and the environment.
        store: Where not that of `database.url`.
    """
    if isinstance(plans, Path):
        data = pydantic_core.from_json(plans.read_bytes())
        plans = {flow: FlowPlan.from_json(plan) for flow, plan in data.items()}
    spec = AppSpec(
        name=name,
        models=tuple(model.__pulpo__ for model in models),
        operations=tuple(operation.__pulpo__ for operation in operations),  # type: ignore[attr-defined]
    )
    return Application(spec, plans, settings or configuration.load(root), root, store)
