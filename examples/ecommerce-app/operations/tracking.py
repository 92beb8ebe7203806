"""Post-fulfillment: tell the customer."""

import asyncio

from models.customer import Customer
from models.messages import Incident, IncidentKind, Notification, NotificationStatus
from models.order import Order
from pydantic import BaseModel, Field
from shop import mail
from shop.settings import shop_settings

from pulpo import Context, PulpoError, Ref, Refused, operation

TRIES = 3


class UpdateCustomerInput(BaseModel):
    """The order, and what to tell of it (default: the state it is in)."""

    order_id: Ref[Order]
    event: str | None = Field(default=None, description="processing, shipped, delivered or cancelled")


class UpdateCustomerOutput(BaseModel):
    """The message, and whether it was sent, waits in the outbox, or failed."""

    notification_id: str
    delivery: NotificationStatus
    already: bool = False


@operation(
    name="orders.tracking.update_customer",
    models_in=[Order, Customer],
    models_out=[Notification],
    models_add=[Incident],
    after=["orders.fulfillment.ship_items"],
    retries=3,
    timeout=30,
)
async def update_customer(data: UpdateCustomerInput, ctx: Context) -> UpdateCustomerOutput:
    """Notify the customer, once for each event and channel. Mail that fails never fails the order."""
    order = await ctx.store.get(Order, data.order_id)
    event = data.event or order.status.value
    if event != order.status.value or event not in mail.TEXTS:
        raise Refused("nothing_to_tell", f"the order is {order.status}", hint=f"events: {', '.join(mail.TEXTS)}")
    known = await ctx.store.first(
        Notification,
        Notification.order_id == order.id,
        Notification.event == event,
        Notification.channel == "email",
    )
    settings = shop_settings(ctx)
    if known is not None and known.status not in {NotificationStatus.QUEUED, NotificationStatus.FAILED}:
        ctx.already()
        return UpdateCustomerOutput(notification_id=known.id, delivery=known.status, already=True)
    if known is None:
        customer = await ctx.store.get(Customer, order.customer_id)
        known = mail.compose(order, event, customer.name, customer.email, "email")
        if not settings.smtp_url.get_secret_value():
            known.status = NotificationStatus.OUTBOX
            ctx.store.insert(known)
            return UpdateCustomerOutput(notification_id=known.id, delivery=known.status)
        ctx.store.insert(known)
        await ctx.commit()
    try:
        await _send(known, ctx)
    except PulpoError as error:
        ctx.log.warning("notification %s was not sent: %s", known.id, error.detail)
        known = ctx.store.patch(known, status=NotificationStatus.FAILED, detail=error.detail)
        detail = f"the mail about {event} was not sent: {error.detail}"
        ctx.store.insert(Incident(order_id=order.id, kind=IncidentKind.MESSAGE, detail=detail, holds=False))
    else:
        known = ctx.store.patch(known, status=NotificationStatus.SENT, sent_at=ctx.now(), detail="")
    return UpdateCustomerOutput(notification_id=known.id, delivery=known.status)


async def _send(notification: Notification, ctx: Context) -> None:
    for attempt in range(1, TRIES + 1):
        try:
            await mail.send(notification, shop_settings(ctx))
        except PulpoError:
            if attempt == TRIES:
                raise
            await asyncio.sleep(0.2 * 2**attempt)
        else:
            return
