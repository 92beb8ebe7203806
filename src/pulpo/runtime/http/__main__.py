"""`python -m pulpo.runtime.http --root DIR --host 127.0.0.1 --port 8000`: the API process of a project."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from pulpo.errors import PulpoError
from pulpo.runtime.http.serve import serve


def main() -> int:
    """Serve until told to stop. Exits with 0, or with 4 where the API cannot run."""
    parser = argparse.ArgumentParser(prog="python -m pulpo.runtime.http", description="Serve a compiled project's API.")
    parser.add_argument("--root", type=Path, default=Path(), help="the project's root (default: here)")
    parser.add_argument("--host", help="a loopback address (default: the setting api.host)")
    parser.add_argument("--port", type=int, help="0 for a free one (default: the setting api.port)")
    parser.add_argument("--share-port", action="store_true", help="let further processes listen at the port too")
    options = parser.parse_args()
    try:
        serve(options.root, options.host, options.port, share_port=options.share_port)
    except PulpoError as error:
        sys.stderr.write(f"{error}\n")
        return 4
    return 0


if __name__ == "__main__":
    sys.exit(main())
