"""A real project without services: commands load the application into their own process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .conftest import Run, _forget_projects, cpu_seconds


def test_an_operation_writes_and_another_reads(run: Run, desk: Path) -> None:
    """Two commands, one database: the output of one is the input of the next."""
    opened = run("tickets", "desk", "open_ticket", "--title", "Fire in the kitchen", "--json")
    assert opened.code == 0, opened.err
    ticket = json.loads(opened.out)["ticket_id"]
    assigned = run("tickets", "desk", "assign-ticket", "--ticket-id", ticket)
    assert (assigned.code, assigned.out) == (0, "assignee  fire brigade\n")
    refused = run("tickets", "desk", "assign_ticket", "--ticket-id", ticket)
    assert (refused.code, refused.err) == (3, "assigned  fire brigade has this ticket already\n")


def test_an_unknown_id_is_refused(run: Run, desk: Path) -> None:
    """404 is exit code 3."""
    ran = run("tickets", "desk", "assign_ticket", "--ticket-id", "tick_none", "--json")
    assert ran.code == 3
    assert json.loads(ran.out)["code"] == "PULPO404"


def test_invalid_fields_have_pointers(run: Run, desk: Path) -> None:
    """Missing and unknown fields are named; exit code 2."""
    ran = run("tickets", "desk", "open_ticket", "--json")
    assert ran.code == 2
    assert [error["pointer"] for error in json.loads(ran.out)["errors"]] == ["/title"]


def test_a_key_gives_the_same_answer_again(run: Run, desk: Path) -> None:
    """Nothing happens twice, and it is said."""
    first = run("tickets", "desk", "open_ticket", "--title", "No coffee", "--key", "k1")
    second = run("tickets", "desk", "open_ticket", "--title", "No coffee", "--key", "k1")
    assert second.out == first.out
    assert second.err == "(the kept answer to this idempotency key)\n"
    assert run("tickets", "desk", "open_ticket", "--title", "Other", "--key", "k1").code == 2


def test_a_flow_is_carried_out_here(run: Run, desk: Path) -> None:
    """`flows run` without an API ends when the run has; `runs` finds it afterwards."""
    ran = run("flows", "run", "tickets", "--input", '{"title": "No coffee"}', "--json")
    assert ran.code == 0, ran.err
    done = json.loads(ran.out)
    assert done["state"] == "completed"
    listed = run("runs", "list", "--kind", "flow", "--state", "completed", "--json")
    assert [each["id"] for each in json.loads(listed.out)["runs"]] == [done["id"]]
    shown = run("runs", "show", done["id"]).out.splitlines()
    assert shown[0].startswith(f"{done['id']}  tickets  completed  ")
    assert shown[2].split() == ["step", "state", "start", "took", "error"]
    assert shown[3].split()[:3] == ["tickets.desk.open_ticket", "completed", "+0.000"]
    assert shown[-1].endswith("one by one")
    watched = run("runs", "watch", done["id"])
    assert watched.code == 0
    assert watched.out.splitlines()[-1].endswith("tickets  completed")


def test_a_failed_run_is_retried_from_the_command_line(run: Run, desk: Path) -> None:
    """The failure is shown with its code, ends with 3, and a retry with another input is a run of its own."""
    operations = desk / "operations" / "tickets.py"
    operations.write_text(
        operations.read_text().replace(
            'assignee = "fire brigade" if',
            'if ticket.title == "No":\n        raise Refused("refused", "not now")\n    assignee = "fire brigade" if',
        )
    )
    ran = run("flows", "run", "tickets", "--input", '{"title": "No"}')
    assert ran.code == 3
    assert "refused  not now" in ran.out
    failed = ran.out.split()[0]
    retried = run("runs", "retry", failed, "--input", '{"title": "Yes"}', "--json")
    assert retried.code == 0, retried.out
    document = json.loads(retried.out)
    assert document["retry_of"] == failed
    assert document["state"] == "completed"
    again = run("runs", "retry", failed)
    assert (again.code, again.err.split()[0]) == (3, "PULPO407")


def test_flows_are_listed_with_their_input(run: Run, desk: Path) -> None:
    """Name, number of steps, input."""
    assert run("flows", "list").out.splitlines()[1].split() == ["tickets", "2", "title"]
    assert "tickets.desk.assign_ticket  tickets.desk.open_ticket" in run("flows", "show", "tickets").out
    unknown = run("flows", "show", "ticket")
    assert (unknown.code, unknown.err) == (
        3,
        "PULPO404  there is no flow 'ticket'\n  hint  did you mean \"tickets\"?\n",
    )


def test_runs_that_are_not_there(run: Run, desk: Path) -> None:
    """404 for one, a sentence for none."""
    assert run("runs", "show", "run_none").code == 3
    assert run("runs", "list").out == "no runs\n"


def test_seed_can_be_run_again(run: Run, desk: Path) -> None:
    """What `seed(ctx)` gathers is committed; without a seed.py it says so."""
    missing = run("db", "seed")
    assert missing.code == 2
    assert "has no seed.py" in missing.err
    (desk / "seed.py").write_text(
        "from models.ticket import Ticket\n\n\n"
        "async def seed(ctx):\n"
        "    if await ctx.store.count(Ticket) == 0:\n"
        "        ctx.store.insert(Ticket(id='tick_1', title='No coffee'))\n"
    )
    assert [run("db", "seed").code for _ in range(2)] == [0, 0]
    assert run("tickets", "desk", "assign_ticket", "--ticket-id", "tick_1").code == 0


def test_a_seed_that_cannot_be_used_is_named(run: Run, desk: Path) -> None:
    """The line that fails, or the function that is missing; nothing is loaded."""
    (desk / "seed.py").write_text("from models.ticket import Ticket\n\nTicket.nothing_of_this_name\n")
    ran = run("db", "seed")
    assert ran.code == 1
    assert ran.err.startswith("PULPO101  AttributeError")
    assert "at    seed.py:3" in ran.err
    (desk / "seed.py").write_text("")
    ran = run("db", "seed")
    assert ran.code == 2
    assert ran.err.startswith("PULPO804  seed.py does not define `seed`")


def test_it_is_quick(desk: Path) -> None:
    """An operation in a process of its own, start-up included: 0.6 s."""
    assert cpu_seconds(desk, "tickets", "desk", "open_ticket", "--title", "x") < 0.6


def test_a_flow_that_still_waits_is_no_success(run: Run, desk: Path) -> None:
    """--wait --timeout ends with 5 and says what is waited for; without --wait the run is left to wait, with 0."""
    (desk / "operations" / "parcel.py").write_text(
        "from pulpo import NotReady, operation\n\n\n"
        '@operation(name="parcels.dock.receive")\nasync def receive() -> None:\n'
        '    """Take a parcel in."""\n    raise NotReady("not_here", "the parcel is on its way")\n'
    )
    assert run("compile").code == 0
    _forget_projects()
    ran = run("flows", "run", "parcels", "--wait", "--timeout", "1")
    assert ran.code == 5, ran.err
    assert "waiting: parcels.dock.receive  not_here  the parcel is on its way" in ran.err
    assert run("flows", "run", "parcels").code == 0


def test_schedules_are_those_of_the_project_here(run: Run, desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where PULPO_API_URL means another application, its schedules are not taken for this project's."""
    monkeypatch.setenv("PULPO_API_URL", "http://shop.test")
    for words in (("schedules",), ("schedule", "tickets", "--every", "60"), ("unschedule", "tickets")):
        refused = run("flows", *words)
        assert (refused.code, refused.err.split()[0]) == (2, "PULPO804")
    assert run("flows", "schedules", "--local").out == "no schedules\n"
