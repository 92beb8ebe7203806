"""The long proofs: what no unit test can show. Each is a program of its own that exits with 1 where a promise broke."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_NAMES = ("kills", "failover", "races", "contention", "preconditions", "crowd", "overload", "contract", "scale", "copy")
PROOFS = tuple(f"tests.proof.{name}" for name in _NAMES)


def main() -> int:
    """Run every proof, also after one has failed; 1 where any failed."""
    failed = []
    for proof in PROOFS:
        print(f"== {proof}", flush=True)
        begun = time.monotonic()
        done = subprocess.run([sys.executable, "-m", proof], cwd=ROOT, check=False)
        print(
            f"== {proof}: {'held' if done.returncode == 0 else 'BROKE'} in {time.monotonic() - begun:.0f} s\n",
            flush=True,
        )
        if done.returncode:
            failed.append(proof)
    print(f"{len(PROOFS) - len(failed)} held, {len(failed)} broke" + (f": {', '.join(failed)}" if failed else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
