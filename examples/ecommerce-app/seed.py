"""Sample data, up to the moment of loading: `pulpo db seed`. Loading it again changes nothing."""

from models.product import Product
from shop import sample

from pulpo import Context


async def seed(ctx: Context) -> None:
    """Put the sample shop into an empty database."""
    if await ctx.store.count(Product):
        return
    for document in sample.build(ctx.now()).documents():
        ctx.store.insert(document)
