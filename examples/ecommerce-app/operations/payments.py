"""Payment processing: charge, confirm, verify, and how each is undone."""

from decimal import Decimal

from models.customer import Customer
from models.ledger import LedgerEntry
from models.messages import Incident, IncidentKind
from models.order import Order, OrderStatus
from models.payment import Obligation, ObligationStatus, Payment, PaymentStatus, Refund
from models.product import Product
from models.shipping import ShippingQuote
from pydantic import BaseModel, Field
from shop import methods, pricing, reconciliation, settlement
from shop.gateway import REFUSALS, ChargeStatus, GatewayUnavailable, GatewayUnknown, gateway_of
from shop.incidents import hold_for
from shop.money import minor
from shop.states import has_left, move_obligation, move_payment

from pulpo import Context, Money, NotReady, PulpoError, Ref, Refused, group, operation

group("payments.processing", after=["orders.checkout"])


class ChargeInput(BaseModel):
    """The order; what to charge (default: the customer's first method) and what the client believes is owed."""

    order_id: Ref[Order]
    payment_method: str | None = Field(default=None, max_length=200)
    amount: Money | None = None


class ChargeOutput(BaseModel):
    """The payment: money that the gateway holds, not yet taken."""

    payment_id: str
    transaction_id: str
    charged: Money
    payment_status: PaymentStatus
    already: bool = False


@operation(
    name="payments.processing.charge",
    models_in=[Order, Customer, Product, ShippingQuote],
    models_out=[Payment, Obligation],
    compensate="payments.processing.void",
    retries=3,
    timeout=30,
    refuses=REFUSALS,
)
async def charge(data: ChargeInput, ctx: Context) -> ChargeOutput:
    """Authorise what an order owes; claimed before the gateway is called, so never twice.

    An order that is charged already is not charged again. Where the gateway did not answer, the claim stays and the
    next call asks the gateway what became of it before anything else.
    """
    obligation, payment = await settlement.owed(ctx, data.order_id)  # before the order: who edits the order raises it
    order = await ctx.store.get(Order, data.order_id)
    settlement.refuse_closed(obligation)
    if order.status is OrderStatus.CANCELLED:
        raise Refused("wrong_state", "the order is cancelled: nothing can be charged for it")
    if obligation is not None and payment is not None and obligation.status is not ObligationStatus.OPEN:
        _check_amount(data.amount, payment.amount)
        if payment.key != ctx.idempotency_key:
            ctx.already()
        if payment.authorized or payment.status is PaymentStatus.COMPLETED:
            return _charged(payment, already=payment.key != ctx.idempotency_key)
        payment = await settlement.authorize(ctx, gateway_of(ctx), obligation, payment, fresh=False)
        return _charged(payment, already=payment.key != ctx.idempotency_key)
    if obligation is not None:
        await _refuse_what_was_declined(ctx, order.id)
    obligation, payment = await _claim(ctx, order, obligation, data)
    return _charged(await settlement.authorize(ctx, gateway_of(ctx), obligation, payment, fresh=True), already=False)


async def _refuse_what_was_declined(ctx: Context, order_id: str) -> None:
    """Give a decline once more where this very call has met it and was interrupted before it could say so."""
    failed = await ctx.store.first(
        Payment, Payment.key == ctx.idempotency_key, Payment.status == PaymentStatus.FAILED, sort="-created_at"
    )
    if failed is not None and failed.order_id == order_id and failed.transaction_id:
        raise settlement.declined(failed.detail)


async def _claim(
    ctx: Context, order: Order, obligation: Obligation | None, data: ChargeInput
) -> tuple[Obligation, Payment]:
    """Commit that this payment, and no other, is about to be charged for the order."""
    due = await pricing.amount_due(ctx, order, obligation)
    _check_amount(data.amount, due.amount)
    customer = await ctx.store.get(Customer, order.customer_id)
    method = methods.choose(customer, data.payment_method)
    found = methods.objections(method, data.payment_method, due.amount, order.currency, ctx.now())
    if method is None or found:
        raise Refused(found[0].code, found[0].message, hint="name another payment_method", status=402)
    pending = await ctx.store.first(Payment, Payment.order_id == order.id, Payment.status == PaymentStatus.PENDING)
    gateway_of(ctx)  # without a gateway there is no point in a claim
    key = ctx.idempotency_key
    if pending is not None and pending.amount == due.amount:
        payment = move_payment(ctx, pending, PaymentStatus.PROCESSING, method=method.token, key=key)
    else:
        payment = Payment(
            order_id=order.id,
            amount=due.amount,
            currency=order.currency,
            status=PaymentStatus.PROCESSING,
            method=method.token,
            key=key,
        )
        ctx.store.insert(payment)
    if obligation is None:
        obligation = Obligation(
            id=order.id,
            order_id=order.id,
            status=ObligationStatus.CLAIMED,
            amount=due.amount,
            payment_id=payment.id,
        )
        ctx.store.insert(obligation)
    else:
        obligation = move_obligation(
            ctx, obligation, ObligationStatus.CLAIMED, amount=due.amount, payment_id=payment.id
        )
    await ctx.commit()
    return obligation, payment


