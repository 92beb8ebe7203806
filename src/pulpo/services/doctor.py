"""Whether this machine and a project's set-up are sound: a flat list of examinations, each with its finding."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from pulpo.errors import PulpoError
from pulpo.runtime.prefect.place import place
from pulpo.services import database, drive, mongod, ports, prefect, sample
from pulpo.services.plan import services
from pulpo.settings import Settings
from pulpo.store import own_server
from pulpo.store.connect import connect

Level: TypeAlias = Literal["ok", "warn", "fail"]

_PYTHON = (3, 11)
_SQLITE = (3, 51, 3)
_SQLITE_MAGIC = b"SQLite format 3\0"
_MEGABYTE = 1_000_000
_LITTLE_ROOM, _NO_ROOM = 1_000 * _MEGABYTE, 100 * _MEGABYTE


@dataclass(frozen=True, slots=True)
class Examined:
    """What was looked at, how it is, and what to do about it."""

    level: Level
    what: str
    advice: str = ""


def examine(root: Path, settings: Settings) -> tuple[Examined, ...]:
    """All there is to say about the machine and the project's services, database and disk."""
    examinations: tuple[Callable[[Path, Settings], list[Examined]], ...] = (
        _python,
        _sqlite,
        _services,
        _database,
        _prefect,
        _disk,
    )
    return tuple(result for look in examinations for result in look(root, settings))


def _python(_root: Path, _settings: Settings) -> list[Examined]:
    what = f"Python {platform.python_version()} ({sys.executable})"
    return [Examined("ok", what) if sys.version_info >= _PYTHON else Examined("fail", what, "use Python 3.11 or newer")]


def _sqlite(_root: Path, _settings: Settings) -> list[Examined]:
    import apsw  # noqa: PLC0415 - loaded by the one command that asks

    version = apsw.sqlite_lib_version()
    sound = tuple(int(part) for part in version.split(".")[:3]) >= _SQLITE
    advice = "" if sound else "reinstall apsw: its SQLite must be 3.51.3 or newer, older ones can lose data in WAL mode"
    return [Examined("ok" if sound else "fail", f"SQLite {version} (in apsw {apsw.apsw_version()})", advice)]


def _services(root: Path, settings: Settings) -> list[Examined]:
    try:
        plans = services(settings, database=database.own_server_plan(root, settings))
    except PulpoError as error:
        return [Examined("fail", error.detail, error.hint or "")]
    status = drive.status(root)
    if status.running:
        return [
            Examined("ok", f"{each.name} is healthy{f' at {each.url}' if each.url else ''}")
            if each.state == "healthy"
            else Examined("fail", f"{each.name} is {each.state}: {each.detail}", f"pulpo logs {each.name}")
            for each in status.services
        ]
    found = [Examined("ok", "the project is not running")]
    if status.leftovers:
        ids = ", ".join(str(pid) for pid in status.leftovers)
        found = [Examined("warn", f"an earlier run left processes behind: {ids}", "pulpo down ends them")]
    for plan in plans:
        if plan.port is None:
            continue
        if not ports.is_taken(plan.host, plan.port):
            found.append(Examined("ok", f"port {plan.port} for {plan.name} is free"))
        elif not status.leftovers:
            taken = ports.taken(plan, plan.port, ports.holder(plan.port))
            found.append(Examined("fail", taken.detail, taken.hint or ""))
    return found


def _database(root: Path, settings: Settings) -> list[Examined]:
    from pulpo.store.sqlite_file import APPLICATION_ID  # noqa: PLC0415 - loaded by the one command that asks

    file = sample.database_file(root, settings)
    if file is None:
        url = settings.database.url.get_secret_value()
        try:
            connect(url, root)
        except PulpoError as error:
            return [Examined("fail", error.detail, error.hint or "")]
        return _mongodb(root, url)
    try:
        header = _header(file)
    except OSError as error:
        advice = "look at the path and its permissions, or set PULPO_DATABASE_URL"
        return [Examined("fail", f"the database {file} cannot be read: {error.strerror}", advice)]
    if not header:
        return [Examined("ok", f"the database {file.name} is not there yet: the first start makes it")]
    # The file's format: a magic string first, the application's id at byte 68.
    ours = header.startswith(_SQLITE_MAGIC) and int.from_bytes(header[68:72], "big") == APPLICATION_ID
    if ours:
        return [Examined("ok", f"the database {file.name} is Pulpo's ({file.stat().st_size / _MEGABYTE:.1f} MB)")]
    return [Examined("fail", f"the file {file} is not a Pulpo database", "move it away, or set PULPO_DATABASE_URL")]


