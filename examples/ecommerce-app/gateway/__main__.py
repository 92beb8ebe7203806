"""`python -m gateway --port 8700`: run the simulated gateway until it is told to stop."""

import argparse
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import uvicorn

from gateway.app import create_app
from gateway.ledger import Row


def main() -> None:
    """Listen on loopback only: this is no place for real money."""
    parser = argparse.ArgumentParser(prog="gateway", description="A simulated payment gateway.")
    parser.add_argument("--port", type=int, default=8700)
    parser.add_argument("--ledger", type=Path, default=Path(".pulpo/gateway.db"), help="its SQLite file")
    parser.add_argument("--hang", type=float, default=30.0, help="seconds that the timeout methods hang")
    parser.add_argument("--sample", action="store_true", help="begin with the charges of the sample shop")
    given = parser.parse_args()
    sample: Callable[[], list[Row]] | None = None
    if given.sample:
        from shop.sample import gateway_charges  # noqa: PLC0415 - loads the models, which the gateway otherwise need not

        sample = partial(gateway_charges, datetime.now(UTC))
    app = create_app(given.ledger, hang_seconds=given.hang, sample=sample)
    uvicorn.run(app, host="127.0.0.1", port=given.port, log_level="warning", timeout_graceful_shutdown=3)


if __name__ == "__main__":
    main()
