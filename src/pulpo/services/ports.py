"""Whether a port is free, and who holds it where it is not."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable
from dataclasses import dataclass

import psutil

from pulpo.errors import PulpoError
from pulpo.services.plan import ServicePlan
from pulpo.services.processes import MARK

_LONGEST_COMMAND = 80


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that listens on a port.

    `project` is the root of the Pulpo project it belongs to, if it does; `dev` that of the one that `pulpo dev` serves.
    """

    pid: int
    name: str
    command: str
    project: str | None = None
    dev: str | None = None

    def __str__(self) -> str:
        if self.dev:
            return f"`pulpo dev` of the project in {self.dev} (process {self.pid})"
        what = f"process {self.pid} ({self.command or self.name})"
        return f"{what} of the Pulpo project in {self.project}" if self.project else what


def check(plans: Iterable[ServicePlan], *, command: str = "pulpo up") -> None:
    """Nothing else listens where the services will.

    Raises:
        PulpoError: PULPO701, naming the first port that is taken, the process that holds it and the setting to change.
    """
    for plan in plans:
        if plan.port is not None and is_taken(plan.host, plan.port):
            raise taken(plan, plan.port, holder(plan.port), command)


def taken(plan: ServicePlan, port: int, by: Holder | None, command: str = "pulpo up") -> PulpoError:
    """The error that says so."""
    who = str(by) if by else "a process that this user may not look at"
    stop = "stop it with Ctrl+C" if by and by.dev else "stop it"
    stop = f"stop it (`pulpo down` in {by.project})" if by and by.project else stop
    return PulpoError(
        "PULPO701",
        f"port {port} for {plan.name} is taken by {who}",
        hint=f"{stop}, or choose another port: {plan.setting}={port + 1} {command}",
    )


def is_taken(host: str, port: int) -> bool:
    """Whether something listens on the port, on `host` or where `localhost` would find it before `host`."""
    return any(_refuses(family, address, port) for family, address in _addresses(host))


def holder(port: int) -> Holder | None:
    """The process that listens on a TCP port of this machine, or None where the system does not tell."""
    for process in psutil.process_iter():
        try:
            listening = any(
                connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port
                for connection in process.net_connections("tcp")
            )
            if listening:
                return _describe(process)
        except psutil.Error:  # it ended, or belongs to somebody else
            continue
    return None


def _describe(process: psutil.Process) -> Holder:
    command = " ".join(process.cmdline())
    short = command if len(command) <= _LONGEST_COMMAND else command[: _LONGEST_COMMAND - 1] + "…"
    return Holder(process.pid, process.name(), short, process.environ().get(MARK), _serves_for_dev(process))


def _serves_for_dev(process: psutil.Process) -> str | None:
    """The root of the project whose `pulpo dev` started a process, if one did."""
    for each in (process, *process.parents()):
        words = each.cmdline()
        if any("pulpo" in word and words[n + 1 : n + 2] == ["dev"] for n, word in enumerate(words)):
            return process.cwd()
    return None


def _addresses(host: str) -> list[tuple[socket.AddressFamily, str]]:
    if ":" in host:
        return [(socket.AF_INET6, host)]
    address = "127.0.0.1" if host == "localhost" else host
    # `curl http://localhost:8000` tries ::1 first: a stranger there would answer in our place.
    return [(socket.AF_INET, address), *([(socket.AF_INET6, "::1")] if socket.has_ipv6 else [])]


def _refuses(family: socket.AddressFamily, address: str, port: int) -> bool:
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind((address, port))
    except OSError as error:
        if error.errno == errno.EACCES:
            raise PulpoError("PULPO701", f"port {port} needs rights that this user does not have") from None
        return error.errno == errno.EADDRINUSE  # no IPv6 on this machine is no conflict
    return False
