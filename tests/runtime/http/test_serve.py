"""The API process: real uvicorn, event streams, an orderly end."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import pytest

from .conftest import Server
from .raw import HOST, Spoken, post

JSON = dict[str, Any]


def messages(response: httpx.Response) -> Iterator[tuple[str, JSON]]:
    """(id, data) of each message that has data."""
    id = ""
    for line in response.iter_lines():
        name, _, value = line.partition(": ")
        if name == "id":
            id = value
        elif name == "data":
            yield id, json.loads(value)


def test_events_are_replayed_from_a_cursor(server: Server) -> None:
    """A stream from now on sees what comes; one from an old cursor, or Last-Event-ID, sees what it missed."""
    with httpx.Client(base_url=server.url, timeout=10) as client:
        with client.stream("GET", "/events") as live:
            assert live.headers["content-type"].startswith("text/event-stream")
            lines = live.iter_lines()
            assert next(lines) == "retry: 2000"
            for line in lines:
                if line.startswith("id: "):
                    start = line.removeprefix("id: ")
                    break
            for sku in ("A", "B"):
                assert client.post("/products", json={"sku": sku, "name": "x", "price": 1}).status_code == 201
            seen = [json.loads(line.removeprefix("data: ")) for line in islice(_data(lines), 2)]
        assert [event["type"] for event in seen] == ["document.created", "document.created"]
        with client.stream("GET", "/events", params={"cursor": start}) as replayed:
            first, second = islice(messages(replayed), 2)
        assert [first[1], second[1]] == seen
        with client.stream("GET", "/events", headers={"Last-Event-ID": first[0]}) as resumed:
            assert next(messages(resumed)) == second
        assert client.get("/events?cursor=nonsense").status_code in (400, 410)
        assert client.get("/events?since=1").json()["code"] == "PULPO603"


def _data(lines: Iterator[str]) -> Iterator[str]:
    return (line for line in lines if line.startswith("data: "))


def test_a_runs_events_end_with_the_run(server: Server) -> None:
    """First the run as it is, then its events until it has ended; a browser that comes back is told not to."""
    with httpx.Client(base_url=server.url, timeout=10) as client:
        customer = {"id": "c", "email": "e", "name": "n", "addresses": [{"id": "a", "street": "s", "zip_code": "1"}]}
        client.post("/customers", json=customer)
        client.post("/products", json={"id": "p", "sku": "p", "name": "p", "price": 1})
        order = {
            "order_number": "o",
            "customer_id": "c",
            "items": [{"product_id": "p", "quantity": 1, "unit_price": 1}],
            "shipping_address_id": "a",
        }
        client.post("/orders", json=order)
        run = client.post("/flows/settle/runs", json={"order_id": "o"}).json()
        with client.stream("GET", f"/runs/{run['id']}/events") as response:
            found = list(messages(response))
        assert found[0][1]["type"] == "run"
        assert found[0][1]["run"]["id"] == run["id"]
        last = found[-1]
        if len(found) > 1:
            assert last[1]["type"] == "run.completed"
        done = client.get(f"/runs/{run['id']}/events", headers={"Last-Event-ID": last[0]})
        assert done.status_code in (200, 204)
        if done.status_code == 200:  # the snapshot came before the end: the rest is told, then it is over
            assert "run.completed" in done.text
        assert client.get("/runs/none/events").status_code == 404


def test_termination_drains_and_tells_streams_to_come_back(server: Server) -> None:
    """SIGTERM ends the process with 0 within ten seconds though a stream is open; nothing is on standard output."""
    with httpx.Client(base_url=server.url, timeout=15) as client, client.stream("GET", "/events") as response:
        lines = response.iter_lines()
        next(lines)
        codes: list[int] = []
        stopping = threading.Thread(target=lambda: codes.append(server.stop()))
        stopping.start()
        rest = list(lines)
        stopping.join()
    assert codes == [0]
    assert "retry: 500" in rest
    assert all(json.loads(line)["level"] != "error" for line in server.log), server.log


def test_a_taken_port_is_named(shop: Path) -> None:
    """PULPO701 on standard error, exit code 4."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "pulpo.runtime.http", "--root", str(shop), "--port", str(port)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout) == (4, "")
    assert "PULPO701" in done.stderr
    assert str(port) in done.stderr


