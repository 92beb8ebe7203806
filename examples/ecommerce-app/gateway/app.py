"""The gateway's HTTP interface."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, Field, ValidationError
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.faults import DECLINED, Fault, Faults, Hung, after, before
from gateway.ledger import Answer, Ledger, Row
from gateway.webhooks import Target, Webhooks

B = TypeVar("B", bound=BaseModel)


class ChargeRequest(BaseModel, extra="forbid"):
    """An authorisation; `amount` in minor units, `key` names the charge for ever."""

    key: str = Field(min_length=1, max_length=200)
    amount: int = Field(gt=0, le=10**12)
    currency: str = Field(pattern="^[A-Z]{3}$")
    method: str = Field(min_length=1, max_length=100)
    reference: str = Field(max_length=200)


class AmountRequest(BaseModel, extra="forbid"):
    """So much of a charge, in minor units."""

    amount: int = Field(gt=0, le=10**12)


class Nothing(BaseModel, extra="forbid"):
    """An empty body."""


class Gateway:
    """The routes over one ledger. Calls that change something need an `Idempotency-Key` header."""

    def __init__(self, ledger: Ledger, *, hang_seconds: float = 30.0) -> None:
        self.ledger = ledger
        self.faults = Faults(hang_seconds=hang_seconds)
        self.webhooks = Webhooks()

    async def authorize(self, request: Request) -> Response:
        """Hold money."""
        body = await _body(request, ChargeRequest)
        fault = self.faults.take("authorize", body.method, body.key)
        reason = DECLINED.get(body.method, "" if body.method.startswith("pm_card_") else "unknown_method")
        if fault is not None and fault.kind == "decline":
            reason = fault.reason
        data = body.model_dump()
        return await self._keyed(
            "authorized", fault, body.key, data, lambda: self.ledger.authorize(body.key, data, reason)
        )

    async def capture(self, request: Request) -> Response:
        """Take what is held."""
        body, key, once = await _body(request, AmountRequest), request.path_params["key"], _key(request)
        data = {"capture": key, **body.model_dump()}
        return await self._keyed(
            "captured", self.faults.take("capture"), once, data, lambda: self.ledger.capture(key, body.amount, once)
        )

    async def void(self, request: Request) -> Response:
        """Let go of what is held."""
        await _body(request, Nothing)
        key = request.path_params["key"]
        return await self._keyed(
            "voided", self.faults.take("void"), _key(request), {"void": key}, lambda: self.ledger.void(key)
        )

    async def refund(self, request: Request) -> Response:
        """Give captured money back."""
        body, key = await _body(request, AmountRequest), request.path_params["key"]
        data = {"refund": key, **body.model_dump()}
        return await self._keyed(
            "refunded", self.faults.take("refund"), _key(request), data, lambda: self.ledger.refund(key, body.amount)
        )

    async def find(self, request: Request) -> Response:
        """What became of a key."""
        charge = self.ledger.charge(request.path_params["key"])
        if charge is None:
            raise Answer(404, {"code": "not_found", "detail": "there is no charge with this key"})
        return JSONResponse(charge)

    async def charges(self, request: Request) -> Response:
        """All charges, or those of `?reference=`."""
        return JSONResponse(self.ledger.charges(request.query_params.get("reference")))

    async def entries(self, _: Request) -> Response:
        """Charges and everything that happened to them, for who wants to compare books."""
        return JSONResponse({"charges": self.ledger.charges(), "entries": self.ledger.entries()})

    async def plan_faults(self, request: Request) -> Response:
        """Be told how to misbehave."""
        self.faults.planned.append(await _body(request, Fault))
        return await self.planned_faults(request)

    async def planned_faults(self, _: Request) -> Response:
        """What is still to come; a call that is under way has taken its fault from here."""
        return JSONResponse([fault.model_dump() for fault in self.faults.planned])

    async def clear_faults(self, _: Request) -> Response:
        """Behave again."""
        self.faults.planned.clear()
        return JSONResponse([])

    async def set_webhooks(self, request: Request) -> Response:
        """Be told where to send events."""
        self.webhooks.target = await _body(request, Target)
        return JSONResponse(self.webhooks.target.model_dump())

    async def livez(self, _: Request) -> Response:
        """I am here."""
        return JSONResponse({"status": "ok"})

    async def _keyed(
        self, what: str, fault: Fault | None, key: str, request: Row, change: Callable[[], Row]
    ) -> Response:
        await before(fault)
        charge = await self.ledger.once(key, request, change)
        self.webhooks.tell(what, charge)
        await after(fault)
        return JSONResponse(charge)


def create_app(path: Path, *, hang_seconds: float = 30.0, sample: Callable[[], list[Row]] | None = None) -> Starlette:
    """The gateway over the ledger at `path`; `sample` gives charges to begin with."""
    ledger = Ledger(path)
    gateway = Gateway(ledger, hang_seconds=hang_seconds)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        if sample is not None:
            await ledger.load(sample())
        yield
        await gateway.webhooks.aclose()
        ledger.close()

    handlers: dict[Any, Callable[[Request, Exception], Awaitable[Response]]] = {
        Answer: _answered,
        Hung: _hung,
        ValidationError: _invalid,
        ClientDisconnect: _gone,
    }
    return Starlette(
        routes=[
            Route("/charges", gateway.authorize, methods=["POST"]),
            Route("/charges", gateway.charges),
            Route("/charges/{key}", gateway.find),
            Route("/charges/{key}/capture", gateway.capture, methods=["POST"]),
            Route("/charges/{key}/void", gateway.void, methods=["POST"]),
            Route("/charges/{key}/refunds", gateway.refund, methods=["POST"]),
            Route("/ledger", gateway.entries),
            Route("/control/faults", gateway.plan_faults, methods=["POST"]),
            Route("/control/faults", gateway.planned_faults),
            Route("/control/faults", gateway.clear_faults, methods=["DELETE"]),
            Route("/control/webhooks", gateway.set_webhooks, methods=["PUT"]),
            Route("/livez", gateway.livez),
        ],
        exception_handlers=handlers,
        lifespan=lifespan,
    )


async def _body(request: Request, shape: type[B]) -> B:
    return shape.model_validate_json(await request.body() or b"{}")


def _key(request: Request) -> str:
    key = request.headers.get("Idempotency-Key", "")
    if not key:
        raise Answer(400, {"code": "key_missing", "detail": "send an Idempotency-Key header"})
    return key


async def _answered(_: Request, error: Exception) -> Response:
    assert isinstance(error, Answer)
    return JSONResponse(error.body, error.status)


async def _hung(_: Request, error: Exception) -> Response:
    assert isinstance(error, Hung)
    return JSONResponse({"code": "no_answer", "detail": "the gateway has a bad day"}, error.status)


async def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, ValidationError)
    return JSONResponse({"code": "invalid", "errors": error.errors(include_url=False, include_input=False)}, 422)


async def _gone(_: Request, __: Exception) -> Response:
    """A client that died before its request was whole: nothing was done, and nobody hears the answer."""
    return Response(status_code=499)
