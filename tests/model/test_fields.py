"""What `Field` takes."""

from __future__ import annotations

import pytest

from pulpo import Field


def test_an_option_that_nobody_knows_is_refused_with_the_nearest() -> None:
    """A constraint with a typing mistake would never be enforced, so it does not pass."""
    with pytest.raises(TypeError, match='did you mean "max_length"'):
        Field(default="", max_lenght=3)
