"""A project's settings: `PULPO_<SECTION>_<KEY>` in the environment, else `pulpo.toml`, else the default."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from pulpo.errors import PulpoError

FILE = "pulpo.toml"
STATE = ".pulpo"
"""The folder, in the project's root, of what a running project keeps: database, logs, run.json."""


class Section(BaseModel):
    """A section of `pulpo.toml`; unknown keys are refused so that a typing mistake shows."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ProjectSettings(Section):
    """`[project]`."""

    name: str = ""
    mode: Literal["dev", "production"] = "dev"


class DatabaseSettings(Section):
    """`[database]`: `sqlite:///relative/path.db` (relative to the project's root) or `mongodb://…`.

    `query_timeout`: seconds after which a query is stopped.
    """

    url: SecretStr = SecretStr("sqlite:///.pulpo/data.db")
    query_timeout: float = Field(default=10.0, gt=0)


class EngineSettings(Section):
    """`[engine]`: times in seconds.

    `workers` is how many `pulpo worker` processes `pulpo up` starts beside the API process, which also runs flows
    unless `in_api` is false. `concurrency` bounds the runs that one process executes at once. `kind` is what runs
    flows; `flows` names those that another engine runs.
    """

    kind: Literal["embedded", "prefect"] = "embedded"
    flows: dict[str, Literal["embedded", "prefect"]] = {}
    workers: int = 0
    in_api: bool = True
    concurrency: int = 200
    lease: float = 10.0
    recoveries: int = 10
    delay: str = ""

    def of(self, flow: str) -> Literal["embedded", "prefect"]:
        """The engine that runs a flow."""
        return self.flows.get(flow, self.kind)

    @property
    def needs_prefect(self) -> bool:
        """Whether any flow is run by Prefect."""
        return "prefect" in (self.kind, *self.flows.values())


class PrefectSettings(Section):
    """`[prefect]`: where flows run whose engine is Prefect.

    Without `url`, `pulpo up` keeps a server for the project, at `port` of this machine. `url` is the API of another
    one (`https://prefect.example/api`) and `auth` its `user:password`. `pool` is the work pool, by default the
    project's name.

    `database` is the own server's, as SQLAlchemy writes it (`postgresql+asyncpg://…`); by default a SQLite file.
    `redis` is `host:port/number`, for messages between several servers. `concurrency` bounds the runs that one worker
    executes at once, `limit` those of all workers together. `poll` is how many seconds pass between two looks for work.
    """

    url: str = ""
    auth: SecretStr = SecretStr("")
    port: int = Field(default=4200, ge=1, le=65535)
    pool: str = ""
    database: SecretStr = SecretStr("")
    redis: SecretStr = SecretStr("")
    concurrency: int = Field(default=10, ge=1)
    limit: int | None = Field(default=None, ge=1)
    poll: float = Field(default=0.25, ge=0.05, le=60)


class ApiSettings(Section):
    """`[api]`: `body_limit` in bytes, `page_limit` in documents.

    `concurrency` bounds the requests that one process works on at once, `queue` those that wait for it; whoever comes
    then is told to come back (503). Event streams do not count, nor do exports, of which `exports` go out at once.
    `access_log`: a line for every request.

    `require_if_match`: PUT, PATCH and DELETE of a document without `If-Match` are refused (428).

    `processes` is how many processes answer at one port: more reads on more cores; writes to a SQLite file do not gain.

    `connections` bounds the open connections, `header_limit` the bytes of an address and its headers. Times in seconds:
    `header_timeout` and `body_timeout` for a client to send these, `send_timeout` for it to take anything at all of
    its answer, `idle_timeout` between its requests.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    hosts: tuple[str, ...] = ()
    body_limit: int = 1_048_576
    page_limit: int = 100
    concurrency: int = Field(default=200, ge=1)
    queue: int = Field(default=1000, ge=0)
    exports: int = Field(default=8, ge=1)
    access_log: bool = True
    require_if_match: bool = False
    processes: int = Field(default=1, ge=1, le=64)
    connections: int = Field(default=4096, ge=1)
    header_limit: int = Field(default=32_768, ge=1024)
    header_timeout: float = Field(default=10.0, gt=0)
    body_timeout: float = Field(default=30.0, gt=0)
    send_timeout: float = Field(default=30.0, gt=0)
    idle_timeout: float = Field(default=20.0, gt=0)


class CardSettings(Section):
    """`[[ui.cards]]`: a card of the home page. docs/ui.md explains each kind.

    `filter` is a list's query string; `span` is how many stretches of `bucket` a chart shows, `limit` how many rows a
    list has. `tone` is the colour of a number above zero.
    """

    kind: Literal["count", "sum", "average", "chart", "breakdown", "list"]
    title: str
    model: str
    filter: str = ""
    field: str = ""
    group: str = ""
    bucket: str = ""
    measure: Literal["sum", "average"] = "sum"
    shape: Literal["area", "bar"] = "area"
    columns: tuple[str, ...] = ()
    note: str = ""
    tone: Literal["neutral", "warning", "critical"] = "neutral"
    span: int = Field(default=14, ge=2, le=366)
    limit: int = Field(default=5, ge=1, le=20)


class PageSettings(Section):
    """`[[ui.pages]]`: a page of the project's own; `module` is a JavaScript module in the project's `ui/` folder."""

    name: str = Field(pattern="^[a-z][a-z0-9-]*$")
    title: str
    module: str = Field(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9_./-]*\.js$")
    icon: str = "layout"
    group: str = ""


class UiSettings(Section):
    """`[ui]`: `title` stands in the header, `currency` is that of amounts, `groups` order the models in the sidebar."""

    enabled: bool = True
    port: int = 3000
    title: str = ""
    currency: str = Field(default="USD", pattern="^[A-Z]{3}$")
    groups: tuple[str, ...] = ()
    cards: tuple[CardSettings, ...] = ()
    pages: tuple[PageSettings, ...] = ()


class TelemetrySettings(Section):
    """`[telemetry]`: OpenTelemetry. `enabled`: by default where the environment's `OTEL_…` variables ask for it."""

    enabled: bool | None = None


class ServiceSettings(Section):
    """`[services.NAME]`: a process of the project's own. `{python}` and `{port}` in the command are filled in.

    It is healthy when `GET http://127.0.0.1:{port}{health}` answers 200 (without a port: while it lives).
    """

    command: str
    port: int | None = None
    health: str = "/livez"
    env: dict[str, str] = {}

    @property
    def url(self) -> str:
        """`http://127.0.0.1:8700`."""
        return f"http://127.0.0.1:{self.port}"


class Settings(BaseModel):
    """All of it. `app` is the project's own section, for its operations (`ctx.settings.app["currency"]`)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    project: ProjectSettings = ProjectSettings()
    database: DatabaseSettings = DatabaseSettings()
    engine: EngineSettings = EngineSettings()
    prefect: PrefectSettings = PrefectSettings()
    api: ApiSettings = ApiSettings()
    ui: UiSettings = UiSettings()
    telemetry: TelemetrySettings = TelemetrySettings()
    services: dict[str, ServiceSettings] = {}
    app: dict[str, Any] = {}


def load(root: Path, environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings of the project in `root`.

    Raises:
        PulpoError: PULPO105, the file cannot be read or is not TOML, or a key or value is wrong.
    """
    data = _read(root / FILE)
    for name, value in environ.items():
        section, _, key = name.removeprefix("PULPO_").lower().partition("_")
        if not name.startswith("PULPO_") or not key:
            continue
        if section == "services":
            for service, given in _table(data, "services").items():
                if name == service_variable(service, key.rpartition("_")[2]) and isinstance(given, dict):
                    given[key.rpartition("_")[2]] = value
        elif section == "app" or (section in Settings.model_fields and key in _section(section).model_fields):
            _table(data, section)[key] = value
    project = _table(data, "project")
    project["name"] = project.get("name") or root.resolve().name
    try:
        return Settings.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise PulpoError("PULPO105", f"{FILE} or the environment: {place}: {first['msg']}") from None


def state_folder(root: Path) -> Path:
    """The project's `.pulpo/`, made where it is not there; its data and logs are its user's alone."""
    folder = root / STATE
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def service_variable(service: str, key: str) -> str:
    """The environment variable of a key of `[services.NAME]`: `PULPO_SERVICES_MAIL_RELAY_PORT` of `mail-relay`."""
    return f"PULPO_SERVICES_{service.upper().replace('-', '_')}_{key.upper()}"


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PulpoError("PULPO105", f"{FILE} is not TOML: {error}") from None
    except OSError as error:
        raise PulpoError("PULPO105", f"{FILE} cannot be read: {error.strerror}") from None


def _table(data: dict[str, Any], section: str) -> dict[str, Any]:
    """A section of the file, made where it is not there."""
    table = data.setdefault(section, {})
    if not isinstance(table, dict):
        raise PulpoError("PULPO105", f"{FILE}: {section} is a section", hint=f"write [{section}] and its keys below it")
    return table


def _section(name: str) -> type[BaseModel]:
    annotation = Settings.model_fields[name].annotation
    assert isinstance(annotation, type)
    assert issubclass(annotation, BaseModel)
    return annotation


def find_root(start: Path) -> Path:
    """The nearest folder, from `start` upwards, that holds a project (`pulpo.toml`, `models/` or `operations/`).

    Raises:
        PulpoError: PULPO104, there is none.
    """
    for folder in (start.resolve(), *start.resolve().parents):
        if (folder / FILE).is_file() or (folder / "models").is_dir() or (folder / "operations").is_dir():
            return folder
    hint = "run `pulpo cli init` in an empty folder"
    raise PulpoError("PULPO104", f"no Pulpo project in {start} or above", hint=hint)
