"""Stripe, by its official SDK (`pip install stripe`); used when `[app] stripe_key` is configured.

A charge is a PaymentIntent with manual capture. It is created unconfirmed under our key and then confirmed, in two
calls, so that a void which overtakes the charge can create the same intent, cancel it, and leave nothing to confirm.
Stripe keeps idempotency keys for a day; later than that the intent is found by its metadata.
"""

import importlib
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any

from pydantic import SecretStr

from pulpo import PulpoError
from shop.gateway import Charge, ChargeStatus, GatewayUnavailable, GatewayUnknown

AUTHORIZATION = timedelta(days=7)
"""How long Stripe holds money on a card."""
STATUSES = {
    "requires_capture": ChargeStatus.AUTHORIZED,
    "succeeded": ChargeStatus.CAPTURED,
    "canceled": ChargeStatus.VOIDED,
}


class StripeGateway:
    """Talks to Stripe. `timeout` is in seconds."""

    name = "stripe"

    def __init__(self, key: SecretStr, timeout: float) -> None:
        self._stripe = _library()
        http = self._stripe.HTTPXClient(timeout=timeout)
        self._client = self._stripe.StripeClient(key.get_secret_value(), http_client=http, max_network_retries=0)

    async def authorize(self, key: str, amount: int, currency: str, method: str, reference: str) -> Charge:
        """Hold money under a key."""
        intent = await self._find(key) or await self._create(key, amount, currency, method, reference)
        if intent.status == "requires_confirmation":
            options = {"idempotency_key": f"confirm:{key}"}
            try:
                intent = await self._call(self._client.payment_intents.confirm_async, intent.id, {}, options)
            except self._stripe.CardError as error:
                return _declined(key, intent, error.code or "card_declined")
        return _charge(key, intent)

    async def find(self, key: str) -> Charge | None:
        """What became of a key; an intent that nobody confirmed has charged nothing."""
        intent = await self._find(key)
        if intent is None or intent.status == "requires_confirmation":
            return None
        return _charge(key, intent)

    async def capture(self, key: str, amount: int, capture_key: str) -> Charge:
        """Take money that is held."""
        intent = await self._must(key)
        if intent.status == "requires_capture":
            data = {"amount_to_capture": amount, "metadata": {"capture_key": capture_key}, "expand": ["latest_charge"]}
            options = {"idempotency_key": capture_key}
            intent = await self._call(self._client.payment_intents.capture_async, intent.id, data, options)
        return _charge(key, intent)

    async def void(self, key: str) -> Charge:
        """Let held money go; a key that is not known yet is created and cancelled, so that it never charges."""
        intent = await self._find(key) or await self._create(key, 100, "USD", "", "")
        if intent.status in {"requires_capture", "requires_confirmation", "requires_payment_method", "requires_action"}:
            options = {"idempotency_key": f"void:{key}"}
            intent = await self._call(self._client.payment_intents.cancel_async, intent.id, {}, options)
        return _charge(key, intent)

    async def refund(self, key: str, amount: int, refund_key: str) -> Charge:
        """Give captured money back."""
        intent = await self._must(key)
        data = {"payment_intent": intent.id, "amount": amount}
        await self._call(self._client.refunds.create_async, data, {"idempotency_key": refund_key})
        return _charge(key, await self._must(key))

    async def aclose(self) -> None:
        """Let connections go."""
        await self._client._requestor._client.close_async()  # noqa: SLF001 - the SDK has no public way

    async def _create(self, key: str, amount: int, currency: str, method: str, reference: str) -> Any:
        data: dict[str, Any] = {
            "amount": amount,
            "currency": currency.lower(),
            "capture_method": "manual",
            "payment_method_types": ["card"],
            "metadata": {"key": key, "order": reference},
        }
        if method:
            data["payment_method"] = method
        try:
            return await self._call(
                self._client.payment_intents.create_async, data, {"idempotency_key": f"create:{key}"}
            )
        except self._stripe.IdempotencyError:  # a void was faster and created it with other values
            return await self._must(key)

    async def _find(self, key: str) -> Any | None:
        query = {"query": f'metadata["key"]:"{key}"', "limit": 1, "expand": ["data.latest_charge"]}
        found = await self._call(self._client.payment_intents.search_async, query, {})
        return found.data[0] if found.data else None

    async def _must(self, key: str) -> Any:
        intent = await self._find(key)
        if intent is None:  # search lags behind writes by up to a minute
            raise GatewayUnknown("Stripe does not know the payment yet")
        return intent

    async def _call(self, method: Any, *arguments: Any) -> Any:
        *given, options = arguments
        try:
            return await method(*given, options)
        except self._stripe.APIConnectionError as error:
            raise GatewayUnknown("Stripe did not answer") from error
        except self._stripe.RateLimitError as error:
            raise GatewayUnavailable("Stripe asks for patience") from error
        except self._stripe.AuthenticationError as error:
            raise GatewayUnavailable("Stripe does not accept the configured key") from error
        except self._stripe.APIError as error:
            raise GatewayUnknown("Stripe had an error of its own") from error


def _charge(key: str, intent: Any) -> Charge:
    status = STATUSES.get(intent.status)
    if status is None:
        error = intent.last_payment_error
        return _declined(key, intent, (error.code if error else None) or intent.status)
    latest = intent.latest_charge
    refunded = latest.amount_refunded if latest is not None and not isinstance(latest, str) else 0
    return Charge(
        key=key,
        transaction_id=intent.id,
        status=status,
        amount=intent.amount,
        captured=intent.amount_received,
        refunded=refunded,
        capture_key=intent.metadata.get("capture_key", ""),
        expires_at=datetime.fromtimestamp(intent.created, UTC) + AUTHORIZATION,
    )


def _declined(key: str, intent: Any, reason: str) -> Charge:
    return Charge(key, intent.id, ChargeStatus.DECLINED, intent.amount, reason=reason)


def _library() -> ModuleType:
    try:
        return importlib.import_module("stripe")  # optional
    except ImportError:
        detail = "charging by Stripe needs its SDK"
        raise PulpoError("gateway_unavailable", detail, hint="pip install stripe", status=503) from None
