"""Operations, flows and runs over HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

JSON = dict[str, Any]
PAY = "/operations/shop/payments/pay"


@pytest.fixture
async def placed(client: httpx.AsyncClient, order: JSON) -> JSON:
    """An order that is there."""
    found: JSON = (await client.post("/orders", json=order)).json()
    return found


async def until(client: httpx.AsyncClient, run: JSON, holds: Callable[[JSON], bool]) -> JSON:
    """The run, once this holds of it."""
    async with asyncio.timeout(10):
        while True:
            found: JSON = (await client.get(f"/runs/{run['id']}")).json()
            if holds(found):
                return found
            await asyncio.sleep(0.01)


async def finished(client: httpx.AsyncClient, run: JSON) -> JSON:
    """The run when it has ended."""
    return await until(client, run, lambda found: found["finished_at"] is not None)


async def test_an_operation_answers_with_its_output(client: httpx.AsyncClient, placed: JSON) -> None:
    """200; the second call says that it was done already, both name their run."""
    first = await client.post(PAY, json={"order_id": "ORD-20251030-001"})
    assert (first.status_code, first.json()) == (200, {"order_id": placed["id"], "status": "paid"})
    assert "pulpo-already" not in first.headers
    again = await client.post(PAY, json={"order_id": placed["id"]})
    assert (again.status_code, again.headers["pulpo-already"]) == (200, "true")
    run = await client.get(f"/runs/{first.headers['pulpo-run']}")
    assert (run.json()["kind"], run.json()["name"], run.json()["state"]) == (
        "operation",
        "shop.payments.pay",
        "completed",
    )


async def test_an_operation_with_a_key_happens_once(client: httpx.AsyncClient, placed: JSON) -> None:
    """The same answer again, marked as replayed, though the order is gone since; another body is a 422."""
    headers = {"Idempotency-Key": "k"}
    first = await client.post(PAY, json={"order_id": placed["id"]}, headers=headers)
    assert (await client.delete(f"/orders/{placed['id']}")).status_code == 204
    again = await client.post(PAY, json={"order_id": placed["id"]}, headers=headers)
    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"
    for body in ({"order_id": placed["id"], "method": "cash"}, {"order_id": "ORD-20251030-001"}):
        other = await client.post(PAY, json=body, headers=headers)
        assert (other.status_code, other.json()["code"]) == (422, "PULPO410")


async def test_a_flow_with_a_key_starts_once(client: httpx.AsyncClient, placed: JSON) -> None:
    """The same run again, though what its input names is gone since."""
    headers, body = {"Idempotency-Key": "k"}, {"order_id": placed["id"]}
    first = await client.post("/flows/settle/runs", json=body, headers=headers)
    await finished(client, first.json())
    assert (await client.delete(f"/orders/{placed['id']}")).status_code == 204
    again = await client.post("/flows/settle/runs", json=body, headers=headers)
    assert (again.status_code, again.json()["id"]) == (202, first.json()["id"])


@pytest.mark.parametrize(
    ("method", "status", "code"),
    [("cash", 402, "declined"), ("later", 409, "too_early"), ("bug", 500, "PULPO401")],
)
async def test_what_an_operation_refuses_is_a_problem(
    client: httpx.AsyncClient, placed: JSON, method: str, status: int, code: str
) -> None:
    """In the application's own words; a bug says in development what and where, and shows no more of the code."""
    answer = await client.post(PAY, json={"order_id": placed["id"], "method": method})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert "Traceback" not in answer.text
    assert (code != "PULPO401") or "(operations/payments.py:" in answer.json()["detail"]


async def test_an_operations_input_is_checked(client: httpx.AsyncClient) -> None:
    """422 with pointers; 404 for an order that is not there; an empty body is an empty object."""
    missing = await client.post(PAY)
    assert missing.json()["errors"] == [{"pointer": "/order_id", "code": "missing", "message": "Field required"}]
    lost = await client.post(PAY, json={"order_id": "nothing"})
    assert (lost.status_code, lost.json()["code"]) == (404, "PULPO404")
    assert (await client.post("/operations/shop/payments/pya", json={})).status_code == 404