def _mongodb(root: Path, url: str) -> list[Examined]:
    try:
        import pymongo  # noqa: PLC0415 - loaded by the one command that asks
        import pymongo.errors  # noqa: PLC0415
    except ImportError:
        return [Examined("fail", "PyMongo is not installed", "pip install 'pulpo-core[mongodb]'")]
    driver = Examined("ok", f"PyMongo {pymongo.version}")
    where = own_server.place(url)
    shown = f"127.0.0.1:{where.port}" if where is not None else "the address in database.url"
    try:
        with pymongo.MongoClient[dict[str, Any]](
            own_server.with_user(url, root), serverSelectionTimeoutMS=2000
        ) as client:
            hello = client.admin.command("hello")
            client.get_default_database().command("ping")
            version = client.server_info()["version"]
    except pymongo.errors.ConfigurationError as error:
        return [driver, Examined("fail", f"database.url cannot be used: {error}", "docs/database.md says how it reads")]
    except pymongo.errors.OperationFailure as error:
        advice = "database.url needs a user that may read and write: mongodb://user:password@host/database"
        return [driver, Examined("fail", f"MongoDB at {shown} refused us: {error.details}", advice)]
    except pymongo.errors.PyMongoError:
        return [driver, _nobody(where, shown)]
    if "setName" not in hello:
        advice = (
            f"start it with --replSet {mongod.SET}, then once: mongosh --eval 'rs.initiate()'; Pulpo needs transactions"
        )
        return [
            driver,
            Examined("fail", f"MongoDB {version} at {shown} is no replica set, and so has no transactions", advice),
        ]
    return [driver, Examined("ok", f"MongoDB {version} at {shown}, replica set {hello['setName']}")]


def _nobody(where: own_server.Place | None, shown: str) -> Examined:
    """What to say where no server answers: one that `pulpo up` would start is not missing."""
    if where is None:
        return Examined("fail", f"no MongoDB answers at {shown}", "start it, or correct PULPO_DATABASE_URL")
    try:
        program = mongod.program()
    except PulpoError as error:
        return Examined("fail", f"no MongoDB answers at {shown}, and {error.detail}", error.hint or "")
    return Examined("ok", f"no MongoDB answers at {shown}: `pulpo up` starts {program}")


def _prefect(root: Path, settings: Settings) -> list[Examined]:
    """Prefect, where flows are run by it: whether it is there, and whether its server lets us in."""
    if not settings.engine.needs_prefect:
        return []
    if importlib.util.find_spec("prefect") is None:
        return [Examined("fail", "Prefect is not installed", "pip install 'pulpo-core[prefect]'")]
    fastapi = importlib.metadata.version("fastapi")
    found = [Examined("ok", f"Prefect {importlib.metadata.version('prefect')}")]
    if not settings.prefect.url and tuple(int(part) for part in fastapi.split(".")[:2]) >= prefect.TOO_NEW_FASTAPI:
        what = f"FastAPI {fastapi} is too new for Prefect's server, which refuses its own client or does not start"
        return [Examined("fail", what, "pip install 'pulpo-core[prefect]'")]
    where = place(settings, root)
    admitted = prefect.admits(where)
    if admitted:
        found.append(Examined("ok", f"the Prefect server at {where.url} answers, work pool {where.pool}"))
    elif admitted is not None:
        found.append(Examined("fail", f"the Prefect server at {where.url} refuses us", "look at prefect.auth"))
    elif where.own:
        found.append(Examined("ok", f"no Prefect server answers at {where.url}: `pulpo up` starts one"))
    else:
        found.append(Examined("fail", f"no Prefect server answers at {where.url}", "start it, or correct prefect.url"))
    return found


def _header(file: Path) -> bytes:
    """The first bytes of a file; none where there is no file."""
    if not file.exists():
        return b""
    with file.open("rb") as stream:
        return stream.read(100)


def _disk(root: Path, _settings: Settings) -> list[Examined]:
    free = shutil.disk_usage(root).free
    what = f"{free / 1_000 / _MEGABYTE:.1f} GB of disk are free"
    if free < _NO_ROOM:
        return [Examined("fail", what, "make room: without it orders are refused")]
    return [Examined("warn", what, "make room soon") if free < _LITTLE_ROOM else Examined("ok", what)]
