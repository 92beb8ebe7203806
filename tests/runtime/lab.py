"""A workbench for engine tests: flows made of steps whose behaviour each test writes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from pulpo import Context, Field, Model, datamodel, flow, operation
from pulpo.graph.build import plans
from pulpo.runtime.application import Application, assemble
from pulpo.runtime.context import Caller
from pulpo.settings import Settings
from pulpo.spec import AppSpec

LOCAL = Caller()


@datamodel
class Box(Model):
    """Something to count in."""

    label: str = Field("", unique=True)
    count: int = 0


class Given(BaseModel):
    """What every step takes."""

    box: str = "box"
    amount: int = 1


class Made(BaseModel):
    """What every step makes."""

    ok: bool = True
    made: str | None = None


class Undo(BaseModel):
    """What every undoing takes: the input, and of the output what there is."""

    box: str
    made: str | None = None


Body = Callable[[Any, Context], Awaitable[Made | None]]


class Lab:
    """Collects steps, then starts an application of them."""

    def __init__(self, root: Path, database: str) -> None:
        self.root = root
        self.database = database
        self.functions: list[Any] = []
        self.calls: list[str] = []
        self.keys: dict[str, list[str]] = {}
        self.apps: list[Application] = []
        self.one_per: str | None = None

    def step(self, name: str, body: Body | None = None, *, undo: Body | bool = False, **options: Any) -> None:
        """Declare a step; `undo` gives it a compensation named `<name>_undone`."""
        if undo:
            options["compensate"] = f"{name}_undone"
            self._add(f"{name}_undone", Undo, undo if callable(undo) else None, {"models_out": [Box]})
        self._add(name, Given, body, options)

    def _add(self, name: str, taken: type[BaseModel], body: Body | None, options: dict[str, Any]) -> None:
        async def run(data: Any, ctx: Context) -> Made:
            self.calls.append(name)
            self.keys.setdefault(name, []).append(ctx.idempotency_key)
            made = await body(data, ctx) if body is not None else None
            return made or Made()

        run.__name__ = name.rpartition(".")[2]
        run.__annotations__ = {"data": taken, "ctx": Context, "return": Made}
        options.setdefault("models_out", [Box] if options.get("atomic") else [])
        self.functions.append(operation(name=name, **options)(run))

    async def start(self, *, execute: bool = True, **engine: Any) -> Application:
        """An application on the lab's database; a second one shares it."""
        flows = (flow("work", includes=["lab"], one_per=self.one_per),)
        spec = AppSpec(
            "lab",
            models=(Box.__pulpo__,),
            operations=tuple(function.__pulpo__ for function in self.functions),
            flows=tuple(item.__pulpo__ if hasattr(item, "__pulpo__") else item for item in flows),
        )
        settings = Settings.model_validate({"database": {"url": self.database}, "engine": engine})
        app = assemble(
            name="lab", root=self.root, models=[Box], operations=self.functions, plans=plans(spec), settings=settings
        )
        await app.start(execute=execute)
        self.apps.append(app)
        return app

    async def run(self, app: Application, **given: Any) -> dict[str, Any]:
        """A run of the whole flow, to its end."""
        begun = await app.engine.start_run("work", given, caller=LOCAL)
        return await app.engine.finished(begun["id"], 10)

    async def close(self) -> None:
        """Stop every application that was started."""
        for app in self.apps:
            if app._engine is not None:
                await app.stop(1.0)


def states(run: dict[str, Any]) -> dict[str, str]:
    """Step name -> state; undoings have a `~`."""
    return {
        ("~" if s["kind"] == "compensation" else "") + s["operation"].rpartition(".")[2]: s["state"]
        for s in run["steps"]
    }
