"""Serve the page: `python -m pulpo.runtime.page`."""

from __future__ import annotations

import argparse
from pathlib import Path

import uvicorn

from pulpo import settings
from pulpo.runtime.page.app import create_page

_DRAIN = 3  # seconds that open streams have when the service stops


def main() -> None:
    """Listen on loopback until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m pulpo.runtime.page", description="Serve the UI of a project.")
    parser.add_argument("--root", type=Path, default=Path(), help="the project's root")
    parser.add_argument("--port", type=int, default=3000)
    parser.add_argument("--api", default="http://127.0.0.1:8000", help="where the project's API listens")
    given = parser.parse_args()
    page = create_page(settings.load(given.root), given.api, root=given.root)
    uvicorn.run(
        page,
        host="127.0.0.1",
        port=given.port,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        timeout_graceful_shutdown=_DRAIN,
    )


if __name__ == "__main__":
    main()
