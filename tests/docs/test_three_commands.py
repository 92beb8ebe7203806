"""An empty folder, and a tested and served operation of one's own three commands later."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.phase3.newcomer import Machine


@pytest.fixture
def folder(machine: Machine, tmp_path: Path) -> Iterator[Path]:
    """An empty folder; nothing of it runs after the test."""
    root = tmp_path / "desk"
    root.mkdir()
    yield root
    machine.run("pulpo down", root, code=None)


def test_three_commands_from_an_empty_folder(machine: Machine, folder: Path, ports: dict[str, str]) -> None:
    """After `pulpo cli init` and the first two commands that it prints an operation is tested and served."""
    printed = machine.run("pulpo cli init", folder, settings=ports).out
    commands = [line.strip() for line in printed.partition("Next:\n")[2].splitlines()]
    assert len(commands) == 3
    test, serve, call = commands
    tested = machine.run(test, folder, settings=ports)
    assert "3 passed" in tested.out
    assert "Warning" not in tested.out + tested.err
    machine.run(serve, folder, settings=ports)
    api = f"http://127.0.0.1:{ports['PULPO_API_PORT']}"
    answer = httpx.post(f"{api}/operations/tickets/desk/open_ticket", json={"title": "Smoke in the lift"}, timeout=20)
    assert (answer.status_code, answer.json()["urgent"]) == (200, True)

    called = json.loads(machine.run(f"{call} --json", folder).out)
    assert called["urgent"] is True
    ticket = httpx.get(f"{api}/tickets/{called['ticket_id']}", timeout=20).json()
    assert (ticket["title"], ticket["urgent"], ticket["assignee"]) == ("The printer is on fire", True, None)


def test_the_commands_of_the_project_s_readme_work(machine: Machine, folder: Path, ports: dict[str, str]) -> None:
    """Each line of the README that init writes runs as it stands, in its order."""
    machine.run("pulpo cli init", folder)
    block = (folder / "README.md").read_text().partition("```bash\n")[2].partition("```")[0]
    lines = block.splitlines()
    assert len(lines) >= 5
    for line in lines:
        machine.run(line, folder, settings=ports)
    assert machine.run("pulpo status", folder, code=None).code == 1
