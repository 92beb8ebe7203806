"""Whether a service does its work: one question to it, answered within a second."""

from __future__ import annotations

import http.client
import time
from urllib.parse import urlsplit

import psutil

from pulpo.services.plan import ServicePlan

_SETTLED = 1.0
"""Seconds that a service without a health address must have lived."""


def is_healthy(plan: ServicePlan, pid: int, *, timeout: float = 1.0) -> bool:
    """Whether the service answers 200 at its health address; without one, whether it has lived for a second."""
    if plan.health is not None:
        return answers(plan.health, timeout=timeout)
    try:
        return time.time() - psutil.Process(pid).create_time() >= _SETTLED
    except psutil.Error:
        return False


def answers(url: str, *, timeout: float = 1.0) -> bool:
    """Whether `GET url` is answered with 200 within `timeout` seconds."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
    try:
        connection.request("GET", parts.path or "/", headers={"Connection": "close"})
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
