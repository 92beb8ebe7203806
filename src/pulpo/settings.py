"""A project's settings: `PULPO_<SECTION>_<KEY>` in the environment, else `pulpo.toml`, else the default."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from pulpo.errors import Nearest, PulpoError

FILE = "pulpo.toml"
STATE = ".pulpo"
"""The folder, in the project's root, of what a running project keeps: database, logs, run.json."""


Port = Annotated[int, Field(ge=0, le=65535)]
"""A port to listen on; 0 lets the system choose one."""
FixedPort = Annotated[int, Field(ge=1, le=65535)]
"""A port that others have to know."""


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
    workers: int = Field(default=0, ge=0)
    in_api: bool = True
    concurrency: int = Field(default=200, ge=1)
    lease: float = Field(default=10.0, gt=0)
    recoveries: int = Field(default=10, ge=0)
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
    `redis` (`redis://user:password@host:6379/0`, `rediss://` for TLS) carries messages between several servers.
    `concurrency` bounds the runs that one worker executes at once, `limit` those of all workers together; without it
    the pool keeps the limit that it has. `poll` is how many seconds pass between two looks for work. `queues` says for
    a flow which of the pool's queues its runs wait in; one that is not there is made.
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
    queues: dict[str, str] = {}

    @field_validator("url")
    @classmethod
    def _is_an_api(cls, given: str) -> str:
        try:
            parts = urlsplit(given)
            alone = not (parts.username or parts.query or parts.fragment) and len(given.split()) == 1
            whole = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
            sound = not given or (alone and whole)
        except ValueError:
            sound = False
        if not sound:
            raise ValueError("it is not the address of an API such as https://prefect.example/api, alone")
        return given

    @field_validator("redis")
    @classmethod
    def _is_an_address(cls, given: SecretStr) -> SecretStr:
        text = given.get_secret_value()
        try:
            parts = urlsplit(text if "://" in text else f"redis://{text}")
            sound = parts.scheme in {"redis", "rediss"} and parts.port != 0  # a port that is no number is a ValueError
        except ValueError:
            sound = False
        if not sound:
            raise ValueError("it is not an address such as redis://user:password@host:6379/0")
        return given


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
    port: Port = 8000
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
    port: Port = 3000
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
    port: FixedPort | None = None
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
        found = error.errors(include_url=False, include_input=False)
        first = next(
            (each for each in found if each["type"] == "extra_forbidden"), found[0]
        )  # often why one is missing
        place = ".".join(str(part) for part in first["loc"])
        at, hint = _line(root / FILE, first["loc"]), None
        message = first["msg"]
        if first["type"] == "extra_forbidden":
            message, known = "there is no such setting", _known(first["loc"][:-1])
            hint = Nearest(known).to(str(first["loc"][-1])) or f"there are {', '.join(known)}"
        variable = f"PULPO_{place.replace('.', '_').upper()}"
        where = variable if variable in environ else f"{FILE}, line {at}" if at else f"{FILE} or the environment"
        raise PulpoError("PULPO105", f"{where}: {place}: {message}", hint=hint) from None


def unknown_variables(root: Path, environ: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """A sentence for every `PULPO_…` variable of the environment that means nothing, with the nearest that does."""
    known = [f"PULPO_{name.upper()}_{key.upper()}" for name in Settings.model_fields for key in _keys(name)]
    known += [
        service_variable(service, key) for service in _table(_read(root / FILE), "services") for key in _SERVICE_KEYS
    ]
    found = []
    for name in sorted(environ):
        if name.startswith("PULPO_") and name not in (*known, *_OTHERS) and not name.startswith(_FREE):
            near = Nearest((*known, *_OTHERS)).to(name)
            found.append(f"{name} in the environment means nothing" + (f": {near}" if near else ""))
    return tuple(found)


_PASSWORDS = ("PULPO_MONGODB_PASSWORD", "PULPO_PREFECT_PASSWORD")
"""What `generated/deploy/compose.yaml` asks for."""
_OTHERS = ("PULPO_API_URL", "PULPO_CRASH_AT", "PULPO_SUPERVISED_ROOT", "PULPO_SHELL_URL", *_PASSWORDS)
"""Variables that are no settings."""
_FREE = ("PULPO_APP_", "PULPO_TEST_", "PULPO_UPDATE_")
_SERVICE_KEYS = tuple(ServiceSettings.model_fields)


def _keys(section: str) -> tuple[str, ...]:
    return () if section in ("services", "app") else tuple(_section(section).model_fields)


def _known(path: tuple[int | str, ...]) -> tuple[str, ...]:
    """The names that may stand at a place of the file."""
    cls: type[BaseModel] = Settings
    for part in path:
        if isinstance(part, int) or (cls is not Settings and part not in cls.model_fields):
            continue  # an entry of a list, the name of a service
        cls = _inner(cls.model_fields[part].annotation) if part in cls.model_fields else cls
    return tuple(cls.model_fields)


def _inner(annotation: Any) -> type[BaseModel]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(_inner(each) for each in get_args(annotation) if each is not str and each is not Ellipsis)


def _line(file: Path, path: tuple[int | str, ...]) -> int | None:
    """The line of a key, where it is written as one under its `[section]`; None where that cannot be told."""
    if not file.is_file() or any(isinstance(part, int) for part in path):
        return None
    *section, key = (str(part) for part in path)
    at = ""
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        text = line.strip()
        if text.startswith("["):
            at = text.partition("#")[0].strip().strip("[]").replace('"', "").replace(" ", "")
            if at == ".".join((*section, key)):
                return number
        elif at == ".".join(section) and text.partition("=")[0].strip().strip("\"'") == key:
            return number
    return None


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