def _check_amount(expected: Money | None, due: Money) -> None:
    if expected is not None and expected != due:
        raise Refused("amount_mismatch", f"the client expects {expected}, the order owes {due}")


def _charged(payment: Payment, *, already: bool) -> ChargeOutput:
    return ChargeOutput(
        payment_id=payment.id,
        transaction_id=payment.transaction_id,
        charged=payment.amount,
        payment_status=payment.status,
        already=already,
    )


class VoidInput(BaseModel):
    """The order, and the payment if it came to one."""

    order_id: Ref[Order]
    payment_id: str | None = None


class VoidOutput(BaseModel):
    """How many payments were let go, and what was given back because it had been captured."""

    voided: int = 0
    refunded: Money = Decimal(0)


@operation(
    name="payments.processing.void",
    models_in=[Order],
    models_out=[Payment, Obligation, Refund],
    models_add=[LedgerEntry],
    retries=8,
    timeout=30,
    refuses=REFUSALS,
)
async def void(data: VoidInput, ctx: Context) -> VoidOutput:
    """Undo charge: let go of what this very call has authorised, or refund it, unless it has paid for what is sent."""
    order = await ctx.store.get(Order, data.order_id)
    own = await settlement.payments_claimed_by(ctx, ctx.idempotency_key)
    if not own or has_left(order):
        ctx.already()
        return VoidOutput()
    output = VoidOutput()
    for payment in own:
        after = await settlement.unwind(ctx, gateway_of(ctx), order, payment, "the order's run was undone")
        output.voided += after.status is PaymentStatus.FAILED
        output.refunded += after.refunded_amount
    return output


class ConfirmInput(BaseModel):
    """The order; the payment or transaction that the client means, which must be the order's."""

    order_id: Ref[Order]
    payment_id: str | None = None
    transaction_id: str | None = None


class ConfirmOutput(BaseModel):
    """The payment: money that was taken."""

    payment_id: str
    transaction_id: str
    captured: Money
    payment_status: PaymentStatus
    already: bool = False


@operation(
    name="payments.processing.confirm",
    models_in=[Order],
    models_out=[Payment, Obligation],
    models_add=[LedgerEntry],
    after=["orders.fulfillment.reserve_items"],
    compensate="payments.processing.refund_capture",
    retries=3,
    timeout=30,
    refuses=REFUSALS,
)
async def confirm(data: ConfirmInput, ctx: Context) -> ConfirmOutput:
    """Confirm that the charge settled: take what is held, now that the stock is there too."""
    order = await ctx.store.get(Order, data.order_id)
    obligation = await ctx.store.lookup(Obligation, order.id)
    settlement.refuse_closed(obligation)
    if obligation is None or obligation.payment_id is None:
        raise Refused("not_charged", "the order has not been charged", hint="charge it first")
    payment = await ctx.store.get(Payment, obligation.payment_id)
    if data.payment_id not in (None, payment.id) or data.transaction_id not in (None, "", payment.transaction_id):
        raise Refused("payment_mismatch", "this payment or transaction is not the one that the order is charged by")
    if obligation.status is ObligationStatus.PAID:
        return _confirmed(ctx, payment)
    if not payment.authorized:
        raise NotReady("unknown", "the gateway has not yet said whether it authorised the payment")
    if order.status is not OrderStatus.PROCESSING or order.amount_due is None:
        raise Refused("not_reserved", f"the order is {order.status}: its stock is not held", hint="reserve it first")
    if order.amount_due != payment.amount:
        raise Refused("amount_mismatch", f"{payment.amount} was authorised, the order owes {order.amount_due}")
    if payment.authorization_expires_at is not None and payment.authorization_expires_at <= ctx.now():
        raise Refused("auth_expired", "the authorisation has expired", hint="void it and charge again")
    try:
        taken = await gateway_of(ctx).capture(payment.id, minor(payment.amount), ctx.idempotency_key)
    except (GatewayUnavailable, GatewayUnknown) as error:
        raise _later(ctx, error) from error
    if taken.status is not ChargeStatus.CAPTURED:
        raise Refused("auth_expired", f"the gateway says that the payment is {taken.status}")
    _, payment = settlement.book_capture(ctx, obligation, payment, taken)
    return _confirmed(ctx, payment)


