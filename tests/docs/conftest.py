"""The newcomer's machine, for the pages that it can be walked along."""

from __future__ import annotations

import pytest

from tests.phase3.newcomer import Machine, installed


@pytest.fixture(scope="session")
def machine(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """An empty home and a fresh environment with `pip install pulpo-core`."""
    return installed(pytestconfig, tmp_path_factory)
