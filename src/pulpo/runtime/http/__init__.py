"""The HTTP API: what a generated `api/` package calls, and what serves it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pulpo.runtime.http.app import create_app
    from pulpo.runtime.http.resources import ModelRoutes, OperationRoutes
    from pulpo.runtime.http.serve import serve

_PUBLIC = {
    "ModelRoutes": "pulpo.runtime.http.resources",
    "OperationRoutes": "pulpo.runtime.http.resources",
    "create_app": "pulpo.runtime.http.app",
    "serve": "pulpo.runtime.http.serve",
}

__all__ = ["ModelRoutes", "OperationRoutes", "create_app", "serve"]


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used: the compiler wants the OpenAPI builder and no web server."""
    if name in _PUBLIC:
        import importlib  # noqa: PLC0415 - as above

        value = globals()[name] = getattr(importlib.import_module(_PUBLIC[name]), name)
        return value
    raise AttributeError(f"module 'pulpo.runtime.http' has no attribute {name!r}")
