"""The example's shop under test: its application on a temporary store, and a gateway process on a free port."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints

import httpx

from pulpo import project as projects
from pulpo.runtime.application import Application, Outcome
from pulpo.runtime.context import Caller
from pulpo.runtime.documents import Documents
from pulpo.settings import ServiceSettings
from pulpo.store.port import Query

EXAMPLE = Path(__file__).parents[2] / "examples" / "ecommerce-app"
ORDER_TO_CASH = {"payment_method": "credit_card", "address_zip": "90210"}


def load_example() -> projects.Project:
    """The example, with none of its modules left over from another test's loading."""
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None) or "").startswith(f"{EXAMPLE}/"):
            del sys.modules[name]
    return projects.load(EXAMPLE)


class GatewayProcess:
    """`python -m gateway` with a ledger of its own; `stop` and `start` take it away and bring it back."""

    def __init__(self, folder: Path, *options: str) -> None:
        self._folder, self._options = folder, options
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", trust_env=False, timeout=10)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        options = ["--port", str(self.port), "--ledger", str(self._folder / "gateway.db"), *self._options]
        self._process = subprocess.Popen([sys.executable, "-m", "gateway", *options], cwd=EXAMPLE)
        deadline = time.monotonic() + 20
        while True:
            try:
                self.http.get("/livez").raise_for_status()
            except httpx.TransportError:
                assert self._process.poll() is None, "the gateway ended"
                assert time.monotonic() < deadline, "the gateway does not answer"
                time.sleep(0.05)
            else:
                return

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    def plan(self, **fault: Any) -> None:
        """Tell the gateway how to misbehave next."""
        self.http.post("/control/faults", json=fault).raise_for_status()

    def behave(self) -> None:
        self.http.delete("/control/faults").raise_for_status()

    def ledger(self) -> dict[str, Any]:
        found: dict[str, Any] = self.http.get("/ledger").raise_for_status().json()
        return found

    def charges(self, order_id: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.http.get("/charges", params={"reference": order_id}).json()
        return found


@dataclass
class Market:
    """A started application of the example, with one customer and two products."""

    app: Application
    gateway: GatewayProcess
    placed: int = 0

    async def open(self) -> None:
        address = {"id": "addr_789", "street": "1 Rodeo Drive", "city": "Beverly Hills", "state": "CA"}
        card = {"id": "pm_visa", "token": "pm_card_visa", "expires": "2031-12"}
        customer = {
            "id": "cust_123",
            "email": "ada@mail.example",
            "name": "Ada Moreno",
            "addresses": [{**address, "zip_code": "90210"}, {**address, "id": "addr_far", "zip_code": "96201"}],
            "payment_methods": [card],
        }
        await self.create("Customer", customer)
        mug = {"id": "prod_456", "sku": "MUG", "name": "Enamel mug", "price": 19.99, "inventory": 10}
        await self.create("Product", {**mug, "weight_grams": 380})
        pen = {"id": "prod_pen", "sku": "PEN", "name": "Fountain pen", "price": 34.00, "inventory": 5}
        await self.create("Product", {**pen, "weight_grams": 60})

    def documents(self, model: str) -> Documents:
        return Documents(self.app, self.app.spec.model(model))

    async def create(self, model: str, data: dict[str, Any]) -> dict[str, Any]:
        written = await self.documents(model).create(json.dumps(data))
        found: dict[str, Any] = json.loads(written.json)
        return found

    async def order(self, *lines: tuple[str, int], **fields: Any) -> str:
        """Place an order of these products and quantities (two mugs by default); gives its id."""
        prices = {"prod_456": 1999, "prod_pen": 3400}
        lines = lines or (("prod_456", 2),)
        self.placed += 1
        items = [{"product_id": id, "quantity": count, "unit_price": prices[id] / 100} for id, count in lines]
        body = {
            "order_number": f"T-{self.placed:04}",
            "customer_id": "cust_123",
            "items": items,
            "total": sum(prices[id] * count for id, count in lines) / 100,
            "shipping_address_id": "addr_789",
        }
        found: str = (await self.create("Order", {**body, **fields}))["id"]
        return found

    async def outcome(self, operation: str, key: str | None = None, **data: Any) -> Outcome:
        return await self.app.call(operation, data, caller=Caller(), key=key)

    async def call(self, operation: str, **data: Any) -> Any:
        """Call an operation; gives its output."""
        return json.loads((await self.outcome(operation, **data)).output)

    async def undo(self, operation: str, key: str, **data: Any) -> bool:
        """Run an undoing as it follows a step of this key; whether it said that there is nothing to undo."""
        spec = self.app.spec.operation(operation)
        context = self.app.context(Caller())
        context.idempotency_key = key
        await spec.function(next(iter(get_type_hints(spec.function).values()))(**data), context)
        await context.commit()
        return context._already

    async def begin(self, order_id: str, flow: str = "order_to_cash", **data: Any) -> str:
        run = await self.app.engine.start_run(flow, {"order_id": order_id, **ORDER_TO_CASH, **data}, caller=Caller())
        found: str = run["id"]
        return found

    async def run(self, order_id: str, flow: str = "order_to_cash", **data: Any) -> Any:
        """Run a flow to its end; gives the run with its steps by operation."""
        return await self.end(await self.begin(order_id, flow, **data))

    async def end(self, id: str, seconds: float = 30.0) -> Any:
        await self.app.engine.finished(id, seconds)
        return await self.steps(id)

    async def steps(self, id: str) -> Any:
        run = await self.app.engine.run(id)
        return {**run, "steps": {f"{s['kind']}:{s['operation'].rpartition('.')[2]}": s for s in run["steps"]}}

    async def get(self, collection: str, id: str) -> Any:
        record = await self.app.store.get(collection, id)
        return None if record is None else json.loads(record.json)

    async def all(self, collection: str) -> list[Any]:
        page = await self.app.store.query(Query(collection, limit=500))
        return [json.loads(record.json) for record in page.records]

    async def stock(self, product_id: str = "prod_456") -> tuple[int, int, int]:
        """On hand, reserved, and what can be promised."""
        product = await self.get("products", product_id)
        return product["on_hand"], product["reserved"], product["inventory"]

    async def violations(self) -> list[str]:
        """What does not hold, the gateway's books included, as far as they are about this shop."""
        from shop.invariants import violations

        orders = {order["id"] for order in await self.all("orders")}
        payments = {payment["id"] for payment in await self.all("payments")}
        books = self.gateway.ledger()
        charges = [charge for charge in books["charges"] if charge["reference"] in orders or charge["key"] in payments]
        found: list[str] = await violations(self.app.store, {"charges": charges, "entries": books["entries"]})
        return found


def application(project: projects.Project, database: str, gateway: GatewayProcess, **app: Any) -> Application:
    """An application of the example on a database, with its gateway on that process's port."""
    settings = project.settings
    url = type(settings.database.url)(database)
    service = ServiceSettings(command="", port=gateway.port)
    changed = {
        "engine": settings.engine.model_copy(update={"lease": 1.0}),
        "database": settings.database.model_copy(update={"url": url}),
        "services": {"gateway": service},
        "app": {"gateway_timeout_seconds": 1.0, **app},
    }
    return Application(project.app, project.plans, settings.model_copy(update=changed), EXAMPLE)
