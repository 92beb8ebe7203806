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
        pid = supervisor.processes(socket)["api"].pid
        os.kill(pid, signal.SIGSTOP)  # it does not see that it is to stop, and the supervisor knows before it is gone
        supervisor._call(socket, "supervisor.stopProcess", name, False)  # noqa: SLF001 - what it offers does not part them
        os.kill(pid, signal.SIGKILL)
    else:
        supervisor._call(socket, "supervisor.startProcess", name)  # noqa: SLF001


main()
