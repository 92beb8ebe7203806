"""Which database a command works with, who else works with it, and what is said of it."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pulpo.cli.options import project_root
from pulpo.errors import PulpoError

if TYPE_CHECKING:
    from pulpo.settings import Settings
    from pulpo.store.port import Collection
    from pulpo.store.upkeep import Snapshot

Url = Annotated[
    str | None,
    typer.Option(
        "--url",
        metavar="URL",
        help="Another database than the project's. `env:NAME` takes the address from a variable.",
        show_default=False,
    ),
]
_VARIABLE = "env:"


@dataclass(frozen=True, slots=True)
class Place:
    """A database of a project: the project's root and settings, and the address. Show `name`, never `url`."""

    root: Path
    settings: Settings
    url: str
    name: str

    @staticmethod
    def of(given: str | None) -> Place:
        """The database at an address, by default the project's.

        Raises:
            PulpoError: PULPO104, in no project; PULPO105, the address cannot be read; PULPO801, no such variable.
        """
        from pulpo import settings
        from pulpo.store import places

        root = project_root()
        loaded = settings.load(root)
        url = loaded.database.url.get_secret_value() if given is None else _address(given)
        return Place(root, loaded, url, places.shown(url, root))

    @property
    def is_the_projects(self) -> bool:
        """Whether it is the one that the project works with."""
        from pulpo.store import places

        return self.name == places.shown(self.settings.database.url.get_secret_value(), self.root)

    def with_sample(self) -> None:
        """Remember that it needs no sample data: it was filled."""
        from pydantic import SecretStr

        from pulpo.services import sample

        database = self.settings.database.model_copy(update={"url": SecretStr(self.url)})
        sample.done(self.root, self.settings.model_copy(update={"database": database}))


def _address(given: str) -> str:
    if not given.startswith(_VARIABLE):
        return given
    name = given.removeprefix(_VARIABLE)
    found = os.environ.get(name)
    if not found:
        raise PulpoError("PULPO801", f"the variable {name} holds no address of a database")
    return found


def declared(root: Path) -> tuple[Collection, ...]:
    """The collections of a compiled project. Raises PulpoError PULPO802, PULPO101."""
    from pulpo.runtime import target
    from pulpo.runtime.tables import collections

    return collections(target.load_application(root).spec)


async def users(place: Place, snapshot: Snapshot) -> list[str]:
    """The processes that work with a database: those with a lease, and the project's supervisor."""
    from pulpo.model.model import now, timestamp
    from pulpo.runtime.workers import gone
    from pulpo.services import drive
    from pulpo.store.upkeep import LEASES

    found: list[str] = []
    for record in await snapshot.scan(LEASES):
        row: dict[str, Any] = json.loads(record.json)
        if not gone(row, passed=row["lease_until"] < timestamp(now())):
            found.append(f"process {row['pid']} on {row['host'].partition('/')[0]}")
    if not found and place.is_the_projects and drive.running(place.root) is not None:
        found.append("the project, which `pulpo up` started")
    return found


def refuse_if_used(place: Place, by: list[str], *, hint: str = "stop it first: pulpo down") -> None:
    """Raises PulpoError PULPO519 where somebody works with the database."""
    if by:
        raise PulpoError("PULPO519", f"{place.name} is in use by {', '.join(by)}", hint=hint)


async def refuse_if_others_use(place: Place) -> None:
    """As `refuse_if_used`, of a database that is to be written."""
    from pulpo.store import places

    snapshot = places.snapshot(place.url, place.root)
    try:
        if await snapshot.open():
            refuse_if_used(place, await users(place, snapshot))
    finally:
        await snapshot.close()
