"""Pulpo Core: write models and operations once; get an API, a command line and durable workflows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.6.0"

if TYPE_CHECKING:
    from pulpo.declare.decorators import datamodel, flow, group, operation
    from pulpo.errors import NotFound, NotReady, PulpoError, Refused
    from pulpo.model.conditions import col
    from pulpo.model.model import Embedded, Model, Timestamp, new_id, now
    from pulpo.model.types import Field, Money, MoneyType, Ref
    from pulpo.runtime.context import Context

_PUBLIC = {
    "Context": "pulpo.runtime.context",
    "Embedded": "pulpo.model.model",
    "Field": "pulpo.model.types",
    "Model": "pulpo.model.model",
    "Money": "pulpo.model.types",
    "MoneyType": "pulpo.model.types",
    "NotFound": "pulpo.errors",
    "NotReady": "pulpo.errors",
    "PulpoError": "pulpo.errors",
    "Ref": "pulpo.model.types",
    "Refused": "pulpo.errors",
    "Timestamp": "pulpo.model.model",
    "col": "pulpo.model.conditions",
    "datamodel": "pulpo.declare.decorators",
    "flow": "pulpo.declare.decorators",
    "group": "pulpo.declare.decorators",
    "new_id": "pulpo.model.model",
    "now": "pulpo.model.model",
    "operation": "pulpo.declare.decorators",
}

__all__ = [
    "Context",
    "Embedded",
    "Field",
    "Model",
    "Money",
    "MoneyType",
    "NotFound",
    "NotReady",
    "PulpoError",
    "Ref",
    "Refused",
    "Timestamp",
    "col",
    "datamodel",
    "flow",
    "group",
    "new_id",
    "now",
    "operation",
]


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used, so that `pulpo --help` does not pay for Pydantic."""
    if name in _PUBLIC:
        import importlib  # noqa: PLC0415 - `pulpo --help` needs none of this

        value = globals()[name] = getattr(importlib.import_module(_PUBLIC[name]), name)
        return value
    raise AttributeError(f"module 'pulpo' has no attribute {name!r}")
