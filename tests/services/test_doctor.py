import shutil
import socket

import pytest

from pulpo.services import drive
from pulpo.services.doctor import examine
from pulpo.settings import Settings
from pulpo.store.sqlite import SqliteStore

from .conftest import echo, free_port


@pytest.fixture
def settings():
    return Settings.model_validate({"api": {"port": free_port()}, "ui": {"port": free_port()}})


def found(root, settings, word):
    (only,) = [each for each in examine(root, settings) if word in each.what]
    return only


async def test_a_sound_project_is_all_ok(tmp_path, settings):
    """Python, SQLite, free ports, our database, disk: nothing to do."""
    store = SqliteStore(tmp_path / ".pulpo" / "data.db")
    await store.open(())
    await store.close()
    examined = examine(tmp_path, settings)
    assert {each.level for each in examined} == {"ok"}, examined
    assert len(examined) == 7


@pytest.mark.parametrize("where", ["h:99999/x", "[::1/x", "h/x?tls=true&tlsCAFile=/nowhere"])
def test_an_address_that_cannot_be_read_is_said_to_be(tmp_path, settings, where):
    """With what is wrong, and without the password."""
    named = Settings.model_validate({"database": {"url": f"mongodb://me:s3cret@{where}"}})
    address = found(tmp_path, settings.model_copy(update={"database": named.database}), "database.url")
    assert address.level == "fail"
    assert "s3cret" not in f"{address}"


def test_a_taken_port_fails_and_says_what_to_do(tmp_path, settings):
    """The holder is named, and the setting."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", settings.api.port))
        listening.listen()
        port = found(tmp_path, settings, f"port {settings.api.port}")
    assert port.level == "fail"
    assert "PULPO_API_PORT" in port.advice


def test_a_file_that_is_not_ours_fails(tmp_path, settings):
    """Another program's file at the database's path."""
    (tmp_path / ".pulpo").mkdir()
    (tmp_path / ".pulpo" / "data.db").write_bytes(b"not a database")
    database = found(tmp_path, settings, "data.db")
    assert database.level == "fail"
    assert "PULPO_DATABASE_URL" in database.advice


def test_a_database_that_cannot_be_read_fails(tmp_path, settings):
    """A folder at the database's path; an empty file is as good as none."""
    file = tmp_path / ".pulpo" / "data.db"
    file.mkdir(parents=True)
    assert "cannot be read" in found(tmp_path, settings, "data.db").what
    file.rmdir()
    file.touch()
    assert found(tmp_path, settings, "data.db").level == "ok"


def test_a_full_disk_fails(tmp_path, settings, monkeypatch):
    """Less than 100 MB fails, less than 1 GB warns."""
    usage = shutil.disk_usage(tmp_path)
    for free, level in ((50_000_000, "fail"), (500_000_000, "warn")):
        monkeypatch.setattr(shutil, "disk_usage", lambda _, free=free: usage._replace(free=free))
        assert found(tmp_path, settings, "of disk").level == level


def test_a_running_project_tells_of_its_services(root, settings):
    """Running: each service's health instead of free ports."""
    drive.up(root, (echo("api"),))
    assert found(root, settings, "api is healthy").level == "ok"


def test_settings_that_make_no_sense_fail(tmp_path):
    """What `pulpo up` would refuse is said here too."""
    refused = found(tmp_path, Settings.model_validate({"api": {"host": "0.0.0.0"}}), "0.0.0.0")
    assert refused.level == "fail"
