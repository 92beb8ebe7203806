"""Models that changed, and documents that were written before: what is shown, and what is done."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest

from pulpo import Embedded, Field, Model, Money, datamodel
from pulpo.errors import PulpoError
from pulpo.model.conditions import Compare
from pulpo.runtime.application import Application, assemble
from pulpo.runtime.migration import Plan, migrate, plan
from pulpo.runtime.tables import collections
from pulpo.settings import DatabaseSettings, Settings
from pulpo.store import exact, places
from pulpo.store.port import Collection, Record
from pulpo.store.upkeep import Change

STAMPS = {"created_at": "2025-10-30T09:15:00.123Z", "updated_at": "2025-10-30T09:15:00.123Z"}


class Size(StrEnum):
    SMALL = "small"
    LARGE = "large"


class Shop:
    """A database, and the application as its models are at some time."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url

    def application(self, *models: type[Model]) -> Application:
        settings = Settings(database=DatabaseSettings(url=self.url))  # type: ignore[arg-type]
        return assemble(name="shop", root=self.folder, models=models, operations=[], plans={}, settings=settings)

    async def start(self, *models: type[Model]) -> None:
        """Start it once and stop it."""
        application = self.application(*models)
        await application.start(execute=False)
        await application.stop()

    async def put(self, *texts: str, collection: str = "goods", models: tuple[type[Model], ...] = ()) -> None:
        """Documents as they were written once."""
        loader = places.loader(self.url, self.folder)
        declared = collections(self.application(*models).spec)
        await loader.open((*declared, *((Collection(collection),) if not models else ())))
        records = [json.loads(text) for text in texts]
        await loader.load(
            collection, tuple(Record(one["id"], one["version"], text) for one, text in zip(records, texts, strict=True))
        )
        await loader.close()

    async def plan(self, *models: type[Model]) -> Plan:
        snapshot = places.snapshot(self.url, self.folder)
        assert await snapshot.open()
        try:
            return await plan(self.application(*models).spec, snapshot)
        finally:
            await snapshot.close()

    async def pending(self, *models: type[Model]) -> tuple[Change, ...]:
        snapshot = places.snapshot(self.url, self.folder)
        assert await snapshot.open()
        try:
            return await snapshot.pending(collections(self.application(*models).spec))
        finally:
            await snapshot.close()

    async def migrate(self, *models: type[Model], allow_loss: bool = False) -> int:
        return await migrate(self.application(*models), await self.plan(*models), allow_loss=allow_loss)

    async def texts(self, collection: str = "goods") -> dict[str, str]:
        snapshot = places.snapshot(self.url, self.folder)
        assert await snapshot.open()
        found = {one.id: one.json for one in await snapshot.scan(collection)}
        await snapshot.close()
        return found

    async def documents(self, collection: str = "goods") -> dict[str, Any]:
        return {id: json.loads(text) for id, text in (await self.texts(collection)).items()}


@pytest.fixture(params=["sqlite", "mongodb"])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Shop:
    url = f"sqlite:///{tmp_path}/shop.db" if request.param == "sqlite" else request.getfixturevalue("mongodb_url")()
    return Shop(tmp_path, url)


def text(id: str, version: int = 1, **fields: Any) -> str:
    return json.dumps({"id": id, "version": version, **STAMPS, **fields}, separators=(",", ":"))


def found(of: Plan) -> list[tuple[str, str, str, int | None]]:
    return [(one.effect, one.collection, one.what, one.count) for one in of.findings]


def first() -> type[Model]:
    class Line(Embedded):
        note: str = ""
        qty: int = 1

    @datamodel
    class Good(Model):
        """A good, as it was at first."""

        name: str
        note: str | None = None
        size: str = "small"
        price: Money = 0  # type: ignore[assignment]
        lines: list[Line] = Field(default_factory=list)

    return Good


async def test_what_fits_is_left_alone(shop: Shop) -> None:
    """Nothing to do for documents of this model, however their numbers are written."""
    old = first()
    await shop.start(old)
    rest = {"note": None, "size": "small", "lines": []}
    await shop.put(
        text("a", 3, name="x", price=1.50, **rest),
        text("b", name="y", **rest).replace("}", ',"price":1.5e0}'),
        models=(old,),
    )
    before = await shop.texts()
    assert (await shop.plan(old)).findings == ()
    assert await shop.migrate(old) == 0
    assert await shop.texts() == before


