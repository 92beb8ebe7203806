"""From a database's address to what `pulpo db` works with, and how an address is shown without its secrets."""

from __future__ import annotations

from pathlib import Path

from pulpo.store.connect import connect
from pulpo.store.own_server import with_user
from pulpo.store.sqlite import SqliteStore
from pulpo.store.sqlite_upkeep import SqliteLoader, SqliteSnapshot
from pulpo.store.upkeep import Loader, Snapshot


def snapshot(url: str, root: Path) -> Snapshot:
    """A snapshot of the database at an address, not opened yet. Raises PulpoError PULPO105 as `connect`."""
    file = sqlite_file(url, root)
    if file is not None:
        return SqliteSnapshot(file)
    from pulpo.store.mongo_upkeep import MongoSnapshot  # noqa: PLC0415 - the driver is an extra

    return MongoSnapshot(with_user(url, root))


def loader(url: str, root: Path) -> Loader:
    """What fills the database at an address, not opened yet. Raises PulpoError PULPO105 as `connect`."""
    file = sqlite_file(url, root)
    if file is not None:
        return SqliteLoader(file)
    from pulpo.store.mongo_upkeep import MongoLoader  # noqa: PLC0415 - the driver is an extra

    return MongoLoader(with_user(url, root))


def sqlite_file(url: str, root: Path) -> Path | None:
    """The file of an SQLite database; None for any other. Raises PulpoError PULPO105 as `connect`."""
    store = connect(url, root)
    return store.path if isinstance(store, SqliteStore) else None


def shown(url: str, root: Path) -> str:
    """An address without user, password and options, the same for every usual way to write the same place."""
    file = sqlite_file(url, root)
    if file is not None:
        return f"sqlite:///{file.resolve()}"
    scheme, _, rest = url.partition("://")
    hosts, _, name = rest.partition("?")[0].rpartition("@")[2].partition("/")
    if scheme == "mongodb":  # of the other, a name server knows hosts and ports
        hosts = ",".join(sorted(_host(each) for each in hosts.split(",")))
    return f"{scheme}://{hosts}/{name}"


def _host(written: str) -> str:
    name, colon, port = written.lower().rpartition(":")
    if not colon or written.endswith("]"):  # without a port; brackets are of an IPv6 address
        name, port = written.lower(), "27017"
    return f"{'127.0.0.1' if name == 'localhost' else name}:{port}"
