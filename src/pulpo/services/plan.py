"""What to start, in which order, on which port: settings in, service plans out. Nothing here touches the machine."""

from __future__ import annotations

import ipaddress
import re
import shlex
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from pulpo.errors import PulpoError
from pulpo.settings import ServiceSettings, Settings, service_variable

API = "api"
UI = "ui"
WORKER = "worker"
MONGOD = "mongod"
PREFECT = "prefect"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")


@dataclass(frozen=True, slots=True)
class ServicePlan:
    """A process to keep running.

    Attributes:
        command: The program and its arguments, as they are, with no shell in between.
        port: The port it listens on, or None.
        health: What answers 200 when it is healthy, or None: then it is healthy while it lives.
        setting: The setting that moves it to another port, as an environment variable.
        own: Whether it is Pulpo's own; the project's services start before and stop after those.
        first: Whether the others need it to begin with: it is healthy before they start, and stops after them.
    """

    name: str
    command: tuple[str, ...]
    host: str = "127.0.0.1"
    port: int | None = None
    health: str | None = None
    setting: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    own: bool = True
    first: bool = False

    @property
    def url(self) -> str | None:
        """`http://127.0.0.1:8000`, or None without a port."""
        scheme = "mongodb" if self.name == MONGOD and self.first else "http"
        return None if self.port is None else f"{scheme}://{_reachable(self.host)}:{self.port}"


def services(
    settings: Settings, *, python: str = sys.executable, database: ServicePlan | None = None
) -> tuple[ServicePlan, ...]:
    """The processes that a project's settings ask for, in the order in which they start.

    Args:
        settings: The project's.
        python: The interpreter that Pulpo's own processes run on.
        database: The server that the project keeps for itself, if it does.
    Raises:
        PulpoError: PULPO105, two services share a port, or a name or command cannot be used; PULPO705, one
            would listen beyond loopback, or the mode is production, which nobody could sign in to.
    """
    if settings.project.mode != "dev":
        raise PulpoError(
            "PULPO705",
            "production mode needs authentication, which this version does not have",
            hint='set mode = "dev" in [project]; it serves this machine only',
        )
    # A run that is given to Prefect needs a worker to carry it out: the API's process does not.
    workers = max(settings.engine.workers, 1) if settings.engine.needs_prefect else settings.engine.workers
    plans = (
        *([database] if database is not None else []),
        *(_project(name, given, python) for name, given in settings.services.items()),
        *_apis(settings, python),
        *([_ui(settings, python)] if settings.ui.enabled else []),
        *([_prefect(settings, python)] if settings.engine.needs_prefect and not settings.prefect.url else []),
        *(_worker(number, python) for number in range(1, workers + 1)),
    )
    _check_names(plans)
    _check_ports(plans)
    _check_loopback(plans)
    return plans


def is_loopback(host: str) -> bool:
    """Whether listening on this host can be reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _project(name: str, given: ServiceSettings, python: str) -> ServicePlan:
    values = {"{python}": python, "{port}": "" if given.port is None else str(given.port)}
    if given.port is None and "{port}" in given.command:
        raise PulpoError("PULPO105", f"services.{name}: the command names {{port}} and no port is set")
    try:
        words = shlex.split(given.command)
    except ValueError as error:
        raise PulpoError("PULPO105", f"services.{name}: the command cannot be read: {error}") from None
    if not words:
        raise PulpoError("PULPO105", f"services.{name}: the command is empty")
    return ServicePlan(
        name=name,
        command=tuple(_filled(word, values) for word in words),
        port=given.port,
        health=None if given.port is None else given.url + given.health,
        setting=service_variable(name, "port"),
        env=given.env,
        own=False,
    )


def _apis(settings: Settings, python: str) -> tuple[ServicePlan, ...]:
    """The API's processes; those after the first listen at its port too and have no address of their own."""
    processes = settings.api.processes
    first = _api(settings, python, ("--share-port",) if processes > 1 else ())
    return (first, *(ServicePlan(f"{API}-{number}", first.command) for number in range(2, processes + 1)))


def _api(settings: Settings, python: str, options: tuple[str, ...]) -> ServicePlan:
    host, port = settings.api.host, settings.api.port
    return ServicePlan(
        name=API,
        command=(python, "-m", "pulpo.runtime.http", "--root", ".", "--host", host, "--port", str(port), *options),
        host=host,
        port=port,
        health=f"http://{_reachable(host)}:{port}/readyz",
        setting="PULPO_API_PORT",
    )


def _ui(settings: Settings, python: str) -> ServicePlan:
    port = settings.ui.port
    api = f"http://{_reachable(settings.api.host)}:{settings.api.port}"
    return ServicePlan(
        name=UI,
        command=(python, "-m", "pulpo.runtime.page", "--root", ".", "--port", str(port), "--api", api),
        port=port,
        health=f"http://127.0.0.1:{port}/livez",
        setting="PULPO_UI_PORT",
    )


def _prefect(settings: Settings, python: str) -> ServicePlan:
    port = settings.prefect.port
    return ServicePlan(
        name=PREFECT,
        command=(python, "-m", "pulpo.services.prefect", "--root", "."),
        port=port,
        health=f"http://127.0.0.1:{port}/api/health",
        setting="PULPO_PREFECT_PORT",
    )


def _worker(number: int, python: str) -> ServicePlan:
    return ServicePlan(name=f"{WORKER}-{number}", command=(python, "-m", "pulpo.cli.main", "worker"))


def _filled(word: str, values: Mapping[str, str]) -> str:
    for place, value in values.items():
        word = word.replace(place, value)
    return word


def _reachable(host: str) -> str:
    """The address under which this machine reaches what listens on `host`."""
    if host in {"0.0.0.0", ""}:  # noqa: S104 - compared with, never listened on
        return "127.0.0.1"
    if host == "::":
        return "[::1]"
    return f"[{host}]" if ":" in host else host


def _check_names(plans: tuple[ServicePlan, ...]) -> None:
    own = {plan.name for plan in plans if plan.own}
    for plan in plans:
        if plan.own:
            continue
        if plan.name in own | {API, UI, MONGOD, PREFECT} or plan.name.startswith((f"{WORKER}-", f"{API}-")):
            raise PulpoError("PULPO105", f"services.{plan.name}: the name is one of Pulpo's own services")
        if not _NAME.fullmatch(plan.name):
            raise PulpoError("PULPO105", f"services.{plan.name}: a name has letters, digits, - and _ only, at most 40")
        if any("\n" in text or "\0" in text for text in (*plan.command, *plan.env.values())):
            raise PulpoError("PULPO105", f"services.{plan.name}: its command and env must stay on one line")


def _check_ports(plans: tuple[ServicePlan, ...]) -> None:
    uses = Counter(plan.port for plan in plans if plan.port is not None)
    for port, count in uses.items():
        if count > 1:
            sharing = [plan for plan in plans if plan.port == port]
            raise PulpoError(
                "PULPO105",
                f"{' and '.join(plan.name for plan in sharing)} would all listen on port {port}",
                hint=f"set one of {', '.join(plan.setting or plan.name for plan in sharing)} to another port",
            )


def _check_loopback(plans: tuple[ServicePlan, ...]) -> None:
    for plan in plans:
        if plan.port is not None and not is_loopback(plan.host):
            raise PulpoError(
                "PULPO705",
                f"{plan.name} would listen on {plan.host}, which other machines can reach, without any sign-in",
                hint="leave PULPO_API_HOST at 127.0.0.1 while the project's mode is dev",
            )
