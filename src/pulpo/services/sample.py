"""Whether a project's sample data is still to be loaded: once for each database."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pulpo.settings import STATE, Settings, state_folder
from pulpo.store import places

SEED = "seed.py"


def is_due(root: Path, settings: Settings) -> bool:
    """Whether the project has sample data and its database has not been given it."""
    marker, database = _marker(root, settings), database_file(root, settings)
    known = marker.exists() and (database is None or database.exists())
    return (root / SEED).is_file() and not known


def done(root: Path, settings: Settings) -> None:
    """Remember that the database has been given the sample data."""
    state_folder(root)
    marker = _marker(root, settings)
    marker.parent.mkdir(parents=True, exist_ok=True)
    marker.touch()


def database_file(root: Path, settings: Settings) -> Path | None:
    """The file of a SQLite database; None for any other."""
    scheme, _, path = settings.database.url.get_secret_value().partition(":///")
    return root / path if scheme == "sqlite" and path else None


def _marker(root: Path, settings: Settings) -> Path:
    file = database_file(root, settings)
    if file is not None:
        return file.with_name(file.name + ".seeded")
    place = places.shown(settings.database.url.get_secret_value(), root)
    return root / STATE / f"seeded-{hashlib.blake2b(place.encode(), digest_size=6).hexdigest()}"
