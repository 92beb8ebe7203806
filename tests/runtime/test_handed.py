"""Documents that an operation changes in place: written when it says so, and never lost without a word."""

from __future__ import annotations

import pytest
from pydantic import Field as PlainField

from pulpo import Context, Embedded, Model, PulpoError, datamodel
from pulpo.model.model import new_id
from pulpo.runtime.handed import KEPT, Handed
from tests.runtime.lab import LOCAL, Box, Lab, Made


class Part(Embedded):
    """An entry with an id of its own."""

    id: str = PlainField(default_factory=lambda: new_id("part"))
    name: str = ""


@datamodel
class Kit(Model):
    """A document with entries."""

    label: str = ""
    parts: list[Part] = PlainField(default_factory=list)
    serial: str = PlainField(default_factory=lambda: new_id("serial"))


async def test_a_change_in_place_that_is_not_written_fails_the_operation(lab: Lab) -> None:
    """It says which document and field, nothing of it is committed, and trying again is not tried."""

    async def body(_: object, ctx: Context) -> None:
        ctx.store.insert(Box(label="beside"))
        found = await ctx.store.get(Box, "box_1")
        found.count = 99

    lab.step("lab.change", body, models_out=[Box], retries=3)
    app = await lab.start()
    context = app.context(LOCAL)
    context.store.insert(Box(id="box_1", label="b"))
    await context.commit()
    with pytest.raises(PulpoError) as refused:
        await app.call("lab.change", {}, caller=LOCAL)
    assert refused.value.code == "PULPO417"
    assert 'Box "box_1" was changed in place (count)' in refused.value.detail
    assert "ctx.store.replace(box)" in str(refused.value.hint)
    assert await context.store.count(Box) == 1
    assert lab.calls == ["lab.change"]


async def test_a_change_in_place_that_is_replaced_is_written(lab: Lab) -> None:
    """Replace and patch take what the document says then; deleting it needs nothing."""

    async def body(_: object, ctx: Context) -> Made:
        found = await ctx.store.get(Box, "box_1")
        found.count = 99
        ctx.store.replace(found)
        second = await ctx.store.get(Box, "box_2")
        second.count = 5
        ctx.store.patch(second, label="patched")
        third = await ctx.store.get(Box, "box_3")
        third.count = 5
        ctx.store.delete(third)
        return Made()

    lab.step("lab.change", body, atomic=True)
    app = await lab.start()
    context = app.context(LOCAL)
    for number in (1, 2, 3):
        context.store.insert(Box(id=f"box_{number}", label=str(number)))
    await context.commit()
    await app.call("lab.change", {}, caller=LOCAL)
    fresh = app.context(LOCAL).store
    assert [(each.count, each.label) for each in await fresh.find(Box, sort="id")] == [(99, "1"), (5, "patched")]


async def test_a_change_after_the_write_is_refused_too(lab: Lab) -> None:
    """What is inserted or replaced is text from then on, also across a commit in the middle."""
    app = await lab.start()
    context = app.context(LOCAL)
    made = context.store.insert(Box(label="b"))
    made.count = 3
    with pytest.raises(PulpoError, match="PULPO417"):
        await context.commit()
    context.store.replace(made)
    await context.commit()
    made.count = 4
    with pytest.raises(PulpoError, match="PULPO417"):
        await context.commit()


def test_entries_are_looked_into_and_what_is_made_at_reading_is_not() -> None:
    """A stored document may lack fields by now: those with a factory differ at every reading."""
    kit = Kit(label="k", parts=[Part(name="a")])
    text = kit.model_dump_json()
    for stored in (text, text.replace(f',"serial":"{kit.serial}"', ""), text.replace(f'"id":"{kit.parts[0].id}",', "")):
        handed = Handed()
        read = Kit.model_validate_json(stored)
        handed.note(read, stored)
        handed.refuse_changed()
        read.parts[0].name = "b"
        with pytest.raises(PulpoError, match=r"in place \(parts\)"):
            handed.refuse_changed()
        read.parts[0].name = "a"
        read.parts.append(Part(name="c"))
        with pytest.raises(PulpoError, match=r"in place \(parts\)"):
            handed.refuse_changed()


def test_what_is_watched_is_bounded() -> None:
    """An operation that reads a whole collection does not hold it."""
    handed = Handed()
    first = Kit()
    handed.note(first, first.model_dump_json())
    first.label = "changed"
    for _ in range(KEPT):
        one = Kit()
        handed.note(one, one.model_dump_json())
    handed.refuse_changed()
    assert len(handed._texts) == KEPT
