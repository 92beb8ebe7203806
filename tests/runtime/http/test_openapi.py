"""The OpenAPI document says what the server does, in words that clients can be made from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from pydantic import BaseModel

from pulpo import Context, Embedded, Field, Model, Money, Ref, Refused, datamodel, operation
from pulpo.errors import CODES
from pulpo.model.model import Timestamp
from pulpo.runtime.http.openapi import openapi
from pulpo.runtime.http.samples import NoSample, Samples
from pulpo.settings import Settings
from pulpo.spec import AppSpec

METHODS = ("get", "post", "put", "patch", "delete")
Json = Any


class Shelf(Embedded):
    """Where it stands."""

    name: str = Field(min_length=2, max_length=3)
    level: int = Field(ge=3, le=9)


@datamodel
class Crate(Model):
    """A box of something."""

    label: str = Field(key=True, pattern="^[A-Z]{2}-[0-9]{4}$", examples=["AB-1234"])
    price: Money = Field(ge=0)
    deposit: Money | None = Field(None, gt=0, lt=100)
    shelves: list[Shelf] = Field(min_length=1)
    seen_at: Timestamp | None = None
    stock: int = Field(0, readonly=True)

    async def before_delete(self, ctx: Context) -> None:
        """Keep what is full."""
        self._refuse_full()

    def _refuse_full(self) -> None:
        if self.stock:
            raise Refused("crate_is_full", "empty it first", status=423)


class Problem(BaseModel):
    """A class of the application's that is called like a component of Pulpo's."""

    what: str


class CrateCreate(BaseModel):
    """Another: the body of a create has this name."""

    crate_id: Ref[Crate]


@operation(name="store.room.check", models_in=[Crate], refuses={"no_scale": 503})
async def check(data: CrateCreate, ctx: Context) -> Problem:
    """Look into it."""
    await ctx.store.get(Crate, data.crate_id)
    raise Refused("too_heavy" if data.crate_id else "too_light", "it breaks the shelf")


@pytest.fixture(scope="module")
def document() -> Json:
    app = AppSpec("store", models=(Crate.__pulpo__,), operations=(check.__pulpo__,))
    return openapi(app, {}, Settings())


def operations(document: Json) -> Iterator[tuple[str, Json]]:
    """Every operation with its address."""
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield f"{method.upper()} {path}", item[method]


def resolved(document: Json, part: Json) -> Json:
    """What a reference leads to."""
    while "$ref" in part:
        kind, name = part["$ref"].split("/")[-2:]
        part = document["components"][kind][name]
    return part


def problems(document: Json, described: Json) -> Iterator[tuple[int, Json]]:
    """An operation's problems: status, schema of the code, example."""
    for status, answer in described["responses"].items():
        content = resolved(document, answer).get("content", {})
        if "application/problem+json" in content:
            yield int(status), content["application/problem+json"]


def listed(schema: Json) -> set[str]:
    """The codes that a problem's schema names."""
    code = schema["allOf"][1]["properties"]["code"]
    return {name for part in (code, *code.get("anyOf", ())) for name in part.get("enum", ())}


def test_it_is_valid_and_every_refusal_lists_its_codes(document: Json) -> None:
    """No `default`, no range of statuses; a problem's codes are those of its status, each with an example."""
    OpenAPIV31SpecValidator(document).validate()
    for address, described in operations(document):
        assert all(status.isdigit() for status in described["responses"]), address
        for status, media in problems(document, described):
            codes = listed(media["schema"])
            assert codes or status == 409, (address, status)
            assert {CODES[code].status for code in codes if code.startswith("PULPO")} <= {status}, address
            assert media["schema"]["allOf"][1]["properties"]["status"] == {"const": status}
            if "example" in media:
                valid(document, media["schema"], media["example"])


def test_the_applications_own_codes_stand_with_their_status(document: Json) -> None:
    """Those that the source shows, in helpers and hooks too, and those that an operation says it has."""
    found = dict(operations(document))
    called = {
        status: listed(media["schema"])
        for status, media in problems(document, found["POST /operations/store/room/check"])
    }
    assert {"too_heavy", "too_light", "PULPO408"} <= called[409]
    assert "no_scale" in called[503]
    deleted = {status: listed(media["schema"]) for status, media in problems(document, found["DELETE /crates/{id}"])}
    assert deleted[423] == {"crate_is_full"}
    changed = {status: listed(media["schema"]) for status, media in problems(document, found["PUT /crates/{id}"])}
    assert 423 not in changed


def valid(document: Json, schema: Json, value: Json) -> None:
    """Raise where a value is not what the document says; decimals are compared as decimals."""
    whole = {**schema, "components": document["components"]}
    jsonschema_rs.Draft202012Validator(whole, validate_formats=True).validate(value)