def test_processes_share_a_port(serving: Callable[..., Server]) -> None:
    """Connections go to either; each sees what the other wrote, and one goes on alone when the other is killed."""
    first = serving("--share-port")
    second = serving("--share-port", port=int(first.url.rpartition(":")[2]))
    assert first.url == second.url
    for number in range(40):  # a connection each: that all of them reach one process is a chance of one in 2**39
        made = httpx.post(
            f"{first.url}/products", json={"id": f"p{number}", "sku": str(number), "name": "x", "price": 1}
        )
        assert made.status_code == 201
        assert httpx.get(f"{first.url}/products/p{number}").status_code == 200
    assert second.stop() == 0
    assert any('"POST"' in line for line in second.log)
    assert all(httpx.get(f"{first.url}/products/p{number}").status_code == 200 for number in range(8))
    assert first.stop() == 0
    assert any('"POST"' in line for line in first.log)


def test_a_database_that_is_not_ours_is_named(shop: Path, tmp_path: Path) -> None:
    """PULPO506 and exit code 4; the file is left as it was."""
    file = tmp_path / "data.db"
    file.write_text("a diary")
    environ = {**os.environ, "PULPO_DATABASE_URL": f"sqlite:///{file}"}
    command = [sys.executable, "-m", "pulpo.runtime.http", "--root", str(shop), "--port", "0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, env=environ)
    assert (done.returncode, done.stdout) == (4, "")
    assert "PULPO506" in done.stderr
    assert file.read_text() == "a diary"


def test_production_mode_is_not_served_without_access_rules(shop: Path) -> None:
    """Nothing is opened to anybody by a setting alone."""
    environ = {**os.environ, "PULPO_PROJECT_MODE": "production"}
    command = [sys.executable, "-m", "pulpo.runtime.http", "--root", str(shop), "--port", "0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, env=environ)
    assert done.returncode == 4
    assert "PULPO705" in done.stderr


@pytest.mark.parametrize(("options", "code"), [(["--host", "0.0.0.0"], "PULPO705"), ([], "PULPO802")])
def test_what_cannot_be_served_says_why(shop: Path, tmp_path: Path, options: list[str], code: str) -> None:
    """Beyond loopback in development mode; a project that has not been compiled."""
    root = shop if options else tmp_path
    command = [sys.executable, "-m", "pulpo.runtime.http", "--root", str(root), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout) == (4, "")
    assert code in done.stderr


@pytest.mark.parametrize(
    ("routes", "said"),
    [
        ("\nimport nothing_of_this_name\n", ["PULPO101  ModuleNotFoundError", "routes.py:2"]),
        ("router = None\n", ["PULPO101  routes.py has no `router`"]),
    ],
)
def test_routes_that_do_not_import_are_named(shop: Path, tmp_path: Path, routes: str, said: list[str]) -> None:
    """File and line, and no trace."""
    root = shutil.copytree(shop, tmp_path / "shop")
    (root / "routes.py").write_text(routes)
    command = [sys.executable, "-m", "pulpo.runtime.http", "--root", str(root), "--port", "0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, [text for text in said if text not in done.stderr]) == (4, [])
    assert "Traceback" not in done.stderr


def test_what_is_in_flight_at_the_end_is_finished(shop: Path, tmp_path: Path) -> None:
    """After SIGTERM who is idle is closed, who is new refused, a request under way answered: within ten seconds."""
    body = b'{"sku":"LAST","name":"a","price":1}'
    with Spoken(shop, tmp_path) as server, server.talk() as flying, server.talk() as idle, server.talk() as stuck:
        assert idle.say(b"GET /livez HTTP/1.1\r\n" + HOST + b"\r\n").heard().status == 200
        flying.say(post(body)[:-10])
        stuck.say(post(body)[:-10])
        assert server.get("/readyz").status == 200  # what was sent before has been read
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert idle.closed()
        with pytest.raises(ConnectionRefusedError):
            server.talk()
        answer = flying.say(body[-10:]).heard()
        assert (answer.status, answer.headers["connection"]) == (201, "close")
        assert flying.closed()
        assert server.process.wait(12) == 0
        assert time.monotonic() - began < 11
        answer = stuck.hear()  # what was cut off in its body may still be told why
        assert answer is None or answer.status >= 400
