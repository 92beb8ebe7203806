"""`pulpo explain`: the page of an error code, from inside the package."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated

import typer

import pulpo
from pulpo.cli.options import AsJson
from pulpo.errors import CODES, Nearest, PulpoError

PAGES = Path(pulpo.__file__).parent / "error_pages"
_MARKUP = re.compile(r"\*\*|\[(\w+)\]\(\w+\.md\)")


def explain(
    code: Annotated[str, typer.Argument(metavar="CODE", help="The code, PULPO602 or 602.", show_default=False)],
    *,
    as_json: AsJson = False,
) -> None:
    """Tell what an error code means, and what to do about it."""
    wanted = code.strip().upper()
    name = f"PULPO{wanted}" if wanted.isdigit() else wanted
    if name not in CODES:
        hint = Nearest(tuple(CODES)).to(name) or "codes of an application's own are explained by the application"
        raise PulpoError("PULPO804", f"{code} is no code of Pulpo's", hint=hint)
    page = (PAGES / f"{name}.md").read_text(encoding="utf-8")
    if as_json:
        known = CODES[name]
        typer.echo(
            json.dumps({"code": name, "title": known.title, "status": known.status, "page": page}, ensure_ascii=False)
        )
        return
    typer.echo(_MARKUP.sub(r"\1", page.removeprefix("# ")).rstrip())
