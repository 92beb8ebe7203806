"""`@datamodel`, `@operation`, `group()` and `flow()`: they attach a frozen description and return what they were given.

Nothing is registered globally: a declaration is kept in its module, in the order written (`pulpo.declare.site`).
What is wrong with one is kept beside it, so that `pulpo check` can report everything at once.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any, Literal, TypeAlias, TypeVar, cast, overload

from pydantic import BaseModel

from pulpo import names
from pulpo.declare import signature
from pulpo.declare.hints import UnresolvedHint, fields_of
from pulpo.declare.site import SPEC, Site
from pulpo.declare.ui_hints import model_problems, problems
from pulpo.errors import Nearest
from pulpo.model.model import Model
from pulpo.spec import ACTIONS, Action, FieldSpec, FlowSpec, GroupSpec, ModelSpec, OperationSpec

M = TypeVar("M", bound=Model)
F = TypeVar("F", bound=Callable[..., Awaitable[Any]])
Api: TypeAlias = Literal["all", "read", "none"] | Sequence[Action]
ModelName: TypeAlias = type[BaseModel] | str
OperationName: TypeAlias = Callable[..., Awaitable[Any]] | str

_FLOW_NAME = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*")
_API: dict[str, tuple[Action, ...]] = {"all": ACTIONS, "read": ("list", "get"), "none": ()}


@overload
def datamodel(cls: type[M], /) -> type[M]: ...
@overload
def datamodel(
    *,
    name: str | None = None,
    unique: Iterable[Sequence[str]] = (),
    indexes: Iterable[Sequence[str]] = (),
    api: Api = "all",
    title: str | None = None,
    description: str | None = None,
    ui: Mapping[str, Any] | None = None,
) -> Callable[[type[M]], type[M]]: ...
def datamodel(
    cls: type[M] | None = None,
    /,
    *,
    name: str | None = None,
    unique: Iterable[Sequence[str]] = (),
    indexes: Iterable[Sequence[str]] = (),
    api: Api = "all",
    title: str | None = None,
    description: str | None = None,
    ui: Mapping[str, Any] | None = None,
    **unknown: Any,  # the overloads have no such thing: what a type checker did not stop becomes a finding
) -> Any:
    """Declare a model: a document with an id, a version and timestamps.

    Args:
        cls: The class, a `pulpo.Model`.
        name: The model's name; by default the class's. Its path and collection follow from it.
        unique: Groups of fields that are unique together: `[("order_id", "channel")]`.
        indexes: Groups of fields, for lists that filter by the first and sort by the last: `[("status", "total")]`.
        api: What is served over HTTP: `"all"`, `"read"` (lists and single documents), `"none"`, or a list of actions.
        title: What people read; by default made from the name.
        description: By default the class's docstring.
        ui: Hints for the UI (docs/ui.md).
    Returns:
        The class itself, with its `ModelSpec` as `__pulpo__`.
    """
    site = Site.of(sys._getframe(1))  # noqa: SLF001 - the one way to know where a declaration stands

    def declare(cls: type[M]) -> type[M]:
        place = replace(site, namespace=vars(sys.modules[cls.__module__]))
        if not (isinstance(cls, type) and issubclass(cls, Model)):
            place.find(
                "PULPO102", f"@datamodel on {cls.__name__}, which is not a pulpo.Model", "inherit from pulpo.Model"
            )
            return cls
        try:
            fields = fields_of(cls, site.local)
        except UnresolvedHint as error:
            place.find("PULPO102", f"model {cls.__name__}: {error.detail}", "declare that class above it")
            return cls
        called = name or cls.__name__
        _check_options(place, "PULPO102", f"model {called}", datamodel, unknown)
        groups, indexed = _groups(unique), _groups(indexes)
        _check_own_fields(place, called, cls)
        _check_model(place, called, fields, {"unique": groups, "indexes": indexed})
        for problem in model_problems(ui or {}, fields):
            place.find("PULPO102", f"model {called}: {problem.message}", problem.hint)
        spec = ModelSpec(
            name=called,
            cls=cls,
            collection=names.collection(called),
            fields=fields,
            unique=groups,
            api=_actions(place, called, api),
            title=title or names.title(names.snake(called)),
            description=description or _doc(cls),
            source=place.source,
            ui=dict(ui or {}),
            indexes=indexed,
        )
        cls.__pulpo__ = spec
        place.declare(spec)
        return cls

    return declare if cls is None else declare(cls)


@overload
def operation(function: F, /) -> F: ...
@overload
def operation(
    *,
    name: str | None = None,
    inputs: type[BaseModel] | None = None,
    outputs: type[BaseModel] | None = None,
    models_in: Iterable[ModelName] = (),
    models_out: Iterable[ModelName] = (),
    models_add: Iterable[ModelName] = (),
    after: Iterable[OperationName] = (),
    bind: Mapping[str, str] | None = None,
    compensate: OperationName | None = None,
    atomic: bool = False,
    retries: int = 0,
    timeout: float | None = 30.0,
    wait: float | None = 86_400.0,
    gate: str | None = None,
    pivot: bool = False,
    standalone: bool = False,
    refuses: Mapping[str, int] | None = None,
    title: str | None = None,
    description: str | None = None,
    ui: Mapping[str, Any] | None = None,
) -> Callable[[F], F]: ...
def operation(
    function: F | None = None,
    /,
    *,
    name: str | None = None,
    inputs: type[BaseModel] | None = None,
    outputs: type[BaseModel] | None = None,
    models_in: Iterable[ModelName] = (),
    models_out: Iterable[ModelName] = (),
    models_add: Iterable[ModelName] = (),
    after: Iterable[OperationName] = (),
    bind: Mapping[str, str] | None = None,
    compensate: OperationName | None = None,
    atomic: bool = False,
    retries: int = 0,
    timeout: float | None = 30.0,
    wait: float | None = 86_400.0,
    gate: str | None = None,
    pivot: bool = False,
    standalone: bool = False,
    refuses: Mapping[str, int] | None = None,
    title: str | None = None,
    description: str | None = None,
    ui: Mapping[str, Any] | None = None,
    **unknown: Any,  # the overloads have no such thing: what a type checker did not stop becomes a finding
) -> Any:
    """Declare an operation: an async function that reads and writes documents.

    Args:
        function: The function. It takes one Pydantic model, or plain annotated parameters, or nothing, and optionally a
            parameter annotated `Context`.
        name: `domain.group.verb_noun`; by default the module's name and the function's.
        inputs: The input class, where the signature does not say it.
        outputs: The output class, likewise.
        models_in: The models it reads, as classes or names.
        models_out: The models it writes (and may read).
        models_add: The models that it only inserts into.
        after: Operations or groups that come before it in a flow.
        bind: Input field -> the operation whose output provides it, `"orders.checkout.quote"`; with a field of
            another name `"orders.checkout.quote:id"`.
        compensate: The operation that undoes it; that one is then no step of a flow.
        atomic: It neither commits by itself nor touches the outside, so it happens exactly once.
        retries: Automatic attempts after the first.
        timeout: Seconds per attempt; None for no limit.
        wait: Seconds that it may stay waiting after `NotReady`; None for no limit.
        gate: The boolean output field that stops the flow where it is false.
        pivot: The point of no return: once it is done, a failure is repaired forward and never undone.
        standalone: It is no step of a flow unless a flow includes it by its own name.
        refuses: Codes that it refuses with -> their HTTP status, where its source does not show them: `Refused` and
            `NotReady` with a code written out are found by themselves.
        title: What people read; by default made from the name.
        description: By default the function's docstring.
        ui: Hints for the UI (docs/ui.md).
    Returns:
        The function itself, with its `OperationSpec` as `__pulpo__`.
    """
    site = Site.of(sys._getframe(1))  # noqa: SLF001 - the one way to know where a declaration stands

    def declare(function: F) -> F:
        place = replace(site, namespace=function.__globals__)
        called = name if name is not None else _inferred_name(function)
        found = signature.read(function, site.local, inputs, outputs)
        spec = OperationSpec(
            name=called,
            function=function,
            module=function.__module__,
            input=found.input,
            output=found.output,
            takes=found.takes,
            context=found.context,
            reads=_models(models_in),
            writes=_models(models_out),
            adds=_models(models_add),
            after=tuple(_operation(entry) for entry in _listed(after)),
            bind=dict(bind or {}),
            compensate=None if compensate is None else _operation(compensate),
            atomic=atomic,
            retries=retries,
            timeout=timeout,
            wait=wait,
            gate=gate,
            pivot=pivot,
            standalone=standalone,
            refuses=dict(refuses or {}),
            title=title or names.title(names.short(called)),
            description=description or _doc(function),
            source=place.source,
            ui=dict(ui or {}),
        )
        if not inspect.iscoroutinefunction(function):
            place.find("PULPO208", f'operation "{called}" is not async', f"write `async def {function.__name__}(…)`")
        _check_options(place, "PULPO103", f'operation "{called}"', operation, unknown)
        for code, message, hint in found.problems:
            place.find(code, f'operation "{called}" {message}', hint)
        _check_operation(place, spec)
        for problem in problems("operation", spec.ui):
            place.find("PULPO103", f'operation "{called}": {problem.message}', problem.hint)
        function.__dict__[SPEC] = spec
        place.declare(spec)
        return function

    return declare if function is None else declare(function)


def group(name: str, *, after: Iterable[OperationName] = (), description: str = "") -> GroupSpec:
    """Declare what holds for a group: every operation of it that starts a chain comes after these.

    Args:
        name: `orders.fulfillment`.
        after: Operations or groups.
        description: What the group is for.
    """
    site = Site.of(sys._getframe(1))  # noqa: SLF001 - the one way to know where a declaration stands
    spec = GroupSpec(name, tuple(_operation(entry) for entry in _listed(after)), description, site.source)
    site.declare(spec)
    return spec


def flow(
    name: str, includes: Iterable[OperationName] | None = None, *, one_per: str | None = None, description: str = ""
) -> FlowSpec:
    """Declare a flow beyond the domains, or say more of a domain's own flow.

    Args:
        name: A snake_case word; a domain's name replaces the flow that the domain has by itself.
        includes: Domains, groups or operations; by default the domain of the flow's name.
        one_per: An input field: of one value only one run lives at a time.
        description: What the flow is for.
    """
    site = Site.of(sys._getframe(1))  # noqa: SLF001 - the one way to know where a declaration stands
    if not _FLOW_NAME.fullmatch(name):
        site.find("PULPO103", f'flow "{name}" is not named by a snake_case word', "write it like `order_to_cash`")
    included = (name,) if includes is None else tuple(_operation(entry) for entry in _listed(includes))
    spec = FlowSpec(name, included, one_per, description, site.source)
    site.declare(spec)
    return spec


def _inferred_name(function: Callable[..., Any]) -> str:
    """`checkout.validate_items` for `validate_items` in `operations/checkout.py`."""
    return f"{function.__module__.rpartition('.')[2]}.{function.__name__}"


def _listed(given: Any) -> tuple[Any, ...]:
    """The entries of a list; one that was given bare counts as a list of one."""
    return (given,) if isinstance(given, str | type) or callable(given) else tuple(given)


def _models(given: Iterable[ModelName]) -> tuple[str, ...]:
    found = (entry if isinstance(entry, str) else _model_name(entry) for entry in _listed(given))
    return tuple(dict.fromkeys(found))


def _model_name(cls: type[BaseModel]) -> str:
    spec = vars(cls).get(SPEC)  # its own, not one that it inherits
    return spec.name if isinstance(spec, ModelSpec) else cls.__name__


def _operation(given: OperationName) -> str:
    if isinstance(given, str):
        return given
    spec = getattr(given, SPEC, None)
    return spec.name if isinstance(spec, OperationSpec) else getattr(given, "__name__", repr(given))


def _doc(declared: Any) -> str:
    """The declaration's own docstring; a class does not inherit one."""
    return inspect.cleandoc(
        vars(declared).get("__doc__") or "" if isinstance(declared, type) else declared.__doc__ or ""
    )


