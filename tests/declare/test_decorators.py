from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel, ValidationError

import pulpo
from pulpo import Field, Model, Ref, datamodel, flow, group, operation
from pulpo.declare.site import DECLARED, FINDINGS
from pulpo.errors import Finding
from pulpo.spec import ModelSpec, OperationSpec

if TYPE_CHECKING:
    from pulpo import Context


class Quote(BaseModel):
    price: int


@pytest.fixture(autouse=True)
def _own_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test begins with a module that has declared nothing."""
    monkeypatch.setitem(globals(), DECLARED, [])
    monkeypatch.setitem(globals(), FINDINGS, [])


def declared() -> list[Any]:
    return list(globals()[DECLARED])


def findings() -> list[Finding]:
    return list(globals()[FINDINGS])


def spec_of(declaration: Any) -> OperationSpec:
    spec: OperationSpec = declaration.__pulpo__
    return spec


class TestDatamodel:
    def test_bare_it_describes_the_class_and_returns_it(self) -> None:
        """Name, collection, path, actions, title and description follow from the class."""

        class StockMovement(Model):
            """Goods in or out."""

            quantity: int

        assert datamodel(StockMovement) is StockMovement
        spec = StockMovement.__pulpo__
        assert (spec.name, spec.collection, spec.path) == ("StockMovement", "stock_movements", "/stock_movements")
        assert (spec.title, spec.description) == ("Stock movement", "Goods in or out.")
        assert [field.name for field in spec.fields][-1] == "quantity"
        assert len(spec.api) == 6
        assert declared() == [spec]

    @pytest.mark.parametrize(
        ("api", "actions"),
        [("read", ("list", "get")), ("none", ()), (["delete", "get"], ("get", "delete"))],
    )
    def test_options_say_what_is_served(self, api: Any, actions: tuple[str, ...]) -> None:
        """All, reading only, nothing, or a list of actions."""

        @datamodel(
            api=api,
            unique=[("event", "channel")],
            indexes=[("channel", "created_at"), ("event",)],
            name="Note",
            title="A note",
            description="Said.",
            ui={"icon": "n"},
        )
        class Notification(Model):
            event: str
            channel: str

        spec = Notification.__pulpo__
        assert (spec.name, spec.api, spec.unique) == ("Note", actions, (("event", "channel"),))
        assert spec.indexes == (("channel", "created_at"), ("event",))
        assert (spec.title, spec.description, spec.ui) == ("A note", "Said.", {"icon": "n"})

    def test_an_unknown_option_is_a_finding_with_the_nearest(self) -> None:
        """At the declaration's line, and the model is declared all the same."""
        misspelt: Any = datamodel

        @misspelt(apii="read")
        class Silent(Model):
            note: str = ""

        assert [(each.code, each.message, each.hint) for each in findings()] == [
            ("PULPO102", 'model Silent: there is no option "apii"', 'did you mean "api"?')
        ]
        source = findings()[0].source
        assert source is not None
        assert source.file == __file__
        assert source == Silent.__pulpo__.source

    def test_a_class_without_docstring_does_not_borrow_one(self) -> None:
        """The description of a model is its own."""

        @datamodel
        class Silent(Model):
            note: str = ""

        assert Silent.__pulpo__.description == ""


