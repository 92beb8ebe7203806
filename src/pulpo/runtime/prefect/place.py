"""Where the Prefect server is, and what it takes to speak to it. Nothing here imports Prefect."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pulpo.names import slug
from pulpo.settings import STATE, Settings

FOLDER = f"{STATE}/prefect"
"""The own server's database, its secret and what else Prefect keeps, in the project's root."""
_SECRET = "auth"  # noqa: S105 - a file's name
_USER = "pulpo"


@dataclass(frozen=True, slots=True)
class Place:
    """A Prefect server. `auth` is `user:password`, or empty; `own` says that the project keeps it itself."""

    url: str
    auth: str
    pool: str
    own: bool

    @property
    def page(self) -> str:
        """The address of its pages, which people look at."""
        return self.url.removesuffix("/").removesuffix("/api")


def place(settings: Settings, root: Path) -> Place:
    """The Prefect server of a project's settings."""
    given = settings.prefect
    pool = given.pool or slug(settings.project.name)
    if given.url:
        return Place(given.url.rstrip("/"), given.auth.get_secret_value(), pool, own=False)
    return Place(f"http://127.0.0.1:{given.port}/api", _secret(root), pool, own=True)


def make_secret(root: Path) -> None:
    """A user and a password for the own server, in a file that nobody else can read; one that is there stays."""
    folder = root / FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if _secret(root):
        return
    beside = folder / f"{_SECRET}.new"
    beside.unlink(missing_ok=True)
    beside.touch(mode=0o600)
    beside.write_text(f"{_USER}:{secrets.token_urlsafe(32)}", encoding="ascii")
    beside.replace(folder / _SECRET)


def client_environment(where: Place, root: Path) -> Mapping[str, str]:
    """What Prefect reads to speak to a server: it has to be in the environment before Prefect is imported."""
    found = {"PREFECT_API_URL": where.url, **quiet(root)}
    if where.auth:
        found["PREFECT_API_AUTH_STRING"] = where.auth
    return found


def quiet(root: Path) -> dict[str, str]:
    """What keeps Prefect from telling its makers anything, and its files in the project."""
    home = root.resolve() / FOLDER
    return {
        "PREFECT_HOME": str(home),
        "PREFECT_PROFILES_PATH": str(home / "profiles.toml"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        # A line of a run's log is a row of the server's database, and the run's steps are in Pulpo's journal already.
        "PREFECT_LOGGING_TO_API_ENABLED": os.environ.get("PREFECT_LOGGING_TO_API_ENABLED", "false"),
        "PREFECT_CLI_PROMPT": "false",
    }


def _secret(root: Path) -> str:
    try:
        return (root / FOLDER / _SECRET).read_text(encoding="ascii").strip()
    except OSError:
        return ""
