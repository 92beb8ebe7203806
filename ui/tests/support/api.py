"""Takes a project's API away, or gives it back: `api.py kill` or `api.py start` in the root of one that is up."""

import os
import signal
import sys
from pathlib import Path

from pulpo.services import supervisor

socket = supervisor.socket_path(Path.cwd())
name = "pulpo:api"


def main() -> None:
    """Kill it as nobody can refuse, and keep the supervisor from starting another; or start it."""
    if sys.argv[1] == "kill":
        os.kill(supervisor.processes(socket)["api"].pid, signal.SIGKILL)
        supervisor._call(socket, "supervisor.stopProcess", name)  # noqa: SLF001 - what it offers does not part them
    else:
        supervisor._call(socket, "supervisor.startProcess", name)  # noqa: SLF001


main()
