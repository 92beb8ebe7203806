"""The simulated gateway's client: the adapter that development and tests use."""

from datetime import datetime
from typing import Any

import httpx

from shop.gateway import Charge, ChargeStatus, GatewayRefused, GatewayUnavailable, GatewayUnknown


class SimulatorGateway:
    """Talks to `python -m gateway` over HTTP. `timeout` is in seconds."""

    name = "simulator"

    def __init__(self, url: str, timeout: float) -> None:
        self._url = url
        limits = httpx.Limits(max_connections=100, max_keepalive_connections=50)
        self._client = httpx.AsyncClient(
            base_url=url,
            timeout=httpx.Timeout(timeout, connect=2.0, pool=None),
            limits=limits,
            trust_env=False,
            verify=url.startswith("https:"),  # without TLS no certificates are loaded, which takes 50 ms
        )

    async def authorize(self, key: str, amount: int, currency: str, method: str, reference: str) -> Charge:
        """Hold money under a key."""
        body = {"key": key, "amount": amount, "currency": currency, "method": method, "reference": reference}
        return _charge(await self._send("POST", "/charges", key, body))

    async def find(self, key: str) -> Charge | None:
        """What became of a key."""
        answer = await self._send("GET", f"/charges/{key}", None, None)
        return None if answer.get("status") == "not_found" else _charge(answer)

    async def capture(self, key: str, amount: int, capture_key: str) -> Charge:
        """Take money that is held."""
        return _charge(await self._send("POST", f"/charges/{key}/capture", capture_key, {"amount": amount}))

    async def void(self, key: str) -> Charge:
        """Let held money go."""
        return _charge(await self._send("POST", f"/charges/{key}/void", f"void:{key}", {}))

    async def refund(self, key: str, amount: int, refund_key: str) -> Charge:
        """Give captured money back."""
        return _charge(await self._send("POST", f"/charges/{key}/refunds", refund_key, {"amount": amount}))

    async def aclose(self) -> None:
        """Let connections go."""
        await self._client.aclose()

    async def _send(self, method: str, path: str, key: str | None, body: dict[str, Any] | None) -> dict[str, Any]:
        headers = {"Idempotency-Key": key} if key is not None else {}
        try:
            response = await self._client.request(method, path, json=body, headers=headers)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise GatewayUnavailable(f"the payment gateway at {self._url} cannot be reached") from error
        except httpx.TransportError as error:
            raise GatewayUnknown("the payment gateway did not answer in time") from error
        if response.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            raise GatewayUnavailable("the payment gateway does not take requests")
        if response.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
            raise GatewayUnknown(f"the payment gateway answered {response.status_code}")
        if response.status_code == httpx.codes.NOT_FOUND and method == "GET":
            return {"status": "not_found"}
        if response.status_code == httpx.codes.NOT_FOUND:
            raise GatewayRefused("the payment gateway has no such charge")
        if response.is_success or response.status_code == httpx.codes.PAYMENT_REQUIRED:
            answer: dict[str, Any] = response.json()
            return answer
        raise GatewayUnknown(f"the payment gateway refused the call with {response.status_code}: {response.text[:200]}")


def _charge(answer: dict[str, Any]) -> Charge:
    expires_at = answer.get("expires_at")
    return Charge(
        key=answer["key"],
        transaction_id=answer["id"],
        status=ChargeStatus(answer["status"]),
        amount=answer["amount"],
        captured=answer["captured"],
        refunded=answer["refunded"],
        reason=answer["reason"],
        capture_key=answer["capture_key"],
        expires_at=datetime.fromisoformat(expires_at) if expires_at else None,
    )
