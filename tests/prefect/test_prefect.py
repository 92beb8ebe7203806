"""Runs that a Prefect server gives to a resident worker: the same promises, and what Prefect shows of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import psutil
import pytest

from tests.prefect.conftest import Stack, until
from tests.prefect.trips import STEPS

pytestmark = pytest.mark.xdist_group("prefect")


def task_runs(stack: Stack, flow_run: str, count: int) -> dict[str, Any]:
    """Task runs by name, as soon as Prefect has recorded so many of them as ended."""

    def found() -> dict[str, Any]:
        body = {"flow_runs": {"id": {"any_": [flow_run]}}}
        runs = stack.prefect.post("/task_runs/filter", json=body).raise_for_status().json()
        return {run["name"].rpartition("-")[0]: run for run in runs if run["end_time"]}

    return until(lambda: len(known := found()) >= count and known, 30.0, found)


def tasks(stack: Stack, flow_run: str, count: int) -> dict[str, str]:
    """The states of task runs by name, as soon as so many of them have ended."""
    return {name: run["state_name"] for name, run in task_runs(stack, flow_run, count).items()}


def flow_runs(stack: Stack, run: str) -> int:
    """How many flow runs Prefect has for a run."""
    named = {"flow_runs": {"name": {"any_": [run]}}}
    return int(stack.prefect.post("/flow_runs/count", json=named).raise_for_status().json())


def held(stack: Stack) -> tuple[str, str]:
    """A run in the middle of its charge, and its flow run."""
    id = stack.begin("held")
    until(lambda: "charge" in stack.calls(id))
    return id, stack.flow_run(id, "Running")["id"]


def put(stack: Stack, flow_run: str, kind: str, name: str) -> None:
    """Put a flow run into a state, as Prefect's page does."""
    body = {"state": {"type": kind, "name": name}, "force": True}
    stack.prefect.post(f"/flow_runs/{flow_run}/set_state", json=body).raise_for_status()


def test_a_run_goes_through_prefect(stack: Stack) -> None:
    """Names, states and tasks are there to see, with a table of the steps; the run knows its flow run."""
    id = stack.begin()
    run = stack.until(id)
    assert run["state"] == "completed"
    flow_run = stack.flow_run(id, "Completed")
    assert flow_run["name"] == id
    assert tasks(stack, flow_run["id"], len(STEPS)) == dict.fromkeys(STEPS, "Completed")
    assert stack.calls(id) == ["hold", "charge"]
    (artifact,) = stack.prefect.post("/artifacts/filter", json={
        "artifacts": {"flow_run_id": {"any_": [flow_run["id"]]}, "type": {"any_": ["table"]}},
    }).json()  # fmt: skip
    assert f"/runs/{id})" in artifact["description"]
    rows = json.loads(artifact["data"])
    assert {row["step"]: row["state"] for row in rows} == dict.fromkeys(STEPS, "completed")


def test_a_flow_may_have_another_engine(stack: Stack) -> None:
    """`engine.flows` names one that is embedded: Prefect hears nothing of it."""
    run = stack.until(stack.begin(flow="tours"))
    assert (run["state"], run["prefect"]) == ("completed", None)


def test_a_gate_stops(stack: Stack) -> None:
    """Prefect shows a run that a gate stopped as completed, by the name Stopped."""
    id = stack.begin("invalid")
    assert stack.until(id)["state"] == "stopped"
    assert stack.flow_run(id, "Stopped")["state_type"] == "COMPLETED"
    assert stack.calls(id) == []


def test_a_failure_is_undone(stack: Stack) -> None:
    """Prefect shows it as failed, by the name Compensated, with what it failed with."""
    id = stack.begin("declined")
    assert stack.until(id)["state"] == "compensated"
    assert stack.flow_run(id, "Compensated")["state"]["message"] == "no money"
    assert stack.calls(id) == ["hold", "charge", "free"]


def test_a_run_waits_without_a_worker_and_goes_on(stack: Stack) -> None:
    """Prefect has it scheduled by the name Waiting; woken, it goes on in the same flow run from where it was."""
    id = stack.begin("wait")
    stack.until(id, "waiting")
    waiting = stack.flow_run(id, "Waiting")
    assert (waiting["state_type"], waiting["state"]["message"]) == ("SCHEDULED", "not yet")
    stack.go()
    stack.api.post(f"/runs/{id}/wake", json={})
    assert stack.until(id)["state"] == "completed"
    assert stack.flow_run(id, "Completed")["id"] == waiting["id"]
    assert stack.calls(id).count("hold") == 1


