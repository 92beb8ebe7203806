"""Payment records: what an order owes, what was taken for it, and what was given back."""

from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Self

from pulpo import Context, Field, Model, Money, Ref, Refused, Timestamp, datamodel

if TYPE_CHECKING:
    from models.order import Order


class PaymentStatus(StrEnum):
    """pending -> processing (claimed, then authorised) -> completed (captured) | failed; completed -> refunded."""

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    REFUNDED = "refunded"


@datamodel(
    ui={
        "icon": "credit-card",
        "group": "Money",
        "order": 1,
        "columns": ["id", "order_id", "status", "amount", "captured", "refunded_amount", "detail", "created_at"],
    },
)
class Payment(Model):
    """Money taken for an order. Its id is the idempotency key under which the gateway is called."""

    order_id: Ref["Order"] = Field(index=True)
    amount: Money = Field(gt=0)
    status: PaymentStatus = Field(default=PaymentStatus.PENDING, readonly=True, index=True)
    transaction_id: str = Field(default="", readonly=True, index=True, description="Payment processor ID")
    currency: str = Field(default="USD", pattern="^[A-Z]{3}$")
    method: str = Field(default="", readonly=True, description="The gateway's token of what was charged")
    detail: str = Field(default="", readonly=True, description="authorized, unknown, voided, or why it was declined")
    authorized: Money = Field(default=Decimal(0), readonly=True)
    captured: Money = Field(default=Decimal(0), readonly=True)
    refunded_amount: Money = Field(default=Decimal(0), readonly=True)
    authorization_expires_at: Timestamp | None = Field(default=None, readonly=True)
    verified_at: Timestamp | None = Field(default=None, readonly=True)
    key: str = Field(default="", readonly=True, index=True, description="The call that claimed it")
    capture_key: str = Field(default="", readonly=True, description="The call that captured it")

    @property
    def is_live(self) -> bool:
        """Whether it holds, or may hold, the customer's money."""
        return self.status in {PaymentStatus.PROCESSING, PaymentStatus.COMPLETED}

    async def before_update(self, old: Self, ctx: Context) -> None:  # noqa: ARG002 - the hook's shape
        """Nobody edits a payment once the gateway may know of it."""
        if old.status is not PaymentStatus.PENDING:
            raise Refused("payment_in_progress", f"the payment is {old.status}: only operations change it")

    async def before_delete(self, ctx: Context) -> None:  # noqa: ARG002 - the hook's shape
        """Nobody deletes a payment once the gateway may know of it."""
        if self.status is not PaymentStatus.PENDING:
            raise Refused("payment_in_progress", f"the payment is {self.status}, so it cannot be deleted")


class ObligationStatus(StrEnum):
    """open -> claimed -> paid -> refunded; open or refunded -> closed; a decline or a void reopens it."""

    OPEN = "open"
    CLAIMED = "claimed"
    PAID = "paid"
    REFUNDED = "refunded"
    CLOSED = "closed"


@datamodel(
    api="read",
    ui={"icon": "scale", "group": "Money", "order": 3},
)
class Obligation(Model):
    """What one order owes; its id is the order's. Whoever moves the order's money changes it by compare-and-swap."""

    order_id: Ref["Order"] = Field(unique=True)
    status: ObligationStatus = Field(default=ObligationStatus.OPEN, index=True)
    amount: Money | None = Field(default=None, description="Fixed by the first claim")
    payment_id: str | None = Field(default=None, description="The payment that claims or paid it")
    holds: int = Field(default=0, ge=0, description="Raised with each hold, so that shipping cannot overlook one")


class RefundStatus(StrEnum):
    """pending: promised, the gateway not yet heard; completed: the money is back."""

    PENDING = "pending"
    COMPLETED = "completed"


@datamodel(
    api="read",
    ui={"icon": "refund", "group": "Money", "order": 2},
)
class Refund(Model):
    """Money given back from a payment. Its id is the idempotency key under which the gateway is called."""

    order_id: Ref["Order"] = Field(index=True)
    payment_id: Ref[Payment] = Field(index=True)
    amount: Money = Field(gt=0)
    status: RefundStatus = Field(default=RefundStatus.PENDING, index=True)
    reason: str = ""
    transaction_id: str = ""