async def test_plain_parameters_and_results_pass(client: httpx.AsyncClient) -> None:
    """The body's fields are the parameters, the answer is a JSON string."""
    answer = await client.post("/operations/shop/echo", json={"text": "ab", "times": 2})
    assert (answer.status_code, answer.json()) == (200, "abab")


async def test_a_flow_starts_and_can_be_looked_at(client: httpx.AsyncClient, placed: JSON) -> None:
    """202 with the run and where to find it; it ends with its steps' outputs."""
    started = await client.post("/flows/settle/runs", json={"order_id": "ORD-20251030-001"})
    assert started.status_code == 202
    run = started.json()
    assert started.headers["location"] == f"/runs/{run['id']}"
    ended = await finished(client, run)
    assert (ended["state"], ended["live"]) == ("completed", None)
    assert [step["operation"] for step in ended["steps"]] == ["shop.payments.pay", "shop.payments.receipt"]
    assert ended["steps"][1]["output"] == {"text": "ORD-20251030-001 is paid"}


async def test_flows_are_listed_with_their_plans(client: httpx.AsyncClient) -> None:
    """One is the same as in the list; an unknown one is a 404 that names those there are."""
    flows = (await client.get("/flows")).json()
    assert [flow["flow"] for flow in flows] == ["settle", "shop"]
    assert (await client.get("/flows/settle")).json() == flows[0]
    answer = await client.post("/flows/setle/runs", json={})
    assert (answer.status_code, answer.json()["hint"]) == (404, "known are: settle, shop")


async def test_a_flow_that_fails_can_be_retried_or_not(client: httpx.AsyncClient, placed: JSON) -> None:
    """Its error has the refusal's code; a retry with another input is a new run; a completed run has no retry."""
    body = {"order_id": placed["id"], "method": "cash"}
    failed = await finished(client, (await client.post("/flows/settle/runs", json=body)).json())
    assert failed["error"]["code"] == "declined"
    retried = await client.post(f"/runs/{failed['id']}/retry", json={"input": {**body, "method": "card"}})
    assert retried.status_code == 202, retried.text
    ended = await finished(client, retried.json())
    assert (ended["state"], ended["retry_of"]) == ("completed", failed["id"])
    again = await client.post(f"/runs/{ended['id']}/retry")
    assert (again.status_code, again.json()["code"]) == (409, "PULPO407")


async def test_a_waiting_run_is_woken_or_cancelled(client: httpx.AsyncClient, placed: JSON) -> None:
    """`one_per` holds while it waits: a second run of the order is a 409."""
    body = {"order_id": placed["id"], "method": "later"}
    run = (await client.post("/flows/settle/runs", json=body)).json()
    await until(client, run, lambda found: found["state"] == "waiting")
    second = await client.post("/flows/settle/runs", json=body)
    assert (second.status_code, second.json()["code"]) == (409, "PULPO406")
    listed = (await client.get(f"/runs?state=waiting&live={placed['id']}")).json()
    assert [found["id"] for found in listed] == [run["id"]]
    assert (await client.post(f"/runs/{run['id']}/wake")).status_code == 202
    refused = await client.post(f"/runs/{run['id']}/cancel", json={"why": "x"})
    assert refused.json()["errors"][0]["pointer"] == "/why"
    cancelled = await client.post(f"/runs/{run['id']}/cancel", json={"reason": "changed my mind"})
    assert cancelled.status_code == 202
    assert (await finished(client, run))["state"] == "cancelled"


async def test_runs_are_listed_newest_first_by_pages(client: httpx.AsyncClient) -> None:
    """With filters and a count; the order is not the caller's to choose, but may be named."""
    for n in range(3):
        await client.post("/operations/shop/echo", json={"text": str(n)})
        await asyncio.sleep(0.002)  # the clock of the journal counts milliseconds
    page = await client.get("/runs?name=shop.echo&kind=operation&sort=-created_at&limit=2&count=true")
    assert [run["input"]["text"] for run in page.json()] == ["2", "1"]
    assert page.headers["x-total-count"] == "3"
    rest = await client.get(page.links["next"]["url"])
    assert [run["input"]["text"] for run in rest.json()] == ["0"]
    for query in ("state=asleep", "sort=name", "operation=x"):
        assert (await client.get(f"/runs?{query}")).json()["code"] == "PULPO603"
    assert (await client.get("/runs/none")).status_code == 404


