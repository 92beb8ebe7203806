"""Which ways of paying the shop takes, and whether one can be used."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from models.customer import Customer, PaymentMethod

LIMITS = {"credit_card": Decimal(10_000), "debit_card": Decimal(5_000)}
"""The kinds that are taken, and the most that is charged to one of them at once."""
CURRENCIES = frozenset({"USD"})
TOKEN = "pm_card_"  # noqa: S105 - how the gateway's own names of cards begin, no secret


@dataclass(frozen=True, slots=True)
class Objection:
    """Why a method cannot be used: a stable word and a sentence."""

    code: str
    message: str


def choose(customer: Customer, wanted: str | None) -> PaymentMethod | None:
    """The method meant by its id, a kind such as `credit_card`, a gateway token, or nothing (the default one)."""
    if wanted is None:
        return next(iter(customer.payment_methods), None)
    for method in customer.payment_methods:
        if wanted == method.id:
            return method
    of_kind = [method for method in customer.payment_methods if wanted in (method.kind, method.token)]
    if of_kind:
        return next((method for method in of_kind if method.enabled), of_kind[0])
    return PaymentMethod(token=wanted) if wanted.startswith(TOKEN) else None


def objections(
    method: PaymentMethod | None, wanted: str | None, amount: Decimal, currency: str, today: datetime
) -> list[Objection]:
    """Everything that speaks against charging an amount to a method; that funds are there cannot be known."""
    if method is None:
        what = f'no payment method "{wanted}"' if wanted else "no payment method"
        return [Objection("no_payment_method", f"the customer has {what}")]
    found = []
    if method.kind not in LIMITS:
        found.append(Objection("method_not_taken", f"the shop does not take {method.kind}"))
    elif amount > LIMITS[method.kind]:
        limit = LIMITS[method.kind]
        found.append(Objection("over_limit", f"{amount} is more than the {limit} that a {method.kind} may be charged"))
    if not method.enabled:
        found.append(Objection("method_disabled", "the payment method is disabled"))
    if method.expires and method.expires < today.strftime("%Y-%m"):
        found.append(Objection("method_expired", f"the payment method expired after {method.expires}"))
    if currency not in CURRENCIES:
        found.append(Objection("currency_not_taken", f"the shop does not take {currency}"))
    return found