def _actions(site: Site, model: str, api: Api) -> tuple[Action, ...]:
    if isinstance(api, str):
        if api in _API:
            return _API[api]
        site.find(
            "PULPO102", f'model {model}: api="{api}" is unknown', Nearest(tuple(_API)).to(api) or "all, read or none"
        )
        return ACTIONS
    for action in api:
        if action not in ACTIONS:
            site.find(
                "PULPO102", f'model {model}: there is no action "{action}"', f"the actions are {', '.join(ACTIONS)}"
            )
    return cast("tuple[Action, ...]", tuple(action for action in ACTIONS if action in api))


def _check_options(site: Site, code: str, what: str, decorator: Callable[..., Any], unknown: Iterable[str]) -> None:
    parameters = inspect.signature(decorator).parameters.values()
    known = tuple(each.name for each in parameters if each.kind is inspect.Parameter.KEYWORD_ONLY)
    for option in unknown:
        hint = Nearest(known).to(option) or f"the options are {', '.join(known)}"
        site.find(code, f'{what}: there is no option "{option}"', hint)


def _groups(given: Iterable[Sequence[str]]) -> tuple[tuple[str, ...], ...]:
    return tuple((group,) if isinstance(group, str) else tuple(group) for group in given)


def _check_model(
    site: Site, model: str, fields: tuple[FieldSpec, ...], groups: Mapping[str, tuple[tuple[str, ...], ...]]
) -> None:
    known = tuple(field.name for field in fields)
    nested = {field.name for field in fields if field.kind in ("list", "embedded", "json")}
    if not model.isidentifier() or not model[:1].isupper():
        site.find("PULPO102", f'model "{model}" is not named by a capitalised word', "write it like `StockMovement`")
    for option, named in groups.items():
        for name in chain.from_iterable(named):
            if name not in known:
                message = f'model {model}: {option} names "{name}", which is no field'
                site.find("PULPO102", message, Nearest(known).to(name))
            elif name in nested:
                message = f'model {model}: {option} names "{name}", which is no single value'
                site.find("PULPO102", message, "only single values can be indexed")
    for field in fields:
        if field.within is not None and field.within not in known:
            message = f'model {model}: field {field.name} is within "{field.within}", which is no field'
            site.find("PULPO102", message, Nearest(known).to(field.within))
    keys = [field.name for field in fields if field.key]
    if len(keys) > 1:
        site.find("PULPO102", f"model {model} has several keys: {', '.join(keys)}", "make the others unique=True")


