"""OpenTelemetry from real API processes to a real collector, and nothing of it where it is not configured."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.runtime.http.collector import Collector

TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = "b7ad6b7169203331"
SAMPLED = {"traceparent": f"00-{TRACE}-{CALLER}-01", "tracestate": "vendor=opaque"}


class Api:
    """A real API process of the shop."""

    def __init__(self, root: Path, environ: dict[str, str]) -> None:
        command = [sys.executable, "-m", "pulpo.runtime.http", "--root", str(root), "--port", "0"]
        environ = {**{name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}, **environ}
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environ)
        assert self.process.stderr is not None
        self.lines: list[dict[str, Any]] = []
        for line in self.process.stderr:
            self.lines.append(json.loads(line))
            if "listening" in self.lines[-1]["message"]:
                break
        self.client = httpx.Client(base_url=self.lines[-1]["message"].removeprefix("listening on "), timeout=20)

    def stop(self) -> float:
        """SIGTERM, and the log to its end; the seconds that it took."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.end()
        assert self.process.returncode == 0
        return time.monotonic() - began

    def end(self) -> None:
        """Wait for the process's end."""
        self.lines += [json.loads(line) for line in self.process.communicate(timeout=12)[1].splitlines()]


@contextmanager
def serving(root: Path, data: Path, environ: dict[str, str]) -> Iterator[Api]:
    """The shop as its own process, on a database of its own."""
    api = Api(root, {"PULPO_DATABASE_URL": f"sqlite:///{data / 'data.db'}", **environ})
    try:
        yield api
    finally:
        api.client.close()
        if api.process.poll() is None:
            api.process.kill()
            api.process.communicate()


@pytest.fixture
def collector() -> Iterator[Collector]:
    """A collector that listens."""
    with Collector() as collector:
        yield collector


def sending_to(url: str, **more: str) -> dict[str, str]:
    """What the environment says where telemetry is on."""
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_BSP_SCHEDULE_DELAY": "50", **more}


def an_order(client: httpx.Client) -> str:
    """An order's id; its customer and product are there too."""
    customer = {"id": "cust_1", "email": "ada@example.com", "name": "Ada", "addresses": [{"id": "addr_1", "street": "1",
                "zip_code": "9"}]}  # fmt: skip
    assert client.post("/customers", json=customer).status_code == 201
    product = {"id": "prod_1", "sku": "MUG", "name": "Mug", "price": 1, "inventory": 5}
    assert client.post("/products", json=product).status_code == 201
    line = {"product_id": "prod_1", "quantity": 1, "unit_price": 1}
    order = {"order_number": "ORD-1", "customer_id": "cust_1", "items": [line], "shipping_address_id": "addr_1"}
    return str(client.post("/orders", json=order).raise_for_status().json()["id"])


def ended(client: httpx.Client, run: str) -> dict[str, Any]:
    """The run, once it has ended."""
    with client.stream("GET", f"/runs/{run}/events") as events:
        events.read()
    return dict(client.get(f"/runs/{run}").json())


