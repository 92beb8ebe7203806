"""The payment gateway: a port. Amounts are in minor units, and every call can be repeated under its key."""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from weakref import WeakKeyDictionary

from pulpo import Context, PulpoError
from shop.settings import ShopSettings, shop_settings


class ChargeStatus(StrEnum):
    """What the gateway says of a charge."""

    AUTHORIZED = "authorized"
    CAPTURED = "captured"
    VOIDED = "voided"
    DECLINED = "declined"


@dataclass(frozen=True, slots=True)
class Charge:
    """The gateway's record of one charge. `key` is our payment's id, `capture_key` names the call that captured it."""

    key: str
    transaction_id: str
    status: ChargeStatus
    amount: int
    captured: int = 0
    refunded: int = 0
    reason: str = ""
    capture_key: str = ""
    expires_at: datetime | None = None


class GatewayUnavailable(PulpoError):
    """gateway_unavailable, 503: the gateway was not reached, so nothing has happened there."""

    def __init__(self, detail: str) -> None:
        super().__init__("gateway_unavailable", detail, hint="is the gateway running? `pulpo up` starts it", status=503)


class GatewayUnknown(PulpoError):
    """unknown, 503: the gateway was reached but did not answer, so it may have happened."""

    def __init__(self, detail: str) -> None:
        super().__init__("unknown", detail, hint="ask again: what the gateway did is found out first", status=503)


class GatewayRefused(PulpoError):
    """gateway_refused, 409: the gateway knows nothing that this could be done to, and asking again changes nothing."""

    def __init__(self, detail: str) -> None:
        super().__init__("gateway_refused", detail, hint="see the payment at the gateway", status=409)


REFUSALS = {"gateway_unavailable": 503, "unknown": 503, "gateway_refused": 409}
"""What operations that ask the gateway may refuse with."""


class PaymentGateway(Protocol):
    """Who moves the customer's money.

    Every method raises GatewayUnavailable where nothing can have happened, GatewayUnknown where it may have, and
    GatewayRefused where it has not and never will.
    """

    name: str

    async def authorize(self, key: str, amount: int, currency: str, method: str, reference: str) -> Charge:
        """Hold money under a key. The same key gives the same answer and never a second charge."""

    async def find(self, key: str) -> Charge | None:
        """What became of a key, or None where the gateway has never heard of it."""

    async def capture(self, key: str, amount: int, capture_key: str) -> Charge:
        """Take money that is held. Of several captures the first counts; a voided charge is answered as it is."""

    async def void(self, key: str) -> Charge:
        """Let held money go, and keep this key from being charged later. A captured charge is answered as it is."""

    async def refund(self, key: str, amount: int, refund_key: str) -> Charge:
        """Give captured money back, once for each refund key."""

    async def aclose(self) -> None:
        """Let connections go."""


_gateways: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[ShopSettings, PaymentGateway]] = WeakKeyDictionary()


def gateway_of(ctx: Context) -> PaymentGateway:
    """The gateway that the project's settings name; one for each event loop, kept with its connections.

    Raises:
        GatewayUnavailable: No gateway is configured.
    """
    settings = shop_settings(ctx)
    known = _gateways.setdefault(asyncio.get_running_loop(), {})
    gateway = known.get(settings)
    if gateway is None:
        gateway = known[settings] = _open(settings)
    return gateway


def _open(settings: ShopSettings) -> PaymentGateway:
    if settings.stripe_key.get_secret_value():
        from shop.gateway_stripe import StripeGateway  # noqa: PLC0415 - its SDK is optional

        return StripeGateway(settings.stripe_key, settings.gateway_timeout_seconds)
    if not settings.gateway_url:
        raise GatewayUnavailable("no payment gateway is configured")
    from shop.gateway_simulator import SimulatorGateway  # noqa: PLC0415 - only the one that is used is loaded

    return SimulatorGateway(settings.gateway_url, settings.gateway_timeout_seconds)
