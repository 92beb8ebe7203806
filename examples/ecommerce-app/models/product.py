"""Product catalog."""

from typing import Self

from models.stock import MovementKind, StockMovement

from pulpo import Context, Field, Model, Money, Refused, datamodel


@datamodel(
    ui={
        "icon": "package",
        "group": "Warehouse",
        "order": 1,
        "label": "name",
        "columns": ["name", "sku", "category", "price", "inventory", "on_hand", "reserved", "location", "active"],
        "filters": ["active"],
    },
)
class Product(Model):
    """Something the shop sells. `inventory` is what can still be promised: on hand less reserved."""

    sku: str = Field(key=True, min_length=1, max_length=64, description="Unique product ID")
    name: str = Field(min_length=1, max_length=200)
    price: Money = Field(ge=0, description="Price in USD")
    inventory: int = Field(
        default=0, ge=0, index=True, description="Current stock that can be promised", ui={"low": 10}
    )
    on_hand: int = Field(default=0, readonly=True, description="Units in the warehouse")
    reserved: int = Field(default=0, readonly=True, description="Units held for orders")
    active: bool = Field(default=True, description="Whether it can be ordered")
    weight_grams: int = Field(default=400, ge=1, le=30_000, ui={"unit": "g"})
    category: str = Field(default="", index=True)
    location: str = Field(default="", description="Where pickers find it: aisle-shelf")

    async def before_create(self, ctx: Context) -> None:
        """Book the opening stock."""
        self.on_hand, self.reserved = self.inventory, 0
        if self.inventory:
            ctx.store.insert(
                StockMovement(product_id=self.id, kind=MovementKind.OPENING, on_hand_change=self.inventory)
            )

    async def before_update(self, old: Self, ctx: Context) -> None:
        """Book a change of the stock as an adjustment."""
        change = self.inventory - old.inventory
        if change:
            self.on_hand = old.on_hand + change
            ctx.store.insert(
                StockMovement(
                    product_id=self.id, kind=MovementKind.ADJUSTMENT, on_hand_change=change, reason="edited by hand"
                )
            )

    async def before_delete(self, ctx: Context) -> None:
        """Let only a product go whose stock never moved.

        Raises:
            Refused: product_has_history, 409.
        """
        for movement in await ctx.store.find(StockMovement, StockMovement.product_id == self.id, limit=2):
            if movement.kind is not MovementKind.OPENING:
                raise Refused(
                    "product_has_history",
                    f"the stock of {self.sku} has moved, so the product cannot be deleted",
                    hint="set active to false to stop selling it",
                )
            ctx.store.delete(movement)
