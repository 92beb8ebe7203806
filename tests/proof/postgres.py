"""A PostgreSQL server of a proof's own, for the data of a Prefect server."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from pulpo.services.mongod import free_port
from pulpo.services.processes import end

PATIENCE = 60.0


def programs() -> Path | None:
    """The folder with PostgreSQL's programs, the newest of them; None where it is not installed."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
    if found := shutil.which("initdb"):
        folders.insert(0, Path(found).resolve().parent)
    return folders[-1] if folders else None


@contextmanager
def cluster() -> Iterator[str]:
    """A server on loopback with one database; its address as SQLAlchemy writes it."""
    where = programs()
    assert where is not None
    folder = Path(tempfile.mkdtemp(prefix="pulpo-postgres-"))  # a folder that its user reaches
    try:
        with _server(where, folder) as url:
            yield url
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _server(where: Path, folder: Path) -> Iterator[str]:
    who: dict[str, Any] = {}
    if os.geteuid() == 0:  # PostgreSQL does not run as root
        user = _unprivileged()
        os.chown(folder, user.pw_uid, user.pw_gid)
        who = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    port, password = free_port(), secrets.token_urlsafe(24)
    (folder / "password").write_text(password, encoding="ascii")
    words: list[str | Path] = [where / "initdb", "-D", folder / "data", "-U", "prefect", "-E", "UTF8", "--no-locale"]
    words += ["-A", "scram-sha-256", "--pwfile", folder / "password"]
    done = subprocess.run(words, check=False, capture_output=True, text=True, cwd=folder, **who)
    assert done.returncode == 0, done.stdout + done.stderr
    words = [where / "postgres", "-D", folder / "data", "-p", str(port), "-h", "127.0.0.1", "-k", ""]
    environ = {"PATH": os.environ["PATH"], "LC_ALL": "C"}
    with (folder / "log").open("wb") as log:
        server = psutil.Popen(words, cwd=folder, env=environ, stdout=log, stderr=log, start_new_session=True, **who)
    try:
        create: list[str | Path] = [where / "createdb", "-h", "127.0.0.1", "-p", str(port), "-U", "prefect", "prefect"]
        known = {**os.environ, "PGPASSWORD": password}
        deadline = time.monotonic() + PATIENCE
        while subprocess.run(create, env=known, check=False, capture_output=True).returncode:
            lives = server.poll() is None and time.monotonic() < deadline
            assert lives, (folder / "log").read_text()[-3000:]
            time.sleep(0.1)
        yield f"postgresql+asyncpg://prefect:{password}@127.0.0.1:{port}/prefect"
    finally:
        if server.poll() is None:
            server.send_signal(signal.SIGINT)
        end([server], patience=20.0)


def _unprivileged() -> pwd.struct_passwd:
    """Who runs PostgreSQL where this is root."""
    known = {user.pw_name: user for user in pwd.getpwall()}
    return known.get("postgres") or known["nobody"]
