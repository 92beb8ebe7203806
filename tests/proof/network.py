"""Machines for proofs: each has a network, process ids and a host name of its own, where the user may make namespaces.

`Separate` makes a namespace with a bridge, which this process enters and whose servers listen there, and one for each
machine, with a link to the bridge that can be taken down. Nothing of it is seen from outside. `Together` is what is
left to do without the rights: plain processes on loopback.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

_NEWNET = 0x40000000
_NAMED = Path("/var/run/netns")
_BRIDGE = "machines"


class Together:
    """Machines that are no more than processes."""

    kind: Literal["namespaces", "processes"] = "processes"
    address = "127.0.0.1"
    """Where machines find what everybody shares."""

    def command(self, machine: str, *words: str) -> list[str]:
        """How a program is started on a machine."""
        return list(words)

    def cut(self, machine: str) -> None:
        """Take a machine's link down, where it has one."""

    def processes(self, machine: str) -> list[int]:
        """The ids of a machine's processes, beside those that were started by `command`."""
        return []


class Separate(Together):
    """Machines with namespaces of their own."""

    kind = "namespaces"
    address = "10.77.0.1"

    def __init__(self, machines: Iterable[str]) -> None:
        self._hub = f"pulpo-{os.getpid()}"
        self._names = {machine: f"{self._hub}-{machine}" for machine in machines}

    def make(self) -> None:
        """Make the namespaces, links and the bridge, and enter the one with the bridge.

        Raises:
            subprocess.CalledProcessError: This user may not.
            OSError: Nor enter one.
        """
        hub = self._hub
        _ip("netns", "add", hub)
        _ip("-n", hub, "link", "set", "lo", "up")
        _ip("-n", hub, "link", "add", "name", _BRIDGE, "type", "bridge")
        _ip("-n", hub, "addr", "add", f"{self.address}/24", "dev", _BRIDGE)
        _ip("-n", hub, "link", "set", _BRIDGE, "up")
        for number, (machine, name) in enumerate(self._names.items(), start=2):
            _ip("netns", "add", name)
            _ip("-n", hub, "link", "add", machine, "type", "veth", "peer", "name", "eth0", "netns", name)
            _ip("-n", hub, "link", "set", machine, "master", _BRIDGE, "up")
            _ip("-n", name, "addr", "add", f"10.77.0.{number}/24", "dev", "eth0")
            _ip("-n", name, "link", "set", "lo", "up")
            _ip("-n", name, "link", "set", "eth0", "up")
            subprocess.run(self.command(machine, "true"), check=True, capture_output=True)
        with (_NAMED / hub).open("rb") as file:
            if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), _NEWNET):
                raise OSError(ctypes.get_errno(), "the namespace cannot be entered")

    def remove(self) -> None:
        """End what still runs on the machines, and remove them."""
        for machine, name in self._names.items():
            if (_NAMED / name).exists():
                for pid in self.processes(machine):
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                _ip("netns", "delete", name)
        if (_NAMED / self._hub).exists():
            _ip("netns", "delete", self._hub)

    def command(self, machine: str, *words: str) -> list[str]:
        """A program is process 1 of its machine, which ends with it."""
        inside = ("ip", "netns", "exec", self._names[machine])
        alone = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--uts", "--")
        named = ("sh", "-c", 'hostname "$0" && exec "$@"', machine)
        return [*inside, *alone, *named, *words]

    def cut(self, machine: str) -> None:
        """Nothing goes to the machine and nothing comes from it, not even that a connection has ended."""
        _ip("link", "set", machine, "down")

    def processes(self, machine: str) -> list[int]:
        """All that run in its namespace."""
        return [int(pid) for pid in _ip("netns", "pids", self._names[machine]).split()]


@contextmanager
def machines(names: Iterable[str]) -> Iterator[Together]:
    """Machines of these names: separate ones where this user may make them. This process stays in their network."""
    separate = Separate(names)
    try:
        if shutil.which("ip") is None or shutil.which("unshare") is None:
            yield Together()
            return
        try:
            separate.make()
        except (subprocess.CalledProcessError, OSError):
            separate.remove()
            yield Together()
        else:
            yield separate
    finally:
        separate.remove()


def _ip(*words: str) -> str:
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout
