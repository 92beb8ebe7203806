"""Where a command does its work: the running API, or the application in this process.

Importing this module is cheap (no Pydantic, no HTTP library, hence the late imports), because every command does it.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar
from urllib.parse import quote, urlencode, urlsplit

from pulpo.errors import FieldError, PulpoError, Source
from pulpo.imports import import_from

if TYPE_CHECKING:
    from http.client import HTTPConnection, HTTPMessage

    from pulpo.runtime.application import Application

T = TypeVar("T")
Json = Any
RUN_FILE = Path(".pulpo", "run.json")
_ALIVE_SECONDS = 1.0
_CONNECT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What an operation gave: `output` is JSON text. `already`: it was there before; `replayed`: a kept answer."""

    output: str
    already: bool = False
    replayed: bool = False
    run: str = ""


class ApiError(PulpoError):
    """A problem as the API answered it, kept whole."""

    def __init__(self, problem: Mapping[str, Json], status: int) -> None:
        errors = [
            FieldError(str(each.get("pointer", "")), str(each.get("code", "")), str(each.get("message", "")))
            for each in problem.get("errors", [])
        ]
        super().__init__(
            str(problem.get("code", "PULPO610")),
            str(problem.get("detail") or problem.get("title") or "the API gave no reason"),
            hint=problem.get("hint"),
            status=status,
            errors=errors,
        )
        self.problem = dict(problem)

    def as_problem(self) -> dict[str, object]:
        """The problem, with its `request_id`."""
        return dict(self.problem)


class Target(Protocol):
    """What commands need of an application, wherever it runs. Everything raises `PulpoError`; close it by `with`."""

    place: str

    def __enter__(self) -> Self: ...
    def __exit__(self, *error: object) -> None: ...

    def call(self, operation: str, raw: str, key: str | None = None) -> Answer:
        """One operation, with its input as JSON text."""

    def start_run(self, flow: str, raw: str, key: str | None = None) -> Json:
        """A new run of a flow: its document."""

    def run(self, id: str) -> Json:
        """A run's document with its `steps`."""

    def runs(self, filters: Mapping[str, str], limit: int) -> list[Json]:
        """The newest runs whose fields have these values."""

    def act(self, id: str, action: str, body: Mapping[str, Json]) -> Json:
        """`cancel` (body: reason), `retry` (body: input, optional) or `wake` a run: the run's document."""

    def flows(self) -> list[Json]:
        """The plans of all flows, as JSON."""

    def pause(self, seconds: float) -> None:
        """Let time pass; an application in this process goes on working meanwhile."""


def find(root: Path, *, local: bool = False, execute: bool = False) -> Target:
    """The API at `PULPO_API_URL`, else the project's own if it is running, else the application in this process.

    Args:
        root: The project's root.
        local: Work in this process in any case.
        execute: In this process, also take up runs that wait for a worker.
    """
    if not local:
        url = os.environ.get("PULPO_API_URL") or running_api(root)
        if url:
            return RemoteApi(url)
    return InProcess(root, execute=execute)


def running_api(root: Path) -> str | None:
    """The address of the project's API if `pulpo up` started it and it answers."""
    try:
        state = json.loads((root / RUN_FILE).read_text(encoding="utf-8"))
        url = state["api"]
        os.kill(int(state["pid"]), 0)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not isinstance(url, str):
        return None
    try:
        RemoteApi(url, connect_seconds=_ALIVE_SECONDS).request("GET", "/livez", timeout=_ALIVE_SECONDS)
    except PulpoError:
        return None
    return url


