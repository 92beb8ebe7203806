"""`generated/deploy/`: a container image, the processes in containers, and the flows as Prefect deployments."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from pulpo import names
from pulpo.compile.artifact import Artifact, header, render
from pulpo.settings import ServiceSettings, Settings
from pulpo.spec import AppSpec, FlowPlan

_FOLDER = "generated/deploy"
_SETTINGS = ("pulpo.toml",)
_MEMBERS = (27017, 27018, 27019)
"""Ports of a replica set's members."""
_POSTGRES = 5432
"""The port of the database that Prefect's server has."""


@dataclass(frozen=True, slots=True)
class _Service:
    """A process of the project's own, as compose starts it."""

    name: str
    command: tuple[str, ...]
    health: str | None
    env: Mapping[str, str]


def emit_deploy(app: AppSpec, plans: Mapping[str, FlowPlan], settings: Settings) -> tuple[Artifact, ...]:
    """Dockerfile with its ignore file, `compose.yaml` and `prefect.yaml`."""
    services = [_service(name, settings.services[name]) for name in sorted(settings.services)]
    flows = [(plan, names.flow_entrypoint(plan.flow)) for _, plan in sorted(plans.items()) if _deployed(plan, settings)]
    name = names.slug(app.name)
    values = {"slug": name, "services": services, "flows": flows, "settings": settings}
    values |= {
        "extras": ",".join(_extras(settings)),
        "pool": settings.prefect.pool or name,
        "mongodb": _mongodb(settings),
        "prefect": _prefect(settings),
        "postgres": _POSTGRES,
        "shared": ", ".join(f"*{name}" for name, wanted in _shared(settings).items() if wanted),
        "ports": _MEMBERS,
        "members": ",".join(f"127.0.0.1:{p}" for p in _MEMBERS),
    }
    return tuple(
        Artifact(path, render(f"deploy/{name}.jinja", header=header(path, _SETTINGS), **values))
        for name in ("Dockerfile", "Dockerfile.dockerignore", "compose.yaml", "prefect.yaml")
        for path in (f"{_FOLDER}/{name}",)
    )


def _extras(settings: Settings) -> list[str]:
    """The extras of Pulpo that the project needs."""
    needed = {"mongodb": _mongodb(settings) is not None, "prefect": settings.engine.needs_prefect}
    return [name for name, wanted in needed.items() if wanted]


def _shared(settings: Settings) -> dict[str, bool]:
    """What the API and the workers are told."""
    return {"database": _mongodb(settings) is not None, "prefect": _prefect(settings) is not None}


def _prefect(settings: Settings) -> Literal["own", "other"] | None:
    """The Prefect server that runs flows: one in a container of its own, or one that is elsewhere."""
    if not settings.engine.needs_prefect:
        return None
    return "other" if settings.prefect.url else "own"


def _deployed(plan: FlowPlan, settings: Settings) -> bool:
    """Whether a flow is one for a Prefect server: any may be tried on one while none has to run there."""
    ours = not settings.engine.needs_prefect or settings.engine.of(plan.flow) == "prefect"
    return bool(plan.steps) and ours


def _mongodb(settings: Settings) -> str | None:
    """The database's name where documents are kept in MongoDB."""
    parts = urlsplit(settings.database.url.get_secret_value())
    return parts.path.strip("/") if parts.scheme.startswith("mongodb") else None


def _service(name: str, given: ServiceSettings) -> _Service:
    port = "" if given.port is None else str(given.port)
    words = tuple(word.replace("{python}", "python").replace("{port}", port) for word in shlex.split(given.command))
    health = None if given.port is None else given.url + given.health
    return _Service(name, words, health, dict(sorted(given.env.items())))
