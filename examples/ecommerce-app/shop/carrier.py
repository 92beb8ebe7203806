"""The carrier: a port, and the rate table as its default adapter."""

import hashlib
from dataclasses import dataclass
from typing import Protocol

from shop import rates
from shop.rates import Rate


@dataclass(frozen=True, slots=True)
class BoughtLabel:
    """What the carrier sold."""

    carrier: str
    tracking_number: str


class Carrier(Protocol):
    """Who carries parcels. Buying twice under a key gives the same label."""

    def rate(self, zip_code: str, country: str, weight_grams: int) -> Rate:
        """The price. Raises Refused unserviceable_address or too_heavy."""

    async def buy(self, key: str, zip_code: str, country: str, weight_grams: int) -> BoughtLabel:
        """A label. Raises Refused carrier_error where the carrier does not take the parcel."""

    async def void(self, tracking_number: str) -> None:
        """Give a label back that was not used; a second time changes nothing."""


class RateTableCarrier:
    """A carrier that lives in this process: prices from the table, numbers derived from the key."""

    name = "Pulpo Parcel"

    def rate(self, zip_code: str, country: str, weight_grams: int) -> Rate:
        """The price by the rate table."""
        return rates.rate(zip_code, country, weight_grams)

    async def buy(self, key: str, zip_code: str, country: str, weight_grams: int) -> BoughtLabel:
        """A label whose number follows from the key alone, so that buying again gives the same."""
        self.rate(zip_code, country, weight_grams)
        return BoughtLabel(self.name, tracking_number(key))

    async def void(self, tracking_number: str) -> None:
        """Nothing is owed for a label that was never scanned."""


def tracking_number(key: str) -> str:
    """22 digits, the last one a check digit by modulo 10 with weights 3 and 1 (as on parcels and books)."""
    digits = "94" + str(int.from_bytes(hashlib.sha256(key.encode()).digest()) % 10**19).zfill(19)
    return digits + check_digit(digits)


def check_digit(digits: str) -> str:
    """The digit that makes the weighted sum a multiple of ten."""
    total = sum(int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(reversed(digits)))
    return str(-total % 10)


def is_tracking_number(number: str) -> bool:
    """Whether a number has the right length and check digit."""
    return len(number) == 22 and number.isdigit() and check_digit(number[:-1]) == number[-1]


carrier: Carrier = RateTableCarrier()
