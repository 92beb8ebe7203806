"""Routes of a project's own, from `routes.py`: described by FastAPI, merged into Pulpo's OpenAPI document.

A route of the project's stands before a generated one for the same requests; it takes its place in the document too,
and `pulpo check` says so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from typing import TYPE_CHECKING

from pulpo.errors import CODES, PulpoError
from pulpo.runtime.http.parts import EDGE
from pulpo.spec import AppSpec, Json

if TYPE_CHECKING:
    from fastapi import APIRouter

TAG = "routes"
"""Of routes that have none of their own."""

_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_PARAMETER = re.compile(r"\{([^}:]+)(:[^}]*)?\}")
_REFERENCE = "#/components/"
_FASTAPIS = ("HTTPValidationError", "ValidationError")
"""Schemas of answers that FastAPI would give; Pulpo answers with a problem."""


def router_of(module: object) -> APIRouter:
    """The router in a project's `routes.py`.

    Raises:
        PulpoError: PULPO101, it has none.
    """
    from fastapi import APIRouter  # noqa: PLC0415 - a project without routes of its own does without it

    router = getattr(module, "router", None)
    if not isinstance(router, APIRouter):
        raise PulpoError("PULPO101", "routes.py has no `router` that is a fastapi.APIRouter")
    return router


def described(router: APIRouter) -> dict[str, Json]:
    """What FastAPI says about the routes in `routes.py`: `paths` and `components` of an OpenAPI document.

    Raises:
        PulpoError: PULPO101, the routes cannot be described.
    """
    from fastapi.openapi.utils import get_openapi  # noqa: PLC0415 - as above

    try:
        document = get_openapi(title=TAG, version="0", routes=router.routes)
    except Exception as error:
        detail = f"routes.py cannot be described: {type(error).__name__}: {error}".partition("\n")[0]
        hint = "a route that is not to be described says include_in_schema=False"
        raise PulpoError("PULPO101", detail, hint=hint) from error
    return {name: document.get(name, {}) for name in ("paths", "components")}


def merged(document: Mapping[str, Json], routes: Mapping[str, Json]) -> dict[str, Json]:
    """Pulpo's document with the project's own routes in it.

    Where both have a schema of one name and mean different things by it, the project's is called `routes.NAME`.

    Args:
        document: The document of what is generated.
        routes: What `described` gave; empty without routes of the project's own.
    """
    result: dict[str, Json] = deepcopy(dict(document))
    if not routes.get("paths"):
        return result
    own = _renamed(deepcopy(dict(routes)), result["components"])
    for kind, named in own["components"].items():
        result["components"].setdefault(kind, {}).update(named)
    addresses = {_form(path): path for path in result["paths"]}
    taken = {operation["operationId"] for _, _, operation in _operations(result["paths"])}
    for path, method, operation in _operations(own["paths"]):
        address = addresses.get(_form(path), _plain(path))
        _call_parameters(operation, path, address)
        operation.setdefault("tags", [TAG])
        _answer_with_problems(operation)
        if operation["operationId"] in taken:
            operation["operationId"] = f"routes.{operation['operationId']}"
        item = result["paths"].setdefault(address, {})
        shared = {parameter["name"] for parameter in item.get("parameters", ())}
        operation["parameters"] = [each for each in operation.get("parameters", ()) if each["name"] not in shared]
        if not operation["parameters"]:
            del operation["parameters"]
        item[method] = operation
    known = [tag["name"] for tag in result["tags"]]
    tags = dict.fromkeys(tag for _, _, operation in _operations(own["paths"]) for tag in operation["tags"])
    result["tags"] += [{"name": tag} for tag in tags if tag not in known]
    return result


def shadows(app: AppSpec, document: Callable[[], Mapping[str, Json]]) -> tuple[str, ...]:
    """A sentence for each generated route whose requests a route of the project's takes, in order of the addresses.

    Args:
        app: With what FastAPI says about the project's routes.
        document: Makes the OpenAPI document of what is generated; not asked where the project has no routes.
    """
    found: list[str] = []
    own = app.routes.get("paths", {})
    generated = [*_operations(document()["paths"])] if own else []
    for path, method, _ in _operations(own):
        found += [
            f"routes.py serves {method.upper()} {path} before the generated {method.upper()} {address}"
            for address, other, _ in generated
            if method == other and _covers(path, address)
        ]
    return tuple(found)


def _covers(path: str, address: str) -> bool:
    """Whether every request to an address of this form goes to the path."""
    theirs, ours = path.split("/"), address.split("/")
    for place, segment in enumerate(theirs):
        if segment.endswith(":path}"):
            return len(ours) > place
        if place >= len(ours) or not ("{" in segment or segment == ours[place]):
            return False
    return len(theirs) == len(ours)


def _operations(paths: Mapping[str, Json]) -> Iterator[tuple[str, str, dict[str, Json]]]:
    for path, item in paths.items():
        for method in _METHODS:
            if method in item:
                yield path, method, item[method]


def _form(path: str) -> str:
    """A path without the names of its parameters: OpenAPI knows an address once."""
    return _PARAMETER.sub("{}", path)


def _plain(path: str) -> str:
    """A path without Starlette's converters."""
    return _PARAMETER.sub(r"{\1}", path)


