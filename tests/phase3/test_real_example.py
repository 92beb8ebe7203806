"""The order system as its README tells it: extracted, installed, initialised, compiled, started, used and stopped.

Every command is typed into a shell of a newcomer's machine. Where something else holds port 8000, 3000 or 8700, the
project runs on free ports, and the addresses in what is typed are changed accordingly.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import runpy
import shlex
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.phase3.newcomer import REPO, Machine, Ran, ended, free_port, is_free

# Tests share what a walk has started: one process runs them all.
pytestmark = pytest.mark.xdist_group("walk-through")

NUMBER = "ORD-20251030-001"
CREATE_ORDER = """curl -X POST http://localhost:8000/orders \\
  -H "Content-Type: application/json" \\
  -d '{
    "order_number": "ORD-20251030-001",
    "customer_id": "cust_123",
    "items": [{
      "product_id": "prod_456",
      "quantity": 2,
      "unit_price": 19.99
    }],
    "total": 39.98,
    "shipping_address_id": "addr_789"
  }'
"""
CHECKOUT = {
    "validate_items": '{"order_id": "ORD-20251030-001", "items": [{"product_id": "prod_456", "quantity": 2}]}',
    "validate_payment": '{"order_id": "ORD-20251030-001", "payment_method": "credit_card"}',
    "calculate_shipping": '{"order_id": "ORD-20251030-001", "address_zip": "90210"}',
}
OPERATIONS = (
    "orders.checkout.validate_items",
    "orders.checkout.validate_payment",
    "orders.checkout.calculate_shipping",
    "orders.fulfillment.reserve_items",
    "orders.fulfillment.pick_items",
    "orders.fulfillment.pack_items",
    "orders.fulfillment.ship_items",
    "orders.tracking.update_customer",
    "payments.processing.charge",
    "payments.processing.confirm",
    "payments.reconciliation.verify",
)
MODELS = {
    "Product": {"sku", "name", "price", "inventory"},
    "Customer": {"email", "name", "addresses"},
    "Order": {
        "order_number", "customer_id", "items", "status", "total", "shipping_address_id", "tracking_number",
    },
    "Payment": {"order_id", "amount", "status", "transaction_id"},
}  # fmt: skip
EMBEDDED = {
    ("Customer", "addresses"): {"street", "city", "state", "zip_code"},
    ("Order", "items"): {"product_id", "quantity", "unit_price", "total_price"},
}


@dataclass(frozen=True)
class Running:
    """The order system of a folder, as `pulpo up` has started it."""

    machine: Machine
    root: Path
    api: str
    ui: str
    gateway: str
    up: Ran
    settings: dict[str, str]

    def run(self, command: str, *, code: int | None = 0) -> Ran:
        """A command line, typed in the project's folder."""
        return self.machine.run(command, self.root, code=code, settings=self.settings)

    def operation(self, name: str, order: str, *, code: int | None = 0) -> Ran:
        """An operation on an order by its command, as the README types it, with `--json`."""
        words = " ".join(name.split("."))
        return self.run(f"""pulpo {words} --json --input '{{"order_id": "{order}"}}'""", code=code)

    def curl(self, command: str) -> httpx.Response:
        """A curl command line, with this project's address where it says port 8000."""
        return self.machine.curl(command.replace("http://localhost:8000", self.api), self.root)

    def get(self, path: str, **parameters: str | int) -> Any:
        """What the API answers a GET with."""
        answer = httpx.get(self.api + path, params=parameters, timeout=20)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def of_order(self, path: str, order: str) -> Any:
        """The documents of a model that belong to an order, the oldest first."""
        return self.get(path, order_id=order, sort="created_at", limit=100)


@dataclass(frozen=True)
class Sold:
    """An order that was carried through by hand: what each command answered, and the stock before and afterwards."""

    id: str
    created: httpx.Response
    checkout: list[Any]
    steps: dict[str, Any]
    too_soon: Ran
    stock_before: Any
    stock_after: Any


