"""Have pytest explain failed assertions of the conformance suite as if they were written here."""

import pytest

for _part in ("aggregates", "changes", "commits", "events", "processes", "queries"):
    pytest.register_assert_rewrite(f"pulpo.testing.conformance.{_part}")
