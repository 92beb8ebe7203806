"""Whether this process tells OpenTelemetry what it does, and where to ask: `active` is None where it does not.

Nothing of OpenTelemetry is imported unless it is configured: by the standard variables (`OTEL_EXPORTER_OTLP_ENDPOINT`
and its kin), by `enabled` of `[telemetry]`, or by an application that has set the SDK up itself. The work is done in
`pulpo.runtime.tracing`.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

from pulpo.errors import PulpoError

if TYPE_CHECKING:
    from pulpo.runtime.tracing import Tracing
    from pulpo.settings import Settings

active: Tracing | None = None
"""What spans and measures go to. There is one for a process, as OpenTelemetry has it."""

_refused = False

SIGNALS = ("TRACES", "METRICS")
INSTALL = "pip install 'pulpo-core[opentelemetry]'"
TRACE = "pulpo.trace"
"""Where a request's scope keeps the ids of its span, for the access log."""

log = logging.getLogger("pulpo.telemetry")


def begin(settings: Settings, environ: Mapping[str, str] = os.environ) -> None:
    """Set telemetry up where it is configured, once in a process.

    Raises:
        PulpoError: PULPO105, `[telemetry]` asks for it and OpenTelemetry is not installed, or a variable of its own is
            not usable. What the environment alone asks for is worth a warning, not a process that does not start.
    """
    global active, _refused  # noqa: PLW0603 - the process has one
    enabled = settings.telemetry.enabled
    disabled = environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    if active is not None or _refused or enabled is False or disabled:
        return
    wanted = tuple(signal for signal in SIGNALS if enabled or asked(signal, environ))
    if not wanted and "opentelemetry.sdk" not in sys.modules:
        return
    try:
        from pulpo.runtime import tracing  # noqa: PLC0415 - only where it is configured

        if not wanted and not tracing.provided():
            return  # somebody imported the SDK and set nothing up
        active = tracing.start(settings.project.name, wanted, environ)
    except (ImportError, ValueError) as error:
        missing = isinstance(error, ImportError)
        detail = "OpenTelemetry is not installed" if missing else str(error)
        hint = INSTALL if missing else "see docs/telemetry.md"
        if enabled:
            raise PulpoError("PULPO105", f"telemetry.enabled: {detail}", hint=hint) from error
        _refused = True  # an API process asks twice: when its routes are made, and when it starts
        log.warning("the environment asks for OpenTelemetry, and there is none: %s; %s", detail, hint)


def asked(signal: str, environ: Mapping[str, str]) -> bool:
    """Whether the standard variables ask for a signal (`TRACES`, `METRICS`)."""
    exporter = environ.get(f"OTEL_{signal}_EXPORTER", "").strip().lower()
    if exporter:
        return exporter != "none"
    return bool(environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or environ.get(f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT"))


async def flush() -> None:
    """Send what has gathered; the process waits a moment for it, and no longer."""
    if active is not None:
        await active.flush()


def carrier() -> dict[str, str] | None:
    """`traceparent` and `tracestate` of what happens now, as a run keeps them; None without telemetry."""
    return None if active is None else active.carrier()
