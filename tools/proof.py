"""The long proofs: what no unit test can show. Each is a program of its own that exits with 1 where a promise broke."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_FAULTS = ("kills", "failover", "machines", "stack", "races", "contention", "preconditions")
_NAMES = (*_FAULTS, "crowd", "overload", "contract", "scale", "copy")
PROOFS = tuple(f"tests.proof.{name}" for name in _NAMES)
NOT_RUN = 2
"""How a proof ends that needs what is not installed."""


def main() -> int:
    """Run every proof, also after one has failed; 1 where any failed."""
    found: dict[str, list[str]] = {"held": [], "NOT RUN": [], "BROKE": []}
    for proof in PROOFS:
        print(f"== {proof}", flush=True)
        begun = time.monotonic()
        done = subprocess.run([sys.executable, "-m", proof], cwd=ROOT, check=False)
        said = {0: "held", NOT_RUN: "NOT RUN"}.get(done.returncode, "BROKE")
        found[said].append(proof)
        print(f"== {proof}: {said} in {time.monotonic() - begun:.0f} s\n", flush=True)
    print(f"{len(found['held'])} held")
    for said in ("NOT RUN", "BROKE"):
        if found[said]:
            print(f"{len(found[said])} {said}: {', '.join(found[said])}")
    return 1 if found["BROKE"] else 0


if __name__ == "__main__":
    sys.exit(main())
