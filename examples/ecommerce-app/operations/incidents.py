"""What a person decides about an order that is held."""

from typing import Literal

from models.ledger import LedgerEntry
from models.messages import Incident, IncidentKind, IncidentStatus
from models.order import Order, OrderStatus
from models.payment import Obligation, Payment, Refund
from models.product import Product
from models.shipping import PickList, Shipment
from models.stock import Reservation, StockMovement
from pydantic import BaseModel, Field
from shop import cancellation, reconciliation
from shop.gateway import REFUSALS, gateway_of
from shop.incidents import close

from pulpo import Context, Ref, Refused, operation


class ResolveInput(BaseModel):
    """The incident, and what is done: `release` the hold, or `cancel` the order."""

    incident_id: Ref[Incident]
    action: Literal["release", "cancel"] = "release"
    resolution: str = Field(default="", max_length=2000, description="What was found out, for whoever reads it later")


class ResolveOutput(BaseModel):
    """The incident is closed; in which state the order is."""

    incident_id: str
    order_status: OrderStatus
    already: bool = False


@operation(
    name="orders.incidents.resolve",
    ui={"icon": "check"},
    models_out=[Order, Obligation, Payment, Refund, Product, Reservation, PickList, Shipment, Incident],
    models_in=[LedgerEntry],
    models_add=[StockMovement, LedgerEntry],
    standalone=True,
    retries=5,
    timeout=60,
    refuses=REFUSALS,
)
async def resolve(data: ResolveInput, ctx: Context) -> ResolveOutput:
    """Close an incident. One of reconciliation is verified once more and must pass, or the order is cancelled."""
    incident = await ctx.store.get(Incident, data.incident_id)
    order = await ctx.store.get(Order, incident.order_id)
    if incident.status is IncidentStatus.RESOLVED:
        ctx.already()
        return ResolveOutput(incident_id=incident.id, order_status=order.status, already=True)
    if data.action == "cancel":
        await ctx.cancel_runs(order.id)
        await cancellation.cancel_order(ctx, order.id, data.resolution or str(incident.kind))
        return ResolveOutput(incident_id=incident.id, order_status=OrderStatus.CANCELLED)
    if incident.kind is IncidentKind.RECONCILIATION:
        await _verify_again(ctx, order)
    close(ctx, incident, data.resolution)
    return ResolveOutput(incident_id=incident.id, order_status=order.status)


async def _verify_again(ctx: Context, order: Order) -> None:
    obligation = await ctx.store.get(Obligation, order.id)
    payment = await ctx.store.get(Payment, obligation.payment_id or "")
    entries = await ctx.store.find(LedgerEntry, LedgerEntry.order_id == order.id, limit=1000)
    record = await gateway_of(ctx).find(payment.id)
    kind = reconciliation.difference(payment, record, entries)
    if kind is not None:
        raise Refused(
            "not_verified",
            f"{kind}: {reconciliation.explain(kind, payment, record)}",
            hint='put the books right first, or resolve with action "cancel"',
        )
    ctx.store.patch(payment, verified_at=ctx.now())
