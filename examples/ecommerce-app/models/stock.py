"""Stock: what moved, and what is held for whom."""

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from pulpo import Field, Model, Ref, Timestamp, datamodel

if TYPE_CHECKING:
    from models.order import Order
    from models.product import Product


class MovementKind(StrEnum):
    """Why a product's stock changed."""

    OPENING = "opening"
    ADJUSTMENT = "adjustment"
    RESERVATION = "reservation"
    RELEASE = "release"
    SHIPMENT = "shipment"


@datamodel(
    api="read",
    ui={"icon": "transfer", "group": "Warehouse", "order": 5},
)
class StockMovement(Model):
    """A change of a product's stock. A product's `on_hand` and `reserved` are the sums of its movements."""

    product_id: Ref["Product"] = Field(index=True)
    kind: MovementKind
    on_hand_change: int = Field(default=0, description="Units that came (+) or left (-).")
    reserved_change: int = Field(default=0, description="Units that were held (+) or let go (-).")
    order_id: Ref["Order"] | None = Field(default=None, index=True)
    reason: str = ""


class ReservationStatus(StrEnum):
    """What became of a hold."""

    OPEN = "open"
    SHIPPED = "shipped"
    RELEASED = "released"


@datamodel(
    api="read",
    ui={
        "icon": "lock",
        "group": "Warehouse",
        "order": 4,
        "columns": ["id", "order_id", "product_id", "quantity", "picked", "packed", "shipped", "status", "expires_at"],
    },
)
class Reservation(Model):
    """Units of one product held for one order, and how far they have come through the warehouse."""

    order_id: Ref["Order"] = Field(index=True)
    product_id: Ref["Product"] = Field(index=True)
    quantity: int = Field(ge=1)
    picked: int = Field(default=0, ge=0)
    packed: int = Field(default=0, ge=0)
    shipped: int = Field(default=0, ge=0)
    status: ReservationStatus = Field(default=ReservationStatus.OPEN, index=True)
    expires_at: Timestamp = Field(index=True)
    key: str = Field(
        default="", description="The idempotency key of the call that made the hold: only its undo may let it go."
    )

    @property
    def held(self) -> int:
        """Units that this still keeps from being sold: none once it is released."""
        return self.quantity - self.shipped if self.status is ReservationStatus.OPEN else 0

    def is_expired(self, at: datetime) -> bool:
        """Whether nobody needs to keep these units any longer."""
        return self.status is ReservationStatus.OPEN and self.expires_at <= at