async def test_the_default_of_a_new_field_is_written(shop: Shop) -> None:
    """Lists and filters read what is stored, so a migration writes it, also in entries."""
    old = first()
    await shop.start(old)
    whole = {"name": "x", "note": None, "size": "small", "price": 1.50}
    await shop.put(text("a", 3, **whole, lines=[{"note": "n"}]), text("b", **whole, lines=[]), models=(old,))

    class Line(Embedded):
        note: str = ""
        qty: int = 1

    @datamodel
    class Good(Model):
        """Has one field more."""

        name: str
        note: str | None = None
        size: str = "small"
        price: Money = 0  # type: ignore[assignment]
        lines: list[Line] = Field(default_factory=list)
        colour: str = Field("red", index=True)

    seen = await shop.plan(Good)
    assert [one for one in found(seen) if one[0] == "default"] == [
        ("default", "goods", "documents without colour: its default", 2),
        ("default", "goods", "documents without lines[].qty: its default", 1),
    ]
    assert seen.rewrites
    assert await shop.migrate(Good) == 2
    documents = await shop.documents()
    assert [documents[id]["colour"] for id in "ab"] == ["red", "red"]
    assert documents["a"]["lines"] == [{"note": "n", "qty": 1}]
    assert (documents["a"]["version"], documents["b"]["version"]) == (4, 2)
    assert (await shop.plan(Good)).findings == ()


async def test_a_field_that_is_gone_is_lost_with_leave_only(shop: Shop) -> None:
    """Counted and named first; PULPO508 without leave and nothing is changed; then documents are as new ones."""
    old = first()
    await shop.start(old)
    await shop.put(
        text("a", 3, name="x", note="keep?", price=9999999999999.99, lines=[{"note": "n", "qty": 2}, {"qty": 1}]),
        text("b", name="y", note=None, size="small", price=0, lines=[]).replace('"note":null,', ""),
        models=(old,),
    )

    class Line(Embedded):
        qty: int = 1

    @datamodel
    class Good(Model):
        """Has no notes any more."""

        name: str
        size: str = "small"
        price: Money = 0  # type: ignore[assignment]
        lines: list[Line] = Field(default_factory=list)

    seen = await shop.plan(Good)
    losses = [one for one in seen.findings if one.effect == "loss"]
    assert [(one.what, one.count, one.examples) for one in losses] == [
        ("field lines[].note that the model does not declare", 1, ("a",)),
        ("field note that the model does not declare", 1, ("a",)),
    ]
    before = await shop.texts()
    with pytest.raises(PulpoError, match=r"PULPO508.*note.*1 documents \(a\)"):
        await shop.migrate(Good)
    assert await shop.texts() == before
    assert await shop.migrate(Good, allow_loss=True) == 1
    documents = await shop.documents()
    assert documents["a"]["version"] == 4
    assert documents["a"]["lines"] == [{"qty": 2}, {"qty": 1}]
    assert "note" not in documents["a"]
    assert (await shop.texts())["b"] == before["b"]
    assert (await shop.plan(Good)).findings == ()


async def test_a_value_of_another_type_is_kept_where_it_can_be(shop: Shop) -> None:
    """Written in the form of its type without loss; one that cannot be gives way to the default, with leave only."""
    old = first()
    await shop.start(old)
    await shop.put(
        text("a", name="x", note="3", size="large"),
        text("b", name="x", note="three", size="huge"),
        text("c", name="x", note=None, size="small", price=0, lines=[]),
        models=(old,),
    )

    @datamodel
    class Good(Model):
        """Its note is a number now."""

        name: str
        note: int | None = None
        size: Size = Size.SMALL
        price: Money = 0  # type: ignore[assignment]
        lines: list[Any] = Field(default_factory=list)

    seen = found(await shop.plan(Good))
    assert ("form", "goods", "values of note in the form of its type", 1) in seen
    lost = [(what.split()[2], count) for effect, _, what, count in seen if effect == "loss"]
    assert lost == [("note", 1), ("size", 1)]
    with pytest.raises(PulpoError, match="PULPO508"):
        await shop.migrate(Good)
    assert await shop.migrate(Good, allow_loss=True) == 2
    kept = {id: (one["note"], one["size"], one["version"]) for id, one in (await shop.documents()).items()}
    assert kept == {"a": (3, "large", 2), "b": (None, "small", 2), "c": (None, "small", 1)}
    application = shop.application(Good)
    await application.start(execute=False)
    assert await application.store.count("goods", Compare("note", "eq", 3)) == 1
    await application.stop()


