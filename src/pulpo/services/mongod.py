"""A MongoDB server of a project's own: where its program is, how it is called, and how a replica set is made of it.

What `pulpo up` has supervised and what tests start for themselves is set up here alone: always a replica set, since
Pulpo needs transactions, on loopback unless told otherwise, and with a keyfile and a user where it is asked for.
"""

from __future__ import annotations

import base64
import importlib.util
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import psutil

from pulpo.errors import PulpoError
from pulpo.services.processes import end

if TYPE_CHECKING:
    from pymongo import MongoClient

SET = "pulpo"
"""The replica set's name."""
LOOPBACK = "127.0.0.1"

PATIENCE = 30.0  # seconds that a server may take until it is ready


def program() -> Path:
    """The `mongod` to run: the one on the PATH, else the one that the extra `mongodb-local` brings.

    Raises:
        PulpoError: PULPO702, there is none.
    """
    if found := shutil.which("mongod"):
        return Path(found)
    # Not imported: the package of this name may be a large one, of which only the folder is wanted.
    spec = importlib.util.find_spec("fiftyone")
    for place in spec.submodule_search_locations or () if spec is not None else ():
        inside = Path(place, "db", "bin", "mongod")
        if inside.is_file():
            return inside
    raise PulpoError(
        "PULPO702",
        "there is no mongod on the PATH",
        hint="pip install 'pulpo-core[mongodb-local]' (Linux x86-64), or install MongoDB, or use another server",
    )


def command(
    binary: Path,
    folder: Path,
    port: int,
    *,
    keyfile: Path | None = None,
    replica_set: str | None = SET,
    cache_gb: float = 0.25,
    oplog_mb: int = 990,
    parameters: Mapping[str, str] | None = None,
    reached_at: str = LOOPBACK,
) -> list[str]:
    """How a member is called. It listens on loopback, and nowhere else unless told to.

    Args:
        binary: The program.
        folder: Where its files are.
        port: Where it listens.
        keyfile: What members prove themselves with; with it users have to as well.
        replica_set: The set's name; without one it is a server that Pulpo refuses.
        cache_gb: Its page cache, in GB, from 0.25.
        oplog_mb: How much of the log is kept that events are read from, in MB.
        parameters: Server parameters.
        reached_at: An address at which it listens as well.
    """
    addresses = ",".join(dict.fromkeys((LOOPBACK, reached_at)))
    words = [str(binary), "--dbpath", str(folder), "--port", str(port), "--bind_ip", addresses, "--nounixsocket"]
    words += ["--wiredTigerCacheSizeGB", str(cache_gb)]
    if replica_set is not None:
        words += ["--replSet", replica_set, "--oplogSize", str(oplog_mb)]
    # Pulpo's transactions last for milliseconds: one whose process was killed keeps nobody waiting for the default of a
    # minute. The diagnostic files are for MongoDB's support.
    given = {"transactionLifetimeLimitSeconds": "15", "diagnosticDataCollectionEnabled": "false", **(parameters or {})}
    for name, value in given.items():
        words += ["--setParameter", f"{name}={value}"]
    return [*words, "--auth", "--keyFile", str(keyfile)] if keyfile is not None else words


def make_keyfile(path: Path) -> Path:
    """A keyfile that only this user can read; one that is there stays."""
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        beside = path.with_name(f"{path.name}.new")  # one that was written in part would never be accepted
        beside.unlink(missing_ok=True)
        beside.touch(mode=0o600)
        beside.write_bytes(base64.b64encode(secrets.token_bytes(512)))
        beside.replace(path)
    return path


def initiate(
    ports: tuple[int, ...], *, replica_set: str = SET, patience: float = PATIENCE, reached_at: str = LOOPBACK
) -> None:
    """Make a replica set of members that run here, and wait for its primary. One that is a set already stays as it is.

    Clients find its members at `reached_at`.

    Raises:
        PulpoError: PULPO702, it was not ready within `patience` seconds.
    """
    from pymongo.errors import OperationFailure, PyMongoError  # noqa: PLC0415 - the driver is an extra

    members = [{"_id": number, "host": f"{reached_at}:{port}"} for number, port in enumerate(ports)]
    config = {"_id": replica_set, "members": members, "settings": {"electionTimeoutMillis": 2000}}
    deadline = time.monotonic() + patience
    problem: Exception | None = None
    with _direct(ports[0], patience) as client:
        try:
            client.admin.command("replSetInitiate", config)
        except OperationFailure as error:
            # Set up before: it says so, or asks who we are, since it has users already.
            if error.code not in (_ALREADY_INITIALIZED, _UNAUTHORIZED):
                raise PulpoError("PULPO702", f"mongod could not be made a replica set: {error}") from None
        except PyMongoError as error:
            raise PulpoError("PULPO702", f"mongod did not answer on port {ports[0]}: {error}") from None
        while time.monotonic() < deadline:
            try:
                said = client.admin.command("hello")
                if said.get("isWritablePrimary") or said.get("primary") not in (None, said.get("me")):
                    return
            except PyMongoError as error:
                problem = error
            time.sleep(0.05)
    raise PulpoError("PULPO702", f"the replica set chose no primary within {patience:g} s ({problem or 'no vote'})")


