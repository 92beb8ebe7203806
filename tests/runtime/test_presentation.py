"""`[ui]` against the models that it speaks of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from pulpo.errors import PulpoError
from pulpo.runtime.presentation import presentation, problems
from pulpo.settings import UiSettings
from pulpo.spec import AppSpec, FieldSpec, ModelSpec

APP = AppSpec(
    "shop",
    models=(
        ModelSpec(
            "Order",
            BaseModel,
            "orders",
            (FieldSpec("total", "money"), FieldSpec("created_at", "datetime"), FieldSpec("status", "enum")),
        ),
    ),
)


def drawn(*cards: dict[str, Any]) -> dict[str, Any]:
    return presentation(APP, UiSettings.model_validate({"cards": cards}))


def test_a_card_goes_out_with_what_it_says() -> None:
    """Parts that were left empty are left out; the title is the project's where none is given."""
    found = drawn({"kind": "chart", "title": "Revenue", "model": "Order", "bucket": "created_at:day", "field": "total"})
    assert found["title"] == "shop"
    (card,) = found["cards"]
    assert (card["bucket"], card["field"], card["measure"], card["span"]) == ("created_at:day", "total", "sum", 14)
    assert "filter" not in card
    assert "columns" not in card


@pytest.mark.parametrize(
    ("card", "said"),
    [
        ({"kind": "count", "model": "Ordr"}, 'no model "Ordr"'),
        ({"kind": "sum", "model": "Order"}, "it needs `field`"),
        ({"kind": "breakdown", "model": "Order", "group": "statu"}, 'no field "statu"'),
        ({"kind": "list", "model": "Order", "columns": ["totl"]}, 'no field "totl"'),
    ],
)
def test_a_card_that_cannot_be_drawn_is_refused(card: dict[str, Any], said: str) -> None:
    """PULPO105, naming the card and the nearest name."""
    with pytest.raises(PulpoError, match=said) as caught:
        drawn({"title": "Wrong", **card})
    assert caught.value.code == "PULPO105"


def test_all_that_is_wrong_is_found_before_anybody_looks(tmp_path: Path) -> None:
    """Cards, the filters they ask with, icons, and modules that are not there; what is there is fine."""
    (tmp_path / "ui").mkdir()
    (tmp_path / "ui" / "there.js").touch()
    ui = UiSettings.model_validate(
        {
            "cards": [
                {"kind": "count", "title": "A", "model": "Ordr"},
                {"kind": "count", "title": "B", "model": "Order", "filter": "totl[gt]=1"},
                {"kind": "count", "title": "C", "model": "Order", "filter": "total[gte]=1&created_at[gte]=@today"},
            ],
            "pages": [
                {"name": "p", "title": "P", "module": "gone.js", "icon": "bord"},
                {"name": "q", "title": "Q", "module": "there.js", "icon": "board"},
            ],
        }
    )
    found = [(error.code, error.detail) for error in problems(APP, ui, tmp_path)]
    assert [code for code, _ in found] == ["PULPO105"] * 4
    for (_, detail), said in zip(found, ('no model "Ordr"', "totl", 'icon "bord"', "ui/gone.js"), strict=True):
        assert said in detail