def _call_parameters(operation: dict[str, Json], path: str, address: str) -> None:
    """Call the path's parameters as the address does."""
    names = dict(zip(_names(path), _names(address), strict=True))
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "path":
            parameter["name"] = names[parameter["name"]]


def _names(path: str) -> list[str]:
    return [name for name, _ in _PARAMETER.findall(path)]


def _answer_with_problems(operation: dict[str, Json]) -> None:
    """The answers that the edge and our handlers give, where the route does not describe its own."""
    answers = operation["responses"]
    if _is_fastapis(answers.get("422")):
        del answers["422"]
    codes = [*EDGE, "PULPO606", "PULPO610", "PULPO612"]
    if operation.get("parameters"):
        codes.append("PULPO603")
    if "requestBody" in operation:
        codes += ["PULPO601", "PULPO602", "PULPO607"]
    by_status: dict[str, list[str]] = {}
    for code in sorted(codes):
        by_status.setdefault(str(CODES[code].status), []).append(code)
    problem = {"application/problem+json": {"schema": {"$ref": f"{_REFERENCE}schemas/Problem"}}}
    for status, found in sorted(by_status.items()):
        titles = "; ".join(f"{code}: {CODES[code].title}" for code in found)
        answers.setdefault(status, {"description": titles, "content": problem})


def _is_fastapis(answer: Json) -> bool:
    return answer is not None and f"{_REFERENCE}schemas/HTTPValidationError" in str(answer)


def _renamed(own: dict[str, Json], theirs: Mapping[str, Json]) -> dict[str, Json]:
    """The same routes, with names of components that are not taken."""
    components = {kind: dict(named) for kind, named in own["components"].items()}
    for name in _FASTAPIS:
        components.get("schemas", {}).pop(name, None)
    moved: dict[str, str] = {}
    for kind, named in components.items():
        taken = theirs.get(kind, {})
        for name in list(named):
            if name in taken and taken[name] != named[name]:
                moved[f"{_REFERENCE}{kind}/{name}"] = f"{_REFERENCE}{kind}/routes.{name}"
                named[f"routes.{name}"] = named.pop(name)
    renamed: dict[str, Json] = _with_references({"paths": own["paths"], "components": components}, moved)
    schemes = {target.rpartition("/")[2].removeprefix("routes."): target.rpartition("/")[2]
               for target in moved.values() if "/securitySchemes/" in target}  # fmt: skip
    for _, _, operation in _operations(renamed["paths"]):
        if "security" in operation:
            operation["security"] = [
                {schemes.get(name, name): scopes for name, scopes in needed.items()} for needed in operation["security"]
            ]
    return renamed


def _with_references(value: Json, moved: Mapping[str, str]) -> Json:
    if isinstance(value, dict):
        return {
            key: moved.get(inner, inner) if key == "$ref" and isinstance(inner, str) else _with_references(inner, moved)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [_with_references(each, moved) for each in value]
    return value
