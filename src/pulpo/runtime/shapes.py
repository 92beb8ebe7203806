"""Values at the border of an operation: JSON text in, validated and with references resolved; JSON text out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from functools import lru_cache
from typing import Any, Literal, TypeVar, get_args

import pydantic_core
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, create_model
from pydantic_core import ErrorDetails

from pulpo.errors import FieldError, Nearest, NotFound, PulpoError
from pulpo.model.conditions import Compare
from pulpo.spec import AppSpec, FieldSpec, FlowPlan, Json, ModelSpec, OperationSpec
from pulpo.store.port import Query, Store

B = TypeVar("B", bound=BaseModel)

NAMED = 5
"""How many places of a body an error's sentence names; all of them stand in `errors`."""


def pointer(location: tuple[int | str, ...]) -> str:
    """A JSON pointer (RFC 6901) of a place that Pydantic names."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in location)


def invalid(error: ValidationError, cls: type[BaseModel] | None = None) -> PulpoError:
    """A validation error as a problem, the values that were sent left out; `cls` is what was asked for."""
    found = error.errors(include_url=False, include_input=False, include_context=False)
    if found and found[0]["type"] == "json_invalid":
        return PulpoError("PULPO601", found[0]["msg"])
    near = Nearest(tuple(cls.model_fields) if cls is not None else ())
    return places(tuple(FieldError(pointer(item["loc"]), item["type"], _message(item, near)) for item in found))


def unfit(cls: type[BaseModel], error: ValidationError, id: str) -> PulpoError:
    """PULPO414 for a stored document that its model does not take."""
    named = ", ".join(each.pointer for each in invalid(error, cls).errors)
    hint = "run `pulpo db migrate --dry-run`"
    return PulpoError("PULPO414", f'{cls.__name__} "{id}" no longer fits its model: {named}', hint=hint)


def places(errors: tuple[FieldError, ...]) -> PulpoError:
    """PULPO602 for these places of a body."""
    named = ", ".join(error.pointer or "/" for error in errors[:NAMED]) + (", …" if len(errors) > NAMED else "")
    return PulpoError("PULPO602", f"{len(errors)} invalid or missing: {named}", errors=errors)


def _message(item: ErrorDetails, near: Nearest) -> str:
    if item["type"] != "extra_forbidden":
        return item["msg"]
    return _no_such_field(near.to(str(item["loc"][-1])) if len(item["loc"]) == 1 else None)


def _no_such_field(hint: str | None) -> str:
    return "There is no such field" + (f"; {hint}" if hint else "")


def text_of(raw: bytes | str | Mapping[str, Json] | BaseModel) -> str:
    """An input as JSON text. Raises PulpoError PULPO601 where bytes are not UTF-8."""
    if isinstance(raw, bytes):
        try:
            return raw.decode() or "{}"
        except UnicodeDecodeError:
            raise PulpoError("PULPO601", "the body is not UTF-8") from None
    if isinstance(raw, str):
        return raw or "{}"
    if isinstance(raw, BaseModel):
        return raw.model_dump_json(exclude_unset=True)
    try:
        return pydantic_core.to_json(_with_numbers(raw)).decode()
    except pydantic_core.PydanticSerializationError as error:
        raise PulpoError("PULPO602", f"the input is not JSON: {error}") from None


def _with_numbers(value: Json) -> Json:
    """What Python code gave, with amounts as the numbers that JSON has for them."""
    if isinstance(value, Mapping):
        return {name: _with_numbers(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_with_numbers(each) for each in value]
    return float(value) if isinstance(value, Decimal) else value


def received(cls: type[B], text: str | bytes, *, extra: Literal["forbid"] | None = None) -> B:
    """What a client sent, with JSON's own types: "3" is no number and 1 no boolean, as the OpenAPI document says.

    Args:
        cls: What was asked for. text: What came.
        extra: `forbid`: unknown fields are refused, at every depth, whatever the classes say.

    Raises:
        ValidationError: It is not JSON, or not what the class says.
    """
    try:
        return cls.model_validate_json(text, strict=True, extra=extra)
    except ValidationError as error:
        # 3.0 is an integer in JSON, and Pydantic's strict mode does not know it: rare, so looked for only now
        if all(each["type"] != "int_type" for each in error.errors(include_url=False, include_context=False)):
            raise
        integral = pydantic_core.to_json(_integral(pydantic_core.from_json(text)))
        return cls.model_validate_json(integral, strict=True, extra=extra)


def _integral(value: Json) -> Json:
    """The same JSON with 3 for 3.0."""
    if isinstance(value, dict):
        return {name: _integral(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_integral(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def asked(cls: type[B], text: str) -> B:
    """An input as a client sent it: closed, where its class does not say `extra=` itself.

    Raises:
        PulpoError: PULPO601 (not JSON) or PULPO602 (fields).
    """
    closed, whole = closing(cls)
    try:
        value = received(cls, text, extra="forbid" if whole else None)
    except ValidationError as error:
        raise invalid(error, cls) from None
    if closed and not whole:  # something inside is open, and Pydantic closes all or nothing
        known = {name for field, info in cls.model_fields.items() for name in (field, info.alias)}
        near = Nearest(tuple(cls.model_fields))
        unknown = [name for name in pydantic_core.from_json(text) if name not in known]
        if unknown:
            raise places(
                tuple(FieldError(pointer((n,)), "extra_forbidden", _no_such_field(near.to(n))) for n in unknown)
            )
    return value


@lru_cache(maxsize=512)
def closing(cls: type[BaseModel]) -> tuple[bool, bool]:
    """Whether an input's class is closed to unknown fields, and whether all that is inside of it is too."""
    said = [each.model_config.get("extra") for each in _inside(cls)]
    return said[0] in (None, "forbid"), all(each in (None, "forbid") for each in said)


