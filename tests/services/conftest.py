"""Projects in temporary folders with a service each, taken down again whatever happens."""

import socket
import sys
from pathlib import Path

import pytest

from pulpo.services import drive
from pulpo.services.plan import ServicePlan

ECHO = Path(__file__).parent / "echo_service.py"


def free_port():
    """A port of this machine that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def echo(name="echo", *options, port=None, **given):
    """The plan of an echo service on a free port."""
    port = port or free_port()
    return ServicePlan(
        name,
        (sys.executable, str(ECHO), str(port), *options),
        port=port,
        health=f"http://127.0.0.1:{port}/livez",
        setting=f"PULPO_{name.upper()}_PORT",
        **given,
    )


@pytest.fixture
def root(tmp_path):
    """A project's root; nothing of it runs after the test."""
    yield tmp_path
    drive.down(tmp_path)


@pytest.fixture
def other_root(tmp_path_factory):
    """Another project's."""
    root = tmp_path_factory.mktemp("other")
    yield root
    drive.down(root)
