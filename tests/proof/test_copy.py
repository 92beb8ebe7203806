"""The shop goes from store to store and back, in short; `python -m tests.proof.copy` is the full form."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.proof import copy


@pytest.mark.parametrize("second", ["sqlite", "mongodb"])
def test_a_shop_comes_back_as_it_was(tmp_path: Path, second: str, mongodb_url: Callable[[], str]) -> None:
    """Both copies are killed half-way and completed; every document is the same text as before."""
    url = mongodb_url() if second == "mongodb" else f"sqlite:///{tmp_path}/second.db"
    result = copy.prove(copy.Plan(orders=20_000, second=url), tmp_path)
    assert result.wrong == []
    assert result.figures["documents that are the same text"] > 20_000
