"""Many writes or calls in one request: each item is done by itself, in the order written, with a result of its own.

With an idempotency key each create and each call has a key made of it and its place, so that the same request sent
again gives the first answers again and does only what was not done.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import pydantic_core
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from pulpo.errors import FieldError, PulpoError
from pulpo.runtime import shapes
from pulpo.runtime.context import Caller
from pulpo.spec import Action, AppSpec, Json, OperationSpec

if TYPE_CHECKING:
    from pulpo.runtime.application import Application
    from pulpo.runtime.documents import Documents

MOST = 500
"""How many items a request may have."""
ACTIONS: tuple[Action, ...] = ("create", "patch", "delete")
"""What a bulk request can do, in the order in which it is done."""

T = TypeVar("T")

log = logging.getLogger("pulpo.bulk")


class Change(BaseModel):
    """A merge patch of one document; only at `version`, where it is given."""

    model_config = ConfigDict(extra="forbid", strict=True)

    id: str
    version: Annotated[int, Field(ge=1)] | None = None
    changes: dict[str, object]


class Writes(BaseModel):
    """The body of a bulk request for documents."""

    model_config = ConfigDict(extra="forbid", strict=True)

    create: list[dict[str, object]] = Field(default_factory=list, max_length=MOST)
    patch: list[Change] = Field(default_factory=list, max_length=MOST)
    delete: list[str] = Field(default_factory=list, max_length=MOST)


_inputs: TypeAdapter[list[dict[str, object]]] = TypeAdapter(
    Annotated[list[dict[str, object]], Field(max_length=MOST, strict=True)]
)


def served(app: AppSpec, operation: OperationSpec) -> bool:
    """Whether an operation's bulk address is free: not where an operation of its own is called so."""
    return all(other.name != f"{operation.name}.bulk" for other in app.operations)


async def write(documents: Documents, raw: bytes, caller: Caller, key: str | None, request_id: str) -> bytes:
    """Create, patch and delete; `{"create": [result, …], …}` with a list for each that was asked for.

    Raises:
        PulpoError: PULPO601, PULPO602, the body as a whole; what is wrong with an item is in its result.
    """
    try:
        body = shapes.received(Writes, raw)
    except ValidationError as error:
        raise shapes.invalid(error) from None
    closed = [action for action in ACTIONS if action in body.model_fields_set and action not in documents.spec.api]
    if closed:
        message = f"{documents.spec.collection} do not serve this"
        raise shapes.places(tuple(FieldError(f"/{action}", "not_served", message) for action in closed))
    if len(body.create) + len(body.patch) + len(body.delete) > MOST:
        raise shapes.places((FieldError("", "too_long", f"A request has at most {MOST} items"),))

    async def create(place: int, item: dict[str, object]) -> dict[str, Json]:
        written = await documents.create(item, caller, _key(key, place))
        replayed = {"replayed": True} if written.replayed else {}
        return {"status": 201, "id": written.id, "version": written.version, **replayed}

    async def patch(_: int, item: Change) -> dict[str, Json]:
        versions = frozenset({item.version}) if item.version is not None else None
        written = await documents.patch(item.id, item.changes, caller, versions)
        return {"status": 200, "id": written.id, "version": written.version}

    async def delete(_: int, id: str) -> dict[str, Json]:
        await documents.delete(id, caller)
        return {"status": 204, "id": id}

    results: dict[str, Json] = {}
    if "create" in body.model_fields_set:
        results["create"] = [await _one(create, n, item, request_id) for n, item in enumerate(body.create)]
    if "patch" in body.model_fields_set:
        changed = [(await _one(patch, n, item, request_id), item.id) for n, item in enumerate(body.patch)]
        results["patch"] = [{"id": id, **result} for result, id in changed]
    if "delete" in body.model_fields_set:
        gone = [(await _one(delete, n, id, request_id), id) for n, id in enumerate(body.delete)]
        results["delete"] = [{"id": id, **result} for result, id in gone]
    return pydantic_core.to_json(results)


async def call(
    application: Application, operation: str, raw: bytes, caller: Caller, key: str | None, request_id: str
) -> bytes:
    """Call an operation with each of these inputs: a JSON array with a result for each.

    Raises:
        PulpoError: PULPO601, PULPO602, the body is no array of at most `MOST` objects.
    """
    try:
        inputs = _inputs.validate_json(raw)
    except ValidationError as error:
        raise shapes.invalid(error) from None

    async def one(place: int, item: dict[str, object]) -> dict[str, Json]:
        outcome = await application.call(operation, item, caller=caller, key=_key(key, place))
        told = {"already": outcome.already, "replayed": outcome.replayed}
        output = pydantic_core.from_json(outcome.output)
        return {
            "status": 200,
            "output": output,
            **({"run": outcome.run} if outcome.run else {}),
            **{name: True for name, said in told.items() if said},
        }

    return pydantic_core.to_json([await _one(one, n, item, request_id) for n, item in enumerate(inputs)])


async def _one(
    work: Callable[[int, T], Awaitable[dict[str, Json]]], place: int, item: T, request_id: str
) -> dict[str, Json]:
    """An item's result; what goes wrong is in it, so that it does not hide what was done before."""
    try:
        return await work(place, item)
    except PulpoError as error:
        refusal = error
        if error.status >= 500:
            log.exception("item %d: %s", place, error.code, extra={"request_id": request_id})
    except Exception:
        log.exception("item %d broke", place, extra={"request_id": request_id})
        refusal = PulpoError("PULPO610", "something broke that should not", hint="the log has it under this request id")
    return {"status": refusal.status, "problem": {**refusal.as_problem(), "request_id": request_id}}


def _key(key: str | None, place: int) -> str | None:
    """The idempotency key of one item."""
    return None if key is None else hashlib.sha256(f"{key}\0{place}".encode()).hexdigest()