def _check_own_fields(site: Site, model: str, cls: type[Model]) -> None:
    """`id`, `version` and the timestamps are Pulpo's: what it says of every document rests on them."""
    for each in cls.__mro__[: cls.__mro__.index(Model)]:
        for name in Model.model_fields:
            if name in vars(each).get("__annotations__", ()):
                message = f"model {model}: {each.__name__} declares {name} again, which every document has"
                site.find("PULPO102", message, f"take it out, or give it another name: {names.snake(model)}_{name}")


def _check_operation(site: Site, spec: OperationSpec) -> None:
    def wrong(message: str, hint: str | None = None) -> None:
        site.find("PULPO103", f'operation "{spec.name}" {message}', hint)

    if not names.is_operation_name(spec.name):
        wrong("is not named by dotted snake_case words", "write it like `orders.checkout.validate_items`")
    if isinstance(spec.retries, bool) or not isinstance(spec.retries, int) or spec.retries < 0:
        wrong(f"has retries={spec.retries!r}", "a whole number, 0 or more")
    if not _is_seconds(spec.timeout):
        wrong(f"has timeout={spec.timeout!r}", "seconds above 0, or None for no limit")
    if not _is_seconds(spec.wait):
        wrong(f"has wait={spec.wait!r}", "seconds above 0, or None for no limit")
    if spec.compensate == spec.name:
        wrong("undoes itself", "compensate= names another operation")


def _is_seconds(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool) and value > 0)
