import json
import os
import signal
import threading
import time
import urllib.request
from pathlib import Path

import psutil
import pytest

from pulpo.errors import PulpoError
from pulpo.services import drive, health, processes, supervisor

from .conftest import echo, free_port


def get(url, path="/livez"):
    return urllib.request.urlopen(url + path, timeout=2).read().decode()


def eventually(true, patience=15.0):
    """Wait for what another process does, which tells nobody when it is done."""
    deadline = time.monotonic() + patience
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def healthy(root):
    return drive.status(root).healthy


def test_up_returns_when_every_service_is_healthy(root):
    """After `up` each service answers, run.json says where, and each step was told."""
    told = []
    status = drive.up(root, (echo("gateway", own=False), echo("api"), echo("ui")), report=told.append)
    assert status.healthy
    assert [service.name for service in status.services] == ["gateway", "api", "ui"]
    for service in status.services:
        assert get(service.url)
    record = json.loads((root / ".pulpo" / "run.json").read_text())
    assert record["api"] == status.api == status.services[1].url
    assert record["ui"] == status.services[2].url
    assert psutil.pid_exists(record["pid"])
    assert set(record["services"]) == {"gateway", "api", "ui"}
    assert len([line for line in told if "is healthy" in line]) == 3


def test_what_comes_first_is_healthy_before_anything_is_prepared(root):
    """A database is up when sample data is loaded into it; only then the others start, and it ends after them."""
    plans = (echo("mongod", first=True), echo("gateway", own=False), echo("api"))
    seen = []
    status = drive.up(root, plans, prepare=lambda: seen.extend(health.answers(plan.health) for plan in plans))
    assert seen == [True, False, False]
    assert status.healthy
    drive.down(root)
    ends = {plan.name: supervisor.log_file(root, plan.name).stat().st_mtime_ns for plan in plans}
    assert ends["mongod"] >= max(ends["api"], ends["gateway"])


def test_what_cannot_be_prepared_takes_down_what_came_first(root):
    """The error is told, and no process is left."""

    def fail():
        raise PulpoError("PULPO802", "no")

    with pytest.raises(PulpoError, match="PULPO802"):
        drive.up(root, (echo("mongod", first=True), echo("api")), prepare=fail)
    assert processes.of_project(root) == []
    assert not drive.status(root).running


def test_down_leaves_no_process(root):
    """`down` ends the supervisor, the services, and a child that had left its parent's session; the state is gone."""
    drive.up(root, (echo("api", "--child"),))
    before = processes.of_project(root)
    assert len(before) == 3
    stopped = drive.down(root)
    assert stopped.services == ("api",)
    assert processes.of_project(root) == []
    assert not any(processes.alive(process.pid) for process in before)
    assert not (root / ".pulpo" / "run.json").exists()
    assert "echo service ends" in supervisor.log_file(root, "api").read_text()


def test_down_takes_at_most_ten_seconds(root):
    """Services that ignore SIGTERM, before and behind, are killed in time."""
    drive.up(root, (echo("gateway", "--stubborn", own=False), echo("api", "--stubborn")))
    began = time.monotonic()
    drive.down(root)
    assert time.monotonic() - began < 10
    assert processes.of_project(root) == []


def test_down_of_what_does_not_run_says_so(root):
    """Nothing runs: `down` returns None, in a folder that never ran anything too, and makes nothing there."""
    assert drive.down(root) is None
    assert list(root.iterdir()) == []


def test_a_second_up_is_refused(root):
    """The first keeps running, and what must be prepared is not prepared again."""
    plans = (echo("api"),)
    first = drive.up(root, plans)
    with pytest.raises(PulpoError) as refused:
        drive.up(root, plans, prepare=lambda: pytest.fail("prepared"))
    assert refused.value.code == "PULPO703"
    assert drive.status(root).pid == first.pid


