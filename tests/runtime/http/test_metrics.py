"""`/metrics`: read by the parser of Prometheus' own client, complete, and bounded whatever clients send."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import httpx
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parsed

JSON = dict[str, Any]
PAY = "/operations/shop/payments/pay"


async def families(client: httpx.AsyncClient) -> dict[str, Any]:
    """The families that the address gives, by name."""
    answer = await client.get("/metrics")
    assert answer.headers["content-type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    return {family.name: family for family in parsed(answer.text)}


def value(family: Any, name: str, **labels: str) -> float:
    """The one sample of this name with these labels."""
    (found,) = [each.value for each in family.samples if each.name == name and labels.items() <= each.labels.items()]
    return float(found)


async def test_requests_are_counted_under_their_routes(client: httpx.AsyncClient, order: JSON) -> None:
    """The template, never the address; what nobody serves has none, and methods nobody knows share one name."""
    for address in ("/products/prod_456", "/products/MUG-1", "/products/none"):
        await client.get(address)
    await client.get("/hello")  # the project's own, FastAPI's way
    for number in range(20):
        await client.get(f"/nowhere/{number}")
        await client.request(f"ODD{number}", "/products")
    found = await families(client)
    requests = found["pulpo_http_requests"]
    name = "pulpo_http_requests_total"
    assert value(requests, name, method="GET", route="/products/{id}", status="200") == 2
    assert value(requests, name, method="GET", route="/products/{id}", status="404") == 1
    assert value(requests, name, method="GET", route="/hello", status="200") == 1
    assert value(requests, name, method="GET", route="", status="404") == 20
    assert value(requests, name, method="OTHER", status="405") == 20
    assert len(requests.samples) < 12
    seconds = found["pulpo_http_request_seconds"]
    assert value(seconds, "pulpo_http_request_seconds_count", method="GET", route="/products/{id}") == 3
    assert value(seconds, "pulpo_http_request_seconds_bucket", method="GET", route="/products/{id}", le="+Inf") == 3


async def test_steps_and_runs_are_counted_by_how_they_end(client: httpx.AsyncClient, order: JSON) -> None:
    """Done, refused, failed and not yet are told apart; runs of the whole journal stand by state."""
    order_id = (await client.post("/orders", json=order)).json()["id"]
    for method in ("cash", "bug", "later"):
        await client.post(PAY, json={"order_id": order_id, "method": method})
    run = (await client.post("/flows/settle/runs", json={"order_id": order_id})).json()["id"]
    async with asyncio.timeout(10):
        await client.get(f"/runs/{run}/events")  # ends with the run
    found = await families(client)
    steps, name = found["pulpo_step_seconds"], "pulpo_step_seconds_count"
    for outcome in ("completed", "refused", "failed", "waiting"):
        assert value(steps, name, operation="shop.payments.pay", kind="step", outcome=outcome) == 1
    assert value(found["pulpo_runs_ended"], "pulpo_runs_ended_total", flow="settle", state="completed") == 1
    assert value(found["pulpo_runs"], "pulpo_runs", state="completed") == 1
    assert value(found["pulpo_runs"], "pulpo_runs", state="queued") == 0
    batches = found["pulpo_store_commit_batches"]
    commits = value(batches, "pulpo_store_commit_batches_count")
    assert 0 < commits <= value(batches, "pulpo_store_commit_batches_sum")
    assert value(found["pulpo_store_commit_seconds"], "pulpo_store_commit_seconds_total") > 0


async def test_the_process_and_what_blocks_it_are_seen(client: httpx.AsyncClient) -> None:
    """Memory, time, files, version; and a loop that was held up for a while."""
    asyncio.get_running_loop().call_soon(time.sleep, 0.7)
    await asyncio.sleep(0.05)
    found = await families(client)
    assert value(found["pulpo_event_loop_lag_seconds"], "pulpo_event_loop_lag_seconds_sum") > 0.1
    assert value(found["process_resident_memory_bytes"], "process_resident_memory_bytes") > 10_000_000
    assert value(found["process_open_fds"], "process_open_fds") > 3
    assert value(found["process_cpu_seconds"], "process_cpu_seconds_total") > 0
    assert value(found["process_start_time_seconds"], "process_start_time_seconds") < time.time()
    (built,) = found["pulpo_build"].samples
    assert set(built.labels) == {"version", "python"}
    assert {"pulpo_http_active", "pulpo_http_waiting", "pulpo_http_refused"} <= set(found)


def test_labels_are_escaped() -> None:
    """A quote or a line break in a name does not break the page."""
    from pulpo.runtime.counts import Counts
    from pulpo.runtime.http.limits import Admission
    from pulpo.runtime.http.metrics import Metrics

    counts = Counts()
    counts.retries['a "b"\n\\c'] = 2
    text = Metrics(Admission(1, 1)).text({}, counts, None)
    (sample,) = next(family for family in parsed(text) if family.name == "pulpo_step_retries").samples
    assert (sample.labels["operation"], sample.value) == ('a "b"\n\\c', 2)
