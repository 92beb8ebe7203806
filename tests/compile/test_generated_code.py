"""Generated code is code: it imports, type-checks, lints, and is formatted as formatters do it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import prefect.settings
import pytest
import yaml

from pulpo import project
from tests.compile.projects import compile_project, compiled, copied

EXAMPLE = Path(__file__).parents[2] / "examples" / "ecommerce-app"


def run(root: Path, *command: str) -> str:
    done = subprocess.run(
        [sys.executable, *command], cwd=root, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def strictly_checked(root: Path) -> None:
    run(root, "-m", "mypy", "--strict", "--follow-imports=silent", f"--cache-dir={os.devnull}", "generated")
    run(root, "-m", "ruff", "format", "--no-cache", "--check", "generated")
    run(root, "-m", "ruff", "check", "--no-cache", "generated")
    run(root, "-m", "ruff", "check", "--no-cache", "--select", "I,UP,B,RUF,E501,D1", "generated")


def test_an_order_system_type_checks_and_lints(tmp_path: Path) -> None:
    """Strict types, lint and format of all that eleven operations give."""
    strictly_checked(compiled("orders", tmp_path))


@pytest.mark.skipif(not (EXAMPLE / "flows.py").exists(), reason="the example is not part of this distribution")
def test_the_example_type_checks_and_lints(tmp_path: Path) -> None:
    """The example shop compiles to code that passes the same checks; its main flow is short enough to read."""
    root = tmp_path / "ecommerce-app"
    shutil.copytree(EXAMPLE, root, ignore=shutil.ignore_patterns("__pycache__", "generated", ".pulpo"))
    compile_project(root)
    strictly_checked(root)
    assert len((root / "generated/flows/order_to_cash.py").read_text().splitlines()) <= 120


@pytest.mark.parametrize("case", ["notes", "orders", "words", "braid", "collisions"])
def test_every_generated_module_imports(case: str, tmp_path: Path) -> None:
    """API, commands and flows load in a fresh process with the project's root on the path."""
    root = compiled(case, tmp_path)
    modules = [
        ".".join(path.relative_to(root).with_suffix("").parts) for path in sorted((root / "generated").rglob("*.py"))
    ]
    script = f"import importlib, sys; sys.path.insert(0, '.'); [importlib.import_module(m) for m in {modules!r}]"
    run(root, "-c", script)
    assert "generated.flows" in " ".join(modules)


def test_the_main_flow_reads_as_nested_awaits(tmp_path: Path) -> None:
    """A series-parallel plan is gathers and awaits in at most 120 lines, and says nothing of tasks or events."""
    text = (compiled("orders", tmp_path) / "generated/flows/order_to_cash.py").read_text()
    assert len(text.splitlines()) <= 120
    assert "await asyncio.gather(validate_items(run), validate_payment(run), calculate_shipping(run))" in text
    assert "create_task" not in text


def test_only_flows_import_prefect(tmp_path: Path) -> None:
    """The application, the API and the commands run where Prefect is not installed."""
    root = compiled("orders", tmp_path)
    script = (
        "import sys; sys.path.insert(0, '.'); import generated.api.app, generated.cli.orders_checkout;"
        "print([name for name in sys.modules if name.partition('.')[0] == 'prefect'])"
    )
    assert run(root, "-c", script).strip() == "[]"


def test_generated_code_never_imports_the_compiler(tmp_path: Path) -> None:
    """Production runs without the compiler, the planner and the services."""
    root = compiled("orders", tmp_path)
    script = (
        "import sys; sys.path.insert(0, '.'); import generated.api.app;"
        "print([name for name in sys.modules if name.startswith(('pulpo.compile', 'pulpo.graph', 'pulpo.services'))])"
    )
    assert run(root, "-c", script).strip() == "[]"


