"""`pulpo up`, `down`, `status`, `logs` and `doctor` as a user types them, on a project of `pulpo cli init`."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request

import pytest

from pulpo.services import drive, ports, processes

from .conftest import free_port


class Project:
    def __init__(self, root):
        self.root = root
        self.environment = {
            **os.environ,
            "PULPO_API_PORT": str(free_port()),
            "PULPO_UI_PORT": str(free_port()),
        }

    def run(self, *arguments, code=0):
        """The output of a command that ends with this exit code."""
        done = subprocess.run(
            [sys.executable, "-m", "pulpo.cli.main", *arguments],
            cwd=self.root,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr


@pytest.fixture
def project(tmp_path):
    root = tmp_path / "help desk"
    root.mkdir()
    project = Project(root)
    project.run("cli", "init")
    yield project
    drive.down(root)


def test_a_project_goes_up_serves_and_comes_down(project):
    """From an unpacked project to healthy, the second `up`, the page, logs, doctor, and down to nothing."""
    first = project.run("up")
    assert "compiling, for the first time" in first
    status = json.loads(project.run("status", "--json"))
    assert status["healthy"]
    assert [service["name"] for service in status["services"]] == ["api", "ui"]
    with (
        urllib.request.urlopen(status["ui"] + "/livez") as page,
        urllib.request.urlopen(status["ui"] + "/api/meta") as meta,
    ):
        assert json.load(page) == {"status": "ok"}
        assert json.load(meta)["ui"]["title"]

    second = project.run("up", code=1)
    assert "PULPO703" in second
    assert status["api"] in second

    assert "listening on" in project.run("logs", "api")
    assert "api | " in project.run("logs", "-n", "5")
    assert "no log of 'apo'; did you mean" in project.run("logs", "apo", code=2)
    assert "fail" not in project.run("doctor")

    assert "stopped api, ui" in project.run("down")
    assert processes.of_project(project.root) == []
    assert project.run("down") == "nothing was running\n"
    assert "not running" in project.run("status", code=1)


def test_up_says_that_what_is_generated_is_old(project):
    """It starts what there is; where a compile would give the same, it has nothing to say."""
    project.run("compile")
    model = project.root / "models" / "ticket.py"
    model.write_text(model.read_text() + "    colour: str = 'red'\n")
    assert "starting what was compiled last; later changes need `pulpo compile`" in project.run("up")
    project.run("down")
    project.run("compile")
    assert "compile" not in project.run("up")
    project.run("down")
    shutil.rmtree(project.root / ".pulpo")
    assert "compile" not in project.run("up")


def test_an_api_killed_with_sigkill_comes_back_with_its_data(project):
    """The supervisor starts another, and what was acknowledged is there."""
    project.run("up")
    project.run("tickets", "desk", "open_ticket", "--title", "the printer is on fire")
    before = json.loads(project.run("status", "--json"))
    os.kill(before["services"][0]["pid"], signal.SIGKILL)
    deadline = time.monotonic() + 20
    while True:
        now = drive.status(project.root)
        if now.healthy and now.services[0].pid != before["services"][0]["pid"]:
            break
        assert time.monotonic() < deadline
        time.sleep(0.1)
    with urllib.request.urlopen(before["api"] + "/tickets") as tickets:
        assert [ticket["title"] for ticket in json.load(tickets)] == ["the printer is on fire"]


def test_a_project_that_does_not_compile_does_not_start(project):
    """The findings are shown, and nothing runs."""
    (project.root / "operations" / "tickets.py").write_text("import nothing_of_this_name\n")
    said = project.run("up", code=1)
    assert "nothing_of_this_name" in said
    assert processes.of_project(project.root) == []


def test_sample_data_is_loaded_once(project):
    """The first `up` runs seed.py; another `up` leaves the data as it is."""
    (project.root / "seed.py").write_text(
        "from models.ticket import Ticket\n\n\n"
        "async def seed(ctx):\n"
        "    ctx.store.insert(Ticket(title='from the sample'))\n"
    )
    assert "loading sample data" in project.run("up")
    api = json.loads(project.run("status", "--json"))["api"]
    project.run("down")
    assert "loading sample data" not in project.run("up")
    with urllib.request.urlopen(api + "/tickets") as tickets:
        assert len(json.load(tickets)) == 1


def test_a_host_beyond_loopback_is_refused(project):
    """PULPO705, exit code 2, nothing runs."""
    project.environment["PULPO_API_HOST"] = "0.0.0.0"
    assert "PULPO705" in project.run("up", code=2)


def test_json_is_one_object(project):
    """`up`, `status`, `doctor` and `down` print one JSON object with --json, for an error too."""
    assert json.loads(project.run("status", "--json", code=1))["running"] is False
    up = json.loads(project.run("up", "--json"))
    assert up["running"]
    assert json.loads(project.run("up", "--json", code=1))["code"] == "PULPO703"
    assert all(each["level"] == "ok" for each in json.loads(project.run("doctor", "--json"))["findings"])
    assert json.loads(project.run("down", "--json")) == {"was_running": True, "services": ["api", "ui"], "killed": 0}
    assert json.loads(project.run("down", "--json"))["was_running"] is False


def test_what_cannot_be_printed_does_not_take_down_what_was_started(project):
    """A full disk behind standard output: the project is up all the same."""
    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device, given on as a descriptor
        command = [sys.executable, "-m", "pulpo.cli.main", "up"]
        done = subprocess.run(
            command,
            cwd=project.root,
            env=project.environment,
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(project.run("status", "--json"))["healthy"]


def test_up_says_that_something_older_runs(project):
    """After another compile the second `up` says how to start what is compiled now."""
    project.run("up")
    assert "`pulpo down` stops it" in project.run("up", code=1)
    model = project.root / "models" / "ticket.py"
    model.write_text(model.read_text() + "    colour: str = 'red'\n")
    project.run("compile")
    assert "`pulpo down && pulpo up`" in project.run("up", code=1)


def test_check_finds_what_up_refuses(project):
    """The mode, the database's address, a command without its port; and what the environment says in vain."""
    toml = project.root / "pulpo.toml"
    toml.write_text('[project]\nmode = "production"\n[database]\nurl = "postgres://x"\n')
    project.environment["PULPO_API_PROT"] = "1"
    found = json.loads(project.run("check", "--json", code=1))
    assert [each["code"] for each in found["findings"]] == ["PULPO705", "PULPO105"]
    assert "PULPO_API_PROT" in found["notices"][0]
    toml.write_text('[services.x]\ncommand = "x {port}"\n')
    assert "names {port} and no port is set" in project.run("check", code=1)


def test_a_port_that_pulpo_dev_has_is_told(project):
    """A second `pulpo dev` ends at once, and `up` says who is there."""
    port = project.environment["PULPO_API_PORT"]
    command = [sys.executable, "-m", "pulpo.cli.main", "dev"]
    with subprocess.Popen(command, cwd=project.root, env=project.environment, stderr=subprocess.DEVNULL) as first:
        try:
            deadline = time.monotonic() + 30
            while not ports.is_taken("127.0.0.1", int(port)):
                assert time.monotonic() < deadline
                time.sleep(0.05)
            for asked in ("dev", "up"):
                told = project.run(asked, code=4)
                assert "PULPO701" in told
                assert f"`pulpo dev` of the project in {project.root}" in told
        finally:
            first.terminate()
            first.wait(20)