def test_every_body_has_an_example_that_is_valid(document: Json) -> None:
    """Requests and what is answered to them."""
    for address, described in operations(document):
        bodies = [described.get("requestBody", {"content": {}})]
        answered = (each for status, each in described["responses"].items() if status in ("201", "202"))
        bodies += [resolved(document, answer) for answer in answered]
        for body in bodies:
            for media in body["content"].values():
                examples = [resolved(document, each)["value"] for each in media.get("examples", {}).values()]
                examples += [media["example"]] if "example" in media else []
                assert len(examples) == 1, address
                valid(document, media["schema"], examples[0])
    sent = document["components"]["examples"]["CrateCreate.request"]["value"]
    assert sent["label"] == "AB-1234"
    assert sent["price"] == 19.99
    assert 2 <= len(sent["shelves"][0]["name"]) <= 3
    assert sent["shelves"][0]["level"] == 3
    assert "stock" not in sent


def test_what_no_text_is_known_for_has_no_example() -> None:
    """A pattern that nothing meets: nothing is better than something wrong."""
    schema = {"type": "object", "properties": {"a": {"type": "string", "pattern": "^~{7}$"}}, "required": ["a"]}
    with pytest.raises(NoSample):
        Samples({}, sent=True).of(schema)
    assert Samples({}, sent=False).of({**schema, "required": []}) == {}


def test_classes_that_are_called_like_pulpos_own_have_another_name(document: Json) -> None:
    """A problem stays a problem, a create's body a create's body, and both classes are described."""
    schemas = document["components"]["schemas"]
    assert "request_id" in schemas["Problem"]["properties"]
    assert "label" in schemas["CrateCreate"]["properties"]
    assert list(schemas["AppProblem"]["properties"]) == ["what"]
    assert list(schemas["AppCrateCreate"]["properties"]) == ["crate_id"]
    called = document["paths"]["/operations/store/room/check"]["post"]
    assert called["requestBody"]["content"]["application/json"]["schema"] == {
        "$ref": "#/components/schemas/AppCrateCreate"
    }
    assert called["responses"]["200"]["content"]["application/json"]["schema"] == {
        "$ref": "#/components/schemas/AppProblem"
    }


def test_filters_are_described_once_and_as_they_are(document: Json) -> None:
    """One parameter, an object of the filters, for the list, the figures and the export."""
    used = [
        {"$ref": "#/components/parameters/CrateFilter"} in document["paths"][path]["get"]["parameters"]
        for path in ("/crates", "/crates/aggregate", "/crates/export")
    ]
    assert used == [True, True, True]
    parameter = document["components"]["parameters"]["CrateFilter"]
    assert (parameter["style"], parameter["explode"]) == ("form", True)
    filters = resolved(document, parameter["schema"])
    assert filters["maxProperties"] == 20
    assert {name for name in filters["properties"] if name.startswith("label")} == {
        "label", "label[ne]", "label[in]", "label[nin]", "label[contains]", "label[startswith]",
    }  # fmt: skip
    assert {"price[gte]", "shelves.level[lt]", "seen_at[gt]"} <= set(filters["properties"])


def test_amounts_say_their_bounds(document: Json) -> None:
    """Of the field and of the type, also where the amount may be null."""
    properties = document["components"]["schemas"]["CrateCreate"]["properties"]
    assert properties["price"]["minimum"] == 0
    assert properties["price"]["exclusiveMaximum"] == 10**13
    amount = properties["deposit"]["anyOf"][0]
    assert (amount["exclusiveMinimum"], amount["exclusiveMaximum"]) == (0, 100)
    assert not {"ge", "gt", "lt", "le"} & set(amount)


def test_a_body_may_be_left_out_where_nothing_is_required(document: Json) -> None:
    """Of a cancel; not of a create, nor of a patch, which would change nothing."""
    found = dict(operations(document))
    assert found["POST /runs/{id}/cancel"]["requestBody"]["required"] is False
    assert found["POST /crates"]["requestBody"]["required"] is True
    assert found["PATCH /crates/{id}"]["requestBody"]["required"] is True


def test_links_lead_from_what_was_made_to_what_can_be_done_with_it(document: Json) -> None:
    """By the id in the answer, to operations that there are."""
    links = document["paths"]["/crates"]["post"]["responses"]["201"]["links"]
    assert set(links) == {"get", "replace", "patch", "delete"}
    ids = {described["operationId"] for _, described in operations(document)}
    for link in links.values():
        assert resolved(document, link)["operationId"] in ids
        assert resolved(document, link)["parameters"] == {"id": "$response.body#/id"}
