"""The Prefect server that a project keeps for itself: `python -m pulpo.services.prefect --root .` becomes it.

Its secret is read here and handed on in the environment, where, unlike in a command line, other users do not see it.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
from pathlib import Path

from pulpo import settings as configuration
from pulpo.errors import PulpoError
from pulpo.runtime.prefect.place import FOLDER, Place, make_secret, place, quiet
from pulpo.settings import Settings


def check_installed() -> None:
    """Prefect is installed.

    Raises:
        PulpoError: PULPO105, it is not.
    """
    if importlib.util.find_spec("prefect") is None:
        raise PulpoError("PULPO105", "Prefect is not installed", hint="pip install 'pulpo-core[prefect]'")


def prepare(root: Path, settings: Settings) -> None:
    """Make what the server and its clients need before they start: the secret that they share.

    Raises:
        PulpoError: PULPO105, Prefect is not installed.
    """
    check_installed()
    if not settings.prefect.url:
        make_secret(root)


def environment(settings: Settings, root: Path, where: Place) -> dict[str, str]:
    """What the server reads of its settings."""
    home = root.resolve() / FOLDER
    given = settings.prefect
    found = {
        **quiet(root),
        "PREFECT_SERVER_API_AUTH_STRING": where.auth,
        "PREFECT_API_AUTH_STRING": where.auth,
        "PREFECT_API_URL": where.url,
        "PREFECT_SERVER_UI_API_URL": where.url,
        "PREFECT_SERVER_UI_STATIC_DIRECTORY": str(home / "pages"),
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": given.database.get_secret_value()
        or f"sqlite+aiosqlite:///{home / 'prefect.db'}",
        # Writers of a SQLite file wait for each other; a statement may take as long as they do.
        "PREFECT_SERVER_DATABASE_TIMEOUT": "60",
        "PREFECT_SERVER_DATABASE_CONNECTION_TIMEOUT": "60",
        "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
        # Nothing but the server speaks to the server's own store of memos.
        "PREFECT_SERVER_MEMO_STORE_PATH": str(home / "memo_store.toml"),
    }
    if redis := given.redis.get_secret_value():
        address, _, number = redis.partition("/")
        host, _, port = address.rpartition(":")
        messaging = "prefect_redis.messaging"
        found |= {
            "PREFECT_MESSAGING_BROKER": messaging,
            "PREFECT_MESSAGING_CACHE": messaging,
            "PREFECT_SERVER_EVENTS_CAUSAL_ORDERING": "prefect_redis.ordering",
            "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect_redis.lease_storage",
            "PREFECT_SERVER_DOCKET_URL": f"redis://{address}/{number or 0}",
            "PREFECT_REDIS_MESSAGING_HOST": host or "127.0.0.1",
            "PREFECT_REDIS_MESSAGING_PORT": port or "6379",
            "PREFECT_REDIS_MESSAGING_DB": number or "0",
        }
    return found


def main() -> None:
    """Become the server."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, default=Path())
    root = parser.parse_args().root.resolve()
    settings = configuration.load(root)
    check_installed()
    make_secret(root)
    where = place(settings, root)
    os.environ.update(environment(settings, root, where))
    words = ["-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(settings.prefect.port)]
    os.execv(sys.executable, [sys.executable, *words])  # noqa: S606 - it is this process's work from now on


if __name__ == "__main__":
    main()
