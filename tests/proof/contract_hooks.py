"""What Schemathesis is told about the API beside its document, and what is counted. Loaded into its process.

The rules here are those that JSON Schema has no words for: which parameters exclude each other, and which requests are
refused for what they mean though their form is right.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import random
import re
from collections import Counter
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import schemathesis
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.failures import AcceptedNegativeData, Failure
from schemathesis.core.parameters import ParameterLocation
from schemathesis.openapi.checks import UndefinedContentType

COUNTS = "CONTRACT_COUNTS"
"""The environment variable that names the file for the counts."""
DOCUMENTS = "CONTRACT_DOCUMENTS"
"""That of a file with what the shop has at the beginning: documents by collection, and ids of what may be deleted."""
CLAUSES, VALUES = 20, 100
"""How many filters a request may have, and how many values each."""
REFUSED_UNREAD = {414, 431}
TOO_LONG = 65_000
"""Characters of an address that the HTTP parser does not read any more."""
_EVENT = re.compile(r"^id: (\S+)$", re.MULTILINE)
_OWN = re.compile(r"[a-z][a-z0-9_]*")
_MEANT = {
    "PULPO404", "PULPO510",  # what a body or an address refers to is not there
    "PULPO410",  # a key that another case has used with another body
    "PULPO609",  # a precondition that does not hold
}  # fmt: skip
_cases: Counter[str] = Counter()
_answers: Counter[str] = Counter()
_checked: Counter[str] = Counter()
_dropped: Counter[str] = Counter()
_cursors: dict[str, str] = {}
_documents: dict[str, list[dict[str, Any]]] = {}
"""Collection -> documents that the shop has shown."""
_created: dict[str, list[str]] = {}
"""Collection -> ids of what was created, here and before, for nothing but this."""
KNOWN = 50
"""How many documents of a collection are remembered; every other case of those that may be is about one of them."""
_BY_ID = re.compile(r"^/(\w+)/\{id\}(?:/.*)?$")
_chance = random.Random(0)


@schemathesis.hook
def map_case(context: Any, case: Any) -> Any:
    """Cursors are what an answer gave, so a case that is to be accepted has one of those, and no `offset` with it."""
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return case
    query = case.query or {}
    if query.get("cursor"):
        query.pop("offset", None)
    bucket, group = query.get("bucket"), query.get("group")
    if bucket and group:  # what has a bucket is not in `group`
        named = group.split(",") if isinstance(group, str) else group
        kept = [path for path in named if path != bucket.partition(":")[0]] or ["id"]
        query["group"] = ",".join(kept) if isinstance(group, str) else kept
    return case


def _label(case: Any) -> str:
    return str(case.operation.label)


def _positive(case: Any) -> bool:
    return case.meta is not None and case.meta.generation.mode.is_positive


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: dict[str, Any]) -> None:
    """Put a real cursor in, one that belongs to the same query, and into every other case what the shop has."""
    if not _positive(case):
        return
    if _chance.random() < 0.5:
        _about_what_is_there(case)
    known = _cursors.get("events") if case.path.endswith("/events") else None
    for container, name in ((case.query, "cursor"), (case.headers, "Last-Event-ID")):
        if container and name in container:
            if known is None:
                del container[name]
            else:
                container[name] = known
    if known is not None and case.query is not None and _cases.total() % 10 != 0:
        case.query["cursor"] = known  # most streams begin in the past, so that their first message comes at once


def _about_what_is_there(case: Any) -> None:
    """Ask about documents that there are: what is made up refers to nothing, and no more than a 404 or 422 comes of it.

    What is deleted is what was created here: the shop would be empty soon.
    """
    method, collection = case.method.upper(), case.path.split("/")[1]
    found = _BY_ID.match(case.path)
    known = _documents.get(collection)
    if found is not None and method == "DELETE":
        if _created.get(collection):
            case.path_parameters["id"] = _created[collection].pop()
    elif found is not None and known:
        document = _chance.choice(known)
        case.path_parameters["id"] = document["id"]
        if method == "PUT" and isinstance(case.body, dict):
            case.body = _sent(case, document)
    elif method == "POST" and known and case.path == f"/{collection}" and isinstance(case.body, dict):
        case.body = _renamed(_sent(case, _chance.choice(known)))
    elif case.path.startswith(("/operations/", "/flows/")):
        bodies = case.body if isinstance(case.body, list) else [case.body]
        for body in bodies:
            if isinstance(body, dict):
                _with_ids(body)


def _sent(case: Any, document: dict[str, Any]) -> dict[str, Any]:
    """A document as a client sends it: its own fields, of those that the body has."""
    schema = case.operation.schema.raw_schema
    content = schema["paths"][case.path][case.method.lower()]["requestBody"]["content"]["application/json"]
    name = content["schema"]["$ref"].rpartition("/")[2]
    fields = schema["components"]["schemas"][name]["properties"]
    return {field: document[field] for field in fields if field in document and field != "id"}


def _renamed(body: dict[str, Any]) -> dict[str, Any]:
    """The same with other texts, so that what is unique is another document's."""
    mark = f"{_chance.randrange(10**9)}"
    kept = ("_id", "status", "currency")
    return {
        name: mark + value if isinstance(value, str) and not name.endswith(kept) else value
        for name, value in body.items()
    }


