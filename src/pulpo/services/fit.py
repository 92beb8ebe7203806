"""Whether the documents that are there fit the models: a sample, looked at when the models have changed."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from pulpo.settings import Settings, state_folder
from pulpo.store import places

SAMPLE = 1000
"""Documents of each collection that are looked at, about."""
_FILE = "fitted.json"


def is_due(root: Path, settings: Settings) -> bool:
    """Whether the models, or the database, are others than when everything was last found to fit."""
    try:
        kept = (state_folder(root) / _FILE).read_text(encoding="utf-8")
    except OSError:
        return True
    return kept != _fingerprint(root, settings)


def look(root: Path, settings: Settings) -> tuple[str, ...]:
    """What does not fit, a sentence for each model; a database that is not there, or not reachable, has nothing to say.

    Runs in a process of its own: the project's modules stay out of this one.
    """
    command = [sys.executable, "-m", "pulpo.cli.main", "db", "migrate", "--dry-run", "--json", "--sample", str(SAMPLE)]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)  # noqa: S603 - a fixed command
    if done.returncode != 0:
        return ()
    found = tuple(_sentences(json.loads(done.stdout)["findings"]))
    if not found:
        (state_folder(root) / _FILE).write_text(_fingerprint(root, settings), encoding="utf-8")
    return found


def _sentences(findings: list[dict[str, Any]]) -> list[str]:
    unfit: dict[str, int] = {}
    lacking: dict[str, list[str]] = {}
    for each in findings:
        if each["count"] and each["effect"] in ("loss", "invalid", "form"):
            unfit[each["collection"]] = max(unfit.get(each["collection"], 0), each["count"])
        elif each["count"] and each["effect"] == "default":
            lacking.setdefault(each["collection"], []).append(each["what"])
    advice = "run `pulpo db migrate --dry-run`"
    return [
        *(f"documents of {name} do not fit their model (at least {n}): {advice}" for name, n in unfit.items()),
        *(f"{name}: {', '.join(what)} is not written yet: {advice}" for name, what in lacking.items()),
    ]


def _fingerprint(root: Path, settings: Settings) -> str:
    digest = hashlib.blake2b(digest_size=16)
    digest.update(places.shown(settings.database.url.get_secret_value(), root).encode())
    for file in sorted((root / "models").rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()