def test_a_cancel_undoes(stack: Stack) -> None:
    """The step that is at work comes to its end, what was done is undone, and Prefect shows it cancelled."""
    id = stack.begin("held")
    until(lambda: "charge" in stack.calls(id))
    stack.api.post(f"/runs/{id}/cancel", json={"reason": "rain"}).raise_for_status()
    stack.go()
    assert stack.until(id)["state"] == "cancelled"
    assert stack.flow_run(id, "Cancelled")["state"]["message"] == "rain"
    assert "free" in stack.calls(id)


def test_a_cancel_in_prefect_is_one_here(stack: Stack) -> None:
    """Somebody presses Cancel on Prefect's page."""
    id = stack.begin("wait")
    stack.until(id, "waiting")
    flow_run = stack.flow_run(id, "Waiting")["id"]
    body = {"state": {"type": "CANCELLING", "name": "Cancelling"}, "force": True}
    stack.prefect.post(f"/flow_runs/{flow_run}/set_state", json=body).raise_for_status()
    run = stack.until(id)
    assert (run["state"], run["reason"]) == ("cancelled", "cancelled in Prefect")
    assert stack.flow_run(id, "Cancelled")
    assert stack.calls(id)[-1] == "free"


def test_a_run_that_is_suspended_in_prefect_goes_on(stack: Stack) -> None:
    """What waits is said by operations; a flow run that somebody suspends comes to its end, here and there."""
    id, flow_run = held(stack)
    put(stack, flow_run, "PAUSED", "Suspended")
    stack.go()
    assert stack.until(id)["state"] == "completed"
    assert stack.flow_run(id, "Completed")["run_count"] == 1
    assert stack.calls(id) == ["hold", "charge", "charged"]


def test_a_run_that_is_resumed_in_prefect_is_not_begun_twice(stack: Stack) -> None:
    """Suspended and resumed while a worker is at work on it: nobody takes it up beside that."""
    id, flow_run = held(stack)
    put(stack, flow_run, "PAUSED", "Suspended")
    put(stack, flow_run, "SCHEDULED", "Resuming")
    stack.go()
    assert stack.until(id)["state"] == "completed"
    assert stack.flow_run(id, "Completed")["run_count"] == 1


def test_what_is_suspended_in_prefect_is_shown_as_running(stack: Stack) -> None:
    """While its worker is at work on it; a pause of Prefect's would end it as failed when its time is over."""
    id, flow_run = held(stack)
    put(stack, flow_run, "PAUSED", "Paused")
    stack.flow_run(id, "Running")
    stack.go()
    stack.flow_run(id, "Completed")


def test_a_flow_run_has_no_thread_of_its_own(stack: Stack) -> None:
    """Prefect would listen for suspension in one, and hold the worker up until it has begun and ended."""
    stack.until(stack.begin())
    names = (stack.root / "threads.log").read_text()
    assert "MainThread" in names
    assert "observer" not in names


def test_a_failed_run_is_retried(stack: Stack) -> None:
    """One that was undone begins anew, in a flow run of its own."""
    id = stack.begin("declined")
    stack.until(id)
    again = stack.api.post(f"/runs/{id}/retry", json={"input": {"trip_id": stack.trip()}}).raise_for_status().json()
    assert stack.until(again["id"])["state"] == "completed"
    assert stack.run(again["id"])["prefect"] != stack.run(id)["prefect"]


def test_a_failed_run_goes_on_in_its_flow_run(stack: Stack) -> None:
    """One of which nothing was undone is retried in place, in Prefect too."""
    id = stack.begin("broken")
    assert stack.until(id)["state"] == "failed"
    failed = stack.flow_run(id, "Failed")
    stack.go()
    stack.api.post(f"/runs/{id}/retry", json={}).raise_for_status()
    assert stack.until(id)["state"] == "completed"
    assert stack.flow_run(id, "Completed")["id"] == failed["id"]


def test_a_run_begun_in_prefect_is_a_run_here(stack: Stack) -> None:
    """Its id is the flow run's; repeated in Prefect after its end, nothing happens again."""
    deployment = stack.deployment()
    body = {"parameters": {"data": {"trip_id": stack.trip()}}}
    id = stack.prefect.post(f"/deployments/{deployment['id']}/create_flow_run", json=body).json()["id"]
    until(lambda: stack.api.get(f"/runs/{id}").status_code == 200)
    run = stack.until(id)
    assert (run["prefect"], run["caller"]) == (id, {"principal": "prefect", "role": "admin"})
    stack.flow_run(id, "Completed")
    state = {"state": {"type": "SCHEDULED", "name": "AwaitingRetry"}, "force": True}
    stack.prefect.post(f"/flow_runs/{id}/set_state", json=state).raise_for_status()
    stack.flow_run(id, "Completed")
    assert stack.calls(id) == ["hold", "charge"]


