"""A shop with some thousand orders, asked over HTTP; `python -m tests.proof.scale` is the full form."""

from __future__ import annotations

import copy
import time
from pathlib import Path

import pytest

from tests.proof import scale


def test_every_answer_about_many_orders_is_the_right_one(tmp_path: Path) -> None:
    """Lists, a walk by cursor, offsets, counts, figures, searches and exports, with memory that does not grow."""
    seed = time.time_ns() % 10_000
    result = scale.prove(3_000, tmp_path, seed)
    assert result.wrong == [], f"seed {seed}"
    assert result.figures["pages"] == 30


ORDERS = list(scale.rows(20, 1))


def test_the_same_orders_are_the_same() -> None:
    """Nothing to say of what came as it was written."""
    assert scale.compared("a list", ORDERS, copy.deepcopy(ORDERS)) == []


@pytest.mark.parametrize(
    ("found", "what"),
    [
        (ORDERS[:-1], "1 missing"),
        ([*ORDERS, ORDERS[3]], "1 more than once"),
        ([*ORDERS[:2], ORDERS[3], ORDERS[2], *ORDERS[4:]], "is at place 2"),
        ([{**ORDERS[0], "total": 1.0}, *ORDERS[1:]], "has other total"),
        ([{**ORDERS[0], "items": []}, *ORDERS[1:]], "has other items"),
    ],
)
def test_what_a_list_gets_wrong_is_found(found: list[scale.Row], what: str) -> None:
    """An order that is lost, comes twice, stands elsewhere or says something else."""
    assert any(what in text for text in scale.compared("a list", ORDERS, found))


def test_the_orders_of_a_seed_are_always_the_same() -> None:
    """The process that writes them and the one that asks need not tell each other."""
    assert list(scale.rows(50, 3)) == list(scale.rows(50, 3))
    assert list(scale.rows(50, 3)) != list(scale.rows(50, 4))
