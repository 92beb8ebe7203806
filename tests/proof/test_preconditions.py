"""The short form of the proof of preconditions and keys; the full one is `python -m tests.proof.preconditions`."""

from __future__ import annotations

from pathlib import Path

from tests.proof.preconditions import Plan, prove


def test_of_everybody_at_once_one_takes_effect_also_when_the_process_dies(tmp_path: Path) -> None:
    """200 PUTs on one ETag; 64 with one key on a create and on a charge, and again with a SIGKILL in between."""
    figures = prove(Plan(rounds=1, points=("after_body",), twice=False), tmp_path)
    assert figures.wrong == []
    assert figures.answers["200 PUTs on one ETag"] == {"200": 1, "412 PULPO609": 199}
    assert figures.answers["create under one key: again"] == {"201": 64}
    assert figures.answers["create under one key, killed: again"].keys() == {"201"}
    assert figures.answers["create under one key, killed"]["broken off"] > 0
    assert figures.inside == 1
    assert figures.answers["charge under one key: again"] == {"200": 64}
    assert figures.answers["charge under one key, killed after_body: again"] == {"200": 64}
    assert figures.kills["charge under one key, killed after_body"] == 1
