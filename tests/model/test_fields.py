"""What `Field` takes."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

import pytest
from annotated_types import Interval
from pydantic import TypeAdapter, ValidationError

from pulpo import Field, Model, Money, Timestamp


def test_an_option_that_nobody_knows_is_refused_with_the_nearest() -> None:
    """A constraint with a typing mistake would never be enforced, so it does not pass."""
    with pytest.raises(TypeError, match='did you mean "max_length"'):
        Field(default="", max_lenght=3)


@pytest.mark.parametrize("amount", ["-0.01", "100.01", "NaN", "1.999"])
def test_an_amount_is_held_to_the_bounds_of_its_field(amount: str) -> None:
    """`Field(ge=0, le=100)` on `Money` holds, beside what every amount is held to."""
    with pytest.raises(ValidationError):
        Priced(price=Decimal(amount))
    with pytest.raises(ValidationError):
        Priced(price=Decimal(1), maybe=Decimal(amount))
    with pytest.raises(ValidationError):
        Priced(price=Decimal(1), some=[Decimal(amount)])


def test_an_amount_within_its_bounds_passes() -> None:
    """The bounds themselves too, and what may be null."""
    made = Priced(price=Decimal(0), maybe=Decimal(100), some=[Decimal("1.5")])
    assert (made.price, made.maybe, made.some) == (Decimal("0.00"), Decimal("100.00"), [Decimal("1.50")])
    assert Priced(price=Decimal(1)).maybe is None


def test_amounts_have_a_greatest_of_their_own() -> None:
    """Ten thousand milliards, whatever the field says."""
    assert Wide(price=Decimal(10) ** 13 - 1).price
    with pytest.raises(ValidationError):
        Wide(price=Decimal(10) ** 13)


class Priced(Model):
    price: Money = Field(ge=0, le=100)
    maybe: Money | None = Field(None, ge=0, le=100)
    some: list[Annotated[Money, Interval(ge=0, le=100)]] = Field(default_factory=list)


class Wide(Model):
    price: Money = Field(lt=10**15)


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+11:00", "9999-12-31T23:00:00-11:00"])
def test_a_moment_outside_of_the_calendar_is_refused(moment: str) -> None:
    """In UTC there is no such year: an invalid field, and no failure of ours."""
    with pytest.raises(ValidationError, match="outside of the years 1 to 9999"):
        TypeAdapter(Timestamp).validate_json(f'"{moment}"')