def test_of_two_ups_at_once_one_is_refused(root):
    """Two `up` at the same moment start one supervisor."""
    plans, outcomes = (echo("api"),), []

    def start():
        try:
            outcomes.append(drive.up(root, plans).healthy)
        except PulpoError as error:
            outcomes.append(error.code)

    threads = [threading.Thread(target=start) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(str, outcomes)) == ["PULPO703", "True"]
    assert len(processes.of_project(root)) == 2


def test_a_killed_service_comes_back(root):
    """SIGKILL of a service: the supervisor starts another, and it is healthy again."""
    status = drive.up(root, (echo("api"),))
    old = status.services[0].pid
    os.kill(old, signal.SIGKILL)
    eventually(lambda: healthy(root) and drive.status(root).services[0].pid != old)


def test_a_killed_supervisor_leaves_nothing_in_the_way(root):
    """The supervisor is killed: status tells of the orphans, and the next `up` ends them and starts anew."""
    plans = (echo("api"),)
    first = drive.up(root, plans)
    os.kill(first.pid, signal.SIGKILL)
    eventually(lambda: not processes.alive(first.pid))
    status = drive.status(root)
    assert not status.running
    assert status.leftovers == (first.services[0].pid,)
    again = drive.up(root, plans)
    assert again.healthy
    assert not processes.alive(first.services[0].pid)


def test_down_ends_orphans(root):
    """The supervisor is killed: `down` ends what it left behind."""
    first = drive.up(root, (echo("api"),))
    os.kill(first.pid, signal.SIGKILL)
    eventually(lambda: not processes.alive(first.pid))
    assert drive.down(root).killed == 1
    assert processes.of_project(root) == []


def test_a_service_that_ends_at_once_fails_the_up(root):
    """PULPO702 with what the service said last; the healthy ones are stopped again, long before the patience ends."""
    with pytest.raises(PulpoError) as failed:
        drive.up(root, (echo("gateway", own=False), echo("api", "--die")))
    assert failed.value.code == "PULPO702"
    assert failed.value.detail.startswith("api did not become healthy")
    assert "echo service cannot go on" in failed.value.detail
    assert "pulpo logs api" in failed.value.hint
    assert processes.of_project(root) == []
    assert not drive.status(root).running


def test_a_service_that_is_never_healthy_fails_the_up(root):
    """A service that lives and answers 503: PULPO702 when the patience is over, and everything is stopped."""
    with pytest.raises(PulpoError, match="did not answer with 200 within 2 s") as failed:
        drive.up(root, (echo("api", "--sick"),), patience=2)
    assert failed.value.code == "PULPO702"
    assert processes.of_project(root) == []


def test_only_new_lines_are_shown_of_a_failure(root):
    """The log of an earlier run is no part of the report."""
    plans = (echo("api"),)
    drive.up(root, plans)
    drive.down(root)
    with pytest.raises(PulpoError) as failed:
        drive.up(root, (echo("api", "--die"),))
    assert failed.value.detail.count("echo service begins") == 1
    assert "echo service ends" not in failed.value.detail


def test_a_failing_preparation_starts_nothing(root):
    """What is to be done first raises: so does `up`, and nothing runs."""

    def fail():
        raise PulpoError("PULPO802", "not compiled")

    with pytest.raises(PulpoError, match="PULPO802"):
        drive.up(root, (echo("api"),), prepare=fail)
    assert processes.of_project(root) == []


def test_two_projects_run_side_by_side(root, other_root):
    """Each has its own supervisor; taking one down leaves the other as it is."""
    mine = drive.up(root, (echo("api", "mine"),))
    theirs = drive.up(other_root, (echo("api", "theirs"),))
    assert "mine" in get(mine.api)
    assert "theirs" in get(theirs.api)
    drive.down(root)
    assert drive.status(other_root).healthy
    assert "theirs" in get(theirs.api)


