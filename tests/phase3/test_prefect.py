"""A newcomer who chooses Prefect: pip resolves to what its server runs with, and one `pulpo up` starts all of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.phase3.newcomer import Machine, free_port


@pytest.mark.xdist_group("prefect")
def test_prefect_from_an_unpinned_install(machine: Machine, tmp_path: Path) -> None:
    """`pip install "pulpo-core[prefect]"`, `pulpo cli init --engine prefect`, `pulpo up`, `pulpo down`."""
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True, capture_output=True, timeout=120)
    environment = {name: value for name, value in machine.environment.items() if name != "PIP_CONSTRAINT"} | {
        "VIRTUAL_ENV": str(venv),
        "PATH": os.pathsep.join([str(venv / "bin"), machine.environment["PATH"]]),
        "PULPO_API_PORT": str(free_port()),
        "PULPO_UI_PORT": str(free_port()),
        "PULPO_PREFECT_PORT": str(free_port()),
    }
    fresh = Machine(machine.wheel, environment, machine.installation)
    fresh.run('pip install "pulpo-core[prefect]"', tmp_path, timeout=400.0)
    desk = tmp_path / "desk"
    desk.mkdir()
    fresh.run("pulpo cli init --engine prefect", desk)
    fresh.run("pulpo compile", desk)
    try:
        fresh.run("pulpo up", desk, timeout=200.0)
        status = json.loads(fresh.run("pulpo status --json", desk).out)
        assert {service["name"]: service["state"] for service in status["services"]} == dict.fromkeys(
            ("api", "ui", "prefect", "worker-1"), "healthy"
        )
        (flow,) = json.loads(fresh.run("pulpo flows list --json", desk).out)["flows"]
        assert json.loads(fresh.run("pulpo flows deploy --json", desk).out)["deployments"] == {
            flow["flow"]: f"{flow['flow']}/desk"
        }
    finally:
        said = fresh.run("pulpo down --json", desk).out
    assert json.loads(said)["killed"] == 0
