"""The MongoDB server that a project keeps for itself, as a user meets it: chosen, started, restarted, explained."""

import json
import os
import stat
import subprocess
import sys
import urllib.request

import pytest
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from pulpo.services import drive, mongod, processes
from pulpo.store import own_server

from .conftest import free_port


class Project:
    """A project of `pulpo cli init --database mongodb`, on free ports."""

    def __init__(self, root):
        self.root, self.port, self.api = root, free_port(), free_port()
        self.run("cli", "init", "--database", "mongodb")
        settings = root / "pulpo.toml"
        settings.write_text(settings.read_text().replace("27017", str(self.port)))
        self.url = f"mongodb://127.0.0.1:{self.port}"

    def run(self, *arguments, code=0):
        """The output of a command that ends with this exit code."""
        ports = {"PULPO_API_PORT": str(self.api), "PULPO_UI_PORT": str(free_port())}
        done = subprocess.run(
            [sys.executable, "-m", "pulpo.cli.main", *arguments],
            cwd=self.root,
            env={**os.environ, **ports},
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def tickets(self):
        """What the API has."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.api}/tickets", timeout=10) as answer:
            return json.load(answer)


@pytest.fixture
def project(tmp_path):
    """A project whose processes are gone after the test."""
    yield Project(tmp_path)
    drive.down(tmp_path)


def test_up_keeps_a_server_with_a_user_and_its_data(project):
    """It comes up first, is a replica set that nobody reads without its password, and is as it was after a restart."""
    out = project.run("up")
    assert out.index("mongod is healthy") < out.index("api is healthy")
    project.run("tickets", "desk", "open_ticket", "--title", "The printer is on fire")
    (ticket,) = project.tickets()
    with MongoClient(project.url, directConnection=True) as stranger:
        assert stranger.admin.command("hello")["setName"]
        with pytest.raises(OperationFailure):
            stranger.get_database(project.root.name).list_collection_names()
    kept = project.root / own_server.FOLDER
    assert not (kept / "user.json").stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    secret = json.loads((kept / "user.json").read_text())["password"]
    assert secret not in (project.root / "pulpo.toml").read_text()
    logs = (project.root / ".pulpo" / "logs").iterdir()
    assert not any(secret in log.read_text(errors="replace") for log in logs)
    assert "replica set pulpo" in project.run("doctor")
    assert json.loads(project.run("db", "status", "--json"))["collections"]
    project.run("db", "backup", str(project.root / "shop.backup"))
    project.run("down")
    assert processes.of_project(project.root) == []
    project.run("up")
    assert project.tickets() == [ticket]


def test_the_server_follows_its_address(project):
    """Where `database.url` names another port, `up` brings server and replica set there, with the data."""
    project.run("up")
    project.run("tickets", "desk", "open_ticket", "--title", "x")
    project.run("down")
    settings = project.root / "pulpo.toml"
    moved = free_port()
    settings.write_text(settings.read_text().replace(str(project.port), str(moved)))
    project.run("up")
    assert len(project.tickets()) == 1
    with MongoClient(f"mongodb://127.0.0.1:{moved}", directConnection=True) as client:
        assert client.admin.command("hello")["hosts"] == [f"127.0.0.1:{moved}"]


def test_the_user_of_the_server_may_do_what_is_needed_and_no_more(project):
    """It reads and writes; it makes no users and does not stop the server. One that an earlier version made, too."""
    project.run("up")
    known = own_server.user(project.root)
    who = {"username": known.name, "password": known.password, "directConnection": True}

    def refused(client):
        for command in ({"createUser": "x", "pwd": "x", "roles": []}, {"shutdown": 1}):
            with pytest.raises(OperationFailure, match="not authorized"):
                client.admin.command(command)

    with MongoClient(project.url, **who) as client:
        refused(client)
    project.run("down")
    folder = project.root / own_server.FOLDER
    server = mongod.start(folder, port=project.port)  # without users: as whoever owns the files
    try:
        mongod.initiate((server.port,))
        with MongoClient(project.url, directConnection=True) as client:
            client.admin.command("updateUser", known.name, roles=["root"])
    finally:
        server.stop()
    project.run("up")
    with MongoClient(project.url, **who) as client:
        refused(client)


def test_a_server_that_is_there_is_used(project, tmp_path_factory):
    """A replica set at the address needs no other: it is used, and outlives the project."""
    server = mongod.start(tmp_path_factory.mktemp("there"), port=project.port)
    try:
        mongod.initiate((server.port,))
        assert "mongod" not in project.run("up")
        project.run("tickets", "desk", "open_ticket", "--title", "x")
        project.run("down")
        with MongoClient(project.url, directConnection=True) as client:
            assert sum(len(client[name].list_collection_names()) for name in client.list_database_names()) > 0
        assert not (project.root / own_server.FOLDER).exists()
    finally:
        server.stop()


def test_a_database_that_others_fill_is_given_no_sample_data(project, tmp_path_factory):
    """Another machine's first `up` on the same database adds nothing; on an empty one it loads the sample."""
    seed = "from models.ticket import Ticket\nasync def seed(ctx):\n    ctx.store.insert(Ticket(title='sample'))\n"
    (project.root / "seed.py").write_text(seed)
    server = mongod.start(tmp_path_factory.mktemp("shared"), port=project.port)
    try:
        mongod.initiate((server.port,))
        for _ in range(2):
            project.run("up")
            assert len(project.tickets()) == 1
            project.run("down")
            for marker in (project.root / ".pulpo").glob("seeded-*"):
                marker.unlink()  # as on a machine that was never there
    finally:
        server.stop()


def test_a_server_that_stands_alone_is_explained(project, tmp_path_factory):
    """`up` ends with PULPO511 and what to run; `doctor` says it too. Nothing is left running."""
    folder = tmp_path_factory.mktemp("alone")
    words = [str(mongod.program()), "--dbpath", str(folder), "--port", str(project.port), "--bind_ip", "127.0.0.1"]
    with (folder / "log").open("w") as log:
        alone = subprocess.Popen([*words, "--nounixsocket"], stdout=log, stderr=log)
    try:
        with MongoClient(project.url, directConnection=True, serverSelectionTimeoutMS=20_000) as client:
            client.admin.command("ping")
        out = project.run("up", code=4)
        assert "PULPO511" in out
        assert "rs.initiate()" in out
        assert processes.of_project(project.root) == []
        assert "is no replica set" in project.run("doctor", code=1)
    finally:
        alone.terminate()
        alone.wait(20)
