"""From the shelf to the carrier: quotes, pick lists, shipments and labels."""

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from pulpo import Embedded, Field, Model, Money, Ref, Timestamp, datamodel

if TYPE_CHECKING:
    from models.order import Order
    from models.product import Product


@datamodel(
    api="read",
    ui={"icon": "percentage", "group": "Sales", "order": 4},
)
class ShippingQuote(Model):
    """What carrying an order to an address costs, until the quote expires."""

    order_id: Ref["Order"] = Field(index=True)
    zip_code: str
    country: str
    weight_grams: int = Field(ge=1)
    zone: int
    amount: Money = Field(ge=0)
    expires_at: Timestamp

    def covers(self, zip_code: str, country: str, weight_grams: int, at: datetime) -> bool:
        """Whether it still holds for this parcel to this place."""
        asked = (zip_code, country, weight_grams)
        return (self.zip_code, self.country, self.weight_grams) == asked and at < self.expires_at


class ItemQuantity(Embedded):
    """So many units of a product."""

    product_id: Ref["Product"]
    quantity: int = Field(ge=1, le=100_000)


class PickStatus(StrEnum):
    """What became of what was picked."""

    PICKED = "picked"
    PACKED = "packed"
    PUT_BACK = "put_back"


@datamodel(
    api="read",
    ui={
        "icon": "checklist",
        "group": "Warehouse",
        "order": 2,
        "columns": ["id", "order_id", "lines", "short", "status", "created_at"],
    },
)
class PickList(Model):
    """What a picker took from the shelves for an order."""

    order_id: Ref["Order"] = Field(index=True)
    lines: list[ItemQuantity] = Field(default_factory=list)
    short: list[ItemQuantity] = Field(default_factory=list, description="What was not found")
    status: PickStatus = Field(default=PickStatus.PICKED, index=True)
    key: str = ""


class Parcel(Embedded):
    """A box with its weight."""

    lines: list[ItemQuantity]
    weight_grams: int = Field(ge=1)


class ShipmentStatus(StrEnum):
    """packed -> shipped -> delivered -> returned; packed -> cancelled."""

    PACKED = "packed"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    RETURNED = "returned"
    CANCELLED = "cancelled"


@datamodel(
    api="read",
    ui={
        "icon": "delivery",
        "group": "Warehouse",
        "order": 3,
        "columns": ["id", "order_id", "status", "carrier", "tracking_number", "shipped_at"],
    },
)
class Shipment(Model):
    """Parcels of an order that travel under one label."""

    order_id: Ref["Order"] = Field(index=True)
    parcels: list[Parcel]
    status: ShipmentStatus = Field(default=ShipmentStatus.PACKED, index=True)
    carrier: str = ""
    tracking_number: str | None = Field(default=None, index=True)
    shipped_at: Timestamp | None = None
    key: str = Field(default="", description="The call that packed it")

    def quantities(self) -> dict[str, int]:
        """Units by product over all parcels, sorted by product."""
        found: dict[str, int] = {}
        for parcel in self.parcels:
            for line in parcel.lines:
                found[line.product_id] = found.get(line.product_id, 0) + line.quantity
        return dict(sorted(found.items()))


class LabelStatus(StrEnum):
    """bought -> used | voided."""

    BOUGHT = "bought"
    USED = "used"
    VOIDED = "voided"


@datamodel(
    api="read",
    ui={"icon": "barcode", "group": "Warehouse", "order": 6, "label": "tracking_number"},
)
class Label(Model):
    """What the carrier sold under a key; buying again under the key gives the same label."""

    order_id: Ref["Order"] = Field(index=True)
    shipment_id: Ref[Shipment] = Field(index=True)
    step_key: str = Field(index=True, description="The call that needed it")
    key: str = Field(unique=True, description="The carrier's idempotency key: one more for each label that was voided")
    carrier: str
    tracking_number: str = Field(unique=True)
    status: LabelStatus = Field(default=LabelStatus.BOUGHT, index=True)
