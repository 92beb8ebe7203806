"""A real API process that its tests speak to in bytes, and what they say."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import psutil

HOST = b"Host: localhost\r\n"
JSON = b"Content-Type: application/json\r\n"


@dataclass(frozen=True)
class Answer:
    """An answer, taken from the bytes of a connection."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        """Of the problem in it."""
        code: str = json.loads(self.body)["code"]
        return code


class Talk:
    """A connection; it is closed with the `with` block."""

    def __init__(self, port: int, timeout: float = 10.0, receive_buffer: int | None = None) -> None:
        self.socket = socket.socket()
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(timeout)
        self.socket.connect(("127.0.0.1", port))
        self._rest = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def say(self, data: bytes) -> Self:
        """Send; what the server no longer takes is not sent."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return self
        return self

    def hear(self) -> Answer | None:
        """The next answer; None where the connection is closed instead."""
        while b"\r\n\r\n" not in self._rest:
            if not self._more():
                return None
        head, _, self._rest = self._rest.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        status = int(first.split(" ")[1])
        size = int(headers.get("content-length", "0"))
        while len(self._rest) < size:
            assert self._more(), "the answer breaks off"
        body, self._rest = self._rest[:size], self._rest[size:]
        return Answer(status, headers, body)

    def heard(self) -> Answer:
        """The next answer, which has to come."""
        answer = self.hear()
        assert answer is not None, "closed without an answer"
        return answer

    def rest(self) -> bytes:
        """Everything until the connection is closed, as it is."""
        while self._more():
            pass
        return self._rest

    def closed(self) -> bool:
        """Wait for the end of the connection: whether nothing more was said."""
        return not self._rest and not self._more()

    def _more(self) -> bool:
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            return False
        self._rest += data
        return bool(data)


class Spoken:
    """`python -m pulpo.runtime.http` with settings of its own, logging to a file. It ends with the `with` block."""

    def __init__(self, root: Path, folder: Path, *, limits: str = "", **settings: object) -> None:
        self._log = folder / "server.log"
        names = {f"PULPO_API_{name.upper()}": str(value) for name, value in settings.items()}
        environ = {**os.environ, "PULPO_DATABASE_URL": f"sqlite:///{folder / 'data.db'}", **names}
        command = [sys.executable, "-m", "pulpo.runtime.http", "--root", str(root), "--port", "0"]
        if limits:
            command = ["bash", "-c", f'{limits}; exec "$@"', "bash", *command]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(command, stderr=log, env=environ)
        deadline = time.monotonic() + 30
        while (found := re.search(r"listening on http://127.0.0.1:(\d+)", self._log.read_text())) is None:
            assert self.process.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, "the server does not start"
            time.sleep(0.02)
        self.port = int(found[1])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(12)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def talk(self, timeout: float = 10.0, receive_buffer: int | None = None) -> Talk:
        """A new connection."""
        return Talk(self.port, timeout, receive_buffer)

    def get(self, path: str, more: bytes = b"") -> Answer:
        """One request on a connection of its own."""
        with self.talk() as talk:
            return talk.say(b"GET " + path.encode() + b" HTTP/1.1\r\n" + HOST + more + b"\r\n").heard()

    def lines(self) -> list[dict[str, Any]]:
        """The log so far."""
        return [json.loads(line) for line in self._log.read_text().splitlines() if line.endswith("}")]

    def memory(self) -> float:
        """MiB in memory."""
        return float(psutil.Process(self.process.pid).memory_info().rss / 2**20)

    def cpu(self) -> float:
        """Seconds of processor time so far."""
        times = psutil.Process(self.process.pid).cpu_times()
        return float(times.user + times.system)


def post(body: bytes, more: bytes = b"", path: bytes = b"/products") -> bytes:
    """A whole request."""
    size = b"Content-Length: %d\r\n" % len(body)
    return b"POST " + path + b" HTTP/1.1\r\n" + HOST + JSON + size + more + b"\r\n" + body
