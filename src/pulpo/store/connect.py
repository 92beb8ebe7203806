"""From a database's address to the store that speaks to it."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qsl, unquote

from pulpo.errors import PulpoError
from pulpo.store.own_server import with_user
from pulpo.store.port import QUERY_TIMEOUT, Store
from pulpo.store.sqlite import SqliteStore


def connect(url: str, root: Path, *, query_timeout: float = QUERY_TIMEOUT) -> Store:
    """The store at an address, not opened yet.

    Args:
        url: `sqlite:///relative/path.db`, relative to `root`, or `sqlite:////absolute/path.db`; `?keep_events=1000`
            says how many batches' events are kept. Or `mongodb://host/NAME?replicaSet=rs0`, as MongoDB has it.
        root: The project's folder.
        query_timeout: Seconds that a query may take.

    Raises:
        PulpoError: PULPO105, the address names no store that there is, or its driver is not installed.
    """
    scheme, separator, rest = url.partition("://")
    if scheme in ("mongodb", "mongodb+srv"):
        return _mongo(with_user(url, root), query_timeout)
    if scheme != "sqlite" or not separator:
        raise PulpoError(  # the address itself may hold a password
            "PULPO105",
            "database.url names no known kind of database",
            hint="it reads sqlite:///relative/path.db or mongodb://host/NAME?replicaSet=rs0",
        )
    place, _, options = rest.partition("?")
    if not place.startswith("/") or not place.strip("/") or place.endswith("/"):
        raise PulpoError(
            "PULPO105",
            "database.url names no file",
            hint="it reads sqlite:///relative/path.db or sqlite:////absolute/path.db",
        )
    file = root / unquote(place[1:])
    return SqliteStore(file, keep_events=_kept_events(options), query_timeout=query_timeout)


def _mongo(url: str, query_timeout: float) -> Store:
    try:
        from pulpo.store.mongo import MongoStore  # noqa: PLC0415 - the driver is an extra
    except ModuleNotFoundError as error:
        if error.name not in ("pymongo", "bson"):
            raise
        raise PulpoError(
            "PULPO105", "the driver for MongoDB is not installed", hint="pip install 'pulpo-core[mongodb]'"
        ) from None
    return MongoStore(url, query_timeout=query_timeout)


def _kept_events(options: str) -> int:
    given = dict(parse_qsl(options, keep_blank_values=True))
    number = given.pop("keep_events", "50000")
    if given:
        raise PulpoError("PULPO105", f"database.url has an unknown option {next(iter(given))!r}")
    if not number.isascii() or not number.isdecimal() or not int(number):
        raise PulpoError("PULPO105", "database.url: keep_events is a whole number from 1")
    return int(number)