def test_plans_and_metadata_are_what_the_project_says(tmp_path: Path) -> None:
    """`plans.json` gives the plans back, and `ui.json` describes every model, operation and flow."""
    root = copied("orders", tmp_path)
    compile_project(root)
    loaded = project.load(root)
    plans = json.loads((root / "generated/plans.json").read_text())
    assert plans == {name: json.loads(json.dumps(plan.as_json())) for name, plan in loaded.plans.items()}
    described = json.loads((root / "generated/ui/ui.json").read_text())
    assert described["version"] == 1
    assert [model["name"] for model in described["models"]] == [model.name for model in loaded.app.models]
    assert [spec["name"] for spec in described["operations"]] == [spec.name for spec in loaded.app.operations]
    assert [flow["name"] for flow in described["flows"]] == sorted(loaded.plans)


def test_a_project_on_mongodb_is_deployed_with_a_replica_set(tmp_path: Path) -> None:
    """Three members that need a key and a user, the set made of exactly them, and processes that know their address."""
    root = copied("notes", tmp_path)
    (root / "pulpo.toml").open("a").write('\n[database]\nurl = "mongodb://127.0.0.1:27017/notes"\n')
    compile_project(root)
    folder = root / "generated/deploy"
    services = yaml.safe_load((folder / "compose.yaml").read_text())["services"]
    members = {name: each for name, each in services.items() if "mongod" in each["command"]}
    ports = [each["command"][each["command"].index("--port") + 1] for each in members.values()]
    assert ports == ["27017", "27018", "27019"]
    for member in members.values():
        assert {"--keyFile", "--replSet", "--bind_ip"} <= set(member["command"])
    script = services["mongodb-set"]["command"][-1]
    assert re.findall(r'host: "127.0.0.1:(\d+)"', script) == ports
    assert set(services["mongodb-set"]["depends_on"]) == members.keys()
    for name in ("api", "worker"):
        address = services[name]["environment"]["PULPO_DATABASE_URL"]
        assert ",".join(f"127.0.0.1:{port}" for port in ports) + "/notes?replicaSet=pulpo" in address
    assert services["api"]["depends_on"]["mongodb-set"] == {"condition": "service_completed_successfully"}
    assert all(set(each.get("depends_on", {})) <= services.keys() for each in services.values())
    assert '"pulpo-core[mongodb]==' in (folder / "Dockerfile").read_text()


@pytest.mark.parametrize("database", ["sqlite:///.pulpo/data.db", "mongodb://127.0.0.1:27017/notes"])
def test_a_project_on_prefect_is_deployed_with_a_server_on_postgresql(tmp_path: Path, database: str) -> None:
    """A server that lets in who knows the secret, its own database, both on loopback, and workers that know of them."""
    root = copied("notes", tmp_path)
    (root / "pulpo.toml").open("a").write(f'\n[database]\nurl = "{database}"\n[engine]\nkind = "prefect"\n')
    compile_project(root)
    folder = root / "generated/deploy"
    text = (folder / "compose.yaml").read_text()
    compose = yaml.safe_load(text)
    services = compose["services"]
    assert all(set(each.get("depends_on", {})) <= services.keys() for each in services.values())
    assert set(re.findall(r"\$\{(PULPO_PREFECT_\w+)(:\?[^}]+)?\}", text)) == {
        ("PULPO_PREFECT_PASSWORD", ":?set it to a password")
    }
    keeper, server = services["prefect-database"], services["prefect"]
    assert "listen_addresses=127.0.0.1" in keeper["command"]
    assert keeper["volumes"] == ["prefect-database:/var/lib/postgresql/data"]
    assert "prefect-database" in compose["volumes"]
    assert server["command"][:3] == ["prefect", "server", "start"]
    assert server["command"][3:] == ["--host", "127.0.0.1", "--port", "4200"]
    assert server["depends_on"] == {"prefect-database": {"condition": "service_healthy"}}
    told = server["environment"]
    user, password, name = (keeper["environment"][f"POSTGRES_{word}"] for word in ("USER", "PASSWORD", "DB"))
    address = f"postgresql+asyncpg://{user}:{password}@127.0.0.1:5432/{name}"
    assert told["PREFECT_SERVER_DATABASE_CONNECTION_URL"] == address
    assert told["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    wanted = {
        "PULPO_PREFECT_URL": told["PREFECT_API_URL"],
        "PULPO_PREFECT_AUTH": told["PREFECT_SERVER_API_AUTH_STRING"],
    }
    for each in ("api", "worker"):
        known = services[each]["environment"]
        assert {key: known[key] for key in wanted} == wanted
        assert known.keys() - wanted.keys() == ({"PULPO_DATABASE_URL"} if "mongodb" in database else set())
    assert services["worker"]["depends_on"]["prefect"] == {"condition": "service_healthy"}
    assert "prefect" in re.findall(r"pulpo-core\[(.*)\]==", (folder / "Dockerfile").read_text())[0].split(",")