class RemoteApi:
    """An application behind its HTTP API.

    Args:
        url: Where it is, for example `http://127.0.0.1:8000`; a path in it is kept as a prefix.
        connect_seconds: How long connecting may take; an answer may take as long as the operation does.
    """

    def __init__(self, url: str, *, connect_seconds: float = _CONNECT_SECONDS) -> None:
        try:
            parts = urlsplit(url if "//" in url else f"//{url}", scheme="http")
            port = parts.port
        except ValueError:
            raise _no_address(url) from None
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise _no_address(url)
        self.place = url.rstrip("/")
        self._secure, self._host, self._port = parts.scheme == "https", parts.hostname, port
        self._prefix, self._connect_seconds = parts.path.rstrip("/"), connect_seconds

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing is held between requests."""

    def call(self, operation: str, raw: str, key: str | None = None) -> Answer:
        """One operation, with its input as JSON text."""
        headers = {"Idempotency-Key": key} if key else {}
        body, answered = self.request("POST", "/operations/" + operation.replace(".", "/"), raw, headers)
        return Answer(
            body.decode(),
            already=answered.get("Pulpo-Already") == "true",
            replayed=answered.get("Idempotency-Replayed") == "true",
            run=answered.get("Pulpo-Run") or "",
        )

    def start_run(self, flow: str, raw: str, key: str | None = None) -> Json:
        """A new run of a flow: its document."""
        headers = {"Idempotency-Key": key} if key else {}
        return self._json("POST", f"/flows/{quote(flow, safe='')}/runs", raw, headers)

    def run(self, id: str) -> Json:
        """A run's document with its `steps`."""
        return self._json("GET", f"/runs/{quote(id, safe='')}")

    def runs(self, filters: Mapping[str, str], limit: int) -> list[Json]:
        """The newest runs whose fields have these values."""
        query = urlencode({**filters, "sort": "-created_at", "limit": limit})
        found: list[Json] = self._json("GET", f"/runs?{query}")
        return found

    def act(self, id: str, action: str, body: Mapping[str, Json]) -> Json:
        """`cancel`, `retry` or `wake` a run."""
        return self._json("POST", f"/runs/{quote(id, safe='')}/{action}", json.dumps(body))

    def flows(self) -> list[Json]:
        """The plans of all flows, as JSON."""
        found: list[Json] = self._json("GET", "/flows")
        return found

    def pause(self, seconds: float) -> None:
        """Let time pass."""
        time.sleep(seconds)

    def request(
        self,
        method: str,
        path: str,
        body: str | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        timeout: float | None = None,
    ) -> tuple[bytes, HTTPMessage]:
        """One request: the answer's body and headers. `timeout` in seconds, None for as long as it takes.

        Raises:
            PulpoError: PULPO803, the API cannot be reached; else what it answered.
        """
        from http.client import HTTPException  # noqa: PLC0415

        connection = self._connection()
        try:
            connection.connect()
            connection.sock.settimeout(timeout)
            sent = {"Accept": "application/json", **({"Content-Type": "application/json"} if body is not None else {})}
            connection.request(
                method, self._prefix + path, body.encode() if body else body, {**sent, **(headers or {})}
            )
            response = connection.getresponse()
            answer = response.read()
        except (OSError, HTTPException) as error:
            raise PulpoError(
                "PULPO803",
                f"the API at {self.place} cannot be reached: {error}",
                hint="start it by `pulpo up`, or work without it by --local",
            ) from None
        finally:
            connection.close()
        if response.status >= 400:
            raise _answered(answer, response.status)
        return answer, response.headers

    def _json(self, method: str, path: str, body: str | None = None, headers: Mapping[str, str] | None = None) -> Json:
        return json.loads(self.request(method, path, body, headers)[0])

    def _connection(self) -> HTTPConnection:
        from http.client import HTTPConnection, HTTPSConnection  # noqa: PLC0415

        kind = HTTPSConnection if self._secure else HTTPConnection
        return kind(self._host, self._port, timeout=self._connect_seconds)


