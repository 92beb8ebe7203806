"""The MongoDB server that a project keeps for itself: where it is, and what it takes to speak to it.

Its address in `database.url` names no user; who may speak to it is kept beside its data, in the project's `.pulpo/`.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

from pulpo.settings import STATE

FOLDER = f"{STATE}/mongod"
"""Its data, its keyfile and its user, in the project's root."""
_USER = "user.json"
_LOOPBACK = frozenset({"127.0.0.1", "localhost"})
_DEFAULT_PORT = 27017


@dataclass(frozen=True, slots=True)
class Place:
    """A server on this machine that `database.url` names without a user: one that a project may keep itself."""

    port: int
    database: str


@dataclass(frozen=True, slots=True)
class User:
    """Who speaks to the project's server, which listens on `port`."""

    port: int
    name: str
    password: str


def place(url: str) -> Place | None:
    """Where a project's own server would listen; None for every other database, and where the address is wrong."""
    try:
        parts = urlsplit(url)
        port = parts.port or _DEFAULT_PORT
    except ValueError:  # several hosts, or no port
        return None
    database = parts.path.strip("/")
    if parts.scheme != "mongodb" or parts.hostname not in _LOOPBACK or parts.username is not None or not database:
        return None
    return Place(port, database)


def user(root: Path) -> User | None:
    """Who speaks to the server that the project keeps; None where it keeps none."""
    try:
        given = json.loads((root / FOLDER / _USER).read_text(encoding="utf-8"))
        return User(given["port"], given["name"], given["password"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def make_user(root: Path, port: int) -> User:
    """A user for a new server, in a file that nobody else can read; one that is there keeps its password."""
    known = user(root)
    made = User(port, "pulpo", known.password if known is not None else secrets.token_urlsafe(32))
    folder = root / FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = folder / f"{_USER}.new"
    beside.touch(mode=0o600)
    beside.write_text(json.dumps(asdict(made)), encoding="utf-8")
    beside.replace(folder / _USER)
    return made


def with_user(url: str, root: Path) -> str:
    """The address with the user of the project's own server, where it is one; any other as it is."""
    where, known = place(url), user(root)
    if where is None or known is None or known.port != where.port:
        return url
    who = f"{quote(known.name, safe='')}:{quote(known.password, safe='')}"
    options = urlsplit(url).query
    more = "&".join(filter(None, (options, "authSource=admin", "directConnection=true")))
    return f"mongodb://{who}@127.0.0.1:{where.port}/{where.database}?{more}"
