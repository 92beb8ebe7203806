"""The database that a project keeps for itself: a MongoDB server under its supervisor, with its files in `.pulpo/`."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from pulpo.errors import PulpoError
from pulpo.services import mongod, ports
from pulpo.services.plan import MONGOD, ServicePlan
from pulpo.settings import Settings
from pulpo.store import own_server

_DATA = f"{own_server.FOLDER}/data"
_KEYFILE = f"{own_server.FOLDER}/keyfile"


def own_server_plan(root: Path, settings: Settings) -> ServicePlan | None:
    """The server to start, where `database.url` names one on this machine without a user and nobody else's is there.

    Raises:
        PulpoError: PULPO105, the driver is not installed; PULPO702, there is no `mongod` to start.
    """
    where = own_server.place(settings.database.url.get_secret_value())
    if where is not None and importlib.util.find_spec("pymongo") is None:
        raise PulpoError(
            "PULPO105", "the driver for MongoDB is not installed", hint="pip install 'pulpo-core[mongodb]'"
        )
    if where is None or (own_server.user(root) is None and ports.is_taken("127.0.0.1", where.port)):
        return None
    command = mongod.command(mongod.program(), Path(_DATA), where.port, keyfile=Path(_KEYFILE))
    return ServicePlan(
        MONGOD,
        tuple(command),
        port=where.port,
        health=f"tcp://127.0.0.1:{where.port}",
        setting="PULPO_DATABASE_URL",
        first=True,
    )


def make_room(root: Path) -> None:
    """Make what the server needs before it starts: a folder for its data, and its keyfile."""
    mongod.make_keyfile(root / _KEYFILE)
    (root / _DATA).mkdir(mode=0o700, exist_ok=True)


def set_up(root: Path, plan: ServicePlan) -> None:
    """Make a server that was just started a replica set of one with a user. Done before, it changes nothing.

    One that listened at another port before is brought to the new one.

    Raises:
        PulpoError: PULPO702, the server does not become ready.
    """
    assert plan.port is not None
    known = own_server.user(root)
    if known is not None and known.port != plan.port:
        mongod.move(plan.port, known.name, known.password)
    mongod.initiate((plan.port,))
    user = own_server.make_user(root, plan.port)
    mongod.create_user(plan.port, user.name, user.password)