def test_a_killed_worker_s_run_goes_on(stack: Stack) -> None:
    """SIGKILL in the middle of a charge: the steps before it are not repeated, and it is, under the key it had."""
    id = stack.begin("held")
    until(lambda: "charge" in stack.calls(id))
    stack.kill_worker()
    until(lambda: stack.calls(id).count("charge") == 2, 60.0, lambda: stack.run(id))
    stack.go()
    assert stack.until(id)["state"] == "completed"
    assert stack.calls(id) == ["hold", "charge", "charge", "charged"]
    assert len(set(stack.keys(id, "charge"))) == 1
    assert stack.flow_run(id, "Completed")["run_count"] == 2


def test_a_killed_worker_s_runs_go_on_before_those_that_wait(stack: Stack) -> None:
    """Ten runs fill it, five more wait for their turn: another worker takes the ten first."""
    begun = [stack.begin("held") for _ in range(10)]
    until(lambda: all("charge" in stack.calls(id) for id in begun))
    waiting = [stack.begin("held") for _ in range(5)]
    until(lambda: all(flow_runs(stack, id) for id in waiting))
    stack.kill_worker()
    until(
        lambda: all(stack.calls(id).count("charge") == 2 for id in begun), 60.0, lambda: list(map(stack.calls, begun))
    )
    assert [stack.calls(id) for id in waiting] == [[]] * 5
    stack.go()
    assert {stack.until(id)["state"] for id in begun + waiting} == {"completed"}


def test_prefect_hears_of_an_end_that_its_worker_could_not_tell(stack: Stack) -> None:
    """As where it died in between: the run has ended, and Prefect has its flow run at work."""
    id = stack.begin("declined")
    stack.until(id)
    flow_run = stack.flow_run(id, "Compensated")["id"]
    body = {"state": {"type": "RUNNING", "name": "Running"}, "force": True}
    stack.prefect.post(f"/flow_runs/{flow_run}/set_state", json=body).raise_for_status()
    shown = until(
        lambda: (now := stack.prefect.get(f"/flow_runs/{flow_run}").json())["state_type"] != "RUNNING" and now
    )
    assert (shown["state_name"], shown["state"]["message"]) == ("Compensated", "no money")


def test_a_flow_run_whose_worker_died_before_it_began(stack: Stack) -> None:
    """Taken up, and then nothing: the journal knows nothing of it, and another worker takes it up all the same."""
    deployment = stack.deployment()
    later = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    state = {"type": "SCHEDULED", "state_details": {"scheduled_time": later}}
    body = {"parameters": {"data": {"trip_id": stack.trip()}}, "state": state}
    id = stack.prefect.post(f"/deployments/{deployment['id']}/create_flow_run", json=body).json()["id"]
    pending = {"state": {"type": "PENDING", "name": "Pending"}, "force": True}
    stack.prefect.post(f"/flow_runs/{id}/set_state", json=pending).raise_for_status()
    until(lambda: stack.api.get(f"/runs/{id}").status_code == 200, 40.0)
    assert stack.until(id)["state"] == "completed"
    assert stack.flow_run(id, "Completed")


def test_a_worker_that_is_told_to_stop_lets_go_of_its_runs(stack: Stack) -> None:
    """SIGTERM in the middle of a charge: it exits within its time, and another worker goes on; nothing is undone."""
    id = stack.begin("held")
    until(lambda: "charge" in stack.calls(id))
    before = stack.worker()
    told = time.monotonic()
    os.kill(before, signal.SIGTERM)
    until(lambda: not psutil.pid_exists(before), 10.0)
    took = time.monotonic() - told
    assert took < 9.0, took
    assert "(exit status 0;" in until(lambda: stack.supervisor_said(before), 5.0)
    until(lambda: stack.calls(id).count("charge") == 2, 60.0, lambda: stack.run(id))
    stack.go()
    run = stack.until(id)
    assert (run["state"], run["cancel_requested"]) == ("completed", False)
    assert stack.calls(id) == ["hold", "charge", "charge", "charged"]
    assert len(set(stack.keys(id, "charge"))) == 1
    assert stack.flow_run(id, "Completed")


