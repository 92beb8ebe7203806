"""The UI's built files, and the files of the project's own pages, as answers."""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
import secrets
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response

BUILT = Path(__file__).parent / "dist"
INDEX = "index.html"
NONCE = "__NONCE__"
"""What stands in the built page for the word under which its style sheets may be added."""

_HASHED = "/assets/"
_FOREVER = "public, max-age=31536000, immutable"
_ASK = "no-cache"
_PACKED = frozenset({".js", ".css", ".svg", ".json", ".map"})
_LEAST = 1024
_OWN = frozenset({".js", ".css", ".svg", ".png", ".webp", ".json", ".woff2"})
_TYPES = {".js": "text/javascript", ".woff2": "font/woff2", ".svg": "image/svg+xml"}

_MISSING = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>The UI is not built</title></head>
<body><h1>The UI is not built</h1>
<p>This installation of Pulpo has no files of the UI. A released wheel has them; a clone makes them with</p>
<pre>make ui</pre>
<p>which needs Node 20.19 or newer. The API works without it: <a href="/api/meta">/api/meta</a>.</p>
</body></html>
"""


@dataclass(frozen=True)
class BuiltFile:
    """A file that does not change while the process lives; read when it is first asked for."""

    path: Path
    cache: str

    @cached_property
    def content(self) -> bytes:
        """The bytes."""
        return self.path.read_bytes()

    @cached_property
    def packed(self) -> bytes | None:
        """The bytes, gzipped, where that makes them smaller."""
        if self.path.suffix not in _PACKED or len(self.content) < _LEAST:
            return None
        return gzip.compress(self.content, 6, mtime=0)

    @cached_property
    def tag(self) -> str:
        """The entity tag."""
        return f'"{hashlib.sha256(self.content).hexdigest()[:20]}"'

    def answer(self, request: Request) -> Response:
        """200 with the file, or 304."""
        headers = {"Cache-Control": self.cache, "ETag": self.tag, "Vary": "Accept-Encoding"}
        if request.headers.get("if-none-match") == self.tag:
            return Response(status_code=304, headers=headers)
        if self.packed is not None and "gzip" in request.headers.get("accept-encoding", ""):
            return Response(self.packed, headers={**headers, "Content-Encoding": "gzip"}, media_type=_type(self.path))
        return Response(self.content, headers=headers, media_type=_type(self.path))


class Built:
    """The files of a build; another build in the same folder takes its place as soon as it is there."""

    def __init__(self, folder: Path = BUILT) -> None:
        self._folder, self._index = folder, folder / INDEX
        self._built_at: int | None = None
        self._files: dict[str, BuiltFile] = {}

    def answer(self, request: Request) -> tuple[Response, str | None]:
        """A file, else the page, whose script finds out what the address means; with the nonce that the page has.

        Only what stands under `/assets/` can be missing: other addresses are the UI's own, dots and all.
        """
        self._look()
        path = request.url.path
        if (file := self._files.get(path)) is not None:
            return file.answer(request), None
        if path.startswith(_HASHED):
            return PlainTextResponse("no such file", 404), None
        if not self._index.is_file():
            return HTMLResponse(_MISSING, 503, {"Cache-Control": "no-store"}), None
        nonce = secrets.token_urlsafe(16)
        text = self._index.read_text(encoding="utf-8").replace(NONCE, nonce)
        return HTMLResponse(text, headers={"Cache-Control": "no-store"}), nonce

    def _look(self) -> None:
        """Find the files anew where the page is another than before."""
        built_at = self._index.stat().st_mtime_ns if self._index.is_file() else None
        if built_at == self._built_at:
            return
        found = (path for path in self._folder.rglob("*") if path.is_file() and path != self._index)
        addresses = {f"/{path.relative_to(self._folder).as_posix()}": path for path in found}
        self._files = {
            address: BuiltFile(path, _FOREVER if address.startswith(_HASHED) else _ASK)
            for address, path in addresses.items()
        }
        self._built_at = built_at


def of_project(root: Path, relative: str) -> Response:
    """A file of the project's `ui/` folder: the modules of its own pages and what these load."""
    folder = (root / "ui").resolve()
    path = (folder / relative).resolve()
    inside = path.is_relative_to(folder) and path.suffix in _OWN and path.is_file()
    if not inside or any(part.startswith(".") for part in path.relative_to(folder).parts):
        return PlainTextResponse("no such file", 404)
    return Response(path.read_bytes(), headers={"Cache-Control": _ASK}, media_type=_type(path))


def _type(path: Path) -> str:
    return _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
