"""What generated routes call: a model's documents, and operations, over HTTP."""

from __future__ import annotations

from collections.abc import Iterable

from fastapi import HTTPException, Request, Response
from fastapi.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from pulpo.errors import PulpoError
from pulpo.runtime import bulk
from pulpo.runtime.application import Application
from pulpo.runtime.bodies import beside
from pulpo.runtime.documents import Documents, Written
from pulpo.runtime.export import Export
from pulpo.runtime.http import problems, requests
from pulpo.runtime.http.limits import STREAM, Exports

JSON = "application/json"
_JSON = JSON.encode()
_MEDIA = {"csv": "text/csv; charset=utf-8", "ndjson": "application/x-ndjson"}


class Json(Response):
    """A JSON text as an answer, its headers as they go out: a list and a look at each is what they usually cost.

    Args:
        text: The body.
        status: The answer's status.
        headers: More of them, their names in lower case.
    """

    media_type = JSON

    def __init__(self, text: bytes | str, status: int = 200, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
        self.status_code, self.background = status, None
        self.body = text if isinstance(text, bytes) else text.encode()
        length = b"%d" % len(self.body)
        self.raw_headers = [(b"content-length", length), (b"content-type", _JSON), *headers]


class ModelRoutes:
    """The documents of one model: a method per action."""

    def __init__(self, application: Application, model: str) -> None:
        self._spec = application.spec.model(model)
        self._documents = Documents(application, self._spec)
        needed = application.settings.api.require_if_match
        self._versions = requests.named_versions if needed else requests.versions
        self._beside = frozenset(path.rpartition("/")[2] for path in beside(self._spec))

    async def list(self, request: Request) -> Response:
        """A page, as a JSON array; `Link` leads to the next one and to the first."""
        found = await self._documents.list_json(request.scope["query_string"])
        headers: list[tuple[bytes, bytes]] = []
        if found.total is not None:
            headers.append((b"x-total-count", b"%d" % found.total))
        links = {"next": found.next, "first": found.first}
        if any(query is not None for query in links.values()):
            address = request.scope.get("root_path", "") + self._spec.path
            link = ", ".join(
                f'<{address}{f"?{query}" if query else ""}>; rel="{relation}"'
                for relation, query in links.items()
                if query is not None
            )
            headers.append((b"link", link.encode("latin-1")))
        return Json(found.body, headers=headers)

    async def aggregate(self, request: Request) -> Response:
        """Groups of documents, counted and summed, as a JSON array."""
        return Json(await self._documents.aggregate_json(request.query_params.multi_items()))

    async def export(self, request: Request) -> Response:
        """Everything that the filters find, streamed; the address takes those of the list."""
        exports: Exports = request.app.state.exports
        exports.enter()
        try:
            found = await self._documents.export(request.query_params.multi_items())
        except BaseException:
            exports.leave()
            raise
        name = f"{self._spec.collection}.{found.format}"
        return _Exported(exports, found, {"Content-Disposition": f'attachment; filename="{name}"'})

    async def bulk(self, request: Request) -> Response:
        """Results of many creates, patches and deletes, each done by itself."""
        requests.no_parameters(request)
        body, key = await requests.json_body(request, needed=True), requests.idempotency_key(request)
        caller, id = requests.caller(request), problems.request_id(request)
        return Json(await bulk.write(self._documents, body, caller, key, id))

    async def create(self, request: Request) -> Response:
        """201 with the document and its address."""
        requests.no_parameters(request)
        body = await requests.json_body(request, needed=True)
        key = requests.idempotency_key(request)
        written = await self._documents.create(body, requests.caller(request), key)
        response = _document(written, 201)
        response.headers["Location"] = f"{self._spec.path}/{written.id}"
        if written.replayed:
            response.headers["Idempotency-Replayed"] = "true"
        return response

    async def get(self, request: Request, id: str) -> Response:
        """The document with this id or key; 304 where the client has this version, unless it expands."""
        self._refuse_beside(id)
        expand = None
        if request.scope["query_string"]:
            fields, expand = requests.view(request)
            body, version = await self._documents.view_json(id, fields, expand)
        else:
            body, version = await self._documents.get_json(id)
        if expand is not None:
            return Json(body)
        if requests.has_version(request, version):
            return Response(status_code=304, headers={"ETag": f'"{version}"'})
        return Json(body, headers=(_tag(version),))

    async def replace(self, request: Request, id: str) -> Response:
        """The document, all that a client may write replaced."""
        self._refuse_beside(id)
        requests.no_parameters(request)
        body = await requests.json_body(request, needed=True)
        caller, versions = requests.caller(request), self._versions(request)
        return _document(await self._documents.replace(id, body, caller, versions))

    async def patch(self, request: Request, id: str) -> Response:
        """The document, with a partial body merged in."""
        self._refuse_beside(id)
        requests.no_parameters(request)
        body = await requests.json_body(request, needed=True)
        caller, versions = requests.caller(request), self._versions(request)
        return _document(await self._documents.patch(id, body, caller, versions))

    async def delete(self, request: Request, id: str) -> Response:
        """204, and the document is gone."""
        self._refuse_beside(id)
        requests.no_parameters(request)
        await self._documents.delete(id, requests.caller(request), self._versions(request))
        return Response(status_code=204)

    def _refuse_beside(self, id: str) -> None:
        """405 where this is an address beside the documents that has another method."""
        if id in self._beside:
            raise HTTPException(405)


class OperationRoutes:
    """Operations by name."""

    def __init__(self, application: Application) -> None:
        self._application = application

    async def call(self, operation: str, request: Request) -> Response:
        """200 with the operation's output. Headers tell which run it was, and whether its effect was there before."""
        requests.no_parameters(request)
        outcome = await self._application.call(
            operation,
            await requests.json_body(request),
            caller=requests.caller(request),
            key=requests.idempotency_key(request),
        )
        headers = {"Pulpo-Run": outcome.run} if outcome.run else {}
        if outcome.already:
            headers["Pulpo-Already"] = "true"
        if outcome.replayed:
            headers["Idempotency-Replayed"] = "true"
        return Response(outcome.output, headers=headers, media_type=JSON)

    async def call_many(self, operation: str, request: Request) -> Response:
        """200 with a result for each input, each called by itself, one after the other."""
        requests.no_parameters(request)
        body, key = await requests.json_body(request, needed=True), requests.idempotency_key(request)
        caller, id = requests.caller(request), problems.request_id(request)
        return Json(await bulk.call(self._application, operation, body, caller, key, id))


class _Exported(StreamingResponse):
    """An export on its way: it counts as one until its reader has it all, or has gone."""

    def __init__(self, exports: Exports, found: Export, headers: dict[str, str]) -> None:
        super().__init__(found.chunks, headers=headers, media_type=_MEDIA[found.format])
        self._exports = exports

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""

        async def streamed(message: Message) -> None:
            if message["type"] == "http.response.start":
                message[STREAM] = True
            await send(message)

        try:
            await super().__call__(scope, receive, streamed)
        finally:
            self._exports.leave()


def _document(written: Written, status: int = 200) -> Response:
    return Json(written.json, status, (_tag(written.version),))


def _tag(version: int) -> tuple[bytes, bytes]:
    return b"etag", b'"%d"' % version


def known(names: frozenset[str], name: str, what: str) -> str:
    """The name, if it is one of these. Raises PulpoError PULPO404."""
    if name not in names:
        raise PulpoError("PULPO404", f"there is no {what} of this name", hint=f"known are: {', '.join(sorted(names))}")
    return name