def _with_ids(body: dict[str, Any]) -> None:
    """References by documents that there are."""
    for name, value in body.items():
        known = _documents.get(f"{name.removesuffix('_id')}s") if name.endswith("_id") else None
        if known and value is not None:
            body[name] = _chance.choice(known)["id"]


def _remember(case: Any, response: Any) -> None:
    collection = case.path.strip("/")
    if case.method.upper() == "GET" and "/" not in collection:
        shown = response.json()
        if isinstance(shown, list) and (case.query or {}).keys().isdisjoint(("fields", "expand")):
            kept = _documents.setdefault(collection, [])
            new = [each for each in shown if isinstance(each, dict) and "id" in each]
            _documents[collection] = [*kept, *new][-KNOWN:]


@schemathesis.hook
def after_call(context: Any, case: Any, response: Any) -> None:
    """Count, and keep cursors."""
    phase = case.meta.phase.name.value if case.meta is not None else "other"
    mode = "positive" if _positive(case) else "negative"
    _cases[f"{_label(case)}|{phase}|{mode}"] += 1
    _answers[f"{_label(case)}|{response.status_code}|{_code(response)}"] += 1
    if response.status_code == 200 and "application/json" in str(response.headers.get("content-type", "")):
        _remember(case, response)
    if response.status_code == 201 and case.path.count("/") == 1:
        _created.setdefault(case.path[1:], []).append(response.json()["id"])
    if case.path.endswith("/events") and response.status_code == 200:
        found = _EVENT.search(response.text or "")
        if found is not None:
            _cursors.setdefault("events", found[1])


@schemathesis.hook
def filter_failure(context: Any, failure: Failure, case: Any, response: Any) -> bool:
    """Whether a failure is one: not where what was sent, as text in an address, is what the document says.

    A filter is compared with `false` or `{}` by sending that text, which for a text is as good as any other; and what
    is empty is not sent at all. Schemathesis sees through that for parameters of their own, not for members of one.
    """
    sent = parse_qsl(urlsplit(response.request.url).query, keep_blank_values=True)
    if isinstance(failure, AcceptedNegativeData) and _only_texts_differ(case, sent) and _filters_hold(case, sent):
        _dropped["filters"] += 1
        return False
    if isinstance(failure, AcceptedNegativeData) and response.status_code in REFUSED_UNREAD:
        _dropped["refused unread"] += 1  # too long, which Schemathesis does not count as refused
        return False
    if isinstance(failure, UndefinedContentType) and len(response.request.url) > TOO_LONG:
        _dropped["too long"] += 1  # no HTTP to the server, which answers before the application hears of it
        return False
    return True


def _only_texts_differ(case: Any, sent: list[tuple[str, str]]) -> bool:
    """Whether what was made wrong is filters, what is not sent after all, and a sort that as text is one."""
    components = case.meta.components.items()
    if any(part.mode.is_negative and place != ParameterLocation.QUERY for place, part in components):
        return False
    data = case.meta.phase.data
    mutated = {each.parameter for each in data.mutations} if getattr(data, "mutations", None) else {data.parameter}
    names = {name for name, _ in sent}
    return all(
        name == "filter" or name not in names or name in _filters(case) or (name == "sort" and _sorts(case, sent))
        for name in mutated
    )


def _sorts(case: Any, sent: list[tuple[str, str]]) -> bool:
    document = case.operation.schema.raw_schema
    for parameter in document["paths"][case.path][case.method.lower()]["parameters"]:
        name = parameter.get("$ref", "").rpartition("/")[2]
        meant = document["components"]["parameters"][name] if name else parameter
        if meant["name"] == "sort":
            known = meant["schema"]["items"]["enum"]
            given = [text for name, text in sent if name == "sort" and text]  # of no text it is not sorted
            return all(field in known for text in given for field in text.split(","))
    return False


def _filters(case: Any) -> dict[str, Any]:
    """The filters of an operation, from the document: name -> schema."""
    document = case.operation.schema.raw_schema
    for parameter in document["paths"][case.path][case.method.lower()].get("parameters", ()):
        if parameter.get("$ref", "").endswith("Filter"):
            name = parameter["$ref"].rpartition("/")[2]
            return dict(document["components"]["schemas"][name]["properties"])
    return {}


def _filters_hold(case: Any, sent: list[tuple[str, str]]) -> bool:
    schemas = case.operation.schema.raw_schema["components"]["schemas"]
    filters = _filters(case)
    given = Counter(name for name, _ in sent if name in filters)
    if len(given) > CLAUSES or max(given.values(), default=0) > VALUES:
        return False
    for name, text in sent:
        if name in filters:
            texts = text.split(",") if name.endswith(("[in]", "[nin]")) else [text]
            if not all(_holds(each, filters[name], schemas) for each in texts):
                return False
    return True


