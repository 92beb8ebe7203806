"""Every error Pulpo knows: a stable code, what is wrong, where, and what to do.

Codes are grouped by stage, written by hand, never reused, listed in `docs/errors.md`, and explained in `error_pages/`:
1xx declaring, 2xx planning, 3xx compiling, 4xx running, 5xx storing, 6xx HTTP, 7xx services, 8xx command line.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Code:
    """What a stable code means, and the HTTP status it is answered with."""

    title: str
    status: int = 500


CODES: Mapping[str, Code] = MappingProxyType(
    {
        # 1xx declaring
        "PULPO101": Code("A module of the project does not import"),
        "PULPO102": Code("A model is declared wrongly"),
        "PULPO103": Code("An operation is declared wrongly"),
        "PULPO104": Code("The folder holds no Pulpo project"),
        "PULPO105": Code("A setting cannot be read"),
        # 2xx planning
        "PULPO201": Code("A name is not declared"),
        "PULPO202": Code("Steps depend on each other in a circle"),
        "PULPO203": Code("Two unordered operations write the same model"),
        "PULPO204": Code("A gate is unordered with a step that would have to be undone"),
        "PULPO205": Code("A step is unordered with the pivot"),
        "PULPO206": Code("A name is used twice"),
        "PULPO207": Code("A name or path is one that Pulpo itself uses"),
        "PULPO208": Code("An operation is not async"),
        "PULPO209": Code("An annotation is missing or cannot be used"),
        "PULPO210": Code("A compensation needs a field that its step does not have"),
        "PULPO211": Code("Two unordered steps both output a field that a later step consumes"),
        "PULPO212": Code("A gate names no boolean output field"),
        "PULPO213": Code("A binding names a step or field that is not there"),
        # 3xx compiling
        "PULPO301": Code("Two generators claim the same path"),
        "PULPO302": Code("A generated file was edited by hand"),
        "PULPO303": Code("Generated files are stale"),
        "PULPO304": Code("Generated files cannot be written"),
        # 4xx running
        "PULPO401": Code("A step failed", 500),
        "PULPO402": Code("A step ran past its timeout", 504),
        "PULPO404": Code("Nothing has this id or key", 404),
        "PULPO405": Code("An operation touched what it does not declare", 500),
        "PULPO406": Code("A live run for the same value exists", 409),
        "PULPO407": Code("The run is not in a state that allows this", 409),
        "PULPO408": Code("What the operation read kept changing", 409),
        "PULPO409": Code("The run belongs to another worker now", 409),
        "PULPO410": Code("The idempotency key was used with another body", 422),
        "PULPO411": Code("A request with this idempotency key is still running", 409),
        "PULPO413": Code("The run was cancelled", 409),
        "PULPO414": Code("A recorded plan or value no longer fits the code", 500),
        "PULPO415": Code("A query reads a model that has pending writes", 500),
        "PULPO416": Code("A gate stopped the flow", 409),
        "PULPO417": Code("A document was changed in place and not written", 500),
        # 5xx storing
        "PULPO501": Code("A document with this id exists", 409),
        "PULPO502": Code("A document has changed since it was read", 409),
        "PULPO503": Code("An update's guard does not hold", 409),
        "PULPO504": Code("A unique value is taken", 409),
        "PULPO505": Code("The database has no room left", 507),
        "PULPO506": Code("The file is not a Pulpo database", 500),
        "PULPO507": Code("The database is not reachable", 503),
        "PULPO508": Code("A change of schema would lose data", 500),
        "PULPO509": Code("The event cursor has expired", 410),
        "PULPO510": Code("A document refers to one that is not there", 422),
        "PULPO511": Code("The MongoDB server is no replica set", 500),
        "PULPO512": Code("A query took too long", 503),
        "PULPO515": Code("The database holds other documents", 409),
        "PULPO516": Code("The database was filled in part", 409),
        "PULPO517": Code("A copy is not the same as its source", 500),
        "PULPO518": Code("A backup cannot be written or read", 422),
        "PULPO519": Code("The database is in use", 409),
        # 6xx HTTP
        "PULPO601": Code("The body is not valid JSON", 400),
        "PULPO602": Code("Fields are missing or invalid", 422),
        "PULPO603": Code("A query parameter is unknown or invalid", 400),
        "PULPO604": Code("Nothing is served at this address", 404),
        "PULPO605": Code("The address does not serve this method", 405),
        "PULPO606": Code("The host or origin is not allowed", 403),
        "PULPO607": Code("The body is too large", 413),
        "PULPO608": Code("The body must be JSON", 415),
        "PULPO609": Code("The precondition does not hold", 412),
        "PULPO610": Code("Something broke inside", 500),
        "PULPO611": Code("The document cannot be deleted or changed", 409),
        "PULPO612": Code("The server is at its limit", 503),
        "PULPO613": Code("The request is not valid HTTP", 400),
        "PULPO614": Code("The headers are too large", 431),
        "PULPO615": Code("The address is too long", 414),
        "PULPO616": Code("The client was too slow", 408),
        "PULPO617": Code("A precondition is required", 428),
        # 7xx services
        "PULPO701": Code("A port is taken", 503),
        "PULPO702": Code("A service did not become healthy", 503),
        "PULPO703": Code("The project is running already", 409),
        "PULPO704": Code("The project is not running", 409),
        "PULPO705": Code("Listening beyond loopback is refused in development mode"),
        "PULPO706": Code("The Prefect server does not do what is asked", 503),
        # 8xx command line
        "PULPO801": Code("The input cannot be read", 400),
        "PULPO802": Code("The project has not been compiled"),
        "PULPO803": Code("The API cannot be reached", 503),
        "PULPO804": Code("The command is used wrongly", 400),
    }
)


@dataclass(frozen=True, slots=True, order=True)
class Source:
    """A place in the user's code; `file` is relative to the project's root, with forward slashes."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class FieldError:
    """One invalid place in a body: `pointer` is a JSON pointer (RFC 6901), `code` a stable word."""

    pointer: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem found in a project: what a check returns."""

    code: str
    message: str
    source: Source | None = None
    hint: str | None = None

    def __str__(self) -> str:
        lines = [f"{self.code}  {self.message}"]
        if self.source is not None:
            lines.append(f"  at    {self.source}")
        if self.hint:
            lines.append(f"  hint  {self.hint}")
        return "\n".join(lines)


class PulpoError(Exception):
    """An error with a stable code. `status` is the HTTP status it is answered with.

    Args:
        code: `PULPOnnn`, or an application's own snake_case code.
        detail: What is wrong in this case, in one sentence; never an input value that could be secret.
        hint: What to do about it.
        status: The HTTP status; by default the code's.
        errors: The invalid places of a body.
        headers: HTTP headers that belong to the answer (`Retry-After`, …).
    """

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        hint: str | None = None,
        status: int | None = None,
        errors: Iterable[FieldError] = (),
        source: Source | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        known = CODES.get(code)
        self.code = code
        self.title = known.title if known else code.replace("_", " ").capitalize()
        self.detail = detail
        self.hint = hint
        self.status = status if status is not None else known.status if known else 500
        self.errors = tuple(errors)
        self.source = source
        self.headers = dict(headers or {})

    def __str__(self) -> str:
        return str(Finding(self.code, self.detail, self.source, self.hint))

    def as_problem(self) -> dict[str, object]:
        """The error as an RFC 9457 problem, without `request_id`."""
        problem: dict[str, object] = {
            "type": f"urn:pulpo:error:{self.code}" if self.code.startswith("PULPO") else "about:blank",
            "title": self.title,
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
        }
        if self.hint:
            problem["hint"] = self.hint
        if self.errors:
            problem["errors"] = [
                {"pointer": error.pointer, "code": error.code, "message": error.message} for error in self.errors
            ]
        return problem


class ProjectErrors(PulpoError):
    """A project's problems, all at once."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.findings = tuple(findings)
        first = self.findings[0]
        super().__init__(first.code, first.message, hint=first.hint, source=first.source)

    def __str__(self) -> str:
        return "\n".join(str(finding) for finding in self.findings)


class Refused(PulpoError):
    """An operation says no, for a reason the caller can understand: `code` is the application's snake_case word."""

    def __init__(self, code: str, detail: str, *, hint: str | None = None, status: int = 409) -> None:
        super().__init__(code, detail, hint=hint, status=status)


class NotReady(PulpoError):
    """An operation says not yet. In a run the step waits and is tried again; a direct caller gets a 409."""

    def __init__(self, code: str, detail: str, *, hint: str | None = None) -> None:
        super().__init__(code, detail, hint=hint or "it can be tried again later", status=409)


class NotFound(PulpoError):
    """Nothing has this id or key (PULPO404). The answer does not repeat it: what is sent is never echoed."""

    def __init__(self, model: str, id: str) -> None:
        super().__init__("PULPO404", f"no {model} has this id or key")
        self.model, self.id = model, id


@dataclass(frozen=True, slots=True)
class Nearest:
    """The hint worked out from what exists: the nearest name, or none when nothing is near."""

    known: tuple[str, ...] = field(default=())

    def to(self, name: str) -> str | None:
        """`did you mean "Order"?`, or None."""
        near = difflib.get_close_matches(name, self.known, n=1, cutoff=0.6)
        return f'did you mean "{near[0]}"?' if near else None