def test_a_worker_that_is_told_to_stop_ends_its_steps(stack: Stack) -> None:
    """SIGTERM in the middle of a charge that ends soon: another worker goes on behind it, and it is not repeated."""
    id = stack.begin("held")
    until(lambda: "charge" in stack.calls(id))
    before = stack.worker()
    os.kill(before, signal.SIGTERM)
    stack.go()
    assert stack.until(id)["state"] == "completed"
    assert stack.calls(id) == ["hold", "charge", "charged"]
    assert "(exit status 0;" in until(lambda: stack.supervisor_said(before), 10.0)
    assert stack.flow_run(id, "Completed")


def test_a_run_that_waits_survives_its_worker(stack: Stack) -> None:
    """SIGKILL while it waits: it is tried again when its time has come, by another worker."""
    id = stack.begin("wait")
    stack.until(id, "waiting")
    stack.kill_worker()
    stack.go()
    assert stack.until(id)["state"] == "completed"
    assert stack.calls(id).count("hold") == 1
    assert stack.flow_run(id, "Completed")


def test_an_undoing_survives_its_worker(stack: Stack) -> None:
    """SIGKILL while it compensates: the undoing is made up for, and the charge is not repeated."""
    id = stack.begin("free_held")
    until(lambda: "free" in stack.calls(id))
    stack.kill_worker()
    until(lambda: stack.calls(id).count("free") == 2, 60.0, lambda: stack.run(id))
    stack.go()
    assert stack.until(id)["state"] == "compensated"
    assert stack.calls(id) == ["hold", "charge", "free", "free", "freed"]
    assert len(set(stack.keys(id, "free"))) == 1
    assert stack.flow_run(id, "Compensated")


def test_a_schedule_begins_runs(stack: Stack) -> None:
    """Every second, each tick once; then it is taken away."""
    data = json.dumps({"trip_id": stack.trip()})
    stack.pulpo("flows", "schedule", "trips", "--every", "1", "--input", data, "--name", "often")
    begun = until(lambda: json.loads(stack.pulpo("flows", "schedules", "--json"))["schedules"][0]["last_run"])
    stack.pulpo("flows", "unschedule", "often")
    run = stack.until(begun)
    assert (run["state"], run["caller"]["principal"]) == ("completed", "schedule")
    assert stack.flow_run(begun, "Completed")
    assert json.loads(stack.pulpo("flows", "schedules", "--json")) == {"schedules": []}


def test_a_flow_runs_as_a_script(stack: Stack) -> None:
    """`python generated/flows/trips.py` finds the project's own server, and its run is there."""
    ended = json.loads(stack.python("generated/flows/trips.py", json.dumps({"trip_id": stack.trip()})))
    assert (ended["state"], ended["caller"]["principal"]) == ("completed", "local")
    assert stack.flow_run(ended["id"], "Completed")["deployment_id"] is None


def test_a_script_says_what_is_wrong_with_its_input(stack: Stack) -> None:
    """In one line, as every other door does, before Prefect is asked for anything."""
    done = subprocess.run(
        [sys.executable, "generated/flows/trips.py", '{"trip": "x"}'],
        cwd=stack.root, env=stack.environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("PULPO602  2 invalid or missing: ")
    assert "Traceback" not in done.stderr


def test_tasks_wait_for_each_other_as_the_plan_says(stack: Stack) -> None:
    """Where no nesting of awaits expresses a plan, Prefect is told what each task waits for."""
    id = stack.begin(flow="walks")
    assert stack.until(id)["state"] == "completed"
    found = task_runs(stack, stack.flow_run(id, "Completed")["id"], 4)
    names = {each["id"]: name for name, each in found.items()}
    waits = {name: {names[on["id"]] for on in each["task_inputs"].get("wait_for", [])} for name, each in found.items()}
    clean, find, go, fold = "walks.shoes.clean", "walks.map.find", "walks.walk.go", "walks.map.fold"
    assert waits == {clean: set(), find: set(), go: {clean, find}, fold: {find}}
    assert found[go]["start_time"] >= max(found[clean]["end_time"], found[find]["end_time"])


def test_what_waits_for_a_failed_task_is_not_begun(stack: Stack) -> None:
    """The run fails with what failed, and Prefect has no task run of what was behind it."""
    id = stack.begin("torn", flow="walks")
    ended = stack.until(id)
    assert (ended["state"], ended["error"]["code"]) == ("failed", "torn")
    shown = tasks(stack, stack.flow_run(id, "Failed")["id"], 2)  # the two that wait for nothing
    assert shown["walks.shoes.clean"] == "Failed"
    assert "walks.walk.go" not in shown


def test_pulpo_needs_no_prefect() -> None:
    """Nothing of an embedded project imports it."""
    code = (
        "import sys, pulpo.runtime.engine, pulpo.cli.main, pulpo.runtime.http.app; sys.exit('prefect' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
