"""What happens to a database when the declared collections change."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from pathlib import Path

import pytest

from pulpo.errors import PulpoError
from pulpo.model.conditions import Compare
from pulpo.store.connect import connect
from pulpo.store.port import (
    Batch,
    Collection,
    Column,
    Delete,
    Index,
    Insert,
    Query,
    Replace,
    Store,
    UniqueTaken,
    Update,
)

Declare = Callable[[Collection], Awaitable[Store]]


@pytest.fixture
async def declare(tmp_path: Path, database: str) -> AsyncIterator[Declare]:
    """Opens one database again and again, each time with another declaration."""
    stores: list[Store] = []

    async def opened(collection: Collection) -> Store:
        for store in stores:
            await store.close()
        stores.append(connect(database, tmp_path))
        await stores[-1].open((collection,))
        return stores[-1]

    yield opened
    for store in stores:
        await store.close()


def goods(*columns: Column, indexes: tuple[Index, ...] = ()) -> Collection:
    return Collection("goods", columns, indexes)


async def keep(store: Store, **documents: dict) -> None:
    writes = (Insert("goods", id, json.dumps({"id": id, "version": 1, **fields})) for id, fields in documents.items())
    await store.commit(Batch(tuple(writes)))


async def read(store: Store, id: str) -> dict:
    record = await store.get("goods", id)
    assert record is not None
    document = json.loads(record.json)
    assert document["version"] == record.version
    return document


async def test_columns_and_indexes_are_added_to_what_is_there(declare: Declare) -> None:
    """Documents written before can be found by a field that is declared later."""
    await keep(await declare(goods()), a={"size": 3}, b={"size": 4})
    store = await declare(goods(Column("size", "integer"), indexes=(Index(("size",)),)))
    page = await store.query(Query("goods", Compare("size", "gt", 3)))
    assert [record.id for record in page.records] == ["b"]


async def test_a_unique_index_comes_and_goes(declare: Declare) -> None:
    """Once it is declared it holds, once it is not it does not."""
    sku = Column("sku", "text")
    await keep(await declare(goods(sku)), a={"sku": "s"})
    store = await declare(goods(sku, indexes=(Index(("sku",), unique=True),)))
    with pytest.raises(UniqueTaken):
        await keep(store, b={"sku": "s"})
    await keep(await declare(goods(sku)), b={"sku": "s"})


async def test_a_unique_index_that_documents_violate_is_refused(declare: Declare) -> None:
    """PULPO508 names field and documents; the database goes on with what was declared before."""
    old = goods(Column("sku", "text"), Column("shelf", "text"))
    await keep(await declare(old), a={"sku": "s"}, b={"sku": "s"}, c={"sku": "t"}, d={}, e={})
    with pytest.raises(PulpoError, match=r"PULPO508  goods: sku cannot become unique.*: a, b\n"):
        await declare(goods(Column("sku", "text"), Column("size", "integer"), indexes=(Index(("sku",), unique=True),)))
    await keep(await declare(old), f={"sku": "s"})


async def test_a_column_of_another_kind_is_computed_anew(declare: Declare) -> None:
    """Money compares in minor units from then on, and an index over it follows."""
    await keep(await declare(goods(Column("price", "number"), indexes=(Index(("price",)),))), a={"price": 19.99})
    store = await declare(goods(Column("price", "money"), indexes=(Index(("price",)),)))
    assert await store.count("goods", Compare("price", "eq", "19.99")) == 1
    store = await declare(goods(Column("price", "money", decimals=3), indexes=(Index(("price",)),)))
    assert await store.count("goods", Compare("price", "lt", "19.991")) == 1


async def test_a_renamed_field_is_carried_over(declare: Declare) -> None:
    """Its value, null included, stands under the new name in place of the old one; the version rises."""
    await keep(
        await declare(goods(Column("qty", "integer"))), a={"qty": 3, "price": 19.99}, b={"qty": None}, c={"other": 1}
    )
    renamed = goods(Column("quantity", "integer", renamed_from="qty"), indexes=(Index(("quantity",)),))
    for _ in range(2):
        store = await declare(renamed)
        assert await read(store, "a") == {"id": "a", "version": 2, "quantity": 3, "price": 19.99}
        assert await read(store, "b") == {"id": "b", "version": 2, "quantity": None}
        assert await read(store, "c") == {"id": "c", "version": 1, "other": 1}
    assert await store.count("goods", Compare("quantity", "eq", 3)) == 1


async def test_a_field_inside_lists_is_renamed_too(declare: Declare) -> None:
    """In each embedded entry, whatever its depth."""
    before = {"lines": [{"qty": 1, "sub": [{"qty": 5}]}, {"qty": 2}, {}], "maker": {"town": "Ulm"}, "qty": 9}
    await keep(await declare(goods()), a=before)
    store = await declare(
        goods(
            Column("lines.quantity", "integer", many=True, renamed_from="qty"),
            Column("maker.city", "text", renamed_from="town"),
        )
    )
    document = await read(store, "a")
    assert document["lines"] == [{"quantity": 1, "sub": [{"qty": 5}]}, {"quantity": 2}, {}]
    assert (document["maker"], document["qty"]) == ({"city": "Ulm"}, 9)
    assert await store.count("goods", Compare("lines.quantity", "eq", 2)) == 1


async def test_a_rename_never_overwrites(declare: Declare) -> None:
    """PULPO508 where a document has both names, or both are declared; nothing is changed."""
    await keep(await declare(goods()), a={"qty": 3}, b={"qty": 3, "quantity": 4})
    with pytest.raises(PulpoError, match=r"PULPO508.*both qty and quantity"):
        await declare(goods(Column("quantity", "integer", renamed_from="qty")))
    with pytest.raises(PulpoError, match=r"PULPO508.*field qty is declared still"):
        await declare(goods(Column("quantity", "integer", renamed_from="qty"), Column("qty", "integer")))
    assert await read(await declare(goods()), "a") == {"id": "a", "version": 1, "qty": 3}


async def test_names_that_sql_would_confuse_stay_apart(declare: Declare) -> None:
    """Fields called like the table's own columns, like keywords, or alike but for case."""
    names = ("doc", "Doc", "rowid", "select", "price_minor", "VERSION")
    columns = (*(Column(name, "integer") for name in names), Column("price", "money"))
    store = await declare(goods(*columns, indexes=tuple(Index((name,), unique=True) for name in (*names, "price"))))
    await keep(store, a={name: place for place, name in enumerate(names)} | {"price": 5})
    for place, name in enumerate(names):
        assert await store.count("goods", Compare(name, "eq", place)) == 1
        with pytest.raises(UniqueTaken) as failure:
            await keep(store, b={name: place})
        assert failure.value.fields == (name,)
    assert await store.count("goods", Compare("price", "eq", 5)) == 1