class TestOperation:
    def test_the_function_stays_an_ordinary_async_function(self) -> None:
        """It is returned as it was, and can be called by a test."""

        async def place(order_id: str) -> None: ...

        assert operation(name="orders.checkout.place")(place) is place
        assert inspect.iscoroutinefunction(place)
        spec = spec_of(place)
        assert (spec.name, spec.domain, spec.group, spec.short) == (
            "orders.checkout.place", "orders", "orders.checkout", "place",
        )  # fmt: skip
        assert spec.title == "Place"
        assert declared() == [spec]
        assert findings() == []

    def test_unknown_options_are_findings_with_the_nearest(self) -> None:
        """Each of them; where none is near, all that there are."""
        misspelt: Any = operation

        async def place() -> None: ...

        misspelt(name="a.b.place", atomc=True, zzz=1)(place)
        near, far = findings()
        assert (near.code, near.message, near.hint) == (
            "PULPO103", 'operation "a.b.place": there is no option "atomc"', 'did you mean "atomic"?',
        )  # fmt: skip
        assert far.hint is not None
        assert far.hint.startswith("the options are name, inputs, ")
        assert "unknown" not in far.hint
        assert near.source == far.source == spec_of(place).source
        assert declared() == [spec_of(place)]

    def test_a_name_can_be_inferred(self) -> None:
        """From the module and the function, bare or called."""

        @operation
        async def place() -> None: ...

        @operation(retries=2)
        async def pay() -> None: ...

        assert (spec_of(place).name, spec_of(pay).name) == ("test_decorators.place", "test_decorators.pay")
        assert spec_of(pay).retries == 2

    def test_one_model_parameter_is_the_input(self) -> None:
        """Beside it the context, told by its annotation, wherever it stands and under whatever name."""

        @operation(name="a.b.one")
        async def one(context: Context, quote: Quote) -> Quote:
            return quote

        @operation(name="a.b.two")
        async def two(quote: Quote, *, ctx: pulpo.Context | None = None) -> Quote:
            return quote

        assert (spec_of(one).takes, spec_of(one).context, spec_of(one).input.cls) == ("model", "context", Quote)
        assert (spec_of(two).takes, spec_of(two).context, spec_of(two).output.cls) == ("model", "ctx", Quote)
        assert findings() == []

    def test_plain_parameters_become_an_input_model(self) -> None:
        """Named after the function, with their defaults; what it does not know is refused."""

        @operation(name="a.b.validate_items")
        async def validate_items(order_id: Ref[Any], copy: int = 1, note: str | None = None) -> bool:
            return True

        spec = spec_of(validate_items)
        assert (spec.takes, spec.input.name) == ("fields", "ValidateItemsInput")
        assert [(field.name, field.kind, field.required) for field in spec.input.fields] == [
            ("order_id", "ref", True), ("copy", "integer", False), ("note", "string", False),
        ]  # fmt: skip
        cls = spec.input.cls
        assert cls is not None
        assert cls.model_validate({"order_id": "o"}).model_dump() == {"order_id": "o", "copy": 1, "note": None}
        with pytest.raises(ValidationError):
            cls.model_validate({"order_id": "o", "more": 1})

    def test_nothing_is_taken_and_nothing_given(self) -> None:
        """An operation may have neither input nor output."""

        @operation(name="a.b.tick")
        async def tick() -> None: ...

        spec = spec_of(tick)
        assert (spec.takes, spec.input.cls, spec.input.fields, spec.output.cls) == ("nothing", None, (), None)

    @pytest.mark.parametrize("given", [dict[str, int], list[Quote], int, str | None])
    def test_an_output_may_be_no_model(self, given: Any) -> None:
        """A dict, a list or a scalar is kept as annotated, without fields."""

        async def give() -> Any: ...

        give.__annotations__["return"] = given
        output = spec_of(operation(name="a.b.give")(give)).output
        assert (output.cls, output.annotation, output.fields) == (None, given, ())

    def test_classes_may_stand_in_the_decorator(self) -> None:
        """`inputs` and `outputs` say what a bare signature does not."""

        @operation(name="a.b.c", inputs=Quote, outputs=Quote)
        async def bare(data):  # type: ignore[no-untyped-def]
            return data

        spec = spec_of(bare)
        assert (spec.takes, spec.input.cls, spec.output.cls) == ("model", Quote, Quote)

    def test_models_and_operations_are_named_by_object_or_by_name(self) -> None:
        """A renamed model counts by its declared name, a class that is not declared by its own."""

        @datamodel(name="Article")
        class Product(Model):
            note: str = ""

        @operation(name="a.b.undo")
        async def undo() -> None: ...

        @operation(
            name="a.b.do", models_in=[Product, "Order", Product], models_out=[Quote], models_add="Order",
            compensate=undo, after=[undo, "a.c"],
        )  # fmt: skip
        async def do() -> None: ...

        spec = spec_of(do)
        assert (spec.reads, spec.writes, spec.adds) == (("Article", "Order"), ("Quote",), ("Order",))
        assert (spec.compensate, spec.after) == ("a.b.undo", ("a.b.undo", "a.c"))

    def test_all_options_reach_the_description(self) -> None:
        """Nothing that is declared is lost."""

        @operation(
            name="a.b.c", bind={"price": "a.b.quote"}, atomic=True, retries=3, timeout=None, wait=60, gate="ok",
            pivot=True, standalone=True, title="See", description="Sees.", ui={"icon": "eye"},
        )  # fmt: skip
        async def see(price: int) -> Quote:
            """Not this."""
            return Quote(price=price)

        spec = spec_of(see)
        assert (spec.bind, spec.atomic, spec.retries, spec.timeout, spec.wait) == (
            {"price": "a.b.quote"},
            True,
            3,
            None,
            60,
        )
        assert (spec.gate, spec.pivot, spec.standalone) == ("ok", True, True)
        assert (spec.title, spec.description, spec.ui) == ("See", "Sees.", {"icon": "eye"})

    def test_names_around_the_function_serve_its_annotations(self) -> None:
        """A class of a test's own is found though annotations are text."""

        class Local(BaseModel):
            note: str

        @operation(name="a.b.c")
        async def take(data: Local) -> Local:
            return data

        assert spec_of(take).input.cls is Local
        assert findings() == []


def test_declarations_are_kept_in_the_order_written() -> None:
    """Models, operations, groups and flows together, with file and line."""

    @datamodel
    class One(Model):
        note: str = ""

    two = group("a.b", after=["c.d"], description="Two.")
    three = flow("three", includes=["a"], one_per="id", description="Three.")
    four = flow("four")

    @operation(name="a.b.five")
    async def five() -> None: ...

    assert declared() == [One.__pulpo__, two, three, four, spec_of(five)]
    assert (two.after, three.includes, three.one_per, four.includes) == (("c.d",), ("a",), "id", ("four",))
    places = [entry.source for entry in declared()]
    assert [place.line for place in places] == sorted(place.line for place in places)
    assert {place.file for place in places} == {__file__}


def test_problems_are_kept_and_do_not_raise() -> None:
    """One module can report all of its problems at once."""

    @operation(name="Wrong", retries=-1)
    def wrong(order_id):  # type: ignore[no-untyped-def]
        return order_id

    @datamodel(unique=[("nothing",)], indexes=[("note", "nowhere"), ("words",)])
    class Odd(Model):
        note: str = ""
        words: list[str] = Field(default_factory=list)

    assert [finding.code for finding in findings()] == [
        "PULPO208", "PULPO209", "PULPO209", "PULPO103", "PULPO103", "PULPO102", "PULPO102", "PULPO102",
    ]  # fmt: skip
    assert isinstance(Odd.__pulpo__, ModelSpec)


def test_a_model_does_not_declare_again_what_every_document_has() -> None:
    """Also where a class in between does; the rules of `id`, `version` and the timestamps are not a project's."""

    class Base(Model):
        version: int = 7  # type: ignore[assignment]

    @datamodel
    class Ticket(Base):
        id: str = "x"
        title: str = ""

    assert [finding.code for finding in findings()] == ["PULPO102", "PULPO102"]
    assert "declares id again" in findings()[0].message
    assert "Base declares version again" in findings()[1].message