async def test_runs_are_found_by_what_they_wrote_to(client: httpx.AsyncClient, placed: JSON, order: JSON) -> None:
    """By model and id, page by page; of several documents, those of any; a document that no run touched has none."""
    other = (await client.post("/orders", json={**order, "order_number": "ORD-2"})).json()
    runs = []
    for each in (placed, other):
        runs.append((await client.post(PAY, json={"order_id": each["id"]})).headers["pulpo-run"])
        await asyncio.sleep(0.002)  # the clock of the journal counts milliseconds
    await client.post(PAY, json={"order_id": placed["id"]})  # writes nothing: it is paid

    async def touched(*documents: str, more: str = "") -> httpx.Response:
        query = "&".join(f"touched={document}" for document in documents)
        return await client.get(f"/runs?{query}{more}")

    assert [run["id"] for run in (await touched(f"Order/{placed['id']}")).json()] == runs[:1]
    assert (await touched("Order/none")).json() == []
    assert [run["id"] for run in (await touched("Order/ORD-2")).json()] == runs[1:]  # by its key
    assert (await client.get("/runs?fields=id")).json()["hint"].endswith(", touched")
    both = f"Order/{placed['id']}", f"Order/{other['id']}"
    page = await touched(*both, more="&limit=1&count=true")
    assert [run["id"] for run in page.json()] == runs[1:]
    assert page.headers["x-total-count"] == "2"
    rest = await client.get(page.links["next"]["url"])
    assert [run["id"] for run in rest.json()] == runs[:1]
    assert "next" not in rest.links
    many = await touched(*(f"Order/{number}" for number in range(11)))
    assert (many.status_code, many.json()["code"]) == (400, "PULPO603")


async def test_readiness_says_what_is_down(
    client: httpx.AsyncClient, started: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """200 while all works; 503 with the name of what does not; liveness costs nothing and stays."""
    assert (await client.get("/readyz")).json() == {"status": "ok", "down": []}

    async def unreachable() -> str:
        from pulpo.errors import PulpoError

        raise PulpoError("PULPO507", "gone")

    monkeypatch.setattr(started.state.application.store, "last_event", unreachable)
    answer = await client.get("/readyz")
    assert (answer.status_code, answer.json()) == (503, {"status": "down", "down": ["store"]})
    assert (await client.get("/livez")).status_code == 200


async def test_meta_describes_the_application(client: httpx.AsyncClient) -> None:
    """Models with fields and relations, operations with schemas, flows with plans, and who asks."""
    meta = (await client.get("/meta")).json()
    assert (meta["version"], meta["name"], meta["caller"]) == (1, "shop", {"principal": "local", "role": "admin"})
    order = next(model for model in meta["models"] if model["name"] == "Order")
    assert (order["path"], order["key"], order["label"]) == ("/orders", "order_number", "order_number")
    fields = {field["name"]: field for field in order["fields"]}
    assert (fields["customer_id"]["kind"], fields["customer_id"]["target"]) == ("ref", "Customer")
    assert fields["status"]["values"] == ["pending", "paid"]
    assert fields["status"]["readonly"] is True
    customer = next(model for model in meta["models"] if model["name"] == "Customer")
    assert {"model": "Order", "field": "customer_id"} in customer["referred_by"]
    pay = next(operation for operation in meta["operations"] if operation["name"] == "shop.payments.pay")
    assert pay["input"]["required"] == ["order_id"]
    assert [flow["name"] for flow in meta["flows"]] == ["settle", "shop"]
    assert next(model for model in meta["models"] if model["name"] == "Movement")["actions"] == ["list", "get"]
    json.dumps(meta)