@pytest.fixture(scope="module", params=os.environ.get("PULPO_TEST_STORES", "sqlite,mongodb").split(","))
def machine(machine: Machine, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """The newcomer's machine; where documents are to be kept in MongoDB, with its driver and a server to start."""
    if request.param == "mongodb":
        machine.run("pip install 'pulpo-core[mongodb,mongodb-local]'", tmp_path_factory.mktemp("extras"), timeout=300.0)
    return replace(machine, store=request.param)


@pytest.fixture(scope="module")
def extracted(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1. `tar -xzf ecommerce-app.tar.gz`, of the archive that `make examples` packs."""
    folder = tmp_path_factory.mktemp("download")
    pack = runpy.run_path(str(REPO / "tools" / "pack_examples.py"))["pack"]
    (folder / "ecommerce-app.tar.gz").write_bytes(pack(REPO / "examples" / "ecommerce-app"))
    machine.run("tar -xzf ecommerce-app.tar.gz", folder)
    return folder / "ecommerce-app"


@dataclass(frozen=True)
class Compiled:
    """The project's folder after steps 3 and 4, and what they printed."""

    root: Path
    delivered: dict[str, bytes]
    init: Ran
    compile: Ran


@pytest.fixture(scope="module")
def compiled(machine: Machine, extracted: Path) -> Compiled:
    """3. `pulpo cli init`, 4. `pulpo compile`."""
    delivered = {str(path.relative_to(extracted)): path.read_bytes() for path in _files(extracted)}
    init = machine.run("pulpo cli init", extracted)
    return Compiled(extracted, delivered, init, machine.run("pulpo compile", extracted))


@pytest.fixture(scope="module")
def running(machine: Machine, compiled: Compiled) -> Iterator[Running]:
    """5. `pulpo up`, on the ports of the README where they are free."""
    started = _up(machine, compiled.root, literal=all(is_free(port) for port in (8000, 3000, 8700)))
    yield started
    machine.run("pulpo down", compiled.root, code=None)


@pytest.fixture(scope="module")
def sold(running: Running) -> Sold:
    """6. An order by curl, its three checkouts at once, and then step after step by hand."""
    before = running.get("/products/prod_456")
    created = running.curl(CREATE_ORDER)
    there = running.get("/orders", order_number=NUMBER)
    assert created.status_code == 201, f"{running.root} {created.text} {there}"
    commands = [f"pulpo orders checkout {name} --input '{given}' --json" for name, given in CHECKOUT.items()]
    processes = [running.machine.start(command, running.root) for command in commands]
    checkout = [json.loads(ended(*each).out) for each in zip(processes, commands, strict=True)]
    steps: dict[str, Any] = {}
    for name in OPERATIONS[3:6]:
        steps[name] = json.loads(running.operation(name, NUMBER).out)
    too_soon = running.operation("orders.fulfillment.ship_items", NUMBER, code=None)
    for name in (*OPERATIONS[8:], *OPERATIONS[6:8]):
        steps[name] = json.loads(running.operation(name, NUMBER).out)
    after = running.get("/products/prod_456")
    return Sold(created.json()["id"], created, checkout, steps, too_soon, before, after)


@pytest.fixture(scope="module")
def flowed(running: Running, sold: Sold) -> Any:
    """A second order of the same goods, carried through by `order_to_cash`: the run with its steps."""
    command = CREATE_ORDER.replace(NUMBER, "ORD-20251030-002")
    assert running.curl(command).status_code == 201
    given = '{"order_id": "ORD-20251030-002", "payment_method": "credit_card", "address_zip": "90210"}'
    ran = running.run(f"pulpo flows run order_to_cash --input '{given}' --wait --json")
    assert sold.id
    return json.loads(ran.out)


def test_1_the_archive_holds_the_project(compiled: Compiled) -> None:
    """The files that the README lists are there, and nothing that was compiled or run."""
    models = {"models/product.py", "models/customer.py", "models/order.py", "models/payment.py"}
    operations = {f"operations/{name}.py" for name in ("checkout", "fulfillment", "tracking", "payments")}
    assert models | operations <= compiled.delivered.keys()
    made = [path for path in compiled.delivered if path.startswith(("generated", ".pulpo")) or "__pycache__" in path]
    assert made == []


def test_2_pip_installs_the_wheel_of_this_tree(machine: Machine, tmp_path: Path) -> None:
    """`pip install pulpo-core` takes the wheel that was built here, file by file, and not a namesake."""
    assert "Successfully installed" in machine.installation.out
    assert machine.wheel.name in machine.installation.out
    assert machine.run("pulpo --version", tmp_path).out.strip().endswith("0.6.0")
    script = "import pulpo, importlib.metadata as m; print(m.distribution('pulpo-core')._path); print(pulpo.__file__)"
    info, package = machine.run(f'python -c "{script}"', tmp_path).out.splitlines()
    assert Path(package).is_relative_to(machine.environment["VIRTUAL_ENV"])
    with zipfile.ZipFile(machine.wheel) as wheel:
        (record,) = [name for name in wheel.namelist() if name.endswith("/RECORD")]
        built = _hashes(wheel.read(record).decode())
    installed = _hashes((Path(info) / "RECORD").read_text())
    assert len(built) > 100
    assert {path: installed.get(path) for path in built} == built


def test_3_init_adds_configuration_and_a_makefile(machine: Machine, compiled: Compiled) -> None:
    """What was delivered stays byte for byte; a Makefile comes that says what it can do; a second init adds nothing."""
    assert "created  Makefile" in compiled.init.out
    assert "pulpo compile" in compiled.init.out.partition("Next:")[2]
    now = {path: (compiled.root / path).read_bytes() for path in compiled.delivered}
    assert now == compiled.delivered
    assert (compiled.root / "pulpo.toml").is_file()
    assert "everything is there already" in machine.run("pulpo cli init", compiled.root).out
    make = machine.run("command -v make >/dev/null && make help || cat Makefile", compiled.root)
    assert "Start the services" in make.out


def test_4_compile_generates_every_artifact(machine: Machine, compiled: Compiled) -> None:
    """API, commands, UI data and flows come beside what was delivered; compiling again writes nothing."""
    assert re.match(r"[1-9]\d* written, 2 unchanged, 0 removed", compiled.compile.out)
    generated = compiled.root / "generated"
    for path in ("api/app.py", "cli/orders_checkout.py", "ui/ui.json", "flows/order_to_cash.py", "flows/orders.py"):
        assert (generated / path).is_file(), path
    assert (compiled.root / "pulpo.lock").is_file()
    assert machine.run("pulpo compile", compiled.root).out.startswith("0 written, ")
    machine.run("pulpo compile --check", compiled.root)


def test_models_are_discoverable(compiled: Compiled, running: Running) -> None:
    """Each model of the README, nested ones too, has the fields that the README gives it."""
    assert compiled.compile.code == 0
    models = {model["name"]: model for model in running.get("/meta")["models"]}
    for name, fields in MODELS.items():
        assert fields <= {field["name"] for field in models[name]["fields"]}, name
    for (name, field), nested in EMBEDDED.items():
        (found,) = [each for each in models[name]["fields"] if each["name"] == field]
        embedded = found["item"] if found.get("item") else found
        assert nested <= {each["name"] for each in embedded["fields"]}, field


def test_operations_generate_their_commands(machine: Machine, compiled: Compiled) -> None:
    """Each of the eleven commands exists, says what it does, and takes its input as JSON and as options."""
    lines = {name: f"pulpo {' '.join(name.split('.'))} --help" for name in OPERATIONS}
    processes = {name: machine.start(line, compiled.root) for name, line in lines.items()}
    for name, process in processes.items():
        shown = ended(process, lines[name]).out
        assert "--input" in shown, name
        assert "--order-id" in shown, name


def test_generated_code_is_valid(machine: Machine, compiled: Compiled) -> None:
    """What was generated passes strict type checking, lint and formatting, and reads as the README shows it."""
    environment = machine.environment | {"PATH": os.environ["PATH"]}
    mypy = ["mypy", "--strict", "--follow-imports=silent", f"--cache-dir={os.devnull}"]
    for tool in (mypy, ["ruff", "check", "--no-cache"], ["ruff", "format", "--no-cache", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", *tool, "generated"],
            cwd=compiled.root,
            env=environment,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    flow = (compiled.root / "generated" / "flows" / "orders.py").read_text()
    assert '@flow(name="orders"' in flow
    assert "async def orders_flow(" in flow
    assert re.search(r"await asyncio\.gather\(\s*validate_items\b.*validate_payment\b.*calculate_shipping\b", flow)


def test_5_up_starts_everything(running: Running) -> None:
    """API, UI and gateway are healthy and shown with their addresses; the sample shop is there."""
    status = json.loads(running.run("pulpo status --json").out)
    assert status["healthy"] is True
    shown = [status[name].replace("127.0.0.1", "localhost") for name in ("api", "ui")]
    assert shown == [running.api, running.ui]
    for name in ("api", "ui", "gateway"):
        assert re.search(rf"^{name} +healthy +http://", running.up.out, re.MULTILINE), running.up.out
    assert running.get("/customers/cust_123")["addresses"][0]["zip_code"] == "90210"
    assert running.get("/products/prod_456")["price"] == 19.99


def test_6_the_order_is_created_as_sent(sold: Sold) -> None:
    """The README's body gives an order: pending, line totals computed, all that was sent kept."""
    order = sold.created.json()
    assert sold.created.headers["location"] == f"/orders/{order['id']}"
    assert order["items"] == [{"product_id": "prod_456", "quantity": 2, "unit_price": 19.99, "total_price": 39.98}]
    assert (order["order_number"], order["status"], order["total"]) == (NUMBER, "pending", 39.98)
    assert (order["customer_id"], order["shipping_address_id"]) == ("cust_123", "addr_789")


def test_parallel_checkout_works(sold: Sold, flowed: Any) -> None:
    """Three checkout commands begun at once have their answers; in the flow each begins before any of them ends."""
    items, payment, shipping = sold.checkout
    assert items == {"valid": True, "problems": []}
    assert payment == {"valid": True, "problems": []}
    assert shipping["shipping_cost"] == 9.4
    checkouts = [step for step in flowed["steps"] if step["operation"].startswith("orders.checkout.")]
    assert len(checkouts) == 3
    assert max(step["started_at"] for step in checkouts) <= min(step["finished_at"] for step in checkouts)


def test_sequential_fulfillment_works(sold: Sold) -> None:
    """Reserve, pick, pack, ship and notify, each after the one before, with the payment steps in between."""
    steps = sold.steps
    assert steps["orders.fulfillment.reserve_items"]["status"] == "processing"
    assert steps["orders.fulfillment.reserve_items"]["due"] == 49.38
    assert steps["orders.fulfillment.pick_items"]["picked"] == 2
    assert steps["orders.fulfillment.pack_items"]["parcels"] == 1
    assert steps["payments.processing.charge"]["charged"] == 49.38
    assert steps["payments.processing.confirm"]["payment_status"] == "completed"
    assert steps["payments.reconciliation.verify"]["verified"] is True
    assert steps["orders.fulfillment.ship_items"]["order_status"] == "shipped"
    assert steps["orders.tracking.update_customer"]["delivery"] == "outbox"


def test_shipping_before_paying_is_refused(sold: Sold) -> None:
    """The application says no, with its own word and what to do, and the command ends with 3."""
    assert sold.too_soon.code == 3
    problem = json.loads(sold.too_soon.out)
    assert (problem["code"], problem["status"]) == ("payment_required", 409)
    assert "charge" in problem["hint"]


def test_a_step_too_early_names_the_state(running: Running) -> None:
    """Nothing of a pending order can be picked: 3, and the refusal says which state the order is in."""
    assert running.curl(CREATE_ORDER.replace(NUMBER, "ORD-20251030-003")).status_code == 201
    refused = running.operation("orders.fulfillment.pick_items", "ORD-20251030-003", code=3)
    assert "pending" in json.loads(refused.out)["detail"]


def test_afterwards_the_stock_has_left(running: Running, sold: Sold) -> None:
    """Two units are off the shelf and can no longer be promised; nothing stays reserved; each has its movement."""
    before, after = sold.stock_before, sold.stock_after
    assert before["on_hand"] - after["on_hand"] == 2
    assert before["inventory"] - after["inventory"] == 2
    assert after["reserved"] == before["reserved"]
    moved = running.of_order("/stock_movements", sold.id)
    assert sum(movement["on_hand_change"] for movement in moved) == -2
    assert sum(movement["reserved_change"] for movement in moved) == 0
    assert [held["status"] for held in running.of_order("/reservations", sold.id)] == ["shipped"]


def test_afterwards_the_payment_is_complete(running: Running, sold: Sold) -> None:
    """One payment for what is owed, captured and verified; the gateway's own books know one charge of that sum."""
    (payment,) = running.of_order("/payments", sold.id)
    assert (payment["status"], payment["amount"], payment["captured"]) == ("completed", 49.38, 49.38)
    assert payment["transaction_id"]
    assert payment["verified_at"]
    charges = [
        charge
        for charge in httpx.get(f"{running.gateway}/ledger", timeout=20).json()["charges"]
        if charge["reference"] == sold.id
    ]
    assert [(charge["key"], charge["status"], charge["captured"]) for charge in charges] == [
        (payment["id"], "captured", 4938)
    ]


def test_afterwards_the_ledger_balances(running: Running, sold: Sold) -> None:
    """Captured money lies in deposits until the goods leave; then it is sales and shipping, to the cent."""
    entries = running.of_order("/ledger_entries", sold.id)
    assert len(entries) == 2
    balance: dict[str, int] = {}
    for entry in entries:
        assert sum(line["debit"] for line in entry["lines"]) == sum(line["credit"] for line in entry["lines"]) > 0
        for line in entry["lines"]:
            balance[line["account"]] = balance.get(line["account"], 0) + line["debit"] - line["credit"]
    assert {account: sum_ for account, sum_ in balance.items() if sum_} == {
        "clearing": 4938,
        "sales": -3998,
        "shipping": -940,
    }


def test_afterwards_the_parcel_can_be_tracked(running: Running, sold: Sold) -> None:
    """The order, its shipment and the customer's message carry one tracking number."""
    order = running.get(f"/orders/{NUMBER}")
    number = sold.steps["orders.fulfillment.ship_items"]["tracking_number"]
    assert number.isdigit()
    assert (order["status"], order["fulfilment"], order["tracking_number"]) == ("shipped", "shipped", number)
    (shipment,) = running.of_order("/shipments", sold.id)
    assert (shipment["status"], shipment["tracking_number"]) == ("shipped", number)
    (message,) = running.of_order("/notifications", sold.id)
    assert (message["event"], message["channel"], message["status"]) == ("shipped", "email", "outbox")
    assert number in json.dumps(message)


def test_the_whole_flow_runs_as_one(running: Running, flowed: Any) -> None:
    """`order_to_cash` completes all eleven steps; run again it finds everything done and changes nothing."""
    assert flowed["state"] == "completed"
    assert sorted(step["operation"] for step in flowed["steps"]) == sorted(OPERATIONS)
    assert {step["state"] for step in flowed["steps"]} == {"completed"}
    order = running.get("/orders/ORD-20251030-002")
    assert (order["status"], order["amount_due"]) == ("shipped", 49.38)
    given = json.dumps(flowed["input"])
    again = json.loads(running.run(f"pulpo flows run order_to_cash --input '{given}' --wait --json").out)
    assert again["state"] == "completed"
    assert running.get("/orders/ORD-20251030-002")["version"] == order["version"]
    assert len(running.of_order("/payments", order["id"])) == 1


def test_what_always_holds_holds(running: Running, sold: Sold, flowed: Any) -> None:
    """Over the whole shop, gateway included: stock, money, books and messages agree."""
    assert sold.id != flowed["id"]
    script = f"""
import asyncio, json, urllib.request
from decimal import Decimal
from generated.application import application
from shop.invariants import violations
async def main():
    books = json.load(urllib.request.urlopen("{running.gateway}/ledger"), parse_float=Decimal)
    await application.start(execute=False)
    print(json.dumps(await violations(application.store, books)))
    await application.stop()
asyncio.run(main())
"""
    (running.root / ".pulpo" / "holds.py").write_text(script)
    ran = running.machine.run(
        "python .pulpo/holds.py", running.root, settings={**running.settings, "PYTHONPATH": str(running.root)}
    )
    assert json.loads(ran.out.splitlines()[-1]) == []


@pytest.mark.parametrize("path", ["products", "customers", "orders", "payments"])
def test_every_model_has_its_addresses(running: Running, path: str) -> None:
    """GET, POST, PUT and DELETE are described, and the list and a document are served."""
    described = running.get("/openapi.json")["paths"]
    assert {"get", "post"} <= described[f"/{path}"].keys()
    assert {"get", "put", "delete"} <= described[f"/{path}/{{id}}"].keys()
    documents = running.get(f"/{path}", limit=2)
    assert len(documents) == 2
    assert running.get(f"/{path}/{documents[0]['id']}") == documents[0]


def test_products_are_created_read_replaced_and_deleted(running: Running) -> None:
    """The five requests that the README lists for a model."""
    with httpx.Client(base_url=running.api, timeout=20) as client:
        body = {"sku": "WALK-1", "name": "Walking stick", "price": 24.5, "inventory": 3}
        created = client.post("/products", json=body)
        assert created.status_code == 201, created.text
        path = f"/products/{created.json()['id']}"
        assert client.get(path).json()["on_hand"] == 3
        assert client.put(path, json=body | {"name": "Cane"}).json()["name"] == "Cane"
        assert "WALK-1" in [each["sku"] for each in client.get("/products", params={"sku": "WALK-1"}).json()]
        assert client.delete(path).status_code == 204
        assert client.get(path).status_code == 404


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_operation_has_its_endpoint(running: Running, operation: str) -> None:
    """It is there, and answers a call without an order with what is missing."""
    answer = httpx.post(f"{running.api}/operations/{operation.replace('.', '/')}", json={}, timeout=20)
    assert answer.status_code == 422, answer.text
    assert "/order_id" in [error["pointer"] for error in answer.json()["errors"]]


def test_the_commands_of_its_own_readme_work(running: Running) -> None:
    """What the example's README types once the system runs does what it says, on an order of its own."""
    text = (running.root / "README.md").read_text().replace(NUMBER, "ORD-README")
    text = text.replace("http://127.0.0.1:8700", running.gateway)
    blocks = re.findall(r"^```bash\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    later = [command for block in blocks for command in _commands(block)]
    commands = [command for command in later if not re.match(r"pip|pulpo (cli init|compile|up)\b", command)]
    assert len(commands) >= 5
    for command in commands:
        if command.startswith("curl"):
            assert running.curl(command).is_success, command
        else:
            running.run(command)
    assert httpx.delete(f"{running.gateway}/control/faults", timeout=20).is_success
    assert running.get("/orders/ORD-README")["status"] == "shipped"


def test_7_the_page_shows_what_happens(running: Running, sold: Sold, flowed: Any) -> None:
    """The UI is on :3000 at every address of its own, and has from the API beside it, under /api, what it draws."""
    for path in ("", f"/runs/{flowed['id']}", "/operations/orders.tracking.update_customer"):
        page = httpx.get(running.ui + path, timeout=20)
        assert page.status_code == 200, path
        assert page.headers["content-type"].startswith("text/html")
    drawn = httpx.get(f"{running.ui}/api/meta", timeout=20).json()
    assert {"Order", "Customer"} <= {model["name"] for model in drawn["models"]}
    assert "order_to_cash" in {flow["name"] for flow in drawn["flows"]}
    shown = httpx.get(f"{running.ui}/api/runs/{flowed['id']}", timeout=20).json()
    assert "orders.fulfillment.ship_items" in {step["operation"] for step in shown["steps"]}
    assert httpx.get(f"{running.ui}/api/orders/{sold.id}", timeout=20).json()["order_number"] == NUMBER


def test_8_down_leaves_no_process(
    machine: Machine, compiled: Compiled, running: Running, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A second copy starts beside the first, on other ports, and goes without a trace; the first goes on."""
    root = tmp_path_factory.mktemp("beside") / "ecommerce-app"
    machine.run(f"cp -r {compiled.root} {root} && rm -rf {root}/.pulpo", compiled.root)
    beside = _up(machine, root, literal=False)
    try:
        assert beside.get("/products/prod_456")["price"] == 19.99
        assert len(_processes(root)) >= 3
        taken = machine.run("pulpo up", root, code=None)
        assert taken.code == 1
        assert "PULPO703" in taken.err
    finally:
        stopped = machine.run("pulpo down", root, code=None)
    assert stopped.code == 0, str(stopped)
    assert _processes(root) == []
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{beside.api}/livez", timeout=5)
    running.get("/livez")


def _up(machine: Machine, root: Path, *, literal: bool) -> Running:
    """`pulpo up`, on the README's ports, or on free ones; another choice where somebody was faster."""
    for attempt in range(5):
        usual = literal and attempt == 0
        api, ui, gateway = (8000, 3000, 8700) if usual else (free_port(), free_port(), free_port())
        ports = {"PULPO_API_PORT": api, "PULPO_UI_PORT": ui, "PULPO_SERVICES_GATEWAY_PORT": gateway}
        database = machine.settings()
        settings = database if usual else {**database, **{name: str(port) for name, port in ports.items()}}
        ran = machine.run("pulpo up", root, code=None, settings=settings)
        if "PULPO701" not in ran.err:
            assert ran.code == 0, str(ran)
            at = "http://localhost"
            return Running(machine, root, f"{at}:{api}", f"{at}:{ui}", f"http://127.0.0.1:{gateway}", ran, database)
    pytest.fail(f"no free ports after several attempts: {ran}")


def _processes(root: Path) -> list[psutil.Process]:
    """Living processes that work in this folder, or that `pulpo up` started for it."""
    found = []
    for process in psutil.process_iter():
        try:
            of_root = process.environ().get("PULPO_SUPERVISED_ROOT") == str(root.resolve())
            inside = Path(process.cwd()).is_relative_to(root.resolve())
            if (of_root or inside) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:  # it has ended, or is somebody else's
            continue
    return found


def _commands(block: str) -> list[str]:
    """The command lines of a shell block, each with the lines that it goes on over, without comments."""
    found, begun = [], ""
    for line in block.splitlines():
        begun += f"{line}\n"
        try:
            words = shlex.split(begun, comments=True)
        except ValueError:  # a quote is open
            continue
        if words and not line.endswith("\\"):
            found.append(re.sub(r" +# .*$", "", begun.strip()))
        if not line.endswith("\\"):
            begun = ""
    return found


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def _hashes(record: str) -> dict[str, str]:
    """The hash of each file that a wheel's RECORD lists."""
    return {path: digest for path, digest, _ in csv.reader(io.StringIO(record)) if digest}