class InProcess:
    """The application in this process; it is loaded and started when the `with` block begins.

    Args:
        root: The project's root, which has been compiled.
        execute: Also take up runs that wait for a worker.
    """

    def __init__(self, root: Path, *, execute: bool = False) -> None:
        self.place = "this process"
        self._root, self._execute = root, execute

    def __enter__(self) -> Self:
        self.application = load_application(self._root)
        self._runner = asyncio.Runner()
        self._runner.__enter__()
        try:
            self.do(self.application.start(execute=self._execute))
        except BaseException:
            self._runner.close()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        """Stop the application."""
        try:
            self.do(self.application.stop())
        finally:
            self._runner.close()

    def call(self, operation: str, raw: str, key: str | None = None) -> Answer:
        """One operation, with its input as JSON text."""
        from pulpo.runtime.context import Caller  # noqa: PLC0415

        outcome = self.do(self.application.call(operation, raw, caller=Caller(), key=key))
        return Answer(outcome.output, outcome.already, outcome.replayed, outcome.run)

    def start_run(self, flow: str, raw: str, key: str | None = None) -> Json:
        """A new run of a flow: its document."""
        from pulpo.runtime.context import Caller  # noqa: PLC0415

        return self.do(self.application.engine.start_run(flow, raw, caller=Caller(), key=key))

    def run(self, id: str) -> Json:
        """A run's document with its `steps`."""
        return self.do(self.application.engine.run(id))

    def runs(self, filters: Mapping[str, str], limit: int) -> list[Json]:
        """The newest runs whose fields have these values."""
        from pulpo.model.conditions import All, Compare  # noqa: PLC0415

        where = All(tuple(Compare(field, "eq", value) for field, value in filters.items())) if filters else None
        page = self.do(self.application.engine.runs(where=where, limit=limit, after=None))
        return [json.loads(record.json) for record in page.records]

    def act(self, id: str, action: str, body: Mapping[str, Json]) -> Json:
        """`cancel`, `retry` or `wake` a run."""
        engine = self.application.engine
        if action == "cancel":
            return self.do(engine.cancel(id, reason=body.get("reason", "")))
        if action == "retry":
            return self.do(engine.retry(id, raw=body.get("input")))
        return self.do(engine.wake(id))

    def flows(self) -> list[Json]:
        """The plans of all flows, as JSON."""
        return [plan.as_json() for plan in self.application.plans.values()]

    def pause(self, seconds: float) -> None:
        """Let time pass; the application goes on working."""
        self.do(asyncio.sleep(seconds))

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Carry out what is asked of the application."""
        return self._runner.run(work)


def load_application(root: Path) -> Application:
    """The compiled application of a project.

    Raises:
        PulpoError: PULPO802, it has not been compiled; PULPO101, a module of it does not import.
    """
    if not (root / "generated" / "application.py").is_file():
        raise PulpoError("PULPO802", f"the project in {root} has not been compiled", hint="run `pulpo compile`")
    import_from(root)
    application: Application = imported(root, lambda: importlib.import_module("generated.application")).application
    return application


def load_function(root: Path, file: str, function: str, form: str) -> Callable[..., Any]:
    """A function that a script in a project's root gives to Pulpo. The module has a name that no other project uses.

    Args:
        root: The project's root.
        file: The script, `seed.py`.
        function: The function's name.
        form: How it is written, for who has not: `async def seed(ctx)`.

    Raises:
        PulpoError: PULPO804, there is no such file or function; PULPO101, the file does not import.
    """
    from importlib.util import module_from_spec, spec_from_file_location  # noqa: PLC0415

    hint = f"write `{form}` in {file}"
    if not (root / file).is_file():
        raise PulpoError("PULPO804", f"the project in {root} has no {file}", hint=hint)
    import_from(root)
    spec = spec_from_file_location(f"pulpo_{function}_{abs(hash(root))}", root / file)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    loader = spec.loader
    imported(root, lambda: loader.exec_module(module))
    found: Callable[..., Any] | None = getattr(module, function, None)
    if found is None:
        raise PulpoError("PULPO804", f"{file} does not define `{function}`", hint=hint, source=Source(file, 1))
    return found


def imported(root: Path, load: Callable[[], T]) -> T:
    """What `load` gives, which imports modules of a project. Raises PulpoError PULPO101 with the line that fails."""
    try:
        return load()
    except PulpoError:
        raise
    except Exception as error:
        raise PulpoError(
            "PULPO101",
            f"{type(error).__name__}: {error}",
            source=_place(root, error),
            hint="`pulpo check` shows all of the project's problems",
        ) from error


def _place(root: Path, error: Exception) -> Source | None:
    """The innermost line of the project's own code that the error passed."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        if path.is_relative_to(root):
            return Source(path.relative_to(root).as_posix(), frame.lineno or 1)
    return None


def _no_address(url: str) -> PulpoError:
    return PulpoError(
        "PULPO803", f"{url!r} is no address of an API", hint="for example PULPO_API_URL=http://127.0.0.1:8000"
    )


def _answered(body: bytes, status: int) -> PulpoError:
    try:
        problem = json.loads(body)
    except ValueError:
        problem = None
    if not isinstance(problem, dict):
        return PulpoError("PULPO803", f"the address answered {status} without a problem: is it a Pulpo API?")
    return ApiError(problem, status)
