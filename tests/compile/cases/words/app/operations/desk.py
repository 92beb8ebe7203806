"""Operations whose names or inputs are called like something else."""

from typing import Any

from models.post import Author, ListPage, Post, Record
from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from pulpo import Context, Ref, operation


class PostCreate(BaseModel):
    """Called like what the client makes of the model."""

    model_config = ConfigDict(extra="allow")

    zip_code: str = Field(alias="zip-code")
    page: ListPage | None = None


class Totals(TypedDict, total=False):
    """Not all of it is always there."""

    count: int


@operation(name="desk.then", standalone=True)
async def then(data: PostCreate) -> Totals:
    """An object with a `then` could not be awaited."""
    return {"count": len(data.zip_code)}


@operation(name="desk.delete", models_in=[Post], standalone=True)
async def look(post_id: Ref[Post], ctx: Context) -> Post:
    """Gives a document."""
    return await ctx.store.get(Post, post_id)


@operation(name="desk.send.new", standalone=True)
async def new(records: list[Record], copies: int = 1) -> dict[str, list[int | None]]:
    """Is called like a word of the language."""
    return {record.default: [copies, None] for record in records}


@operation(name="desk.send.item_1", standalone=True)
async def item_with_a_line() -> Any:
    """Has the same name as the next in camel case."""


@operation(name="desk.send.item1", standalone=True, models_in=[Author])
async def item_without() -> list[Author]:
    """Has the same name as the one before in camel case."""
    return []
