"""What the carrier charges: a zone by the first digits of the ZIP code, a price by zone and started kilogram."""

import re
from dataclasses import dataclass
from decimal import Decimal

from pulpo import Refused

ZONES = {"0": 5, "1": 4, "2": 4, "3": 4, "4": 3, "5": 2, "6": 2, "7": 3, "8": 4, "9": 5}  # seen from Kansas City
FIRST_KILOGRAM = {2: Decimal("5.90"), 3: Decimal("6.80"), 4: Decimal("7.90"), 5: Decimal("9.40")}
NEXT_KILOGRAM = {2: Decimal("0.70"), 3: Decimal("0.95"), 4: Decimal("1.20"), 5: Decimal("1.65")}
NOT_SERVED = ("006", "007", "008", "009", "090", "091", "092", "093", "094", "095", "096", "097", "098", "340",
              "962", "963", "964", "965", "966", "967", "968", "969", "995", "996", "997", "998", "999")  # fmt: skip
"""Islands, Alaska and military post: no road leads there."""
HEAVIEST_GRAMS = 500_000
_ZIP = re.compile(r"\d{5}(-\d{4})?")


@dataclass(frozen=True, slots=True)
class Rate:
    """A price for carrying so much to a zone."""

    zone: int
    amount: Decimal


def rate(zip_code: str, country: str, weight_grams: int) -> Rate:
    """The price of carrying a weight to a place.

    Args:
        zip_code: Five digits, or nine with a hyphen. country: ISO 3166. weight_grams: More than nothing.

    Raises:
        Refused: unserviceable_address, 409; too_heavy, 409.
    """
    zip_code = zip_code.strip()
    if country != "US":
        raise Refused("unserviceable_address", f"we ship within the US, not to {country}")
    if not _ZIP.fullmatch(zip_code):
        raise Refused("unserviceable_address", "the ZIP code must have five digits", hint="such as 90210")
    if zip_code.startswith(NOT_SERVED):
        raise Refused("unserviceable_address", f"our carrier does not reach ZIP codes that begin with {zip_code[:3]}")
    if weight_grams > HEAVIEST_GRAMS:
        raise Refused("too_heavy", f"{weight_grams} g is more than the carrier takes, which is {HEAVIEST_GRAMS} g")
    zone = ZONES[zip_code[0]]
    kilograms = -(-weight_grams // 1000)
    return Rate(zone, FIRST_KILOGRAM[zone] + NEXT_KILOGRAM[zone] * (max(kilograms, 1) - 1))
