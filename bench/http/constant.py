"""The ceiling: an ASGI callable that answers constant bytes, as many as Pulpo's answers have, and does nothing else."""

import json
import os

SIZES = json.loads(os.environ["BENCH_SIZES"])
"""Bytes of an answer, by the scenario's name."""


def reply(status: int, size: int) -> tuple[dict, dict]:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(size).encode())]
    start = {"type": "http.response.start", "status": status, "headers": headers}
    return start, {"type": "http.response.body", "body": b"x" * size}


PRODUCT, PRODUCTS, ORDERS = (reply(200, SIZES[name]) for name in ("get", "products", "orders"))
CREATED, PUT = reply(201, SIZES["post"]), reply(200, SIZES["put"])


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        for what in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{what}.complete"})
        return
    method, path = scope["method"], scope["path"]
    if method == "GET":
        start, body = PRODUCTS if path == "/products" else ORDERS if path == "/orders" else PRODUCT
    else:
        while (await receive())["more_body"]:
            pass
        start, body = CREATED if method == "POST" else PUT
    await send(start)
    await send(body)
