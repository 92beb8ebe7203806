"""The books: double entry, in minor units."""

from enum import StrEnum
from typing import TYPE_CHECKING, Self

from pydantic import model_validator

if TYPE_CHECKING:
    from models.order import Order

from pulpo import Embedded, Field, Model, Ref, datamodel


class Account(StrEnum):
    """Where money is, or what it is for."""

    CLEARING = "clearing"
    DEPOSITS = "deposits"
    SALES = "sales"
    SHIPPING = "shipping"
    TAX = "tax"
    RETURNS = "returns"
    BANK = "bank"
    FEES = "fees"


class LedgerLine(Embedded):
    """One side of an entry, in minor units (cents)."""

    account: Account
    debit: int = Field(default=0, ge=0)
    credit: int = Field(default=0, ge=0)


@datamodel(
    api="read",
    ui={"icon": "book", "group": "Money", "order": 4, "columns": ["id", "kind", "order_id", "lines", "created_at"]},
)
class LedgerEntry(Model):
    """Something that happened to money. Debits equal credits, or it is no entry."""

    order_id: Ref["Order"] | None = Field(default=None, index=True)
    kind: str = Field(index=True, description="capture, shipment or refund")
    reference: str = Field(description="The payment, shipment or refund that it books")
    lines: list[LedgerLine] = Field(min_length=2)
    key: str = Field(unique=True, description="kind:reference, so that nothing is booked twice")

    @model_validator(mode="after")
    def _balanced(self) -> Self:
        debits, credits = sum(line.debit for line in self.lines), sum(line.credit for line in self.lines)
        if debits != credits or not debits:
            raise ValueError(f"debits {debits} and credits {credits} must be equal and not zero")
        return self
