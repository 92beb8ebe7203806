from models.shop import LedgerEntry, Order, Payment

from pulpo import Money, Ref, group, operation

group("payments.processing", after=["orders.checkout"])


@operation(
    name="payments.processing.charge", models_in=[Order], models_out=[Payment], compensate="payments.processing.void"
)
async def charge(order_id: Ref[Order], amount: Money | None = None) -> dict[str, str]:
    return {}


@operation(name="payments.processing.void", models_out=[Payment])
async def void(order_id: Ref[Order]) -> None: ...


@operation(
    name="payments.processing.confirm",
    models_out=[Payment],
    models_add=[LedgerEntry],
    after=["orders.fulfillment.reserve_items"],
)
async def confirm(order_id: Ref[Order]) -> None: ...


@operation(
    name="payments.reconciliation.verify", models_in=[Payment, LedgerEntry], after=["payments.processing.confirm"]
)
async def verify(order_id: Ref[Order]) -> bool:
    return True
