"""`pulpo check`, `plan`, `compile` and `eject`: what they print and how they end."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pulpo.spec import AppSpec, FieldSpec

from .conftest import SHOP, Run, operation, write_commands

EDGE = {
    "from": "tickets.desk.open_ticket",
    "to": "tickets.desk.assign_ticket",
    "rule": "models",
    "why": "open_ticket inserts into Ticket, which assign_ticket writes",
}


def test_compile_twice_writes_once(run: Run, desk: Path) -> None:
    """The second finds nothing to do; the counts say so."""
    assert run("compile").out.startswith("0 written, ")
    (desk / "models" / "room.py").write_text(
        "from pulpo import Model, datamodel\n\n\n@datamodel\nclass Room(Model):\n    name: str\n"
    )
    changed = run("compile")
    assert changed.code == 0
    assert "  wrote    generated/api/rooms.py\n" in changed.out
    (desk / "models" / "room.py").unlink()
    assert "  removed  generated/api/rooms.py\n" in run("compile").out
    assert run("compile").out.startswith("0 written, ")


def test_check_and_diff_write_nothing(run: Run, desk: Path) -> None:
    """`--check` names what is stale and ends with 1; `--diff` shows it and ends with 0."""
    assert run("compile", "--check").code == 0
    (desk / "flows.py").write_text('from pulpo import flow\n\nflow("desk", includes=["tickets"])\n')
    stale = run("compile", "--check")
    assert stale.code == 1
    assert "PULPO303  flow desk is new" in stale.out
    assert json.loads(run("compile", "--check", "--json").out)["findings"][0]["code"] == "PULPO303"
    shown = run("compile", "--diff")
    assert shown.code == 0
    assert "+++ b/generated/flows/desk.py" in shown.out
    assert not (desk / "generated" / "flows" / "desk.py").exists()


def test_a_hand_edit_is_not_overwritten(run: Run, desk: Path) -> None:
    """Exit code 1 with the difference; `--force` throws it away, `eject` keeps it."""
    module = desk / "generated" / "cli" / "tickets_desk.py"
    module.write_text(module.read_text() + "# mine\n")
    (desk / "models" / "ticket.py").write_text((desk / "models" / "ticket.py").read_text() + "\n\nLIMIT = 1\n")
    refused = run("compile")
    assert refused.code == 1
    assert "PULPO302  generated/cli/tickets_desk.py was edited by hand" in refused.err
    assert "+# mine" in refused.err
    ejected = run("eject", "generated/cli/tickets_desk.py")
    assert (ejected.code, ejected.out) == (0, "created  overrides/cli/tickets_desk.py\n")
    assert "1 overridden" in run("compile").out
    assert "# mine" in module.read_text()
    (desk / "overrides" / "cli" / "tickets_desk.py").unlink()
    assert run("compile", "--force").code == 0
    assert "# mine" not in module.read_text()


def test_eject_takes_a_path_from_where_one_stands(run: Run, desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Inside generated/ the name alone does; an unknown file ends with 2 and the nearest name."""
    monkeypatch.chdir(desk / "generated" / "graphs")
    assert run("eject", "README.md").out == "created  overrides/graphs/README.md\n"
    unknown = run("eject", "generated/graphs/model.mmd")
    assert unknown.code == 2
    assert 'did you mean "generated/graphs/models.mmd"?' in unknown.err


def test_problems_stop_a_compile(run: Run, desk: Path) -> None:
    """All are shown, with place and hint; nothing is written; exit code 1, also as JSON."""
    operations = desk / "operations" / "tickets.py"
    operations.write_text(operations.read_text().replace("models_out=[Ticket]", 'models_out=["Tickt"]'))
    for line in (("check",), ("compile",)):
        ran = run(*line)
        assert ran.code == 1
        shown = ran.out + ran.err
        assert "PULPO201" in shown
        assert "  at    operations/tickets.py:" in shown
        assert 'did you mean "Ticket"?' in shown
    found = json.loads(run("check", "--json").out)["findings"][0]
    assert (found["code"], found["file"]) == ("PULPO201", "operations/tickets.py")
    assert json.loads(run("compile", "--json").out)["findings"][0] == found


def test_a_module_that_does_not_import_is_fatal(run: Run, desk: Path) -> None:
    """File and line; exit code 1; what was generated stays."""
    (desk / "models" / "room.py").write_text("import nothing_of_this_name\n")
    ran = run("compile")
    assert ran.code == 1
    assert ran.err.startswith("PULPO101")
    assert "models/room.py:1" in ran.err
    assert (desk / "generated" / "cli" / "index.json").exists()


def test_plan(run: Run, desk: Path) -> None:
    """Steps and reasons for people and as JSON; an unknown flow names the nearest, or what there is."""
    assert "Why" not in run("plan", "tickets").out
    assert f"    models: {EDGE['why']}" in run("plan", "tickets", "--why").out
    plan = json.loads(run("plan", "tickets", "--json").out)
    assert list(plan) == ["flow", "steps", "edges", "critical_path", "preconditions", "input"]
    assert plan["steps"] == plan["critical_path"] == [EDGE["from"], EDGE["to"]]
    assert plan["edges"] == [EDGE]
    assert [each["flow"] for each in json.loads(run("plan", "--json").out)["flows"]] == ["tickets"]
    unknown = run("plan", "ticket")
    assert (unknown.code, unknown.err) == (
        3,
        "PULPO404  there is no flow 'ticket'\n  hint  did you mean \"tickets\"?\n",
    )
    assert "hint  known are: tickets\n" in run("plan", "nope").err


def test_generated_commands_are_formatted_and_linted(tmp_path: Path) -> None:
    """Also with long words, quotes, and names that the module itself uses."""
    awkward = operation(
        "orders.checkout.app",
        FieldSpec("note", "string", description='A "quoted" \\ word ' * 20),
        FieldSpec("json", "boolean"),
        FieldSpec("level", "enum", values=tuple(f"level_{number}" for number in range(40))),
        *(FieldSpec(f"field_number_{number}", "string") for number in range(12)),
        description='It says """so""" and ends in a backslash \\',
    )
    write_commands(tmp_path, AppSpec("shop", operations=(*SHOP.operations, awkward)))
    for arguments in (["format", "--check"], ["check", "--select", "E,F,I,B,UP,D1,FBT,N"]):
        command = [sys.executable, "-m", "ruff", *arguments, "--isolated", "--no-cache", "--line-length", "120", "."]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout
