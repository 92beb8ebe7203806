"""`pulpo db`: as people type it, on the sample project."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import apsw
import pytest

from pulpo import settings
from pulpo.cli.db.progress import Meter, duration, size
from pulpo.model.model import now, timestamp
from pulpo.runtime.workers import begun, host
from pulpo.services import fit
from pulpo.store.port import Collection, Record
from pulpo.store.transfer import Progress
from pulpo.testing.conformance.upkeep import filling

from .conftest import Ran

STAMP = "2025-10-30T09:15:00.123Z"
Pulpo = Callable[..., Ran]


@pytest.fixture
def pulpo(desk: Path) -> Pulpo:
    """Run `pulpo ARGUMENTS` in a process of its own, with this on its standard input."""

    def run_line(*arguments: str, given: str = "", env: dict[str, str] | None = None) -> Ran:
        command = [sys.executable, "-m", "pulpo.cli.main", *arguments]
        environment = {**os.environ, **(env or {})}
        done = subprocess.run(
            command, cwd=desk, env=environment, input=given, capture_output=True, text=True, timeout=120, check=False
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    return run_line


def url(file: Path) -> str:
    return f"sqlite:///{file}"


def put(file: Path, *records: Record, collection: str = "tickets") -> None:
    """Documents in a database."""

    async def load() -> None:
        async with filling(url(file), (Collection(collection),)) as loader:
            await loader.load(collection, records)

    asyncio.run(load())


def ticket(number: int, **more: object) -> Record:
    fields = {"id": f"ticket_{number:06}", "version": 1, "created_at": STAMP, "updated_at": STAMP, "title": "Fire"}
    return Record(str(fields["id"]), 1, json.dumps({**fields, **more}))


def lease() -> Record:
    """This process at work on a database."""
    row = {
        "id": "worker_1",
        "version": 1,
        "host": host(),
        "pid": os.getpid(),
        "started": begun(os.getpid()),
        "lease_until": timestamp(now() + timedelta(minutes=5)),
    }
    return Record("worker_1", 1, json.dumps(row))


def count(file: Path) -> int:
    """How many tickets a database has that is being written; 0 while it is not there."""
    try:
        db = apsw.Connection(str(file), flags=apsw.SQLITE_OPEN_READONLY)
    except apsw.CantOpenError:
        return 0
    try:
        return int(db.execute("SELECT count(*) FROM tickets").get)
    except (apsw.SQLError, apsw.BusyError):
        return 0
    finally:
        db.close()


def test_status_says_what_is_there(desk: Path, pulpo: Pulpo) -> None:
    """Before the first start, and with documents; it makes and changes nothing."""
    file = desk / ".pulpo" / "data.db"
    assert "is not there yet" in pulpo("db", "status").out
    assert not file.exists()
    put(file, ticket(1), ticket(2))
    put(file, Record("r", 1, '{"id":"r","version":1,"state":"failed"}'), collection="_runs")
    put(file, lease(), collection="_workers")
    before = file.read_bytes()
    told = json.loads(pulpo("db", "status", "--json").out)
    assert (told["exists"], told["collections"]["tickets"], told["runs"]) == (True, 2, {"failed": 1})
    assert told["in_use_by"] == [f"process {os.getpid()} on {host().partition('/')[0]}"]
    assert {one["effect"] for one in told["changes"]} == {"additive"}
    shown = pulpo("db", "status").out
    assert "1 failed" in shown
    assert "new index" in shown
    assert file.read_bytes() == before


def test_a_copy_and_a_backup_round(desk: Path, pulpo: Pulpo, tmp_path: Path) -> None:
    """Copied, backed up, restored elsewhere: the same sums every time; with --json one object each."""
    put(desk / ".pulpo" / "data.db", *(ticket(n) for n in range(30)))
    copied = pulpo("db", "copy", "--to", url(tmp_path / "two.db"))
    assert copied.code == 0, copied.err
    assert "30 documents" in copied.out
    again = json.loads(pulpo("db", "copy", "--to", "env:THERE", "--json", env={"THERE": url(tmp_path / "two.db")}).out)
    assert (again["state"], again["written"]) == ("already", 0)
    file = tmp_path / "b.backup"
    kept = json.loads(pulpo("db", "backup", str(file), "--json").out)
    assert file.stat().st_mode & 0o777 == 0o600
    back = pulpo("db", "restore", str(file), "--url", url(tmp_path / "three.db"), "--json")
    told = json.loads(back.out)
    assert told["state"] == "filled"
    assert again["sums"]["tickets"] == kept["sums"]["tickets"] == told["sums"]["tickets"]
    assert told["sums"]["tickets"]["count"] == 30
    listed = pulpo("db", "status", "--json", env={"PULPO_DATABASE_URL": url(tmp_path / "three.db")})
    assert json.loads(listed.out)["collections"]["tickets"] == 30


def test_refusals_have_their_exit_codes(desk: Path, pulpo: Pulpo, tmp_path: Path) -> None:
    """Nothing there, something there, itself, a damaged file: a code, a hint, and nothing is written."""
    file = tmp_path / "x.backup"
    missing = pulpo("db", "backup", str(file))
    assert (missing.code, missing.err.split()[0], file.exists()) == (3, "PULPO507", False)
    assert pulpo("db", "copy", "--to", url(tmp_path / "two.db")).code == 3
    put(desk / ".pulpo" / "data.db", ticket(1))
    assert pulpo("db", "copy", "--to", "sqlite:///.pulpo/data.db").code == 2
    assert pulpo("db", "copy", "--to", "env:NOWHERE").code == 2
    assert pulpo("db", "copy").code == 2
    put(tmp_path / "two.db", ticket(2))
    full = pulpo("db", "copy", "--to", url(tmp_path / "two.db"), "--json")
    assert (full.code, json.loads(full.out)["code"]) == (3, "PULPO515")
    file.write_bytes(b"no backup")
    damaged = pulpo("db", "restore", str(file), "--force")
    assert (damaged.code, damaged.err.split()[0]) == (2, "PULPO518")
    assert count(desk / ".pulpo" / "data.db") == 1
    assert pulpo("db", "copy", "--to", url(tmp_path / "two.db"), "--force").code == 0


def test_a_database_at_work_is_left_alone(desk: Path, pulpo: Pulpo, tmp_path: Path) -> None:
    """PULPO519 for a copy from it, unless --live, for a copy into it, a restore and a rewriting migration."""
    file = desk / ".pulpo" / "data.db"
    put(file, ticket(1, nonsense=True))
    put(file, lease(), collection="_workers")
    refused = pulpo("db", "copy", "--to", url(tmp_path / "two.db"))
    assert (refused.code, refused.err.split()[0]) == (3, "PULPO519")
    assert "--live" in refused.err
    assert pulpo("db", "backup", str(tmp_path / "b")).code == 0
    assert pulpo("db", "copy", "--live", "--to", url(tmp_path / "two.db")).code == 0
    for arguments in (
        ("restore", str(tmp_path / "b"), "--force"),
        ("copy", "--from", url(tmp_path / "two.db"), "--to", url(file), "--force"),
        ("migrate", "--allow-loss"),
    ):
        refused = pulpo("db", *arguments)
        assert (refused.code, refused.err.split()[0]) == (3, "PULPO519"), arguments
    assert count(file) == 1


def test_the_way_to_mongodb_and_back(desk: Path, pulpo: Pulpo, tmp_path: Path, mongodb_url: Callable[[], str]) -> None:
    """Status, copies, a backup of one restored into the other, a migration: the same sums all the way."""
    put(desk / ".pulpo" / "data.db", *(ticket(n, assignee="é" * n) for n in range(300)))
    there, again = mongodb_url(), mongodb_url()
    assert "is not there yet" in pulpo("db", "status", "--url", there).out
    first = json.loads(pulpo("db", "copy", "--to", "env:THERE", "--json", env={"THERE": there}).out)
    listed = json.loads(pulpo("db", "status", "--json", env={"PULPO_DATABASE_URL": there}).out)
    assert (listed["collections"]["tickets"], listed["changes"], listed["in_use_by"]) == (300, [], [])
    assert pulpo("db", "migrate", "--check", env={"PULPO_DATABASE_URL": there}).code == 0
    back = pulpo("db", "copy", "--from", there, "--to", url(tmp_path / "back.db"), "--json")
    saved = pulpo("db", "backup", str(tmp_path / "b"), "--url", there, "--json")
    restored = pulpo("db", "restore", str(tmp_path / "b"), "--url", again, "--json")
    sums = [json.loads(done.out)["sums"]["tickets"] for done in (back, saved, restored)]
    assert sums == [first["sums"]["tickets"]] * 3
    assert sums[0]["count"] == 300
    shell = pulpo("db", "shell", "--url", there)
    assert (shell.code, shell.err.split()[0]) == (2, "PULPO804")


def test_a_killed_copy_goes_on(desk: Path, pulpo: Pulpo, tmp_path: Path) -> None:
    """SIGKILL half-way: the project does not start on the half; the same command completes it."""
    there = tmp_path / "two.db"
    put(desk / ".pulpo" / "data.db", *(ticket(n, body="x" * 500) for n in range(30_000)))
    command = [sys.executable, "-m", "pulpo.cli.main", "db", "copy", "--to", url(there)]
    process = subprocess.Popen(command, cwd=desk, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while count(there) < 2_000:
        assert process.poll() is None
        assert time.monotonic() < deadline
    process.send_signal(signal.SIGKILL)
    process.communicate()
    had = count(there)
    assert 2_000 <= had < 30_000
    started = pulpo("tickets", "desk", "open_ticket", "--title", "x", env={"PULPO_DATABASE_URL": url(there)})
    assert (started.code, started.err.split()[0]) == (3, "PULPO516")
    assert "UNFINISHED" in pulpo("db", "status", "--url", url(there)).out
    assert "PULPO516" in pulpo("db", "backup", str(tmp_path / "b"), "--url", url(there)).err
    done = json.loads(pulpo("db", "copy", "--to", url(there), "--json").out)
    assert done["state"] == "resumed"
    assert done["written"] == 30_000 - had + (done["documents"] - 30_000)
    assert done["sums"]["tickets"]["count"] == count(there) == 30_000


def test_secrets_are_never_shown(desk: Path, pulpo: Pulpo, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is wrong with an address, its password stands in no output."""
    put(desk / ".pulpo" / "data.db", ticket(1))
    nobody = "mongodb://ada:s3cret@127.0.0.1:1/shop?connectTimeoutMS=200&serverSelectionTimeoutMS=300"
    for address in (nobody, "mysql://ada:s3cret@h/x", "s3cret"):
        for arguments in (
            ("copy", "--to", address),
            ("copy", "--from", address, "--to", "sqlite:///two.db"),
            ("status", "--url", address),
            ("backup", "b", "--url", address),
        ):
            done = pulpo("db", *arguments)
            assert done.code in {2, 4}, done.err
            assert "s3cret" not in done.out + done.err


