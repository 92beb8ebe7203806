"""Boxes: what goes into which, and whether the scale agrees."""

from models.shipping import ItemQuantity, Parcel

from pulpo import Refused

HEAVIEST_PARCEL_GRAMS = 20_000
TOLERANCE = 0.1
"""How far the scale may be from the catalogue: boxes and filling weigh too."""
FILLING_GRAMS = 250
"""What an empty box may weigh beyond that."""


def pack(quantities: dict[str, int], weights: dict[str, int]) -> list[Parcel]:
    """Parcels of at most 20 kg, filled in the order of the products; a heavier unit travels alone.

    Args:
        quantities: Units by product. weights: Grams of one unit by product.
    """
    boxes: list[dict[str, int]] = []
    room = 0
    for product_id, quantity in quantities.items():
        weight = weights[product_id]
        left = quantity
        while left:
            if not boxes or room < weight:
                boxes.append({})
                room = max(HEAVIEST_PARCEL_GRAMS, weight)
            taken = min(left, room // weight)
            boxes[-1][product_id] = boxes[-1].get(product_id, 0) + taken
            room -= taken * weight
            left -= taken
    return [
        Parcel(
            lines=[ItemQuantity(product_id=product_id, quantity=quantity) for product_id, quantity in box.items()],
            weight_grams=sum(weights[product_id] * quantity for product_id, quantity in box.items()),
        )
        for box in boxes
    ]


def check_weight(expected_grams: int, measured_grams: int | None) -> None:
    """Compare the scale with the catalogue, where somebody has weighed.

    Raises:
        Refused: weight_mismatch, 409: something is missing from the box, or in it by mistake.
    """
    if measured_grams is None:
        return
    slack = int(expected_grams * TOLERANCE)
    if not expected_grams - slack <= measured_grams <= expected_grams + slack + FILLING_GRAMS:
        raise Refused(
            "weight_mismatch",
            f"the scale says {measured_grams} g, the items should weigh {expected_grams} g",
            hint="check what is in the box",
        )
