"""Messages to customers: what they say and how they leave."""

import importlib
from email.message import EmailMessage
from types import ModuleType
from urllib.parse import unquote, urlsplit

from models.messages import Notification
from models.order import Order

from pulpo import PulpoError
from shop.settings import ShopSettings

TEXTS = {
    "processing": ("We are preparing your order {number}", "Your order {number} is being prepared."),
    "shipped": (
        "Your order {number} is on its way",
        "Your order {number} has been shipped. Its tracking number is {tracking}.",
    ),
    "delivered": ("Your order {number} has arrived", "Your order {number} was delivered."),
    "cancelled": ("Your order {number} was cancelled", "Your order {number} was cancelled. Nothing is charged for it."),
}
"""What is said of each state of an order: subject and text."""
PORTS = {"smtp": 25, "smtps": 465}


def compose(order: Order, event: str, name: str, recipient: str, channel: str) -> Notification:
    """The message that tells of an order's state."""
    subject, text = (part.format(number=order.order_number, tracking=order.tracking_number) for part in TEXTS[event])
    body = f"Dear {name},\n\n{text}\n\nThank you for shopping with us.\n"
    return Notification(
        order_id=order.id, event=event, channel=channel, recipient=recipient, subject=subject, body=body
    )


async def send(notification: Notification, settings: ShopSettings) -> None:
    """Hand a message to the mail server named by `smtp_url` (`smtp://user:password@host:port`, `smtps://…`).

    Its Message-ID is the notification's id, so that a message sent twice after a crash can be told as one.

    Raises:
        PulpoError: mail_failed, 503.
    """
    library = _library()
    url = urlsplit(settings.smtp_url.get_secret_value())
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = (
        settings.mail_from,
        notification.recipient,
        notification.subject,
    )
    message["Message-ID"] = f"<{notification.id}@{settings.mail_from.partition('@')[2]}>"
    message.set_content(notification.body)
    try:
        await library.send(
            message,
            hostname=url.hostname,
            port=url.port or PORTS.get(url.scheme, 25),
            use_tls=url.scheme == "smtps",
            username=unquote(url.username) if url.username else None,
            password=unquote(url.password) if url.password else None,
            timeout=5,
        )
    except (TimeoutError, OSError, library.SMTPException) as error:
        raise PulpoError(
            "mail_failed", f"the mail server did not take it ({type(error).__name__})", status=503
        ) from error


def _library() -> ModuleType:
    try:
        return importlib.import_module("aiosmtplib")  # optional
    except ImportError:
        hint = "pip install aiosmtplib"
        raise PulpoError("mail_failed", "sending mail needs the package aiosmtplib", hint=hint, status=503) from None
