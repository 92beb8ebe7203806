"""The journal: a run's record, its steps' records, and the writes and events that change them.

Records are documents like any other; each remembers the version it has in the store, and every change names that
version. Whoever takes a run over restamps the token on its unfinished steps, which raises their versions: a worker that
was paused can land nothing afterwards.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import Any, ClassVar, Literal, Self, TypeAlias

import pydantic_core

from pulpo.errors import PulpoError
from pulpo.runtime.tables import RUNS, STEPS
from pulpo.spec import Json
from pulpo.store.port import Insert, Record, Replace

State: TypeAlias = Literal[
    "queued", "running", "waiting", "stopped", "completed", "failed", "cancelling", "cancelled", "compensating",
    "compensated", "skipped",
]  # fmt: skip
END_STATES = frozenset({"stopped", "completed", "failed", "cancelled", "compensated"})


_second: tuple[int, str] = (0, "")


def clock() -> str:
    """The time as the journal writes it, as `timestamp(now())`; it is asked some twenty times a flow."""
    global _second  # noqa: PLW0603 - the text of the current second, made once
    seconds, milliseconds = divmod(time.time_ns() // 1_000_000, 1000)
    if _second[0] != seconds:
        _second = (seconds, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)))
    return f"{_second[1]}.{milliseconds:03}Z"


def error_json(error: BaseException, step: str | None = None) -> dict[str, Json]:
    """An error as the journal keeps it: for people, without a stack trace."""
    if isinstance(error, PulpoError):
        found: dict[str, Json] = {
            "code": error.code,
            "detail": error.detail,
            "hint": error.hint,
            "status": error.status,
        }
    else:
        found = {
            "code": "PULPO401",
            "detail": f"the operation raised {type(error).__name__}",
            "hint": "the log has the traceback",
            "status": 500,
        }
    return {**found, "step": step}


def error_from(data: dict[str, Json]) -> PulpoError:
    """The error that `error_json` kept."""
    return PulpoError(data["code"], data["detail"], hint=data.get("hint"), status=data.get("status", 500))


_RAW = ("input", "output")


@dataclass(slots=True)
class _Entry(ABC):
    """What runs and steps have in common: being a document."""

    collection: ClassVar[str]
    id: str
    version: int = 0
    input: str | None = None
    output: str | None = None
    updated_at: str = field(default_factory=clock)

    def insert(self) -> Insert:
        """The write that adds this record."""
        self.version = 1
        return Insert(self.collection, self.id, self._text())

    def replace(self) -> Replace:
        """The write that stores this record's changes."""
        self.version += 1
        self.updated_at = clock()
        return Replace(self.collection, self.id, self.version - 1, self._text())

    def as_json(self) -> dict[str, Json]:
        """The record as it goes out over HTTP."""
        return pydantic_core.from_json(self._text())  # type: ignore[no-any-return]

    @abstractmethod
    def _text(self) -> str:
        """The record as JSON text; input and output, which are text already, are spliced in."""

    @classmethod
    def load(cls, record: Record) -> Self:
        """A record as the store has it."""
        data: dict[str, Any] = pydantic_core.from_json(record.json)
        for name in _RAW:
            value = data.get(name)
            data[name] = None if value is None else pydantic_core.to_json(value).decode()
        data["version"] = record.version
        known = _KNOWN[cls]
        return cls(**{name: value for name, value in data.items() if name in known})


@dataclass(slots=True)
class Run(_Entry):
    """One execution of a flow, or of a single operation. `input` and `output` are JSON text; times ISO 8601 in UTC."""

    collection: ClassVar[str] = RUNS

    kind: Literal["flow", "operation"] = "flow"
    name: str = ""
    state: State = "running"
    error: dict[str, Json] | None = None
    incident: str | None = None
    plan: str | None = None
    live: str | None = None
    worker: str | None = None
    token: int = 1
    recoveries: int = 0
    caller: dict[str, str] = field(default_factory=dict)
    retry_of: str | None = None
    retried_by: str | None = None
    cancel_requested: bool = False
    reason: str | None = None
    ending: Literal["error", "gate", "cancel"] | None = None
    key: dict[str, str] | None = None
    trace: dict[str, str] | None = None
    prefect: str | None = None
    wake_at: str | None = None
    created_at: str = field(default_factory=clock)
    started_at: str | None = None
    finished_at: str | None = None

    def _text(self) -> str:
        head = pydantic_core.to_json(dict(zip(_RUN_NAMES, _RUN_VALUES(self), strict=True))).decode()
        return f'{head[:-1]},"input":{self.input or "null"},"output":{self.output or "null"}}}'

    @property
    def ended(self) -> bool:
        """Whether nothing more happens by itself."""
        return self.state in END_STATES

    def end(self, state: State) -> None:
        """Come to an end state: nobody owns it, nobody wakes it, its `one_per` value is free again."""
        self.state = state
        self.finished_at = clock()
        self.worker = self.wake_at = self.live = None

    def event(self) -> dict[str, Json]:
        """The event that tells of this state."""
        return {"type": f"run.{self.state}", "run": self.id, "name": self.name, "at": self.updated_at}


