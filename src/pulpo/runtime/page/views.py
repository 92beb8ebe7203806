"""The pages: what there is, and one run. Drawn on the server, at each request, from what the API answers."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import jinja2
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response

from pulpo import names
from pulpo.runtime.page import figures
from pulpo.spec import Json

_HERE = Path(__file__).parent
_LATEST = 20
_PATIENCE = 5.0
_EVERY = 2
"""Seconds between two looks, for who asks for it (`?watch`)."""


class Views:
    """The pages of one project."""

    def __init__(self, client: httpx.AsyncClient, api: str, name: str) -> None:
        self._client, self._api, self._name = client, api.rstrip("/"), name
        self._templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            undefined=jinja2.StrictUndefined,
        )
        self._templates.filters.update(seconds=figures.seconds, clock=figures.clock, title=names.title)

    async def overview(self, request: Request) -> Response:
        """Models with how many documents they have, flows, operations, the latest runs."""
        try:
            meta, runs = await asyncio.gather(
                self._json("/meta"), self._json(f"/runs?limit={_LATEST}&sort=-created_at")
            )
            counts = await asyncio.gather(*(self._count(model) for model in meta["models"]))
        except httpx.HTTPError:
            return self._silent(request)
        groups: dict[str, list[Json]] = {}
        for operation in meta["operations"]:
            groups.setdefault(operation["group"], []).append(operation)
        models = list(zip(meta["models"], counts, strict=True))
        latest = [(run, figures.duration(run)) for run in runs]
        return self._page(request, "overview.html.jinja", meta=meta, models=models, groups=groups, runs=latest)

    async def run(self, request: Request) -> Response:
        """One run and its steps: state, start, duration, what went wrong; its time against one by one."""
        id = str(request.path_params["id"])
        try:
            answer = await self._get(f"/runs/{quote(id, safe='')}")
        except httpx.HTTPError:
            return self._silent(request)
        if answer.status_code != httpx.codes.OK:
            return self._page(request, "missing.html.jinja", status=404, what=f"There is no run {id}.")
        run = answer.json()
        return self._page(
            request,
            "run.html.jinja",
            run=run,
            steps=figures.steps(run),
            wall=figures.duration(run),
            one_by_one=figures.one_by_one(run),
        )

    async def style(self, _request: Request) -> Response:
        """The style sheet."""
        return FileResponse(_HERE / "templates" / "style.css", media_type="text/css")

    async def missing(self, request: Request) -> Response:
        """Nothing is here."""
        return self._page(request, "missing.html.jinja", status=404, what="Nothing is at this address.")

    def _silent(self, request: Request) -> Response:
        return self._page(request, "silent.html.jinja", status=503, api=self._api)

    def _page(self, request: Request, template: str, status: int = 200, **values: Any) -> Response:
        watched = "watch" in request.query_params
        text = self._templates.get_template(template).render(
            name=self._name, path=request.url.path, every=_EVERY if watched else None, **values
        )
        return HTMLResponse(text, status)

    async def _json(self, path: str) -> Json:
        answer = await self._get(path)
        answer.raise_for_status()
        return answer.json()

    async def _count(self, model: Json) -> int | None:
        """How many documents a model has, as the API counts them; None where it does not list them."""
        if "list" not in model["actions"]:
            return None
        answer = await self._get(f"{model['path']}?limit=1&count=true")
        count = answer.headers.get("x-total-count", "")
        return int(count) if count.isdigit() else None

    async def _get(self, path: str) -> httpx.Response:
        return await self._client.get(self._api + path, timeout=_PATIENCE)
