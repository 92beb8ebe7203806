"""The Prefect server that a project keeps for itself: `python -m pulpo.services.prefect --root .` becomes it.

Its secret is read here and handed on in the environment, where, unlike in a command line, other users do not see it.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from pulpo import settings as configuration
from pulpo.errors import PulpoError
from pulpo.runtime.prefect.place import FOLDER, Place, make_secret, place, quiet
from pulpo.settings import Settings

TOO_NEW_FASTAPI = (0, 151)
"""From this version on Prefect 3.8's server refuses what its own client sends, and from 0.155 on it does not start."""


def admits(where: Place) -> bool | None:
    """Whether the server lets this project's credentials in; None where no server answers."""
    import httpx  # noqa: PLC0415 - loaded by the one command that asks

    user, _, password = where.auth.partition(":")
    try:
        answer = httpx.get(
            f"{where.url}/admin/version",
            auth=(user, password) if user else None,
            timeout=5.0,
            trust_env=not where.own,  # as the workers ask: no proxy stands before a server on this machine
        )
    except httpx.HTTPError:
        return None
    return answer.is_success


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
        messaging = "prefect_redis.messaging"
        url = redis if "://" in redis else f"redis://{redis}"
        found |= {
            "PREFECT_MESSAGING_BROKER": messaging,
            "PREFECT_MESSAGING_CACHE": messaging,
            "PREFECT_SERVER_EVENTS_CAUSAL_ORDERING": "prefect_redis.ordering",
            "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect_redis.lease_storage",
            "PREFECT_SERVER_DOCKET_URL": url,
            **_messages(urlsplit(url)),
        }
    return found


def _messages(url: SplitResult) -> dict[str, str]:
    """Where messages go, part by part, as every version of prefect-redis reads it."""
    parts = {
        "HOST": url.hostname or "127.0.0.1",
        "PORT": str(url.port or 6379),
        "DB": url.path.strip("/") or "0",
        "USERNAME": unquote(url.username or ""),
        "PASSWORD": unquote(url.password or ""),
        "SSL": "true" if url.scheme == "rediss" else "",
    }
    return {f"PREFECT_REDIS_MESSAGING_{name}": value for name, value in parts.items() if value}


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
    _serve(settings.prefect.port)


def _serve(port: int) -> None:
    """What `prefect server start` does, with a SQLite database whose writers wait for each other.

    Prefect begins a transaction as a reader and lets it become a writer; SQLite refuses that at once ("database is
    locked", a 503) where another has written meanwhile, however long it may wait. So each begins as a writer.
    """
    import uvicorn  # noqa: PLC0415 - as Prefect, which reads the environment when it is imported
    from prefect.server.api.server import create_app  # noqa: PLC0415
    from prefect.server.database.configurations import AioSqliteConfiguration  # noqa: PLC0415

    begin = AioSqliteConfiguration.begin_transaction

    def begin_writing(self: Any, session: Any, with_for_update: bool = True) -> Any:  # noqa: ARG001 - Prefect's form
        return begin(self, session, with_for_update=True)

    AioSqliteConfiguration.begin_transaction = begin_writing  # type: ignore[method-assign]
    uvicorn.run(create_app(final=True), host="127.0.0.1", port=port, log_level="warning", timeout_graceful_shutdown=2)


if __name__ == "__main__":
    main()
