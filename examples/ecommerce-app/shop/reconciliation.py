"""Whether three books say the same of a payment: the gateway's, ours, and the ledger."""

from collections.abc import Iterable
from enum import StrEnum

from models.ledger import Account, LedgerEntry
from models.payment import Payment

from shop.gateway import Charge, ChargeStatus
from shop.money import minor


class Difference(StrEnum):
    """What does not agree."""

    NOT_AT_GATEWAY = "not_at_gateway"
    GATEWAY_STATE = "gateway_state"
    GATEWAY_AMOUNT = "gateway_amount"
    LEDGER_AMOUNT = "ledger_amount"


def difference(payment: Payment, charge: Charge | None, entries: Iterable[LedgerEntry]) -> Difference | None:
    """The first thing in which the books differ over a captured payment, or None.

    Args:
        payment: Ours. charge: The gateway's record. entries: The ledger's entries of the payment's order.
    """
    if charge is None:
        return Difference.NOT_AT_GATEWAY
    if charge.status is not ChargeStatus.CAPTURED:
        return Difference.GATEWAY_STATE
    if (charge.captured, charge.refunded) != (minor(payment.captured), minor(payment.refunded_amount)):
        return Difference.GATEWAY_AMOUNT
    cleared = sum(
        line.debit - line.credit for entry in entries for line in entry.lines if line.account is Account.CLEARING
    )
    return None if cleared == minor(payment.captured - payment.refunded_amount) else Difference.LEDGER_AMOUNT


def explain(kind: Difference, payment: Payment, charge: Charge | None) -> str:
    """The difference in words, for the person who looks at the incident."""
    ours = f"our payment {payment.id} says {payment.captured} captured, {payment.refunded_amount} refunded"
    if charge is None:
        return f"{ours}; the gateway has no record of it"
    theirs = f"the gateway says {charge.status}, {charge.captured} captured, {charge.refunded} refunded (in cents)"
    return f"{ours}; {theirs}" if kind is not Difference.LEDGER_AMOUNT else f"{ours}; the ledger has another sum"
