"""The newcomer's machine, for the pages that a newcomer follows."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.phase3.newcomer import Machine, free_port, installed


@pytest.fixture(scope="session")
def machine(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """An empty home and a fresh environment with Pulpo, and what tests of a project need."""
    machine = installed(pytestconfig, tmp_path_factory)
    machine.run("pip install pytest pytest-asyncio", Path(machine.environment["HOME"]))
    return machine


@pytest.fixture
def ports() -> dict[str, str]:
    """Settings that keep a project off the ports of others."""
    return {"PULPO_API_PORT": str(free_port()), "PULPO_UI_PORT": str(free_port())}