def _inside(cls: type[BaseModel]) -> tuple[type[BaseModel], ...]:
    """A class and the classes of its fields, to any depth, the class itself first."""
    found: dict[type[BaseModel], None] = {}

    def look(annotation: Any) -> None:
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            if annotation not in found:
                found[annotation] = None
                for field in annotation.model_fields.values():
                    look(field.annotation)
            return
        for each in get_args(annotation):
            look(each)

    look(cls)
    return tuple(found)


def parse(cls: type[BaseModel], text: str) -> BaseModel:
    """An input as Pulpo keeps it. Raises PulpoError PULPO601 (not JSON) or PULPO602 (fields)."""
    try:
        return cls.model_validate_json(text)
    except ValidationError as error:
        raise invalid(error, cls) from None


class References:
    """Resolves references given as a key (`ORD-20251030-001`) to the id of their document."""

    def __init__(self, app: AppSpec, store: Store) -> None:
        self._models = {model.name: model for model in app.models}
        self._store = store

    async def resolve(self, fields: tuple[FieldSpec, ...], value: BaseModel) -> None:
        """Put ids in place of keys in an input's own fields.

        Raises:
            NotFound: PULPO404, nothing has this id or key.
        """
        for spec in fields:
            if spec.kind == "ref" and spec.target in self._models:
                given = getattr(value, spec.name)
                if given is not None:
                    found = await self.id_of(self._models[spec.target], given)
                    if found != given:
                        value.__dict__[spec.name] = found

    async def id_of(self, model: ModelSpec, given: str) -> str:
        """The id of the document that has this id or key; ids win. Raises NotFound."""
        if await self._store.get(model.collection, given) is not None:
            return given
        if model.key is not None:
            page = await self._store.query(Query(model.collection, Compare(model.key, "eq", given), limit=1))
            if page.records:
                return page.records[0].id
        raise NotFound(model.name, given)


@lru_cache(maxsize=512)
def _adapter(annotation: Any) -> TypeAdapter[Any]:
    return TypeAdapter(annotation)


def output_text(operation: OperationSpec, value: Any) -> str:
    """An operation's result as JSON text. Raises PulpoError PULPO401 where it is not what the annotation says."""
    try:
        if isinstance(value, BaseModel):
            return value.model_dump_json()
        cls = operation.output.cls
        if cls is not None:
            return cls.model_validate(value).model_dump_json()
        return _adapter(operation.output.annotation).dump_json(value).decode()
    except (ValidationError, pydantic_core.PydanticSerializationError, TypeError) as error:
        raise PulpoError("PULPO401", f"{operation.name} returned what its annotation does not say: {error}") from error


def flow_input(plan: FlowPlan, app: AppSpec) -> type[BaseModel]:
    """The class of a flow's input: each field as the first step that takes it declares it; unknown ones are refused."""
    members: dict[str, Any] = {}
    for field in plan.input:
        info = _first_taker(plan, app, field.name)
        annotation = info.rebuild_annotation()
        if field.required:
            members[field.name] = (annotation, ...)
        elif info.is_required():
            members[field.name] = (annotation | None, None)
        else:
            members[field.name] = (annotation, info)
    name = "".join(part.capitalize() for part in plan.flow.replace(".", "_").split("_")) + "Input"
    made: type[BaseModel] = create_model(name, __config__=ConfigDict(extra="forbid"), **members)
    return made


def _first_taker(plan: FlowPlan, app: AppSpec, name: str) -> Any:
    for step in plan.steps:
        for wire in step.wires:
            if wire.step is None and wire.source == name:
                cls = app.operation(step.operation).input.cls
                if cls is not None:
                    return cls.model_fields[wire.field]
    raise PulpoError("PULPO414", f"the plan of {plan.flow} has an input field {name!r} that no step takes")


def flow_fields(plan: FlowPlan, app: AppSpec) -> tuple[FieldSpec, ...]:
    """The fields of a flow's input, each described as by the first step that takes it."""
    found = []
    for given in plan.input:
        taken = next(
            field
            for step in plan.steps
            for wire in step.wires
            if wire.step is None and wire.source == given.name
            for field in app.operation(step.operation).input.fields
            if field.name == wire.field
        )
        found.append(replace(taken, name=given.name, required=given.required))
    return tuple(found)


def flow_references(plan: FlowPlan) -> tuple[FieldSpec, ...]:
    """The input fields of a flow that refer to documents."""
    return tuple(
        FieldSpec(field.name, "ref", required=field.required, target=field.model)
        for field in plan.input
        if field.model is not None
    )
