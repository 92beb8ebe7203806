"""From a request to what the layers below take: bodies, preconditions, keys, the caller."""

from __future__ import annotations

import re
from collections.abc import Container

from fastapi import Request

from pulpo.errors import Nearest, PulpoError
from pulpo.runtime.context import Caller
from pulpo.runtime.http import problems
from pulpo.runtime.keys import LONGEST

_JSON = re.compile(r"application/(?:json|[a-z0-9!#$&^_.+-]+\+json)(?:\s*;.*)?", re.IGNORECASE)
_TAG = re.compile(r'"([0-9]{1,15})"')
_LOCAL = Caller()


async def json_body(request: Request, *, needed: bool = False) -> bytes:
    """The body, if it says that it is JSON; an empty one is the empty object where none is `needed`.

    Raises:
        PulpoError: PULPO608 another media type, PULPO607 too large, PULPO601 none where one is needed.
    """
    body = await request.body()
    if not body:
        if needed:
            raise PulpoError("PULPO601", "there is no body", hint="send a JSON object")
        return b"{}"
    if not _JSON.fullmatch(problems.header(request, b"content-type") or ""):
        raise PulpoError("PULPO608", "the body must be JSON", hint="send the header Content-Type: application/json")
    return body


def versions(request: Request) -> Container[int] | None:
    """The versions at which `If-Match` and `If-None-Match` let a document be changed; None for any.

    A weak or foreign tag in `If-Match` matches nothing; `If-None-Match: *` lets no document be changed that is there.
    """
    wanted, unwanted = problems.header(request, b"if-match"), problems.header(request, b"if-none-match")
    named: frozenset[int] | None = None
    if wanted is not None and wanted.strip() != "*":
        tags = (_TAG.fullmatch(tag.strip()) for tag in wanted.split(","))
        named = frozenset(int(tag[1]) for tag in tags if tag is not None)
    return named if unwanted is None else _Unless(named, request)


def named_versions(request: Request) -> Container[int] | None:
    """As `versions`, where the project asks that every change says which version it was decided on.

    Raises:
        PulpoError: PULPO617, there is no `If-Match`.
    """
    if "if-match" not in request.headers:
        hint = "read the document and send its ETag as If-Match; If-Match: * is whatever version is there"
        raise PulpoError("PULPO617", "a change says which version it was decided on", hint=hint)
    return versions(request)


class _Unless:
    """Versions that `If-None-Match` does not name, of those that `If-Match` names."""

    def __init__(self, named: frozenset[int] | None, request: Request) -> None:
        self._named, self._request = named, request

    def __contains__(self, version: object) -> bool:
        named = self._named is None or version in self._named
        return named and isinstance(version, int) and not has_version(self._request, version)


def has_version(request: Request, version: int) -> bool:
    """Whether `If-None-Match` names this version, strongly or weakly, or is `*`."""
    given = problems.header(request, b"if-none-match")
    if given is None:
        return False
    if given.strip() == "*":
        return True
    tags = (_TAG.fullmatch(tag.strip().removeprefix("W/")) for tag in given.split(","))
    return any(tag is not None and int(tag[1]) == version for tag in tags)


def view(request: Request) -> tuple[str | None, str | None]:
    """`fields` and `expand`, the only parameters that reading one document takes (PULPO603)."""
    found: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name not in ("fields", "expand") or name in found:
            hint = Nearest(("fields", "expand")).to(name) or "known are: fields, expand"
            raise PulpoError("PULPO603", "a query parameter is not known here, or given twice", hint=hint)
        found[name] = value
    return found.get("fields"), found.get("expand")


def idempotency_key(request: Request) -> str | None:
    """The client's key for this request. Raises PulpoError PULPO603 where it is none."""
    key = problems.header(request, b"idempotency-key")
    if key is not None and not 1 <= len(key) <= LONGEST:
        raise PulpoError("PULPO603", f"an Idempotency-Key has 1 to {LONGEST} characters")
    return key


def caller(request: Request) -> Caller:
    """Who asks: in development mode, whoever gets here is the local administrator."""
    del request  # the guard has let only this machine in
    return _LOCAL


def no_parameters(request: Request) -> None:
    """Refuse query parameters where there are none to give (PULPO603)."""
    if request.scope["query_string"]:
        raise PulpoError("PULPO603", "this address takes no query parameters")
