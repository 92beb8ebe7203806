"""Where commands work: which address is chosen, what is sent there, and what its answers become."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from pulpo.errors import PulpoError
from pulpo.runtime import target
from pulpo.runtime.target import InProcess, RemoteApi

from .conftest import free_port


@dataclass
class Api:
    """A small HTTP server that keeps requests and answers as it is told."""

    url: str
    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    requests: list[tuple[str, str, dict[str, str], Any]] = field(default_factory=list)


@pytest.fixture
def api() -> Iterator[Api]:
    """It listens on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer()

        def do_POST(self) -> None:
            self.answer()

        def answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            kept.requests.append((self.command, self.path, dict(self.headers), body))
            self.send_response(200 if self.path == "/livez" else kept.status)
            for name, value in kept.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(kept.body)))
            self.end_headers()
            self.wfile.write(kept.body)

        def log_message(self, *arguments: Any) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    kept = Api(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield kept
    server.shutdown()
    server.server_close()
    thread.join()


def running(root: Path, url: str | None, pid: int) -> None:
    """Say that the project runs."""
    (root / ".pulpo").mkdir(exist_ok=True)
    (root / ".pulpo" / "run.json").write_text(json.dumps({"api": url, "pid": pid}))


class TestFind:
    """`PULPO_API_URL`, else the project's own API if it lives, else this process."""

    def test_nothing_runs(self, tmp_path: Path) -> None:
        """Then it is this process."""
        assert isinstance(target.find(tmp_path), InProcess)

    def test_the_project_s_own_api(self, tmp_path: Path, api: Api) -> None:
        """Where run.json names a living process and the address answers."""
        running(tmp_path, api.url, os.getpid())
        assert target.find(tmp_path).place == api.url

    def test_local_keeps_to_this_process(self, tmp_path: Path, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
        """Whatever runs."""
        running(tmp_path, api.url, os.getpid())
        monkeypatch.setenv("PULPO_API_URL", api.url)
        assert isinstance(target.find(tmp_path, local=True), InProcess)

    def test_the_environment_wins(self, tmp_path: Path, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
        """It is not even asked whether it answers."""
        running(tmp_path, api.url, os.getpid())
        monkeypatch.setenv("PULPO_API_URL", "http://127.0.0.1:1/api/")
        assert target.find(tmp_path).place == "http://127.0.0.1:1/api"

    def test_a_dead_process_s_record_counts_for_nothing(self, tmp_path: Path, api: Api) -> None:
        """The machine went down, and something else may listen there now."""
        child = os.posix_spawn("/bin/true", ["true"], {})
        os.waitpid(child, 0)
        running(tmp_path, api.url, child)
        assert isinstance(target.find(tmp_path), InProcess)

    @pytest.mark.parametrize("content", ["", "[]", '{"api": null, "pid": 1}', '{"api": 5, "pid": "x"}'])
    def test_a_broken_record_counts_for_nothing(self, tmp_path: Path, content: str) -> None:
        """A half-written or foreign file is no reason to fail."""
        (tmp_path / ".pulpo").mkdir()
        (tmp_path / ".pulpo" / "run.json").write_text(content)
        assert isinstance(target.find(tmp_path), InProcess)

    def test_an_address_that_does_not_answer_counts_for_nothing(self, tmp_path: Path) -> None:
        """The process lives, but its API does not."""
        running(tmp_path, f"http://127.0.0.1:{free_port()}", os.getpid())
        assert isinstance(target.find(tmp_path), InProcess)


class TestRemoteApi:
    """What goes over HTTP and comes back."""

    def test_a_call(self, api: Api) -> None:
        """The operation's address, the input as it was written, the key as a header; headers say what it was."""
        api.body, api.headers = b'{"valid": true}', {"Pulpo-Already": "true", "Pulpo-Run": "run_1"}
        answer = RemoteApi(api.url).call("orders.checkout.validate_items", '{"order_id": "ORD-1"}', "key 1")
        assert (answer.output, answer.already, answer.replayed, answer.run) == ('{"valid": true}', True, False, "run_1")
        method, path, headers, body = api.requests[0]
        assert (method, path, body) == ("POST", "/operations/orders/checkout/validate_items", {"order_id": "ORD-1"})
        assert headers["Idempotency-Key"] == "key 1"
        assert headers["Content-Type"] == "application/json"

    def test_a_prefix_is_kept(self, api: Api) -> None:
        """The API behind the UI's `/api`."""
        RemoteApi(f"{api.url}/api/").run("run/1")
        assert api.requests[0][1] == "/api/runs/run%2F1"

    def test_runs_are_filtered(self, api: Api) -> None:
        """As query parameters, the newest first."""
        api.body = b"[]"
        assert RemoteApi(api.url).runs({"state": "failed"}, 5) == []
        assert api.requests[0][1] == "/runs?state=failed&sort=-created_at&limit=5"

    @pytest.mark.parametrize(("action", "body"), [("cancel", {"reason": "x"}), ("retry", {}), ("wake", {})])
    def test_acting_on_a_run(self, api: Api, action: str, body: dict[str, str]) -> None:
        """A POST with a JSON object."""
        RemoteApi(api.url).act("run_1", action, body)
        assert (api.requests[0][:2], api.requests[0][3]) == (("POST", f"/runs/run_1/{action}"), body)

    def test_a_problem_is_kept_whole(self, api: Api) -> None:
        """Its request id too, for `--json`."""
        problem = {"code": "declined", "detail": "no", "hint": "another card", "request_id": "r1", "errors": []}
        api.status, api.body = 402, json.dumps(problem).encode()
        with pytest.raises(PulpoError) as caught:
            RemoteApi(api.url).call("payments.charge", "{}")
        assert (caught.value.code, caught.value.status, caught.value.hint) == ("declined", 402, "another card")
        assert caught.value.as_problem() == problem

    def test_something_else_listens_there(self, api: Api) -> None:
        """An answer that is no problem: PULPO803."""
        api.status, api.body = 502, b"<html>"
        with pytest.raises(PulpoError, match="answered 502 without a problem"):
            RemoteApi(api.url).flows()

    def test_nothing_listens_there(self) -> None:
        """PULPO803 with a way out."""
        url = f"http://127.0.0.1:{free_port()}"
        with pytest.raises(PulpoError, match="cannot be reached") as caught:
            RemoteApi(url).flows()
        assert caught.value.code == "PULPO803"
        assert "--local" in str(caught.value.hint)

    @pytest.mark.parametrize("url", ["ftp://x", "http://", "http://x:port"])
    def test_an_address_must_be_one(self, url: str) -> None:
        """PULPO_API_URL with a typing mistake."""
        with pytest.raises(PulpoError, match="is no address of an API"):
            RemoteApi(url)


def test_commands_go_to_the_running_api(run: Any, desk: Path, api: Api) -> None:
    """The whole way: `pulpo` finds the API, posts, prints its answer."""
    running(desk, api.url, os.getpid())
    api.body = b'{"ticket_id": "tick_9", "urgent": false}'
    ran = run("tickets", "desk", "open_ticket", "--title", "No coffee")
    assert (ran.code, ran.out) == (0, "ticket_id  tick_9\nurgent     false\n")
    assert api.requests[-1][3] == {"title": "No coffee"}


def test_a_flow_over_http_is_started_and_not_waited_for(run: Any, desk: Path, api: Api) -> None:
    """Its id is printed, with the command that follows it."""
    running(desk, api.url, os.getpid())
    api.status, api.body = 202, b'{"id": "run_9", "name": "tickets", "state": "running"}'
    ran = run("flows", "run", "tickets", "--input", '{"title": "No coffee"}')
    assert (ran.code, ran.out) == (0, "run_9  tickets  running\n`pulpo runs watch run_9` follows it\n")


def test_with_an_address_no_project_is_needed(
    run: Any, tmp_path: Path, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs of an application elsewhere can be looked at from any folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PULPO_API_URL", api.url)
    api.body = b"[]"
    assert run("runs", "list").out == "no runs\n"
    assert run("runs", "list", "--local").code == 2
