"""Opening and closing what a person must look at."""

from models.messages import Incident, IncidentKind, IncidentStatus
from models.payment import Obligation

from pulpo import Context


async def open_incidents(ctx: Context, order_id: str) -> list[Incident]:
    """What still waits for a person, oldest first."""
    return await ctx.store.find(
        Incident, Incident.order_id == order_id, Incident.status == IncidentStatus.OPEN, sort="created_at"
    )


async def hold_for(ctx: Context, obligation: Obligation, kind: IncidentKind, detail: str) -> Incident:
    """Open an incident that holds the order, unless one of its kind is open.

    The obligation is raised with it, so that a shipment that has not seen the incident does not commit.
    """
    for incident in await open_incidents(ctx, obligation.order_id):
        if incident.kind is kind:
            return incident
    ctx.store.patch(obligation, holds=obligation.holds + 1)
    return ctx.store.insert(Incident(order_id=obligation.order_id, kind=kind, detail=detail))


def close(ctx: Context, incident: Incident, resolution: str) -> Incident:
    """Write that a person has dealt with it."""
    return ctx.store.patch(
        incident,
        status=IncidentStatus.RESOLVED,
        resolution=resolution,
        resolved_by=ctx.caller.principal,
        resolved_at=ctx.now(),
    )
