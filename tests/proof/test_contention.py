"""Everybody at once on one order, in short; `python -m tests.proof.contention` is the full form."""

from __future__ import annotations

import copy
import time
from pathlib import Path
from typing import Any

import pytest

from tests.proof import contention
from tests.proof.members import STORES, database


@pytest.mark.parametrize("store", STORES)
def test_whoever_comes_when_an_order_is_paid_once_or_holds_nothing(tmp_path: Path, store: str) -> None:
    """Forty rounds over two API processes: nothing is charged twice, undone by others, or cancelled with money held."""
    seed = time.time_ns() % 10_000
    with database(store, tmp_path) as url:
        result = contention.contend(tmp_path, rounds=40, seed=seed, url=url)
    assert result.wrong == [], f"seed {seed}"
    figures = result.figures
    assert figures["rounds"] == 40
    assert {row["kind"] for row in figures["by_end"]} == set(contention.KINDS)
    assert {"captured", "voided"} <= set(figures["charges_at_the_gateway"])
    assert figures["undoings"] > 0
    assert figures["steps_that_said_already"] > 0


def _journal() -> dict[str, list[dict[str, Any]]]:
    """A run that reserved and let go again, on an order that somebody else has charged and nobody has cancelled."""
    run = {"id": "r1", "kind": "flow", "name": "order_to_cash", "state": "compensated", "incident": None}
    step = {"run": "r1", "operation": contention.RESERVE.replace("/", "."), "kind": "step", "generation": 1}
    key = f"r1:{step['operation']}:1"
    undo = {**step, "id": key.replace(":", ":~", 1), "operation": "orders.fulfillment.release_items"}
    documents: dict[str, list[dict[str, Any]]] = {
        "orders": [{"id": "o1", "status": "pending"}],
        "_runs": [{**run, "input": {"order_id": "o1"}}],
        "_steps": [
            {**step, "id": key, "state": "completed", "already": False},
            {**undo, "kind": "compensation", "state": "completed", "already": False},
        ],
        "reservations": [{"id": "v1", "order_id": "o1", "status": "released", "key": key}],
        "pick_lists": [],
        "shipments": [],
        "payments": [
            {"id": "p1", "order_id": "o1", "status": "processing", "detail": "", "key": "r2:x:1", "capture_key": ""}
        ],
    }
    return copy.deepcopy(documents)


def test_a_run_that_undid_its_own_work_is_explained() -> None:
    """Released by the undoing of the very step that had reserved: nothing to say."""
    assert contention.judged(_journal()) == []


@pytest.mark.parametrize(
    ("collection", "change", "said"),
    [
        ("reservations", {"key": "r2:orders.fulfillment.reserve_items:1"}, "released by somebody else"),
        ("payments", {"status": "failed", "detail": "voided"}, "given back by somebody else"),
        ("payments", {"status": "refunded"}, "given back by somebody else"),
        ("orders", {"status": "cancelled"}, "no cancel has completed"),
        ("_steps", {"already": True}, "undid a step that said already"),
        ("_runs", {"state": "running"}, "not at an end"),
        ("_runs", {"incident": "could not be undone"}, "could not be undone"),
        ("_runs", {"state": "completed"}, "its order o1 is pending"),
    ],
)
def test_what_the_journal_cannot_explain_is_found(collection: str, change: dict[str, Any], said: str) -> None:
    """Each way in which a run could have touched the work of another is seen by the judge."""
    documents = _journal()
    documents[collection][0].update(change)
    assert any(said in text for text in contention.judged(documents))


def test_a_step_that_was_not_undone_is_found() -> None:
    """A compensated run whose step still holds is no good end."""
    documents = _journal()
    del documents["_steps"][1]
    assert any("was not undone" in text for text in contention.judged(documents))
