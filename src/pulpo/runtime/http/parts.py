"""What the addresses of the OpenAPI document are made of: bodies, answers, problems with their codes, examples."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from pulpo.errors import CODES, PulpoError
from pulpo.runtime.http.samples import REQUEST, NoSample, Samples
from pulpo.runtime.http.schemas import ref
from pulpo.runtime.refusals import STATUS, Refusal
from pulpo.spec import Json

JSON = "application/json"
PROBLEM = "application/problem+json"
_SUCCESS = {200: "Done", 201: "Created", 202: "Accepted", 204: "Done; there is no body"}
_LATER = frozenset({"PULPO408", "PULPO411", "PULPO612"})
"""Codes that come with `Retry-After`."""
EDGE = ("PULPO613", "PULPO614", "PULPO615")
"""Codes that every address answers with, since they are about a request's head and not about what it asks."""
_HEADERS = {
    "Allow": "The methods that the address serves.",
    "Content-Disposition": "The name of the file.",
    "ETag": "The document's version, for If-Match.",
    "Idempotency-Replayed": "`true`: the answer to an earlier request with the same key.",
    "Link": 'The next page, as `rel="next"`; missing on the last one.',
    "Location": "Where what was made can be read.",
    "Pulpo-Already": "`true`: the effect was there before, and nothing was changed.",
    "Pulpo-Run": "The run that the operation was.",
    "Retry-After": "Seconds to wait before asking again, where that may help.",
    "X-Request-ID": "The id under which the log knows this request.",
    "X-Total-Count": "How many there are on all pages, where `count=true` asked for it.",
}


class Parts:
    """Makes bodies and answers; problems and examples that are the same are one component.

    Args:
        schemas: The components that bodies refer to.
    """

    def __init__(self, schemas: Mapping[str, Json]) -> None:
        self._schemas = schemas
        self._problems: dict[str, Json] = {}
        self._examples: dict[str, Json] = {}

    def components(self) -> dict[str, dict[str, Json]]:
        """What was made for several addresses."""
        found = {"responses": self._problems, "examples": self._examples, "headers": _headers()}
        return {kind: {name: each[name] for name in sorted(each)} for kind, each in found.items()}

    def body(self, schema: Json, media: Iterable[str] = (JSON,)) -> dict[str, Json]:
        """A request's body. It may be left out where the empty object is one."""
        content = {"schema": schema, **self._example(schema, sent=True)}
        return {"required": self._needed(schema), "content": dict.fromkeys(media, content)}

    def answers(
        self,
        success: Mapping[int, Json],
        codes: Iterable[str],
        headers: Iterable[str] = (),
        *,
        own: Iterable[Refusal] | None = None,
    ) -> dict[str, Any]:
        """The answers of one address.

        Args:
            success: Status -> schema of the body, None without one.
            codes: Pulpo's codes that it answers with.
            headers: What a success has in its head.
            own: What the application refuses with here; None where it is not asked.
        """
        found: dict[str, Any] = {}
        for status, schema in success.items():
            answer: dict[str, Json] = {"description": _SUCCESS[status], "headers": heads(headers)}
            if schema is not None:
                answer["content"] = {JSON: {"schema": schema, **self._example(schema, sent=False)}}
            found[str(status)] = answer
        by_status: dict[int, list[str]] = {}
        for code in dict.fromkeys((*codes, *EDGE)):
            by_status.setdefault(CODES[code].status, []).append(code)
        refused: dict[int, list[str]] = {} if own is None else {STATUS: []}
        for refusal in own or ():
            refused.setdefault(refusal.status, []).append(refusal.code)
        for status in sorted({*by_status, *refused}):
            found[str(status)] = self._problem(status, by_status.get(status, []), refused.get(status))
        return found

    def _problem(self, status: int, codes: list[str], own: list[str] | None) -> Json:
        if own is not None:
            return _described(status, codes, own)
        name = "_".join((f"P{status}", *(code.removeprefix("PULPO") for code in codes)))
        self._problems.setdefault(name, _described(status, codes, None))
        return {"$ref": f"#/components/responses/{name}"}

    def _needed(self, schema: Json) -> bool:
        whole = self._whole(schema)
        return whole.get("type") != "object" or bool(whole.get("required")) or whole.get("minProperties", 0) > 0

    def _example(self, schema: Json, *, sent: bool) -> dict[str, Json]:
        """An example beside a schema, if there is one: a component's is a component."""
        name = schema.get("$ref", "").rpartition("/")[2]
        try:
            value = Samples(self._schemas, sent=sent).of(schema)
        except NoSample:
            return {}
        if not name:
            return {"example": value} if sent else {}
        called = f"{name}.request" if sent else name
        self._examples[called] = {"value": value}
        return {"examples": {"example": {"$ref": f"#/components/examples/{called}"}}}

    def _whole(self, schema: Json) -> Mapping[str, Json]:
        target = schema.get("$ref")
        found: Mapping[str, Json] = self._schemas[target.rpartition("/")[2]] if target else schema
        return found


def share_answers(paths: Mapping[str, Json]) -> dict[str, Json]:
    """Put references where an answer stands several times; the answers, named after the first to give each."""
    places: dict[str, list[tuple[dict[str, Json], str, str]]] = {}
    for item in paths.values():
        for operation in item.values():
            if isinstance(operation, dict):
                answers = operation["responses"]
                for status, answer in answers.items():
                    if "$ref" not in answer:
                        name = f"{operation['operationId']}.{status}"
                        places.setdefault(json.dumps(answer), []).append((answers, status, name))
    shared: dict[str, Json] = {}
    for text, found in places.items():
        if len(found) > 1:
            name = found[0][2]
            shared[name] = json.loads(text)
            for answers, status, _ in found:
                answers[status] = {"$ref": f"#/components/responses/{name}"}
    return shared


def _described(status: int, codes: list[str], own: list[str] | None) -> dict[str, Json]:
    """A problem of a status. Of the application's codes those are listed that are known; there can be others."""
    code: dict[str, Json] = {"enum": [*codes, *(own or ())]}
    if own is None:
        words = "; ".join(f"{each}: {CODES[each].title}" for each in codes)
    else:
        words = ", ".join((*codes, "refused by the application"))
        code = {"anyOf": [code, ref("OwnCode")]} if codes or own else ref("OwnCode")
    named = ["Retry-After"] if _LATER.intersection(codes) else []
    if "PULPO605" in codes:
        named.append("Allow")
    told = {"properties": {"status": {"const": status}, "code": code}}
    content: dict[str, Json] = {"schema": {"allOf": [ref("Problem"), told]}}
    if own is None:
        content["example"] = problem(codes[0], status)
    return {"description": words, "headers": heads(named), "content": {PROBLEM: content}}


def problem(code: str, status: int) -> dict[str, Json]:
    """A problem as an example: its title stands for what is said in a real one."""
    return {**PulpoError(code, CODES[code].title, status=status).as_problem(), "request_id": REQUEST}


def heads(names: Iterable[str]) -> dict[str, Json]:
    """References to headers, and to the one that every answer has."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in (*names, "X-Request-ID")}


def _headers() -> dict[str, Json]:
    return {name: {"description": text, "schema": {"type": "string"}} for name, text in _HEADERS.items()}
