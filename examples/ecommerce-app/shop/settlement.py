"""Moving an order's money: claim, authorise, capture, void and give back.

The order of things is always the same. What is about to happen is committed first (a claimed payment, a promised
refund), then the gateway is called under a key that never changes, then what it answered is committed together with the
states that follow from it. Whoever comes after a crash therefore finds what was under way and asks the gateway about
it. The gateway decides between a capture and a void that race; compare-and-swap on the obligation decides the rest.
"""

from models.order import Order
from models.payment import Obligation, ObligationStatus, Payment, PaymentStatus, Refund, RefundStatus

from pulpo import Context, NotReady, Refused, col
from shop import ledger
from shop.gateway import Charge, ChargeStatus, GatewayUnavailable, GatewayUnknown, PaymentGateway
from shop.money import major, minor
from shop.states import has_left, move_obligation, move_payment

UNKNOWN = "unknown"
AUTHORIZED = "authorized"
VOIDED = "voided"


def refuse_closed(obligation: Obligation | None) -> None:
    """Raise Refused where an order's money is over: cancelled, expired or given back."""
    if obligation is None:
        return
    if obligation.status is ObligationStatus.CLOSED:
        raise Refused("order_closed", "the order was cancelled, so nothing is owed for it")
    if obligation.status is ObligationStatus.REFUNDED:
        raise Refused("order_refunded", "the order's money was given back", hint="cancel it and place a new one")


async def owed(ctx: Context, order_id: str) -> tuple[Obligation | None, Payment | None]:
    """What an order owes and the payment that it is claimed or paid by, both as they were at one moment."""
    obligation = await ctx.store.lookup(Obligation, order_id)
    while obligation is not None and obligation.payment_id is not None:
        payment = await ctx.store.get(Payment, obligation.payment_id)
        version, obligation = obligation.version, await ctx.store.get(Obligation, order_id)
        if obligation.version == version:
            return obligation, payment
    return obligation, None


async def authorize(
    ctx: Context, gateway: PaymentGateway, obligation: Obligation, payment: Payment, *, fresh: bool
) -> Payment:
    """Bring a claimed payment to an answer of the gateway. The writes of an approval are left pending.

    Args:
        ctx: Must be able to write Payment and Obligation.
        gateway: Who is asked.
        obligation: Claimed by the payment.
        payment: `processing`; its id is the gateway's key.
        fresh: The claim was made just now, so that the gateway cannot know of it yet.

    Raises:
        Refused: declined, 402; voided, 409.
        NotReady: unknown, the gateway may have charged: the claim stays.
        GatewayUnavailable: It cannot have charged: the claim was let go.
    """
    try:
        charge = None if fresh else await gateway.find(payment.id)
        if charge is None:
            if not fresh:
                # whoever made the claim may be hearing now that the gateway is not there: it must not let go any more
                payment = await _in_doubt(ctx, payment)
            charge = await gateway.authorize(
                payment.id, minor(payment.amount), payment.currency, payment.method, payment.order_id
            )
    except GatewayUnavailable:
        if fresh:
            _let_go_of_claim(ctx, obligation, payment, "gateway_unavailable")
            await ctx.commit()
            raise
        charge = None
    except GatewayUnknown:
        charge = await _inquire(gateway, payment)
    if charge is None:
        await _in_doubt(ctx, payment)
        raise NotReady(
            "unknown",
            "the gateway has not said whether it charged",
            hint="it is asked again before anything is charged",
        )
    if charge.status in {ChargeStatus.AUTHORIZED, ChargeStatus.CAPTURED}:
        return _authorized(ctx, payment, charge)
    reason = VOIDED if charge.status is ChargeStatus.VOIDED else charge.reason
    _let_go_of_claim(ctx, obligation, payment, reason, charge.transaction_id)
    await ctx.commit()
    if charge.status is ChargeStatus.VOIDED:
        raise Refused("voided", "the payment was voided while it was being charged")
    raise declined(reason)


def declined(reason: str) -> Refused:
    """The refusal for a decline."""
    return Refused("declined", f"the payment was declined: {reason.replace('_', ' ')}", hint="try another", status=402)


def book_capture(ctx: Context, obligation: Obligation, payment: Payment, charge: Charge) -> tuple[Obligation, Payment]:
    """Book a charge that the gateway has captured: payment, obligation and ledger, left pending."""
    captured = major(charge.captured)
    payment = move_payment(
        ctx,
        payment,
        PaymentStatus.COMPLETED,
        transaction_id=charge.transaction_id,
        authorized=major(charge.amount),
        captured=captured,
        capture_key=charge.capture_key,
        detail="",
    )
    obligation = move_obligation(ctx, obligation, ObligationStatus.PAID)
    ctx.store.insert(ledger.capture(payment.order_id, payment.id, captured))
    return obligation, payment