def test_a_request_its_run_and_its_steps_are_one_trace(shop: Path, tmp_path: Path, collector: Collector) -> None:
    """Parents lead from each step over the run and the request to the caller's span; the log names them too."""
    with serving(shop, tmp_path, sending_to(collector.url, OTEL_METRIC_EXPORT_INTERVAL="600000")) as api:
        order = an_order(api.client)
        begun = api.client.post("/flows/settle/runs", json={"order_id": order}, headers=SAMPLED).raise_for_status()
        done = ended(api.client, begun.json()["id"])
        assert done["state"] == "completed"
        assert done["trace"]["tracestate"] == "vendor=opaque"
        assert api.stop() < 10
        spans = [span for span in collector.spans if span.trace == TRACE]
        request, run, pay, receipt = (
            next(span for span in spans if span.name == name)
            for name in (
                "POST /flows/{name}/runs",
                "run settle",
                "step shop.payments.pay",
                "step shop.payments.receipt",
            )
        )
        assert len(spans) == 4
        assert [span.parent for span in (request, run, pay, receipt)] == [CALLER, request.id, run.id, run.id]
        assert request.kind == 2  # SERVER
        assert request.resource["service.name"] == "shop"
        assert request.state == "vendor=opaque"
        known = {
            "http.request.method": "POST", "http.route": "/flows/{name}/runs", "http.response.status_code": 202,
            "url.path": "/flows/settle/runs", "url.scheme": "http", "server.address": "127.0.0.1",
            "client.address": "127.0.0.1", "network.protocol.version": "1.1",
            "pulpo.request_id": begun.headers["x-request-id"],
        }  # fmt: skip
        assert known.items() <= request.attributes.items()
        assert pay.attributes == {
            "pulpo.operation": "shop.payments.pay", "pulpo.run.id": done["id"], "pulpo.flow": "settle",
            "pulpo.step.kind": "step", "pulpo.step.generation": 1, "pulpo.step.attempts": 1,
            "pulpo.step.outcome": "completed",
        }  # fmt: skip
        line = next(line for line in api.lines if line.get("path") == "/flows/settle/runs")
        assert (line["trace_id"], line["span_id"]) == (TRACE, request.id)

        durations = {
            (point["http.route"], point["http.response.status_code"]): count
            for point, count in collector.metrics["http.server.request.duration"]
        }
        assert durations["/flows/{name}/runs", 202] == 1
        steps = {point["pulpo.operation"]: count for point, count in collector.metrics["pulpo.step.duration"]}
        assert steps == {"shop.payments.pay": 1, "shop.payments.receipt": 1}
        assert collector.metrics["pulpo.run.duration"] == [
            ({"pulpo.flow": "settle", "pulpo.run.state": "completed"}, 1)
        ]


def test_a_run_that_goes_on_after_kill_9_stays_in_its_trace(shop: Path, tmp_path: Path, collector: Collector) -> None:
    """Another process takes the run on: its spans have the trace and the parent that the first request gave."""
    crash = {"PULPO_CRASH_AT": "before_body:shop.payments.receipt"}
    with serving(shop, tmp_path, sending_to(collector.url, **crash)) as api:
        order = an_order(api.client)
        run = api.client.post("/flows/settle/runs", json={"order_id": order}, headers=SAMPLED).json()
        api.end()
        assert api.process.returncode == -signal.SIGKILL
    with serving(shop, tmp_path, sending_to(collector.url)) as api:
        done = ended(api.client, run["id"])
        assert (done["state"], done["recoveries"]) == ("completed", 1)
        api.stop()
    resumed = collector.named("run settle")[-1]
    receipt = collector.named("step shop.payments.receipt")[-1]
    assert (resumed.trace, receipt.trace) == (TRACE, TRACE)
    assert resumed.parent == done["trace"]["traceparent"].split("-")[2]
    assert resumed.attributes["pulpo.run.recoveries"] == 1
    assert receipt.parent == resumed.id


def test_a_worker_goes_on_in_the_trace_of_the_request(shop: Path, tmp_path: Path, collector: Collector) -> None:
    """The API only takes the run in; the worker that takes it up has its span in the same trace."""
    environ = sending_to(collector.url, PULPO_ENGINE_IN_API="false", OTEL_SERVICE_NAME="shop-api")
    with serving(shop, tmp_path, environ) as api:
        order = an_order(api.client)
        run = api.client.post("/flows/settle/runs", json={"order_id": order}, headers=SAMPLED).json()
        assert run["state"] == "queued"
        theirs = {**os.environ, **environ, "PULPO_DATABASE_URL": f"sqlite:///{tmp_path / 'data.db'}",
                  "OTEL_SERVICE_NAME": "shop-worker"}  # fmt: skip
        command = [sys.executable, "-m", "pulpo.cli.main", "worker"]
        worker = subprocess.Popen(command, cwd=shop, env=theirs, stderr=subprocess.PIPE, text=True)
        try:
            assert ended(api.client, run["id"])["state"] == "completed"
        finally:
            worker.send_signal(signal.SIGTERM)
            worker.communicate(timeout=12)
        assert worker.returncode == 0
        api.stop()
    (request,) = [span for span in collector.spans if span.trace == TRACE and span.kind == 2]
    (worked,) = collector.named("run settle")
    assert (request.resource["service.name"], worked.resource["service.name"]) == ("shop-api", "shop-worker")
    assert (worked.trace, worked.parent) == (TRACE, request.id)
    assert [span.parent for span in collector.spans if span.name.startswith("step ")] == [worked.id] * 2