def test_a_migration_shows_first_what_it_would_do(desk: Path, pulpo: Pulpo) -> None:
    """--dry-run and --check change nothing; --check tells by its exit code; then it is done, once."""
    file = desk / ".pulpo" / "data.db"
    put(file, ticket(1), ticket(2, nonsense=True))
    shown = pulpo("db", "migrate", "--dry-run")
    assert (shown.code, "nonsense" in shown.out) == (0, True)
    assert pulpo("db", "migrate", "--check").code == 1
    refused = pulpo("db", "migrate")
    assert (refused.code, refused.err.split()[0], "LOST" in refused.out) == (3, "PULPO508", True)
    assert json.loads(pulpo("db", "migrate", "--allow-loss", "--json").out)["rewritten"] == 2
    assert pulpo("db", "migrate", "--check").code == 0
    assert "nothing to do: 2 documents" in pulpo("db", "migrate").out


def test_what_does_not_fit_is_found_in_a_sample(desk: Path, pulpo: Pulpo) -> None:
    """Each model in a sentence; when everything fits, it is not looked at again before the models change."""
    file = desk / ".pulpo" / "data.db"
    put(file, ticket(1), ticket(2, nonsense=True))
    known = settings.load(desk)
    assert fit.is_due(desk, known)
    unfit, lacking = fit.look(desk, known)
    assert unfit.startswith(
        "documents of tickets do not fit their model (at least 1): run `pulpo db migrate --dry-run`"
    )
    assert "documents without urgent: its default" in lacking
    assert fit.is_due(desk, known)
    pulpo("db", "migrate", "--allow-loss")
    assert fit.look(desk, known) == ()
    assert not fit.is_due(desk, known)
    model = desk / "models" / "ticket.py"
    model.write_text(model.read_text() + "\n")
    assert fit.is_due(desk, known)


def test_the_shell_reads_unless_told_otherwise(desk: Path, pulpo: Pulpo) -> None:
    """SQL from standard input; a write is refused without --write."""
    file = desk / ".pulpo" / "data.db"
    assert pulpo("db", "shell").code == 3
    put(file, ticket(1))
    read = pulpo("db", "shell", given="SELECT id FROM tickets;\nDELETE FROM tickets;\n")
    assert "ticket_000001" in read.out
    assert "readonly" in read.err
    assert count(file) == 1
    pulpo("db", "shell", "--write", given="DELETE FROM tickets;\n")
    assert count(file) == 0


def test_progress_is_a_line_now_and_then(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """With rate and time left; on a terminal it is written over and taken away, elsewhere it is rare."""
    progress = Progress("copying", "tickets", 500, 2000, 2.0)
    Meter()(progress)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    meter = Meter()
    meter(progress)
    meter(progress)
    meter.close()
    line = "copying tickets: 500 of 2,000 documents (25 %), 250/s, 6.0 s left"
    assert capsys.readouterr().err == f"\r{line}\r{'':<{len(line)}}\r"
    assert (duration(0.04), duration(59.6), duration(75)) == ("0.0 s", "1 min 0 s", "1 min 15 s")
    assert (size(999), size(1500), size(2.5e6), size(4e9)) == ("999 bytes", "1.5 kB", "2.5 MB", "4.0 GB")
