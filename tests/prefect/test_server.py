"""The Prefect server of a project: who may ask it, what it is told of the flows, and what people set there."""

from __future__ import annotations

import json
import stat
import subprocess
import sys

import httpx
import pytest

from tests.prefect.conftest import Stack

pytestmark = pytest.mark.xdist_group("prefect")


def test_the_server_is_the_project_s_alone(stack: Stack) -> None:
    """On loopback, with a password that only the user can read and no process shows, and without analytics."""
    secret = stack.root / ".pulpo/prefect/auth"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert stat.S_IMODE(secret.parent.stat().st_mode) == 0o700
    address = str(stack.prefect.base_url)
    assert httpx.post(f"{address}flows/filter", json={}).status_code == 401
    (server,) = [each for each in stack.status()["services"] if each["name"] == "prefect"]
    shown = subprocess.run(
        ["ps", "-ww", "-o", "args=", "-p", str(server["pid"])], capture_output=True, text=True, check=True
    ).stdout
    assert "pulpo.services.prefect" in shown
    assert secret.read_text() not in shown
    assert not stack.prefect.get("/admin/settings").json()["server"]["analytics_enabled"]


def test_prefect_s_own_commands_work(stack: Stack) -> None:
    """With the address and the secret alone; what they deploy from the generated file is what is there."""
    said = stack.prefect_command("deployment", "ls")
    assert "trips/travel" in said
    assert "travel" in stack.prefect_command("work-pool", "ls")
    before = stack.deployment()
    stack.prefect_command("--no-prompt", "deploy", "--all", "--prefect-file", "generated/deploy/prefect.yaml")
    after = stack.deployment()
    same = ("id", "entrypoint", "work_pool_name")
    assert [after[key] for key in same] == [before[key] for key in same]
    assert stack.until(stack.begin())["state"] == "completed"


def test_a_script_says_how_it_is_called(stack: Stack) -> None:
    """Its input is JSON; where it is not, nothing begins."""
    done = subprocess.run(
        [sys.executable, "generated/flows/trips.py", "nonsense"],
        cwd=stack.root, env=stack.environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr.split(":")[0]) == (1, "usage")


def test_deployments_and_doctor(stack: Stack) -> None:
    """`pulpo flows deploy` may be repeated; `pulpo doctor` finds the server healthy."""
    for _ in range(2):
        assert json.loads(stack.pulpo("flows", "deploy", "--json"))["deployments"] == {
            "trips": "trips/travel",
            "walks": "walks/travel",
        }
    said = stack.pulpo("doctor")
    assert "prefect is healthy" in said
    assert "answers, work pool travel" in said


def test_what_people_set_in_prefect_stays(stack: Stack) -> None:
    """A worker that starts, or `pulpo flows deploy`, changes no schedule, queue, tag or limit of theirs."""
    stack.pulpo("flows", "deploy")  # whoever deployed it last, `prefect deploy` has a description of its own
    deployment = stack.deployment()
    one = f"/deployments/{deployment['id']}"
    nightly = [{"active": False, "schedule": {"cron": "0 3 * * *", "timezone": "UTC"}}]
    stack.prefect.post(f"{one}/schedules", json=nightly).raise_for_status()
    queue = {"name": "slow", "priority": 7}
    stack.prefect.post("/work_pools/travel/queues", json=queue).raise_for_status()
    change = {"work_pool_name": "travel", "work_queue_name": "slow", "tags": ["pulpo", "ours"], "description": "stale"}
    stack.prefect.patch(one, json=change).raise_for_status()
    stack.prefect.patch("/work_pools/travel", json={"concurrency_limit": 33}).raise_for_status()
    try:
        stack.pulpo("flows", "deploy")
        found = stack.deployment()
        pool = stack.prefect.get("/work_pools/travel").json()
    finally:
        stack.prefect.patch("/work_pools/travel", json={"concurrency_limit": None}).raise_for_status()
    assert [each["schedule"]["cron"] for each in found["schedules"]] == ["0 3 * * *"]
    assert (found["work_queue_name"], found["tags"]) == ("slow", ["pulpo", "ours"])
    assert found["description"] == deployment["description"]  # which is Pulpo's to say
    assert pool["concurrency_limit"] == 33
    assert stack.until(stack.begin())["state"] == "completed"


def test_a_flow_has_a_queue(stack: Stack) -> None:
    """`prefect.queues` names it: its runs wait there, ahead of others where its priority says so."""
    settings = stack.root / "pulpo.toml"
    before = settings.read_text()
    settings.write_text(f'{before}\n[prefect.queues]\ntrips = "urgent"\n')
    try:
        stack.pulpo("flows", "deploy")
        deployment = stack.deployment()
        stack.prefect.patch("/work_pools/travel/queues/urgent", json={"priority": 1}).raise_for_status()
        stack.pulpo("flows", "deploy")
    finally:
        settings.write_text(before)
    assert (deployment["work_pool_name"], deployment["work_queue_name"]) == ("travel", "urgent")
    assert stack.prefect.get("/work_pools/travel/queues/urgent").json()["priority"] == 1
    id = stack.begin()
    assert stack.until(id)["state"] == "completed"
    assert stack.flow_run(id, "Completed")["work_queue_name"] == "urgent"
