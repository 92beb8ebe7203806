"""Exact amounts in minor units, for the gateway and the books."""

from decimal import Decimal


def minor(amount: Decimal) -> int:
    """An amount of two decimals in cents. Raises ValueError where it is finer than a cent."""
    cents = amount.scaleb(2)
    if cents != int(cents):
        raise ValueError("finer than a cent")
    return int(cents)


def major(cents: int) -> Decimal:
    """Cents as an amount of two decimals."""
    return Decimal(cents).scaleb(-2)
