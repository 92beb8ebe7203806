"""The MongoDB adapter passes the suite."""

from collections.abc import Callable

import pytest

from pulpo.testing.conformance import StoreConformance


class TestMongoStore(StoreConformance):
    @pytest.fixture
    def url(self, mongodb_url: Callable[[], str]) -> str:
        return mongodb_url()

    @pytest.fixture
    def forgetful_url(self, mongodb_url: Callable[[], str]) -> str:
        return mongodb_url() + "&keep_events=50"
