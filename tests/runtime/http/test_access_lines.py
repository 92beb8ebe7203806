"""The access log of the API process: JSON lines, several at a time."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta

from pulpo.runtime.http.serve import AccessLines


async def test_lines_come_soon_in_order_and_whole() -> None:
    """Each is one JSON object with the request's facts and its time, whatever stands in them; none comes twice."""
    written: list[str] = []
    came = asyncio.Event()

    def write(text: str) -> None:
        written.append(text)
        came.set()

    lines = AccessLines(write)
    before = datetime.now(UTC)
    for number in range(3):
        lines({"method": "GET", "path": f'/€"\n\\{number}', "status": 200, "client": None})
    assert not written
    await asyncio.wait_for(came.wait(), 5)
    found = [json.loads(line) for line in "".join(written).splitlines()]
    assert [line["path"] for line in found] == [f'/€"\n\\{number}' for number in range(3)]
    for line in found:
        assert (line["logger"], line["level"], line["message"], line["status"]) == (
            "pulpo.access",
            "info",
            "request",
            200,
        )
        at = datetime.fromisoformat(line["at"])
        assert before - timedelta(milliseconds=1) <= at <= datetime.now(UTC)
    lines.flush()
    assert len(written) == 1
