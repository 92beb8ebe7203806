from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal, NewType
from uuid import UUID

import pytest
from pydantic import AnyUrl, BaseModel, SecretStr, create_model

from pulpo import Embedded, Field, Model, Money, MoneyType, Ref, Timestamp, datamodel
from pulpo.declare.hints import UnresolvedHint, fields_of
from pulpo.spec import FieldSpec


class Colour(Enum):
    RED = "red"
    BLUE = 2


class Line(Embedded):
    product_id: Ref["Product"]  # noqa: F821, UP037 - a name is enough, the class may come later
    price: Money


class Branch(Embedded):
    name: str
    branches: list[Branch] = Field(default_factory=list)


Sku = NewType("Sku", str)


@datamodel(name="Article")
class Renamed(Model):
    note: str = ""


def field(annotation: Any, default: Any = ...) -> FieldSpec:
    return fields_of(create_model("Sample", it=(annotation, default)))[0]


@pytest.mark.parametrize(
    ("annotation", "kind"),
    [
        (str, "string"), (int, "integer"), (float, "number"), (Decimal, "number"), (bool, "boolean"),
        (Money, "money"), (datetime, "datetime"), (Timestamp, "datetime"), (date, "date"), (Colour, "enum"),
        (Literal["a", "b"], "enum"), (Ref["Product"], "ref"), (list[int], "list"), (set[str], "list"),
        (Line, "embedded"), (dict[str, int], "json"), (Any, "json"), (int | str, "json"), (UUID, "string"),
        (AnyUrl, "string"),
        (SecretStr, "string"), (bytes, "string"), (Sku, "string"), (Annotated[int, Field(ge=1)], "integer"),
        (tuple[int, ...], "list"), (object, "json"),
    ],
)  # fmt: skip
def test_a_type_has_a_kind(annotation: Any, kind: str) -> None:
    """Every annotation that Pydantic takes has one of the kinds; what is not known to be simpler is JSON."""
    assert (field(annotation).kind, field(annotation).nullable) == (kind, False)


@pytest.mark.parametrize("annotation", [str, Money, Ref["Product"], Line, list[int], Literal["a"]])
def test_a_type_or_none_is_the_same_kind_and_nullable(annotation: Any) -> None:
    """`X | None` says what X says."""
    assert (field(annotation | None).kind, field(annotation | None).nullable) == (field(annotation).kind, True)


def test_markers_keep_what_they_say() -> None:
    """Decimals of money, the target of a reference, the values of an enum."""
    assert field(Annotated[Decimal, MoneyType(0)]).decimals == 0
    assert field(Ref["Product"] | None).target == "Product"
    assert field(Ref[Line]).target == "Line"
    assert field(Ref[Renamed]).target == "Article"
    assert field(Colour).values == ("red", 2)
    maybe = field(Literal["a", None])  # noqa: PYI061 - the other form is another path
    assert (maybe.values, maybe.nullable) == (("a",), True)


def test_a_list_says_what_its_entries_are() -> None:
    """Fields of embedded entries and references inside them included."""
    item = field(list[Line]).item
    assert item is not None
    assert (item.kind, item.embedded) == ("embedded", "Line")
    assert [(inner.name, inner.kind, inner.target) for inner in item.fields] == [
        ("product_id", "ref", "Product"),
        ("price", "money", None),
    ]


def test_a_class_inside_itself_ends_as_json() -> None:
    """A tree's depth is the data's to say."""
    branches = field(Branch).fields[1]
    assert branches.kind == "list"
    assert branches.item is not None
    assert (branches.item.kind, branches.item.embedded) == ("json", "Branch")


def test_what_a_field_says_beyond_pydantic_is_kept() -> None:
    """Required, default, key, unique, index, readonly, within, the earlier name, title, description and hints."""

    class Sample(BaseModel):
        number: str = Field(key=True, title="No.", description="The number.")
        customer_id: str = Field("", index=True, renamed_from="client_id")
        address_id: Ref[Line] = Field("", within="customer_id", readonly=True, ui={"widget": "map"})

    number, customer, address = fields_of(Sample)
    assert (number.required, number.key, number.unique, number.title, number.description) == (
        True, True, True, "No.", "The number.",
    )  # fmt: skip
    assert (customer.required, customer.index, customer.renamed_from, customer.title) == (
        False, True, "client_id", "Customer id",
    )  # fmt: skip
    assert (address.within, address.readonly, address.ui) == ("customer_id", True, {"widget": "map"})


def test_an_unknown_class_is_named() -> None:
    """A forward reference that leads nowhere is an error that says the name."""

    class Sample(BaseModel):
        it: list[Nowhere]  # type: ignore[name-defined]  # noqa: F821 - the point of the test

    with pytest.raises(UnresolvedHint, match="Nowhere"):
        fields_of(Sample)