def test_what_compose_tells_prefect_are_settings_of_prefect(tmp_path: Path) -> None:
    """A name that Prefect does not know would be passed over."""
    root = copied("notes", tmp_path)
    (root / "pulpo.toml").open("a").write('\n[engine]\nkind = "prefect"\n')
    compile_project(root)
    told = yaml.safe_load((root / "generated/deploy/compose.yaml").read_text())["services"]["prefect"]["environment"]
    assert [name for name in told if name.startswith("PREFECT_") and not hasattr(prefect.settings, name)] == []


def test_a_project_on_another_prefect_server_is_deployed_without_one(tmp_path: Path) -> None:
    """Its address is in the project's settings; what lets it in comes from outside."""
    root = copied("notes", tmp_path)
    url = "https://prefect.example/api"
    (root / "pulpo.toml").open("a").write(f'\n[engine]\nkind = "prefect"\n[prefect]\nurl = "{url}"\n')
    compile_project(root)
    services = yaml.safe_load((root / "generated/deploy/compose.yaml").read_text())["services"]
    assert list(services) == ["printer", "api", "worker", "ui"]
    assert services["worker"]["environment"] == services["api"]["environment"] == {"PULPO_PREFECT_AUTH": None}


def test_flows_are_deployed_as_the_settings_say(tmp_path: Path) -> None:
    """Prefect's file has the flows that run there, each in its queue, under the name that a worker registers."""
    root = copied("orders", tmp_path)
    (root / "pulpo.toml").open("a").write(
        '\n[engine]\nkind = "prefect"\n[engine.flows]\npayments = "embedded"\n'
        '[prefect]\npool = "hall"\n[prefect.queues]\norders = "urgent"\n'
    )
    compile_project(root)
    prefect = yaml.safe_load((root / "generated/deploy/prefect.yaml").read_text())
    found = {each["entrypoint"].rpartition("/")[2]: each for each in prefect["deployments"]}
    assert sorted(found) == ["order_to_cash.py:order_to_cash_flow", "orders.py:orders_flow"]
    assert {each["name"] for each in found.values()} == {prefect["name"]}
    assert found["orders.py:orders_flow"]["work_pool"] == {"name": "hall", "work_queue_name": "urgent"}
    assert found["order_to_cash.py:order_to_cash_flow"]["work_pool"] == {"name": "hall"}


def test_deployment_files_are_sound(tmp_path: Path) -> None:
    """Compose and Prefect files parse, name what exists, and start each process of the project."""
    root = compiled("notes", tmp_path)
    folder = root / "generated/deploy"
    compose = yaml.safe_load((folder / "compose.yaml").read_text())
    assert list(compose["services"]) == ["printer", "api", "worker", "ui"]
    assert compose["services"]["printer"]["command"] == ["python", "-m", "printer", "--port", "8700"]
    for service in compose["services"].values():
        assert set(service.get("depends_on", {})) <= compose["services"].keys()
        assert (folder / service["build"]["context"] / service["build"]["dockerfile"]).is_file()
    prefect = yaml.safe_load((folder / "prefect.yaml").read_text())
    for deployment in prefect["deployments"]:
        file, _, function = deployment["entrypoint"].partition(":")
        assert f"async def {function}(" in (root / file).read_text()
    steps = [line for line in (folder / "Dockerfile").read_text().splitlines() if line and line[0] not in "# "]
    assert steps[0].startswith("FROM ")
    assert steps[-1].startswith("CMD [")
    assert {line.split()[0] for line in steps} <= {
        "FROM", "ENV", "RUN", "WORKDIR", "COPY", "USER", "VOLUME", "EXPOSE", "HEALTHCHECK", "CMD",
    }  # fmt: skip
