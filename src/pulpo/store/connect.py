"""From a database's address to the store that speaks to it."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qsl, unquote

from pulpo.errors import PulpoError
from pulpo.store.port import Store
from pulpo.store.sqlite import SqliteStore


def connect(url: str, root: Path) -> Store:
    """The store at an address, not opened yet.

    Args:
        url: `sqlite:///relative/path.db`, relative to `root`, or `sqlite:////absolute/path.db`; `?keep_events=1000`
            says how many batches' events are kept.
        root: The project's folder.

    Raises:
        PulpoError: PULPO105, the address names no store that this version has.
    """
    scheme, separator, rest = url.partition("://")
    if scheme in ("mongodb", "mongodb+srv"):
        raise PulpoError(
            "PULPO105",
            "the MongoDB adapter is not part of this version",
            hint="set database.url to sqlite:///.pulpo/data.db",
        )
    if scheme != "sqlite" or not separator:
        raise PulpoError(  # the address itself may hold a password
            "PULPO105", "database.url names no known kind of database", hint="it reads sqlite:///relative/path.db"
        )
    place, _, options = rest.partition("?")
    if not place.startswith("/") or not place.strip("/") or place.endswith("/"):
        raise PulpoError(
            "PULPO105",
            "database.url names no file",
            hint="it reads sqlite:///relative/path.db or sqlite:////absolute/path.db",
        )
    return SqliteStore(root / unquote(place[1:]), keep_events=_kept_events(options))


def _kept_events(options: str) -> int:
    given = dict(parse_qsl(options, keep_blank_values=True))
    number = given.pop("keep_events", "200000")
    if given:
        raise PulpoError("PULPO105", f"database.url has an unknown option {next(iter(given))!r}")
    if not number.isascii() or not number.isdecimal() or not int(number):
        raise PulpoError("PULPO105", "database.url: keep_events is a whole number from 1")
    return int(number)