def test_what_fails_says_so_on_its_span(shop: Path, tmp_path: Path, collector: Collector) -> None:
    """A bug is an ERROR with its exception, on the request and on the step; a refusal is the client's affair."""
    with serving(shop, tmp_path, sending_to(collector.url)) as api:
        order = an_order(api.client)
        answers = [
            api.client.post("/operations/shop/payments/pay", json={"order_id": order, "method": method}).status_code
            for method in ("bug", "cash", "later")
        ]
        assert answers == [500, 402, 409]
        assert api.client.get("/nowhere").status_code == 404
        assert api.client.get("/livez").status_code == 200
        api.stop()
    steps = {span.parent: span for span in collector.named("step shop.payments.pay")}
    bug, cash, later = collector.named("POST /operations/shop/payments/pay")
    assert (bug.failed, bug.attributes["error.type"]) == (True, "500")
    assert [(name, event["exception.type"]) for name, event in bug.events] == [("exception", "pulpo.errors.PulpoError")]
    assert (cash.failed, later.failed) == (False, False)
    assert [steps[span.id].attributes["pulpo.step.outcome"] for span in (bug, cash, later)] == [
        "failed",
        "refused",
        "waiting",
    ]
    assert (steps[bug.id].failed, steps[bug.id].attributes["error.type"]) == (True, "PULPO401")
    assert steps[cash.id].attributes["error.type"] == "declined"
    (nowhere,) = collector.named("GET")
    assert "http.route" not in nowhere.attributes
    assert nowhere.attributes["http.response.status_code"] == 404
    assert not any(span.attributes.get("url.path") == "/livez" for span in collector.spans)
    line = next(line for line in api.lines if "failed in run" in line["message"])
    assert line["trace_id"] == bug.trace


def test_a_caller_that_does_not_sample_is_heeded(shop: Path, tmp_path: Path, collector: Collector) -> None:
    """No span of that trace is sent, the run keeps the flag; the routes of FastAPI's way have one span each."""
    with serving(shop, tmp_path, sending_to(collector.url)) as api:
        order = an_order(api.client)
        unsampled = {"traceparent": f"00-{TRACE}-{CALLER}-00"}
        run = api.client.post("/flows/settle/runs", json={"order_id": order}, headers=unsampled).json()
        assert ended(api.client, run["id"])["trace"]["traceparent"].endswith("-00")
        assert api.client.get("/hello").status_code == 200  # the project's own route: FastAPI's way
        api.stop()
    assert not [span for span in collector.spans if span.trace == TRACE]
    (hello,) = [span for span in collector.spans if span.attributes.get("url.path") == "/hello"]
    assert (hello.name, hello.attributes["http.route"]) == ("GET /hello", "/hello")


def test_a_collector_that_never_answers_does_not_hold_the_end_up(shop: Path, tmp_path: Path) -> None:
    """The process ends within the time it has to drain, and says what it could not send."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with serving(shop, tmp_path, sending_to(url)) as api:
            an_order(api.client)
            assert api.stop() < 8
            assert any(line["logger"] == "pulpo.telemetry" for line in api.lines)


SEEN = """
import asyncio, importlib, os, sys
from pathlib import Path
root = Path(sys.argv[1])
sys.path.insert(0, str(root))
from pulpo.runtime.context import Caller
from pulpo.runtime.target import load_application
application = load_application(root)
async def work():
    await application.start()
    assert (await application.call("shop.echo", {"text": "x"}, caller=Caller())).output
    await application.stop()
