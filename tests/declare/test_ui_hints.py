"""What `ui=` may say, and what is said of it where it says something else."""

from __future__ import annotations

from typing import Any

import pytest

from pulpo.declare.ui_hints import model_problems, problems
from pulpo.spec import FieldSpec

FIELDS = (
    FieldSpec("name", "string"),
    FieldSpec("status", "enum", values=("open",), ui={"colours": {"open": "yellow"}}),
    FieldSpec("lines", "list", item=FieldSpec("lines", "embedded", fields=(FieldSpec("sku", "string"),))),
)


def said(hints: dict[str, Any], fields: tuple[FieldSpec, ...] = FIELDS) -> list[str]:
    return [f"{problem.message}; {problem.hint}" for problem in model_problems(hints, fields)]


def test_what_the_guide_names_is_taken() -> None:
    """Every hint of a model, with paths into lists, is without a finding."""
    hints = {"icon": "package", "group": "Goods", "order": 1, "label": "name", "status": "status", "hidden": False}
    assert said({**hints, "columns": ["name", "lines.sku"], "filters": ["status"], "sort": "-name"}) == []


@pytest.mark.parametrize(
    ("hints", "found"),
    [
        ({"icno": "x"}, 'there is no hint "icno"; did you mean "icon"?'),
        ({"columns": "name"}, "the hint \"columns\" cannot be 'name'; the fields that a list shows at first"),
        ({"sort": "-nam"}, 'a hint names the field "nam", which is not there; did you mean "name"?'),
        ({"order": True}, 'the hint "order" cannot be True; a whole number: its place among the others'),
    ],
)
def test_a_mistake_is_found_where_it_is_written(hints: dict[str, Any], found: str) -> None:
    """Unknown names with the nearest one, values of the wrong kind with the right one, fields that are not there."""
    assert found in said(hints)


def test_fields_inside_are_checked_too() -> None:
    """The finding names the field by its path."""
    inner = FieldSpec("sku", "string", ui={"colours": {"a": "mauve"}})
    fields = (FieldSpec("lines", "list", item=FieldSpec("lines", "embedded", fields=(inner,))),)
    (found,) = said({}, fields)
    assert found.startswith("field lines.sku: the hint \"colours\" cannot be {'a': 'mauve'}")


def test_operations_have_hints_of_their_own() -> None:
    """`danger` is one, `columns` is none."""
    assert not list(problems("operation", {"icon": "truck", "danger": True, "confirm": "Really?"}))
    assert [problem.message for problem in problems("operation", {"columns": []})] == ['there is no hint "columns"']
