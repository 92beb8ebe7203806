"""The SQLite adapter passes the suite, and what only it promises."""

from pathlib import Path

import pytest

from pulpo.testing.conformance import StoreConformance


class TestSqliteStore(StoreConformance):
    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        return f"sqlite:///{tmp_path}/data/test.db"

    @pytest.fixture
    def forgetful_url(self, tmp_path: Path) -> str:
        return f"sqlite:///{tmp_path}/forgetful.db?keep_events=50"