async def unwind(ctx: Context, gateway: PaymentGateway, order: Order, payment: Payment, reason: str) -> Payment:
    """Take a live payment back, whatever has become of it: void what is held, refund what was captured.

    The last writes are left pending, for the caller to add to.

    Args:
        ctx: Must be able to write Payment, Obligation and Refund, and to add LedgerEntry.
        gateway: Who is asked. order: The payment's. payment: The payment. reason: Why, for the refund.

    Raises:
        Refused: already_shipped, the goods are gone, so their price is not given back here.
        GatewayUnavailable, GatewayUnknown: Try again, under the same keys.
    """
    if has_left(order):
        raise Refused("already_shipped", f"the order is {order.status}", hint="a return gives the money back")
    obligation, payment = await _as_it_is(ctx, payment)
    if payment.status is PaymentStatus.PROCESSING:
        charge = await gateway.void(payment.id)
        if charge.status is not ChargeStatus.CAPTURED:
            detail = VOIDED if charge.status is ChargeStatus.VOIDED else charge.reason
            return _let_go_of_claim(ctx, obligation, payment, detail, charge.transaction_id)
        obligation, payment = await _as_it_is(ctx, payment)  # whoever captured it may have booked that by now
        if payment.status is PaymentStatus.PROCESSING:
            obligation, payment = book_capture(ctx, obligation, payment, charge)
            await ctx.commit()
    if payment.status is PaymentStatus.COMPLETED:
        return await _give_back(ctx, gateway, order, obligation, payment, reason)
    return payment


async def _as_it_is(ctx: Context, payment: Payment) -> tuple[Obligation, Payment]:
    """A payment and what it was made for, both as they are at one moment."""
    obligation, current = await owed(ctx, payment.order_id)
    if obligation is None or current is None or current.id != payment.id:
        return await ctx.store.get(Obligation, payment.order_id), payment
    return obligation, current


async def _give_back(
    ctx: Context, gateway: PaymentGateway, order: Order, obligation: Obligation, payment: Payment, reason: str
) -> Payment:
    refund = await ctx.store.first(Refund, Refund.payment_id == payment.id, Refund.status == RefundStatus.PENDING)
    if refund is None:
        amount = payment.captured - payment.refunded_amount
        refund = Refund(order_id=payment.order_id, payment_id=payment.id, amount=amount, reason=reason)
        ctx.store.insert(refund)
        move_obligation(ctx, obligation, ObligationStatus.REFUNDED)
        ctx.store.require(order)  # it was not sent when it was read, and a shipment leaves the obligation's version
        await ctx.commit()
    charge = await gateway.refund(payment.id, minor(refund.amount), refund.id)
    ctx.store.patch(refund, status=RefundStatus.COMPLETED, transaction_id=charge.transaction_id)
    ctx.store.insert(ledger.refund(payment.order_id, refund.id, refund.amount))
    returned = payment.refunded_amount + refund.amount
    if returned == payment.captured:
        return move_payment(ctx, payment, PaymentStatus.REFUNDED, refunded_amount=returned)
    return ctx.store.patch(payment, refunded_amount=returned)


async def payments_claimed_by(ctx: Context, key: str) -> list[Payment]:
    """The payments that a call has claimed and that may still hold money."""
    live = [PaymentStatus.PROCESSING, PaymentStatus.COMPLETED]
    return await ctx.store.find(Payment, Payment.key == key, col(Payment.status).in_(live))


async def _in_doubt(ctx: Context, payment: Payment) -> Payment:
    """Commit that the gateway may have heard of the payment, so that only its answer ends the claim."""
    if payment.detail == UNKNOWN:
        return payment
    payment = ctx.store.patch(payment, detail=UNKNOWN)
    await ctx.commit()
    return payment


async def _inquire(gateway: PaymentGateway, payment: Payment) -> Charge | None:
    try:
        return await gateway.find(payment.id)
    except (GatewayUnavailable, GatewayUnknown):
        return None


def _authorized(ctx: Context, payment: Payment, charge: Charge) -> Payment:
    return ctx.store.patch(
        payment,
        transaction_id=charge.transaction_id,
        authorized=major(charge.amount),
        authorization_expires_at=charge.expires_at,
        detail=AUTHORIZED,
    )


def _let_go_of_claim(
    ctx: Context, obligation: Obligation, payment: Payment, detail: str, transaction_id: str = ""
) -> Payment:
    if obligation.status is ObligationStatus.CLAIMED and obligation.payment_id == payment.id:
        move_obligation(ctx, obligation, ObligationStatus.OPEN, payment_id=None)
    return move_payment(
        ctx, payment, PaymentStatus.FAILED, detail=detail, transaction_id=transaction_id or payment.transaction_id
    )
