"""`pulpo serve`: the API in the foreground."""

from __future__ import annotations

from typing import Annotated

import typer

from pulpo.cli.options import project_root


def serve(
    *,
    host: Annotated[str | None, typer.Option(help="Listen on this address; by default the setting api.host.")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Listen on this port; by default the setting api.port.")
    ] = None,
) -> None:
    """Serve the API in the foreground."""
    from pulpo.runtime import http

    http.serve(project_root(), host, port)
