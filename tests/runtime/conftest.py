from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.runtime.lab import Lab


@pytest.fixture
async def lab(tmp_path: Path, database: str) -> AsyncIterator[Lab]:
    lab = Lab(tmp_path, database)
    yield lab
    await lab.close()
