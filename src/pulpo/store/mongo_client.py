"""The connection: what the address says, what Pulpo insists on, and a server that cannot keep its promises refused.

What the address may choose: hosts, user, TLS, pool, timeouts, compression. What it may not: every write is acknowledged
by a majority that has it on disk, and every read asks the primary for what a majority has.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from pymongo import AsyncMongoClient, ReadPreference
from pymongo.errors import ConfigurationError, InvalidURI, PyMongoError, ServerSelectionTimeoutError
from pymongo.uri_parser import parse_uri
from pymongo.write_concern import WriteConcern

from pulpo.errors import PulpoError
from pulpo.store.mongo_errors import problem
from pulpo.store.mongo_primary import OwnCommits

if TYPE_CHECKING:
    from pymongo.asynchronous.database import AsyncDatabase

OLDEST = (6, 0)
SECONDS = 30
"""How long a write outside of transactions waits for its majority."""
_DEFAULTS = {"serverSelectionTimeoutMS": "15000", "connectTimeoutMS": "5000", "appName": "pulpo"}
_DECIDED = {
    "w",
    "journal",
    "j",
    "readconcernlevel",
    "readpreference",
    "readpreferencetags",
    "retrywrites",
    "wtimeoutms",
}
_NAME = re.compile(r'[^/\\. "$*<>:|?\x00]{1,63}')


class Address:
    """A `mongodb://` address, read.

    Raises:
        PulpoError: PULPO105, it cannot be read, names no database, or chooses what it may not.
    """

    def __init__(self, url: str) -> None:
        try:
            parts = urlsplit(url)
        except ValueError:  # brackets that do not match
            raise _unreadable() from None
        self.database = unquote(parts.path.lstrip("/"))
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        self.keep_events = _kept_events(options)
        if not _NAME.fullmatch(self.database):
            raise PulpoError(
                "PULPO105",
                "database.url names no database",
                hint="it reads mongodb://host:27017/NAME?replicaSet=rs0",
            )
        for name in options:
            if name.lower() in _DECIDED:
                raise PulpoError(
                    "PULPO105",
                    f"database.url sets {name}, which Pulpo decides: majority writes on disk, read from the primary",
                    hint="leave it out",
                )
        given = {name.lower() for name in options}
        options.update({name: value for name, value in _DEFAULTS.items() if name.lower() not in given})
        # With the database: who is kept from a document looks for processes of this one (`Transactions.end_abandoned`).
        name, value = next((name, value) for name, value in options.items() if name.lower() == "appname")
        self.app = options[name] = f"{value[:60]}/{self.database}"
        self._url = parts._replace(query=urlencode(options)).geturl()
        self.hosts = parts.netloc.rpartition("@")[2]
        if parts.scheme == "mongodb":  # the other asks a name server, which has to wait until it is opened
            try:
                parse_uri(self._url, warn=False)
            except (InvalidURI, ConfigurationError, ValueError, TypeError):
                # What the driver says of it may repeat a part of the address, and so a password.
                raise _unreadable() from None
            except OSError as error:  # a file for TLS
                raise _no_file(error) from None

    def client(self, **more: Any) -> AsyncMongoClient[dict[str, Any]]:
        """A client for the loop that runs. It connects when it is first used.

        Raises:
            PulpoError: PULPO105, the address cannot be used: a file for TLS is not there, a name server knows no hosts.
        """
        try:
            return AsyncMongoClient(self._url, tz_aware=True, retryWrites=True, **more)
        except OSError as error:
            raise _no_file(error) from None
        except (InvalidURI, ConfigurationError, ValueError, TypeError):
            raise _unreadable() from None


def _unreadable() -> PulpoError:
    return PulpoError(
        "PULPO105",
        "database.url cannot be read",
        hint="it reads mongodb://user:password@host:27017/NAME?replicaSet=rs0; a password escaped",
    )


def _no_file(error: OSError) -> PulpoError:
    return PulpoError(
        "PULPO105",
        f"database.url names a file that cannot be read: {error.strerror or type(error).__name__}",
        hint="look at tlsCAFile and tlsCertificateKeyFile",
    )


def database_of(client: AsyncMongoClient[dict[str, Any]], name: str) -> AsyncDatabase[dict[str, Any]]:
    """A database as Pulpo uses it."""
    return client.get_database(
        name,
        read_preference=ReadPreference.PRIMARY,
        write_concern=WriteConcern("majority", j=True, wtimeout=SECONDS * 1000),
        read_concern=OwnCommits(),
    )


async def check_server(client: AsyncMongoClient[dict[str, Any]], address: Address) -> None:
    """Make sure that the server is one that Pulpo can rely on.

    Raises:
        PulpoError: PULPO507, it cannot be reached or is too old; PULPO511, it is no replica set.
    """
    try:
        hello = await client.admin.command("hello")
        version = tuple((await client.server_info())["versionArray"])
    except ServerSelectionTimeoutError as error:
        found = await _look_closer(address)
        if found is not None and not found.get("setName"):
            raise _no_set(address, asked=bool(found.get("isreplicaset"))) from None
        raise problem(error) from error
    except PyMongoError as error:
        raise problem(error) from error
    if hello.get("msg") != "isdbgrid" and not hello.get("setName"):
        raise _no_set(address, asked=False)
    if version < OLDEST:
        needed = ".".join(str(part) for part in OLDEST)
        raise PulpoError(
            "PULPO507", f"MongoDB {needed} or newer is needed, {address.hosts} is {'.'.join(map(str, version[:3]))}"
        )


async def _look_closer(address: Address) -> Mapping[str, Any] | None:
    """What the first server says of itself, where the driver found none to write to; None if it says nothing."""
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(
        f"mongodb://{address.hosts.split(',')[0]}", directConnection=True, serverSelectionTimeoutMS=2000
    )
    try:
        return await client.admin.command("hello")
    except PyMongoError:
        return None
    finally:
        await client.close()


def _no_set(address: Address, *, asked: bool) -> PulpoError:
    first = address.hosts.split(",")[0]
    port = first.rpartition(":")[2] if ":" in first else "27017"
    where = first if ":" in first else f"{first}:{port}"
    initiate = f"mongosh --host {where} --eval 'rs.initiate()'"
    return PulpoError(
        "PULPO511",
        f"the MongoDB server at {address.hosts} is no replica set, so it has no transactions",
        hint=f"run: {initiate}" if asked else f"start it with --replSet rs0, then run: {initiate}",
    )


def _kept_events(options: dict[str, str]) -> int:
    number = options.pop("keep_events", "200000")
    if not number.isascii() or not number.isdecimal() or not int(number):
        raise PulpoError("PULPO105", "database.url: keep_events is a whole number from 1")
    return int(number)