def _later(ctx: Context, error: PulpoError) -> PulpoError:
    """In a flow money is under way, so the run waits for the gateway; by hand the caller is told at once."""
    return NotReady(error.code, error.detail, hint=error.hint) if ctx.run.flow is not None else error


def _confirmed(ctx: Context, payment: Payment) -> ConfirmOutput:
    own = payment.capture_key == ctx.idempotency_key
    if not own:
        ctx.already()
    return ConfirmOutput(
        payment_id=payment.id,
        transaction_id=payment.transaction_id,
        captured=payment.captured,
        payment_status=payment.status,
        already=not own,
    )


class RefundCaptureInput(BaseModel):
    """The order, and the payment if it came to one."""

    order_id: Ref[Order]
    payment_id: str | None = None


class RefundCaptureOutput(BaseModel):
    """What was given back."""

    refunded: Money


@operation(
    name="payments.processing.refund_capture",
    models_in=[Order],
    models_out=[Payment, Obligation, Refund],
    models_add=[LedgerEntry],
    retries=8,
    timeout=30,
    refuses=REFUSALS,
)
async def refund_capture(data: RefundCaptureInput, ctx: Context) -> RefundCaptureOutput:
    """Undo confirm: give back what this very call has captured, unless it has paid for what others have sent since."""
    order = await ctx.store.get(Order, data.order_id)
    obligation = await ctx.store.lookup(Obligation, order.id)
    payment = (
        await ctx.store.lookup(Payment, obligation.payment_id)
        if obligation is not None and obligation.payment_id is not None
        else None
    )
    if payment is None or has_left(order) or not await _captured_by(ctx, payment):
        ctx.already()
        return RefundCaptureOutput(refunded=Decimal(0))
    after = await settlement.unwind(ctx, gateway_of(ctx), order, payment, "the order's run was undone")
    return RefundCaptureOutput(refunded=after.refunded_amount)


async def _captured_by(ctx: Context, payment: Payment) -> bool:
    """Whether this very call has captured a payment that is not given back yet; the gateway knows where we do not."""
    if payment.status is PaymentStatus.COMPLETED:
        return payment.capture_key == ctx.idempotency_key
    if payment.status is not PaymentStatus.PROCESSING or not payment.authorized:
        return False
    known = await gateway_of(ctx).find(payment.id)
    return known is not None and known.capture_key == ctx.idempotency_key


class VerifyInput(BaseModel):
    """The order, and the payment that the client means."""

    order_id: Ref[Order]
    payment_id: str | None = None


class VerifyOutput(BaseModel):
    """Whether the gateway, our payment and the ledger say the same; if not, the kind of difference and its incident."""

    verified: bool
    kind: str | None = None
    incident_id: str | None = None


@operation(
    name="payments.reconciliation.verify",
    models_in=[Order, LedgerEntry, Incident],
    models_out=[Payment, Obligation],
    models_add=[Incident],
    after=["payments.processing.confirm"],
    retries=3,
    timeout=30,
    refuses=REFUSALS,
)
async def verify(data: VerifyInput, ctx: Context) -> VerifyOutput:
    """Verify the payment in accounting: three books must agree, or the order is held for a person."""
    order = await ctx.store.get(Order, data.order_id)
    obligation = await ctx.store.lookup(Obligation, order.id)
    if obligation is None or obligation.payment_id is None:
        raise Refused("not_charged", "the order has not been charged", hint="charge it first")
    if data.payment_id not in (None, obligation.payment_id):
        raise Refused("payment_mismatch", "this payment is not the one that the order is charged by")
    payment = await ctx.store.get(Payment, obligation.payment_id)
    if payment.status not in {PaymentStatus.COMPLETED, PaymentStatus.REFUNDED}:
        raise Refused("not_confirmed", f"the payment is {payment.status}", hint="confirm it first")
    if obligation.status is ObligationStatus.REFUNDED and payment.status is PaymentStatus.COMPLETED:
        raise NotReady("refund_pending", "the payment is being given back: until then the books may differ")
    entries = await ctx.store.find(LedgerEntry, LedgerEntry.order_id == order.id, limit=1000)
    try:
        record = await gateway_of(ctx).find(payment.id)
    except (GatewayUnavailable, GatewayUnknown) as error:
        raise _later(ctx, error) from error
    kind = reconciliation.difference(payment, record, entries)
    if kind is None:
        if payment.verified_at is None:
            ctx.store.patch(payment, verified_at=ctx.now())
        return VerifyOutput(verified=True)
    detail = f"{kind}: {reconciliation.explain(kind, payment, record)}"
    incident = await hold_for(ctx, obligation, IncidentKind.RECONCILIATION, detail)
    return VerifyOutput(verified=False, kind=kind, incident_id=incident.id)