@dataclass(slots=True)
class StepRun(_Entry):
    """One operation inside a run, or its undoing. `generation` rises when a person retries after a definite refusal."""

    collection: ClassVar[str] = STEPS

    run: str = ""
    operation: str = ""
    kind: Literal["step", "compensation"] = "step"
    of: str | None = None
    state: State = "running"
    generation: int = 1
    attempts: int = 0
    error: dict[str, Json] | None = None
    doubt: bool = False
    already: bool = False
    touched: list[list[Json]] = field(default_factory=list)
    log: list[dict[str, Json]] = field(default_factory=list)
    token: int = 1
    waiting_since: str | None = None
    wake_at: str | None = None
    created_at: str = field(default_factory=clock)
    started_at: str | None = None
    finished_at: str | None = None
    _head: str | None = field(default=None, init=False, repr=False, compare=False)

    def _text(self) -> str:
        # written twice for every step of every flow: what never changes is encoded once, the rest needs no escaping
        if self._head is None:
            fixed = ("id", "run", "operation", "kind", "of", "generation", "created_at")
            self._head = pydantic_core.to_json({name: getattr(self, name) for name in fixed}).decode()[:-1]
        return (
            f'{self._head},"version":{self.version},"state":"{self.state}","attempts":{self.attempts},'
            f'"error":{_json(self.error)},"doubt":{_FLAG[self.doubt]},"already":{_FLAG[self.already]},'
            f'"touched":{_json(self.touched) if self.touched else "[]"},"touches":{_names(self.touched)},'
            f'"log":{_json(self.log) if self.log else "[]"},"token":{self.token},'
            f'"waiting_since":{_moment(self.waiting_since)},"wake_at":{_moment(self.wake_at)},'
            f'"updated_at":{_moment(self.updated_at)},"started_at":{_moment(self.started_at)},'
            f'"finished_at":{_moment(self.finished_at)},'
            f'"input":{self.input or "null"},"output":{self.output or "null"}}}'
        )

    @property
    def key(self) -> str:
        """The idempotency key of the outside world: an undoing has that of the step it undoes."""
        return f"{self.run}:{self.of or self.operation}:{self.generation}"

    def event(self) -> dict[str, Json]:
        """The event that tells of this state."""
        return {
            "type": f"step.{self.state}",
            "run": self.run,
            "operation": self.operation,
            "kind": self.kind,
            "at": self.updated_at,
        }


_FLAG = {True: "true", False: "false"}


def _json(value: Json) -> str:
    return "null" if value is None else pydantic_core.to_json(value).decode()


def _names(touched: list[list[Json]]) -> str:
    """`["Order/order_1", …]`: what a step touched, in a form that can be looked for."""
    return _json(list(dict.fromkeys(f"{model}/{id}" for model, id, _ in touched))) if touched else "[]"


def _moment(value: str | None) -> str:
    return "null" if value is None else f'"{value}"'


def step_id(run: str, operation: str, generation: int = 1, *, compensation_of: str | None = None) -> str:
    """The identity of a step: (run, operation, generation), never a counter; an undoing is named after its step."""
    return f"{run}:~{compensation_of}:{generation}" if compensation_of else f"{run}:{operation}:{generation}"


_RUN_NAMES = tuple(spec.name for spec in fields(Run) if spec.name not in _RAW)
_RUN_VALUES = attrgetter(*_RUN_NAMES)
_KNOWN: dict[type, frozenset[str]] = {
    cls: frozenset(spec.name for spec in fields(cls) if spec.init) for cls in (Run, StepRun)
}
