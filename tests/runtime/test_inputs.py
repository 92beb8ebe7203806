"""What a client may send to an operation or a flow: what its input declares, in JSON's own types, and nothing else."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel, Field

from pulpo import Context, Money, PulpoError, operation
from pulpo.graph.build import plans
from pulpo.runtime.application import Application, assemble
from pulpo.runtime.http.openapi import openapi
from pulpo.settings import Settings
from pulpo.spec import AppSpec
from tests.runtime.lab import LOCAL, Box, Lab


class Label(BaseModel):
    """Something inside of an input."""

    title: str = ""


class Rest(BaseModel, extra="allow"):
    """Something that takes what comes."""

    known: int = 0


class Closed(BaseModel):
    """An input that says nothing of other fields."""

    title: str = "t"
    amount: Money = Decimal(0)
    labels: list[Label] = Field(default_factory=list)


class Mixed(BaseModel):
    """Closed, with something open inside."""

    title: str = "t"
    rest: Rest = Rest()


class Open(BaseModel, extra="allow"):
    """It says that it takes what comes."""

    title: str = "t"


def echo(name: str, taken: type[BaseModel]) -> Any:
    async def run(data: Any, ctx: Context) -> dict[str, Any]:
        return dict(data.model_dump(mode="json"))

    run.__annotations__ = {"data": taken, "ctx": Context, "return": dict[str, Any]}
    return operation(name=name)(run)


async def start(lab: Lab) -> Application:
    functions = [echo("lab.closed", Closed), echo("more.mixed", Mixed), echo("other.open", Open)]
    spec = AppSpec("lab", models=(Box.__pulpo__,), operations=tuple(each.__pulpo__ for each in functions))
    app = assemble(
        name="lab",
        root=lab.root,
        models=[Box],
        operations=functions,
        plans=plans(spec),
        settings=Settings.model_validate({"database": {"url": lab.database}}),
    )
    await app.start()
    lab.apps.append(app)
    return app


@pytest.mark.parametrize(
    ("operation", "sent", "place", "said"),
    [
        ("lab.closed", {"titel": "x"}, "/titel", 'did you mean "title"?'),
        ("lab.closed", {"labels": [{"titel": "x"}]}, "/labels/0/titel", "There is no such field"),
        ("lab.closed", '{"amount": "1.2"}', "/amount", "should be a number"),
        ("more.mixed", {"titel": "x"}, "/titel", 'did you mean "title"?'),
    ],
)
async def test_what_an_input_does_not_declare_is_refused(
    lab: Lab, operation: str, sent: Any, place: str, said: str
) -> None:
    """With its place, and the nearest name; alone and in a flow."""
    app = await start(lab)
    with pytest.raises(PulpoError) as alone:
        await app.call(operation, sent, caller=LOCAL)
    with pytest.raises(PulpoError) as flow:
        await app.engine.start_run(operation.partition(".")[0], sent, caller=LOCAL)
    for refused in (alone, flow):
        assert refused.value.code == "PULPO602"
        assert [error.pointer for error in refused.value.errors] == [place]
        assert said in refused.value.errors[0].message


async def test_a_class_that_says_so_takes_what_comes(lab: Lab) -> None:
    """And so does one inside of a closed one."""
    app = await start(lab)
    assert '"titel":"x"' in (await app.call("other.open", {"titel": "x"}, caller=LOCAL)).output
    assert '"free":1' in (await app.call("more.mixed", {"rest": {"free": 1}}, caller=LOCAL)).output


async def test_an_amount_is_a_number_in_json_and_a_decimal_in_python(lab: Lab) -> None:
    """Code may give a Decimal, and a class takes text."""
    app = await start(lab)
    assert '"amount":1.2' in (await app.call("lab.closed", {"amount": Decimal("1.20")}, caller=LOCAL)).output
    assert '"amount":1.2' in (await app.call("lab.closed", '{"amount": 1.20}', caller=LOCAL)).output
    assert Closed.model_validate({"amount": "1.2"}).amount == Decimal("1.20")


async def test_the_document_says_what_is_closed(lab: Lab) -> None:
    """`additionalProperties` is false where unknown fields are refused."""
    app = await start(lab)
    found = openapi(app.spec, app.plans, app.settings)

    def body(address: str) -> Any:
        schema = found["paths"][address]["post"]["requestBody"]["content"]["application/json"]["schema"]
        name = schema.get("$ref", "").rpartition("/")[2]
        return found["components"]["schemas"][name] if name else schema

    assert body("/operations/lab/closed")["additionalProperties"] is False
    assert found["components"]["schemas"]["Label"]["additionalProperties"] is False
    assert body("/operations/more/mixed")["additionalProperties"] is False
    assert found["components"]["schemas"]["Rest"]["additionalProperties"] is True
    assert body("/operations/other/open")["additionalProperties"] is True


@pytest.mark.parametrize("mode", ["dev", "production"])
async def test_a_mistake_says_what_and_where_to_those_who_develop(lab: Lab, mode: str) -> None:
    """The message and the line in the project; in production a message may be a secret, and stays in the log."""

    async def body(_: object, ctx: Context) -> None:
        raise KeyError("colour")

    lab.step("lab.paint", body)
    app = await lab.start()
    app.settings = Settings.model_validate({**app.settings.model_dump(), "project": {"mode": mode}})
    with pytest.raises(PulpoError) as refused:
        await app.call("lab.paint", {}, caller=LOCAL)
    assert refused.value.code == "PULPO401"
    if mode == "dev":
        assert re.fullmatch(
            r"lab\.paint raised KeyError: 'colour' \(tests/runtime/test_inputs\.py:\d+\)", refused.value.detail
        )
    else:
        assert refused.value.detail == "lab.paint raised KeyError"
