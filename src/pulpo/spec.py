"""The frozen description of an application: what every stage agrees on, and who makes or uses it is unknown here."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel

from pulpo import names
from pulpo.errors import Source

Json: TypeAlias = Any
"""A JSON value: None, bool, int, float, str, list or dict."""

Kind: TypeAlias = Literal[
    "string", "integer", "number", "boolean", "money", "datetime", "date", "enum", "ref", "list", "embedded", "json"
]
Action: TypeAlias = Literal["list", "get", "create", "replace", "patch", "delete"]
ACTIONS: tuple[Action, ...] = ("list", "get", "create", "replace", "patch", "delete")


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """A field of a model or of an input.

    Attributes:
        kind: What it holds; of a `list`, `item` says what its entries are.
        nullable: Whether None is a value.
        target: Of a `ref`: the model it refers to (of a reference to an embedded entry, the entry's class).
        within: Of a `ref` to an embedded entry: the field naming the document that holds the entry.
        fields: Of `embedded`: its fields. values: Of `enum`: its values. decimals: Of `money`.
    """

    name: str
    kind: Kind
    required: bool = True
    nullable: bool = False
    unique: bool = False
    index: bool = False
    key: bool = False
    readonly: bool = False
    target: str | None = None
    within: str | None = None
    decimals: int = 2
    values: tuple[Json, ...] = ()
    fields: tuple[FieldSpec, ...] = ()
    item: FieldSpec | None = None
    embedded: str | None = None
    title: str = ""
    description: str = ""
    renamed_from: str | None = None
    ui: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A declared model. `unique` lists the fields that are unique together; `api` the actions served over HTTP.

    `indexes` lists fields that lists filter and sort by together.
    """

    name: str
    cls: type[BaseModel]
    collection: str
    fields: tuple[FieldSpec, ...]
    unique: tuple[tuple[str, ...], ...] = ()
    api: tuple[Action, ...] = ACTIONS
    title: str = ""
    description: str = ""
    source: Source | None = None
    ui: Mapping[str, Any] = field(default_factory=dict)
    indexes: tuple[tuple[str, ...], ...] = ()

    @property
    def path(self) -> str:
        """`/products`."""
        return "/" + self.collection

    @property
    def key(self) -> str | None:
        """The field that is a second address, if there is one."""
        return next((spec.name for spec in self.fields if spec.key), None)

    def field(self, name: str) -> FieldSpec:
        """The field of this name. Raises KeyError."""
        for spec in self.fields:
            if spec.name == name:
                return spec
        raise KeyError(name)


@dataclass(frozen=True, slots=True)
class Shape:
    """An operation's input or output: its class (made from the parameters where the function takes plain ones)."""

    cls: type[BaseModel] | None
    annotation: Any
    fields: tuple[FieldSpec, ...] = ()

    @property
    def name(self) -> str | None:
        """The class's name, or None for a scalar or a plain dict."""
        return self.cls.__name__ if self.cls is not None else None

    def field(self, name: str) -> FieldSpec | None:
        """The field of this name, or None."""
        return next((spec for spec in self.fields if spec.name == name), None)


@dataclass(frozen=True, slots=True)
class OperationSpec:
    """A declared operation.

    Attributes:
        function: The user's async function, as written.
        takes: How it is called: with one input model, with plain parameters by name, or with nothing.
        context: The name of the parameter that takes the `Context`, or None.
        reads, writes, adds: Names of models (`models_in`, `models_out`, `models_add`).
        after: Names of operations or groups.
        bind: Input field -> operation whose output provides it (`name` or `name:output_field`).
        compensate: The operation that undoes it.
        retries: Automatic attempts after the first. timeout: Seconds per attempt, or None.
        wait: Seconds that a step may stay waiting, or None for no limit.
        gate: The output field that stops the flow where it is false.
        refuses: Codes that it says it refuses with -> HTTP status.
    """

    name: str
    function: Callable[..., Awaitable[Any]]
    module: str
    input: Shape
    output: Shape
    takes: Literal["model", "fields", "nothing"] = "model"
    context: str | None = None
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    adds: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    bind: Mapping[str, str] = field(default_factory=dict)
    compensate: str | None = None
    atomic: bool = False
    retries: int = 0
    timeout: float | None = 30.0
    wait: float | None = 86_400.0
    gate: str | None = None
    pivot: bool = False
    standalone: bool = False
    refuses: Mapping[str, int] = field(default_factory=dict)
    title: str = ""
    description: str = ""
    source: Source | None = None
    ui: Mapping[str, Any] = field(default_factory=dict)

    @property
    def domain(self) -> str:
        """`orders`."""
        return names.domain(self.name)

    @property
    def group(self) -> str:
        """`orders.checkout`."""
        return names.group(self.name)

    @property
    def short(self) -> str:
        """`validate_items`."""
        return names.short(self.name)

    @property
    def path(self) -> str:
        """`/operations/orders/checkout/validate_items`."""
        return names.operation_path(self.name)


@dataclass(frozen=True, slots=True)
class GroupSpec:
    """What holds for every operation of a group that starts a chain."""

    name: str
    after: tuple[str, ...] = ()
    description: str = ""
    source: Source | None = None


@dataclass(frozen=True, slots=True)
class FlowSpec:
    """A declared flow: the domains (or groups, or operations) it includes."""

    name: str
    includes: tuple[str, ...]
    one_per: str | None = None
    description: str = ""
    source: Source | None = None


@dataclass(frozen=True, slots=True)
class AppSpec:
    """An application. Order inside each tuple is file path, then line.

    Attributes:
        routes: `paths` and `components` of an OpenAPI document, of the routes in the project's `routes.py`.
    """

    name: str
    models: tuple[ModelSpec, ...] = ()
    operations: tuple[OperationSpec, ...] = ()
    groups: tuple[GroupSpec, ...] = ()
    flows: tuple[FlowSpec, ...] = ()
    routes: Mapping[str, Json] = field(default_factory=dict)

    def model(self, name: str) -> ModelSpec:
        """The model of this name. Raises KeyError."""
        for spec in self.models:
            if spec.name == name:
                return spec
        raise KeyError(name)

    def operation(self, name: str) -> OperationSpec:
        """The operation of this name. Raises KeyError."""
        for spec in self.operations:
            if spec.name == name:
                return spec
        raise KeyError(name)


Rule: TypeAlias = Literal["models", "after", "group", "type"]


@dataclass(frozen=True, slots=True)
class Edge:
    """`after` starts when `before` is done; `rule` and `why` say for what reason, in words for people."""

    before: str
    after: str
    rule: Rule
    why: str


@dataclass(frozen=True, slots=True)
class Wire:
    """Where a step's input field comes from: the flow's input (`step` is None) or an earlier step's output field.

    Of a step's wires for one field the last that has a value counts.
    """

    field: str
    step: str | None
    source: str


@dataclass(frozen=True, slots=True)
class Step:
    """An operation in a plan, with all that the engine needs to know of it. Times are seconds."""

    operation: str
    needs: tuple[str, ...] = ()
    wires: tuple[Wire, ...] = ()
    gate: str | None = None
    pivot: bool = False
    atomic: bool = False
    compensate: str | None = None
    retries: int = 0
    timeout: float | None = None
    wait: float | None = None


@dataclass(frozen=True, slots=True)
class InputField:
    """A field of a flow's input; `model` is what it refers to, if it is a reference."""

    name: str
    required: bool
    model: str | None = None


@dataclass(frozen=True, slots=True)
class FlowPlan:
    """The compiled form of a flow; `steps` in an order in which they could run one by one."""

    flow: str
    steps: tuple[Step, ...]
    edges: tuple[Edge, ...] = ()
    critical_path: tuple[str, ...] = ()
    preconditions: tuple[str, ...] = ()
    input: tuple[InputField, ...] = ()
    one_per: str | None = None
    description: str = ""

    def as_json(self) -> dict[str, Json]:
        """The plan as JSON, the form in which runs keep it."""
        return asdict(self)

    @staticmethod
    def from_json(data: Mapping[str, Json]) -> FlowPlan:
        """A plan from `as_json`. Raises KeyError or TypeError where it has another shape."""
        return FlowPlan(
            flow=data["flow"],
            steps=tuple(
                Step(**{**step, "needs": tuple(step["needs"]), "wires": tuple(Wire(**wire) for wire in step["wires"])})
                for step in data["steps"]
            ),
            edges=tuple(Edge(**edge) for edge in data["edges"]),
            critical_path=tuple(data["critical_path"]),
            preconditions=tuple(data["preconditions"]),
            input=tuple(InputField(**given) for given in data["input"]),
            one_per=data["one_per"],
            description=data["description"],
        )

    @property
    def hash(self) -> str:
        """The plan's identity: equal plans, and only they, have equal hashes."""
        text = json.dumps(self.as_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:32]
