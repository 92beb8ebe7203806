"""Whether a service does its work: one question to it, answered within a second."""

from __future__ import annotations

import http.client
import socket
from urllib.parse import urlsplit


def answers(url: str, *, timeout: float = 1.0) -> bool:
    """Whether `GET url` is answered with 200, or `tcp://host:port` takes connections, within `timeout` seconds."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    if parts.scheme == "tcp":
        with socket.socket() as tried:
            tried.settimeout(timeout)
            return tried.connect_ex((parts.hostname, parts.port or 0)) == 0
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
    try:
        connection.request("GET", parts.path or "/", headers={"Connection": "close"})
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
