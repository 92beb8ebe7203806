"""Entries for the books; what is not built here is not booked."""

from decimal import Decimal

from models.ledger import Account, LedgerEntry, LedgerLine

from shop.money import minor


def entry(
    order_id: str, kind: str, reference: str, debits: dict[Account, int], credits: dict[Account, int]
) -> LedgerEntry:
    """A balanced entry; amounts in minor units, zero ones are left out."""
    lines = [LedgerLine(account=account, debit=amount) for account, amount in debits.items() if amount]
    lines += [LedgerLine(account=account, credit=amount) for account, amount in credits.items() if amount]
    return LedgerEntry(order_id=order_id, kind=kind, reference=reference, lines=lines, key=f"{kind}:{reference}")


def capture(order_id: str, payment_id: str, amount: Decimal) -> LedgerEntry:
    """The gateway owes us what it took, we owe the customer the goods."""
    cents = minor(amount)
    return entry(order_id, "capture", payment_id, {Account.CLEARING: cents}, {Account.DEPOSITS: cents})


def shipment(order_id: str, shipment_id: str, goods: Decimal, shipping: Decimal) -> LedgerEntry:
    """Goods that left turn the deposit into sales; what carrying costs comes with the last of them."""
    sales, carried = minor(goods), minor(shipping)
    credits = {Account.SALES: sales, Account.SHIPPING: carried}
    return entry(order_id, "shipment", shipment_id, {Account.DEPOSITS: sales + carried}, credits)


def refund(order_id: str, refund_id: str, amount: Decimal) -> LedgerEntry:
    """A deposit goes back to where it came from."""
    cents = minor(amount)
    return entry(order_id, "refund", refund_id, {Account.DEPOSITS: cents}, {Account.CLEARING: cents})