def move(port: int, name: str, password: str, *, patience: float = PATIENCE) -> None:
    """Have a replica set of one know its member at the port where it listens now. There already, nothing is changed.

    Raises:
        PulpoError: PULPO702, the set cannot be changed.
    """
    from pymongo.errors import PyMongoError  # noqa: PLC0415 - the driver is an extra

    with _direct(port, patience, username=name, password=password) as client:
        try:
            config = client.admin.command("replSetGetConfig")["config"]
            (member,) = config["members"]
            if member["host"] != f"127.0.0.1:{port}":
                member["host"] = f"127.0.0.1:{port}"
                config["version"] += 1
                # By force: it does not find itself in the set, so it has no primary to be asked.
                client.admin.command("replSetReconfig", config, force=True)
        except (PyMongoError, ValueError) as error:
            raise PulpoError("PULPO702", f"the replica set could not be brought to port {port}: {error}") from None


ROLES = ("readWriteAnyDatabase", "dbAdminAnyDatabase", "clusterManager")
"""What the user of a project's own server may: work with its databases, and bring the set to another port."""


def create_user(
    port: int, name: str, password: str, *, roles: tuple[str, ...] = ROLES, patience: float = PATIENCE
) -> None:
    """The first user of a server with a keyfile: whoever comes from this machine may make one while there is none.

    Raises:
        PulpoError: PULPO702, there is one already, which is another or has another password.
    """
    from pymongo.errors import OperationFailure  # noqa: PLC0415 - the driver is an extra

    with _direct(port, patience) as client:
        try:
            client.admin.command("createUser", name, pwd=password, roles=list(roles))
        except OperationFailure as error:
            with _direct(port, patience, username=name, password=password) as known:
                try:
                    said = known.admin.command("connectionStatus")["authInfo"]["authenticatedUserRoles"]
                    if any(role["role"] == "root" for role in said) and "root" not in roles:  # made by earlier versions
                        known.admin.command("updateUser", name, roles=list(roles))
                except OperationFailure:
                    raise PulpoError("PULPO702", f"mongod takes no user {name}: {error}") from None


_ALREADY_INITIALIZED = 23
_UNAUTHORIZED = 13


def _direct(port: int, patience: float, **credentials: Any) -> MongoClient[dict[str, Any]]:
    from pymongo import MongoClient  # noqa: PLC0415 - the driver is an extra

    wait = int(patience * 1000)
    return MongoClient("127.0.0.1", port, directConnection=True, serverSelectionTimeoutMS=wait, **credentials)


@dataclass(frozen=True, slots=True)
class Server:
    """A running member."""

    process: psutil.Popen
    port: int
    folder: Path

    def stop(self, *, patience: float = 15.0) -> None:
        """End it, by its own shutdown if it manages within `patience` seconds."""
        end([self.process], patience=patience)


def start(folder: Path, *, port: int | None = None, **options: Any) -> Server:
    """Start a member; `initiate` makes a replica set of it. Options as of `command`.

    Raises:
        PulpoError: PULPO702, there is no program, or it ended at once.
    """
    port = port or free_port()
    data = folder / "data"
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    log = folder / "mongod.log"
    with log.open("ab") as output:
        process = psutil.Popen(
            command(program(), data, port, **options),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    server = Server(process, port, folder)
    deadline = time.monotonic() + PATIENCE
    while not _listens(port):
        if process.poll() is not None or time.monotonic() > deadline:
            server.stop()
            raise PulpoError("PULPO702", f"mongod did not start on port {port}", hint=f"its log is {log}")
        time.sleep(0.02)
    return server


def address(
    ports: tuple[int, ...], database: str, *, user: str = "", password: str = "", replica_set: str = SET
) -> str:
    """The `database.url` of a replica set that runs here."""
    who = f"{quote(user, safe='')}:{quote(password, safe='')}@" if user else ""
    hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
    return f"mongodb://{who}{hosts}/{database}?replicaSet={replica_set}{'&authSource=admin' if user else ''}"


def free_port() -> int:
    """A port on loopback that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _listens(port: int) -> bool:
    with socket.socket() as tried:
        tried.settimeout(0.2)
        return tried.connect_ex(("127.0.0.1", port)) == 0