def _holds(text: str, schema: dict[str, Any], schemas: dict[str, Any]) -> bool:
    name = schema["$ref"].rpartition("/")[2]
    if name in _WIRE or name.removesuffix("s") in _WIRE:
        return _WIRE.get(name, _WIRE.get(name.removesuffix("s")))(text)
    values = schemas[name]["anyOf"][0]["enum"]
    return text in [str(value) for value in values]


def _time(text: str) -> bool:
    try:
        return datetime.fromisoformat(text.upper()).tzinfo is not None
    except ValueError:
        return False


def _date(text: str) -> bool:
    try:
        return bool(date.fromisoformat(text))
    except ValueError:
        return False


_WIRE: dict[str, Callable[[str], bool]] = {
    "Text": lambda text: True,
    "Integer": lambda text: re.fullmatch(r"[+-]?\d{1,18}(\.0+)?", text) is not None,
    "Number": lambda text: re.fullmatch(r"[+-]?\d+(\.\d*)?([eE][+-]?\d{1,3})?", text) is not None,
    "Boolean": lambda text: text in ("true", "false"),
    "Time": _time,
    "Date": _date,
}


class WronglyRefused(Failure):
    """A request of the documented form was refused for its form."""


class UnknownCode(Failure):
    """The application refused in a code that the document does not list."""


@schemathesis.check
def refused_for_what_it_means(ctx: Any, response: Any, case: Any) -> None:
    """A request of the right form is refused only for what it means; stands beside positive_data_acceptance."""
    if not _positive(case) or response.status_code not in (400, 402, 412, 413, 415, 422):
        return
    if case.meta.phase.name.value == "coverage" and response.status_code == 415:
        return  # coverage sends other media types on purpose
    if not _meant(case, response.json()):
        raise WronglyRefused(operation=_label(case), title="Refused for its form", message=response.text)


def _meant(case: Any, body: dict[str, Any]) -> bool:
    """Whether a refusal is about what a request means. JSON Schema has no words for the rules that are named here."""
    code, places = body["code"], body.get("errors", [])
    if code == "PULPO602":
        rules = all(each["code"] in ("value_error", "reserved") for each in places)  # the model's own, in Python
        many = [(each["code"], each["pointer"]) for each in places] == [("too_long", "")]  # in all of a bulk's lists
        return rules or many or case.path == "/runs/{id}/retry"  # whose input is that of the run
    if code == "PULPO603":
        return "groups" in body["detail"]  # more than an answer has
    return code in _MEANT or _OWN.fullmatch(code) is not None


class ItemBroke(Failure):
    """A server error in the result of one item: the answer as a whole is a 200."""


@schemathesis.check
def no_item_broke(ctx: Any, response: Any, case: Any) -> None:
    """An item of a bulk answer is no server error either; stands beside not_a_server_error."""
    if response.status_code != 200 or not case.path.endswith("/bulk"):
        return
    found = response.json()
    items = found if isinstance(found, list) else [item for results in found.values() for item in results]
    broken = [item for item in items if item["status"] >= 500]
    if broken:
        raise ItemBroke(operation=_label(case), title="An item broke", message=json.dumps(broken[:3]))


@schemathesis.check
def code_is_listed(ctx: Any, response: Any, case: Any) -> None:
    """A code of the application's own is one of those that the document lists for this address and status."""
    if response.status_code < 400 or response.status_code >= 500 or not _OWN.fullmatch(_code(response)):
        return
    definition = case.operation.responses.find_by_status_code(response.status_code)
    if definition is None or _code(response) not in json.dumps(definition.definition):
        message = f"{response.status_code} {_code(response)}"
        raise UnknownCode(operation=_label(case), title="A code that is not listed", message=message)


def _code(response: Any) -> str:
    if response.status_code < 400:
        return "-"
    try:
        return str(response.json()["code"])
    except (ValueError, KeyError, TypeError):
        return "?"


def _write() -> None:
    found = {"cases": _cases, "answers": _answers, "checks": _checked, "dropped": _dropped.total()}
    Path(os.environ[COUNTS]).write_text(json.dumps(found, indent=1, sort_keys=True), encoding="utf-8")


def _counted(check: Any) -> Any:
    """A check that notes that it was made."""

    @functools.wraps(check)
    def counting(ctx: Any, response: Any, case: Any) -> Any:
        _checked[check.__name__] += 1
        return check(ctx, response, case)

    return counting


if COUNTS in os.environ:
    atexit.register(_write)
    _there = json.loads(Path(os.environ[DOCUMENTS]).read_text(encoding="utf-8"))
    _documents.update(_there["known"])
    _created.update(_there["spare"])
    load_all_checks()
    for each in CHECKS.get_all():
        CHECKS.register(_counted(each))
