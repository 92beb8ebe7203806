"""The log of a process that serves or works: one JSON object a line, on standard error."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

from pulpo.runtime import step_log, telemetry

_EXTRA = ("facts", "request_id", "run", "operation", "attempt")


class JsonLines(logging.Formatter):
    """A log record as one JSON object; what a request or an operation adds to it is kept."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name in _EXTRA:
            value = getattr(record, name, None)
            if isinstance(value, dict):
                line.update(value)
            elif value is not None:
                line[name] = value
        if telemetry.active is not None:
            line.update(telemetry.active.ids())
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def log_to_stderr(level: int = logging.INFO) -> None:
    """Write the process's log as JSON lines, and keep what operations log with their steps."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    step_log.keep()
    for name in ("uvicorn.error", "uvicorn.access", "asyncio", "httpx"):
        logging.getLogger(name).setLevel(logging.WARNING)
