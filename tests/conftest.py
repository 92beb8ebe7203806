"""What holds for every test."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _import_path() -> Iterator[None]:
    """Tests load projects from folders of their own: none is left on the import path."""
    path = list(sys.path)
    yield
    sys.path[:] = path