async def test_a_document_that_fits_in_no_way_stands_in_the_way(shop: Shop) -> None:
    """PULPO508 names it, also with leave to lose; nothing is changed."""
    old = first()
    await shop.start(old)
    await shop.put(text("a", name="x", size="huge"), text("b", name="x", note="gone"), models=(old,))

    @datamodel
    class Good(Model):
        """Needs a size, and something more."""

        name: str
        size: Size

    seen = [one[2:] for one in found(await shop.plan(Good)) if one[0] == "invalid"]
    assert seen == [("size: Field required", 1), ("size: Input should be 'small' or 'large'", 1)]
    before = await shop.texts()
    with pytest.raises(PulpoError, match=r"PULPO508.*size.*\(a\)"):
        await shop.migrate(Good, allow_loss=True)
    assert await shop.texts() == before

    @datamodel  # type: ignore[no-redef]
    class Good(Model):
        """Needs what nobody has."""

        name: str
        note: str | None = None
        size: str = "small"
        weight: float

    assert [one[2:] for one in found(await shop.plan(Good)) if one[0] == "invalid"] == [("weight: Field required", 2)]


async def test_a_collection_without_a_model_goes_with_leave(shop: Shop) -> None:
    """It is named with its size; the journal's own are never touched."""
    old = first()
    await shop.start(old)
    await shop.put(text("l1"), text("l2"), collection="lamps")
    assert ("loss", "lamps", "collection that no model declares, 2 documents", None) in found(await shop.plan(old))
    with pytest.raises(PulpoError, match=r"PULPO508.*lamps: collection"):
        await shop.migrate(old)
    assert await shop.migrate(old, allow_loss=True) == 0
    snapshot = places.snapshot(shop.url, shop.folder)
    assert await snapshot.open()
    counts = await snapshot.counts()
    await snapshot.close()
    assert "lamps" not in counts
    assert {"goods", "_runs", "_plans"} <= counts.keys()


async def test_renamed_fields_are_counted_before_they_are_carried_over(shop: Shop) -> None:
    """Simple ones, ones inside lists and whole lists: afterwards every document has the new names, digits and all."""
    old = first()
    await shop.start(old)
    written = text("a", 3, name="x", note="n", lines=[{"note": "m", "qty": 2}]).replace(
        '"note":"n"', '"note":"n","size":"small","price":19.90'
    )
    plain = text("b", name="y", remark=None, size="small", price=0, parts=[])
    await shop.put(written, plain, models=(old,))

    class Line(Embedded):
        remark: str = Field("", renamed_from="note")
        qty: int = 1

    @datamodel
    class Good(Model):
        """Speaks of remarks and of parts."""

        name: str
        remark: str | None = Field(None, renamed_from="note")
        size: str = "small"
        price: Money = 0  # type: ignore[assignment]
        parts: list[Line] = Field([], renamed_from="lines")

    seen = await shop.plan(Good)
    assert [one for one in found(seen) if one[0] != "additive"] == [
        ("rename", "goods", "field parts, renamed from lines", 1),
        ("rename", "goods", "field parts.remark, renamed from note", 1),
        ("rename", "goods", "field remark, renamed from note", 1),
    ]
    assert seen.rewrites
    await shop.migrate(Good)
    texts = await shop.texts()
    document = exact.decode(texts["a"])
    assert document["remark"] == "n"
    assert document["parts"] == [{"remark": "m", "qty": 2}]
    assert {"note", "lines"}.isdisjoint(document)
    assert '"price":19.90' in texts["a"]
    assert json.loads(texts["b"])["version"] == 1
    assert (await shop.plan(Good)).findings == ()
    assert await shop.pending(Good) == ()


async def test_a_migration_that_died_is_run_again(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was rewritten is not rewritten again; nothing is left over."""
    old = first()
    await shop.start(old)
    await shop.put(*(text(f"g{n:04}", name="x", note=str(n)) for n in range(500)), models=(old,))

    @datamodel
    class Good(Model):
        """Without a note."""

        name: str
        size: str = "small"
        price: Money = 0  # type: ignore[assignment]
        lines: list[Any] = Field(default_factory=list)

    application = shop.application(Good)
    commit, left = application.store.commit, 2

    async def dies(batch: Any) -> Any:
        nonlocal left
        left -= 1
        if not left:
            raise KeyboardInterrupt
        return await commit(batch)

    monkeypatch.setattr(application.store, "commit", dies)
    with pytest.raises(KeyboardInterrupt):
        await migrate(application, await shop.plan(Good), allow_loss=True)
    assert [one[3] for one in found(await shop.plan(Good))] == [300]
    assert await shop.migrate(Good, allow_loss=True) == 300
    assert {one["version"] for one in (await shop.documents()).values()} == {2}


async def test_an_application_does_not_start_on_half_a_copy(shop: Shop) -> None:
    """PULPO516; once the copy has come to its end it does."""
    old = first()
    await shop.start(old)
    for state, starts in (("copying", False), ("complete", True)):
        marker = json.dumps({"id": "transfer", "version": 1, "from": "there", "state": state, "at": ""})
        await shop.put(marker, collection="_transfers", models=(old,))
        if starts:
            await shop.start(old)
        else:
            with pytest.raises(PulpoError, match="PULPO516"):
                await shop.start(old)
