"""Many processes race for few units, in short; `python -m tests.proof.races` is the full form."""

from __future__ import annotations

import copy
import time
from pathlib import Path
from typing import Any

import pytest

from tests.proof import races
from tests.proof.members import STORES, database


@pytest.mark.parametrize("store", STORES)
def test_of_many_attempts_from_eight_processes_exactly_what_stock_allows_succeeds(tmp_path: Path, store: str) -> None:
    """Half in process, half over HTTP: the units are sold once each, the rest is told `insufficient_stock`."""
    plan = races.Plan(orders=1_200, units=40, apis=2, seed=time.time_ns() % 10_000)
    with database(store, tmp_path) as url:
        result = races.race(plan, tmp_path, url)
    assert result.wrong == [], f"seed {plan.seed}"
    assert result.figures["attempts"] == 1_200
    assert set(result.figures["answers"]) == {"reserved", "insufficient_stock"}
    assert "40 of 40 sold" in result.figures["units"].values()


PLAN = races.Plan(orders=2, units=2)


def _outcome() -> tuple[list[dict[str, Any]], races.Documents]:
    """Two orders of both products, on stock that was enough for one of them."""
    items = [{"product_id": "a", "quantity": 1}, {"product_id": "b", "quantity": 2}]
    held = [{"order_id": "o1", "status": "open", "product_id": item["product_id"]} for item in items]
    documents: races.Documents = {
        "orders": [
            {"id": "o1", "status": "processing", "items": items},
            {"id": "o2", "status": "pending", "items": items},
        ],
        "products": [{"id": "a", "inventory": 1}, {"id": "b", "inventory": 0}],
        "reservations": [{**each, "id": f"v{n}", "quantity": n} for n, each in enumerate(held, 1)],
        "_runs": [{"state": "completed"}, {"state": "failed"}],
    }
    return [{"answers": {"reserved": ["o1"], "insufficient_stock": ["o2"]}}], copy.deepcopy(documents)


def test_a_fair_outcome_is_fair() -> None:
    """Nothing to say where one order was served and the other is too large for what is left."""
    assert races.judged(PLAN, *_outcome()) == []


def test_a_refusal_with_stock_left_is_found() -> None:
    """An order that was refused although all of it is there."""
    reports, documents = _outcome()
    documents["products"][1]["inventory"] = 2
    assert any("there is stock for it" in text for text in races.judged(PLAN, reports, documents))


def test_units_sold_twice_are_found() -> None:
    """Two orders that hold the same units."""
    reports, documents = _outcome()
    documents["reservations"].append({**documents["reservations"][0], "order_id": "o2", "id": "v3"})
    found = races.judged(PLAN, reports, documents)
    assert any("2 of a are sold and 1 left" in text for text in found)
    assert any("2 orders hold something" in text for text in found)


@pytest.mark.parametrize("code", ["PULPO408", "PULPO507", "already"])
def test_any_other_answer_is_found(code: str) -> None:
    """A timeout, a busy database, an attempt that ran twice: none of them is a refusal."""
    reports, documents = _outcome()
    reports[0]["answers"] = {"reserved": ["o1"], code: ["o2"]}
    assert f"1 attempts were answered {code}" in races.judged(PLAN, reports, documents)


def test_an_attempt_that_was_lost_is_found() -> None:
    """Every order is tried, and each of them once."""
    reports, documents = _outcome()
    reports[0]["answers"]["reserved"] = ["o1", "o1"]
    del reports[0]["answers"]["insufficient_stock"]
    assert any("not each of them once" in text for text in races.judged(PLAN, reports, documents))