def test_a_taken_port_is_named_with_its_holder(root, other_root):
    """PULPO701 names the port, the process, the project it belongs to and the setting; nothing starts."""
    plan = echo("api")
    theirs = drive.up(other_root, (plan,))
    with pytest.raises(PulpoError) as taken:
        drive.up(root, (echo("gateway", own=False), echo("api", port=plan.port)))
    assert taken.value.code == "PULPO701"
    assert f"port {plan.port} for api" in taken.value.detail
    assert f"process {theirs.services[0].pid} " in taken.value.detail
    assert str(other_root) in taken.value.detail
    assert "PULPO_API_PORT=" in taken.value.hint
    assert processes.of_project(root) == []


def test_arguments_and_environment_arrive_as_they_are(root, monkeypatch):
    """Spaces, quotes, percent signs and comment signs in words and values reach the service unchanged."""
    monkeypatch.setenv("PULPO_APP_CURRENCY", "100 % # ; 'EUR' \"€\"")
    words = ["two words", "100%", "it's", 'a "b"', "a #b ;c", "$HOME", "~", "*"]
    values = {"PLAIN": "x", "ODD": "1 % 2 # 3 ; 4 'five' \"six\" %(here)s, A=B"}
    status = drive.up(root, (echo("api", *words, env=values),))
    assert get(status.api).split(" ", 1)[1] == " ".join(words)
    seen = dict(line.split("=", 1) for line in get(status.api, "/env").splitlines())
    assert seen["ODD"] == values["ODD"]
    assert seen["PLAIN"] == "x"
    assert seen["PULPO_APP_CURRENCY"] == os.environ["PULPO_APP_CURRENCY"]
    assert seen["PULPO_SUPERVISED_ROOT"] == str(root.resolve())
    assert seen.get("PYTHONPATH") == os.environ.get("PYTHONPATH")


def test_a_project_in_a_long_path_with_odd_signs_runs(root):
    """The socket's path would be too long and the folder's name has spaces, percent and comment signs."""
    deep = root / ("100% of #my ;things " * 3).strip() / ("x" * 60)
    deep.mkdir(parents=True)
    try:
        status = drive.up(deep, (echo("api"),))
        assert status.healthy
        socket = json.loads((deep / ".pulpo" / "run.json").read_text())["socket"]
        assert len(socket) < 100
    finally:
        drive.down(deep)
    assert not Path(socket).parent.exists()
    assert processes.of_project(deep) == []


def test_a_service_without_a_port_is_healthy_while_it_lives(root):
    """It has no address to ask, so living for a moment is enough."""
    plan = echo("api")
    worker = type(plan)("worker-1", (*plan.command[:2], str(free_port())))
    status = drive.up(root, (plan, worker))
    assert status.healthy
    assert status.services[1].url is None


def test_status_tells_of_a_sick_service(root):
    """A service that lives and no longer answers is unhealthy, by its own."""
    status = drive.up(root, (echo("api"), echo("ui")))
    api = psutil.Process(status.services[0].pid)
    api.suspend()
    try:
        now = drive.status(root)
        assert [service.state for service in now.services] in (["unhealthy", "healthy"], ["starting", "healthy"])
        assert not now.healthy
    finally:
        api.resume()
    assert drive.status(root).healthy


def test_an_interrupted_up_stops_what_it_started(root, monkeypatch):
    """Ctrl-C while services become healthy: everything is stopped, and nothing says that the project runs."""

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(drive.health, "answers", interrupted)
    with pytest.raises(KeyboardInterrupt):
        drive.up(root, (echo("api", "--child"),))
    assert processes.of_project(root) == []
    assert not drive.status(root).running


def test_what_is_no_run_json_counts_as_not_running(root):
    """A broken record, or one whose process id belongs to somebody else by now."""
    state = root / ".pulpo"
    state.mkdir()
    (state / "run.json").write_text("{")
    assert not drive.status(root).running
    record = {"pid": os.getpid(), "socket": "x", "api": "http://127.0.0.1:1", "ui": None, "services": {}}
    (state / "run.json").write_text(json.dumps(record))
    assert not drive.status(root).running
    assert drive.up(root, (echo("api"),)).healthy
