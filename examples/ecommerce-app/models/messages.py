"""What is told to customers, and what waits for a person of the shop."""

from enum import StrEnum
from typing import TYPE_CHECKING

from pulpo import Field, Model, Ref, Timestamp, datamodel

if TYPE_CHECKING:
    from models.order import Order


class NotificationStatus(StrEnum):
    """queued -> sent | failed; outbox: kept here because no mail server is configured."""

    QUEUED = "queued"
    SENT = "sent"
    FAILED = "failed"
    OUTBOX = "outbox"


@datamodel(
    api="read",
    unique=[("order_id", "event", "channel")],
    ui={
        "icon": "mail",
        "group": "Service",
        "order": 2,
        "label": "subject",
        "columns": ["subject", "recipient", "event", "status", "order_id", "created_at"],
    },
)
class Notification(Model):
    """A message to a customer: one for each order, event and channel."""

    order_id: Ref["Order"] = Field(index=True)
    event: str
    channel: str = "email"
    recipient: str
    subject: str
    body: str
    status: NotificationStatus = Field(default=NotificationStatus.QUEUED, index=True)
    detail: str = ""
    sent_at: Timestamp | None = None


class IncidentStatus(StrEnum):
    """An open incident waits for a person."""

    OPEN = "open"
    RESOLVED = "resolved"


class IncidentKind(StrEnum):
    """What a person must look at."""

    RECONCILIATION = "reconciliation"
    SHORT_PICK = "short_pick"
    MESSAGE = "message"


@datamodel(
    api="read",
    ui={
        "icon": "alert",
        "group": "Service",
        "order": 1,
        "label": "detail",
        "columns": ["detail", "order_id", "kind", "holds", "status", "created_at"],
        "filters": ["status", "kind"],
    },
)
class Incident(Model):
    """Something that a person must look at. While it is open and `holds`, its order is not shipped."""

    order_id: Ref["Order"] = Field(index=True)
    kind: IncidentKind = Field(index=True)
    detail: str
    holds: bool = True
    status: IncidentStatus = Field(default=IncidentStatus.OPEN, index=True)
    resolution: str = ""
    resolved_by: str = ""
    resolved_at: Timestamp | None = None