asyncio.run(work())
print(sorted(name for name in sys.modules if name.startswith("opentelemetry")))
if "--http" in sys.argv:
    app = importlib.import_module("generated.api.app").app
    from starlette.testclient import TestClient
    with TestClient(app, base_url="http://localhost:8000", client=("127.0.0.1", 1)) as client:
        assert client.get("/products").status_code == 200
    print(sorted(name for name in sys.modules if name.startswith(("opentelemetry.sdk", "opentelemetry.exporter"))
                 or name.startswith("pulpo.") and name.endswith("tracing")))
"""


def test_nothing_is_imported_where_it_is_not_configured(shop: Path, tmp_path: Path) -> None:
    """A worker has nothing of OpenTelemetry at all, an API process what FastAPI itself imports: no SDK, no exporter."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    environ["PULPO_DATABASE_URL"] = f"sqlite:///{tmp_path / 'data.db'}"
    command = [sys.executable, "-c", SEEN, str(shop), "--http"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines() == ["[]", "[]"]


OWN = """
import sys
from pathlib import Path
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pulpo.runtime import telemetry
from pulpo.settings import Settings
telemetry.begin(Settings())
assert telemetry.active is None, "the SDK is imported, and nothing is set up"
memory, provider = InMemorySpanExporter(), TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(memory))
trace.set_tracer_provider(provider)

from pulpo.runtime.http.serve import load_app
from starlette.testclient import TestClient
app = load_app(Path(sys.argv[1]))

class Instrumented:
    def __init__(self, app): self.app = app
    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        with trace.get_tracer("theirs").start_as_current_span("theirs", kind=trace.SpanKind.SERVER):
            await self.app(scope, receive, send)

with TestClient(app, base_url="http://localhost:8000", client=("127.0.0.1", 1)) as client:
    assert client.get("/products").status_code == 200
    assert client.get("/hello").status_code == 200
    theirs = TestClient(Instrumented(app), base_url="http://localhost:8000", client=("127.0.0.1", 1))
    theirs.portal = client.portal
    assert theirs.post("/operations/shop/echo", json={"text": "x"}).status_code == 200
for span in memory.get_finished_spans():
    print(span.kind.name, span.name, "<-", span.parent and span.parent.span_id in
          [other.context.span_id for other in memory.get_finished_spans() if other.name == "theirs"])
"""


def test_an_application_s_own_set_up_is_used(shop: Path, tmp_path: Path) -> None:
    """Its provider gets Pulpo's spans; under a SERVER span of its own instrumentation there is no second one."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    environ["PULPO_DATABASE_URL"] = f"sqlite:///{tmp_path / 'data.db'}"
    command = [sys.executable, "-c", OWN, str(shop)]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines() == [
        "SERVER GET /products <- None",
        "SERVER GET /hello <- None",
        "INTERNAL step shop.echo <- True",
        "SERVER theirs <- None",
    ]


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "grpc"),
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "zipkin"),
    ],
)
def test_what_is_not_available_is_a_warning(shop: Path, tmp_path: Path, environ: dict[str, str], told: str) -> None:
    """What the environment alone asks for does not keep the API from starting; `enabled = true` does."""
    with serving(shop, tmp_path, environ) as api:
        assert api.client.get("/products").status_code == 200
        api.stop()
        warned = [line for line in api.lines if line["logger"] == "pulpo.telemetry"]
        assert [(line["level"], told in line["message"]) for line in warned] == [("warning", True)]
    command = [sys.executable, "-m", "pulpo.runtime.http", "--root", str(shop), "--port", "0"]
    insisting = {**os.environ, **environ, "PULPO_TELEMETRY_ENABLED": "true"}
    done = subprocess.run(command, env=insisting, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 4
    assert "PULPO105" in done.stderr
