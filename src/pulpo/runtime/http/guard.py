"""Who may ask in development mode: this machine, under a name that is ours, and no other site's page.

A name that resolves to 127.0.0.1 (DNS rebinding) is refused by `Host`; another site's page by `Origin` and
`Sec-Fetch-Site`, which browsers send and pages cannot forge.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from pulpo.errors import PulpoError
from pulpo.settings import Settings

LOCAL = frozenset({"localhost", "127.0.0.1", "[::1]"})
_OURS = frozenset({"same-origin", "none"})


@dataclass(frozen=True, slots=True)
class Guard:
    """The names under which the API may be asked, and the ports of the pages that may ask it."""

    hosts: frozenset[str]
    origins: frozenset[str]

    @staticmethod
    def of(settings: Settings) -> Guard:
        """Loopback, the names in `api.hosts`, and the UI's page under them."""
        hosts = LOCAL | {host.lower() for host in settings.api.hosts}
        ports = (settings.api.port, settings.ui.port)
        return Guard(frozenset(hosts), frozenset(f"http://{host}:{port}" for host in hosts for port in ports))

    def check(self, peer: str | None, headers: Mapping[bytes, bytes]) -> None:
        """Refuse whoever may not ask.

        Args:
            peer: The address the connection comes from.
            headers: The request's headers, names in lower case.
        Raises:
            PulpoError: PULPO606.
        """
        if not is_loopback(peer):
            raise _refused("in development mode only this machine is served")
        host = headers.get(b"host", b"").decode("latin-1").lower()
        if hostname(host) not in self.hosts:
            raise _refused("this Host is not served", hint="use localhost, or add the name to [api] hosts")
        origin = headers.get(b"origin")
        allowed = origin is not None and self._is_ours(origin.decode("latin-1").lower(), host)
        if origin is not None and not allowed:
            raise _refused("pages of this origin may not ask")
        site = headers.get(b"sec-fetch-site")
        if site is not None and site.decode("latin-1") not in _OURS and not allowed:
            raise _refused("pages of another site may not ask")

    def _is_ours(self, origin: str, host: str) -> bool:
        return origin in self.origins or origin in {f"http://{host}", f"https://{host}"}


def hostname(host: str) -> str:
    """The name in a Host header, without its port; empty where it cannot be one."""
    try:
        parts = urlsplit(f"//{host}")
        if parts.username is not None or parts.path or parts.query or parts.fragment:
            return ""
        name = parts.hostname or ""
        parts.port  # noqa: B018 - raises where it is no number
    except ValueError:
        return ""
    return f"[{name}]" if ":" in name else name


def is_loopback(peer: str | None) -> bool:
    """Whether an address is this machine's own."""
    try:
        return peer is not None and ipaddress.ip_address(peer).is_loopback
    except ValueError:
        return False


def _refused(detail: str, hint: str | None = None) -> PulpoError:
    return PulpoError("PULPO606", detail, hint=hint)