async def test_only_what_can_be_indexed_is(declare: Declare) -> None:
    """PULPO102 for an index over a list and something else, a unique one over a list, or over what is not declared."""
    columns = (Column("tags", "text", many=True), Column("size", "integer"))
    for index in (Index(("tags",), unique=True), Index(("tags", "size")), Index(("nothing",))):
        with pytest.raises(PulpoError, match="PULPO102"):
            await declare(goods(*columns, indexes=(index,)))


async def test_an_index_over_a_list_comes_and_goes(declare: Declare) -> None:
    """It finds what was there before, what is changed in any way, and nothing that is gone."""
    columns = (Column("tags", "text", many=True), Column("parts.cost", "money", many=True))
    indexes = (Index(("tags",)), Index(("parts.cost",)))
    await keep(await declare(goods(*columns)), a={"tags": ["x", "y", "x", None]}, b={"parts": [{"cost": 1.5}, {}]})
    store = await declare(goods(*columns, indexes=indexes))

    async def found(path: str, *values: object) -> list[str]:
        condition = Compare(path, "eq", values[0]) if len(values) == 1 else Compare(path, "in", values)
        return [record.id for record in (await store.query(Query("goods", condition))).records]

    assert (await found("tags", "x"), await found("tags", "z", "y"), await found("tags", "z")) == (["a"], ["a"], [])
    assert (await found("parts.cost", Decimal("1.50")), await found("tags", None)) == (["b"], ["a", "b"])
    await keep(store, c={"tags": "x"})
    update = Update("goods", "b", set={"tags": ["z", "x"]})
    text = json.dumps({"id": "a", "version": 2, "tags": ["y", "w"]})
    await store.commit(Batch((update, Replace("goods", "a", 1, text))))
    assert (await found("tags", "x"), await found("tags", "y"), await found("tags", "w")) == (["b", "c"], ["a"], ["a"])
    await store.commit(Batch((Delete("goods", "b"),)))
    assert (await found("tags", "x"), await found("tags", "z"), await found("parts.cost", 1.5)) == (["c"], [], [])
    store = await declare(goods(*columns))
    await keep(store, d={"tags": ["x"]})
    assert await found("tags", "x") == ["c", "d"]
    store = await declare(goods(*columns, indexes=indexes))
    assert await found("tags", "x") == ["c", "d"]
